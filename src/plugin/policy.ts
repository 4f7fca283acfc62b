import type { Allowance } from "../model/allowance.ts";
import { NAME_SERVERS, OWN_CONFIG, OWN_TARGET } from "../model/allowance.ts";
import { formatEndpoint, isHostName, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { isRecord, quote } from "../model/node.ts";
import type { PermissionRequest, Scope } from "./contract.ts";
import type { PluginKind, PluginSource } from "./source.ts";

/** The decision on a request: exactly the requested permissions, or the reasons why not. */
export type Grant =
  | { readonly ok: true; readonly granted: PermissionRequest }
  | { readonly ok: false; readonly reasons: readonly string[] };

/** All kinds of access. */
const ACCESSES = ["net", "read", "write", "env", "run"] as const;

/** Input of the policy about an instance. */
export interface PolicyCase {
  /** The plugin's kind. */
  readonly kind: PluginKind;
  /** The plugin's source, and what is allowed to it. */
  readonly source: PluginSource;
  /** The instance. */
  readonly scope: Scope;
  /** The instance's part of the config as written. */
  readonly config?: unknown;
}

/**
 * Decides whether a plugin gets the permissions it requests: all or none. Each entry must be as narrow
 * as possible: one address, one absolute path, one variable. A built-in check gets its own target and
 * nothing else of the network. A third-party plugin gets what `allow` lists; if it lists no network
 * access, a check gets its target, and others nothing. Pure.
 */
export function decide(request: PermissionRequest, { kind, source, scope, config }: PolicyCase): Grant {
  const reasons = ACCESSES.flatMap((access) =>
    (request[access] ?? []).flatMap((entry) => faultOf(access, entry) ?? [])
  );
  if (source.origin === "foreign") {
    const allow = allowanceOf({ kind, source, scope, config });
    for (const access of ACCESSES) {
      for (const entry of request[access] ?? []) {
        if (faultOf(access, entry) === undefined && !isWithin(access, entry, allow[access] ?? [])) {
          reasons.push(
            `${access} ${quote(entry)} is not granted: allow.${access} of ${describeSource(source)} ${
              list(allow[access] ?? [])
            }`,
          );
        }
      }
    }
  } else if (kind === "check") {
    for (const endpoint of request.net ?? []) {
      if (faultOf("net", endpoint) === undefined && endpoint !== scope.target) {
        reasons.push(`net ${quote(endpoint)} is not the target of the check, ${quote(scope.target)}`);
      }
    }
  }
  return reasons.length === 0 ? { ok: true, granted: request } : { ok: false, reasons };
}

/**
 * Returns the addresses in a config: strings of the form `host:port`, or comma-separated lists of
 * such, the address of a URL that has a port, and maps with a `host` and a `port`. Pure.
 */
export function addressesIn(config: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting: unknown[] = [config];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === "string") {
      for (const part of value.split(/[\s,]+/)) {
        // What follows the address, such as a path in the registry, is not network access.
        const address = part.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/^[^/@]*@/, "").replace(/[/?#].*$/s, "");
        found.add(part.startsWith("unix:") ? part : address);
      }
    } else if (typeof value === "object" && value !== null) {
      if (isRecord(value) && typeof value.host === "string") {
        found.add(formatEndpoint({ host: value.host, port: Number(value.port) }));
      }
      waiting.push(...Object.values(value));
    }
  }
  return new Set([...found].filter(isOneAddress));
}

/** The allowed entries, with placeholders for addresses replaced. */
function allowanceOf({ kind, source, scope, config }: PolicyCase): Allowance {
  const net = (source.allow?.net ?? (kind === "check" ? [OWN_TARGET] : [])).flatMap((entry) => {
    if (entry === OWN_TARGET) return scope.target === undefined ? [] : [scope.target];
    if (entry === NAME_SERVERS) return scope.nameServers ?? [];
    return entry === OWN_CONFIG ? [...addressesIn(config)] : [entry];
  });
  return { ...source.allow, net };
}

function isWithin(access: typeof ACCESSES[number], entry: string, allowed: readonly string[]): boolean {
  if (access !== "read" && access !== "write") return allowed.includes(entry);
  const path = entry.replace(/\/$/, "");
  return allowed.map((each) => each.replace(/\/$/, "")).some((each) => path === each || path.startsWith(`${each}/`));
}

/** Why an entry is not narrow enough; `undefined` if it is. */
function faultOf(access: typeof ACCESSES[number], entry: string): string | undefined {
  switch (access) {
    case "net":
      return isOneAddress(entry) ? undefined : `net ${quote(entry)} is not a single address (host:port or unix:/path)`;
    case "env":
      return isVariable(entry) ? undefined : `env ${quote(entry)} is not the name of an environment variable`;
    default:
      return isOnePath(entry)
        ? undefined
        : `${access} ${quote(entry)} is not a single absolute path without empty, "." or ".." segments`;
  }
}

function describeSource({ name }: PluginSource): string {
  return name === undefined ? "the plugin" : `${name} in plugins.yaml`;
}

function list(entries: readonly string[]): string {
  return entries.length === 0 ? "is empty" : `has ${entries.map((entry) => quote(entry)).join(", ")}`;
}

/** Whether a string is one address: `host:port`, `[v6]:port` or `unix:/path`. */
function isOneAddress(endpoint: string): boolean {
  if (endpoint.startsWith("unix:")) return isOnePath(endpoint.slice(5));
  const address = parseEndpoint(endpoint);
  if (address === undefined || !(isHostName(address.host) || isIpv6(address.host))) return false;
  return formatEndpoint(address) === endpoint;
}

function isVariable(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Whether a path is absolute, normalized, and not the root. */
function isOnePath(path: string): boolean {
  const [first, ...names] = path.replace(/\/$/, "").split("/");
  // deno-lint-ignore no-control-regex -- a path with control characters is rejected.
  const isName = (name: string) => name !== "" && name !== "." && name !== ".." && !/[\u0000-\u001f\u007f]/.test(name);
  return first === "" && names.length > 0 && names.every(isName);
}
