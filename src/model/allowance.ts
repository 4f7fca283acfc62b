/**
 * The grants of a third-party plugin, `allow` in
 * `plugins.yaml`. An omitted kind has its default.
 */
export interface Allowance {
  /** Addresses as `host:port`, `[v6]:port` or `unix:/path`, {@linkcode OWN_TARGET}, {@linkcode OWN_CONFIG} or {@linkcode NAME_SERVERS}. */
  readonly net?: readonly string[] | undefined;
  /** Absolute paths of files, or of directories with all that is in them. */
  readonly read?: readonly string[] | undefined;
  /** The same. */
  readonly write?: readonly string[] | undefined;
  /** Names of variables. */
  readonly env?: readonly string[] | undefined;
  /** Absolute paths of programs. */
  readonly run?: readonly string[] | undefined;
}

/** Placeholder in `net` for the address that a check probes. */
export const OWN_TARGET = "{target}";
/** Placeholder in `net` for the addresses in the config of the instance. */
export const OWN_CONFIG = "{config}";
/** Placeholder in `net` for the name servers of this host. */
export const NAME_SERVERS = "{name_servers}";
