/**
 * What an operator grants a plugin that does not ship, as `allow` in
 * `plugins.yaml` says it. A kind that is left out stays at its default.
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

/** Stands in `net` for the address that a check probes. */
export const OWN_TARGET = "{target}";
/** Stands in `net` for the addresses that the config of the instance names. */
export const OWN_CONFIG = "{config}";
/** Stands in `net` for the name servers of this host. */
export const NAME_SERVERS = "{name_servers}";
