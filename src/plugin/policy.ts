import type { Allowance } from "../model/allowance.ts";
import { NAME_SERVERS, OWN_CONFIG, OWN_TARGET } from "../model/allowance.ts";
import { formatEndpoint, isHostName, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { isRecord, quote } from "../model/node.ts";
import type { PermissionRequest, Scope } from "./contract.ts";
import type { PluginKind, PluginSource } from "./source.ts";

/** What the policy says of a request: exactly what was asked, or why not. */
export type Grant =
  | { readonly ok: true; readonly granted: PermissionRequest }
  | { readonly ok: false; readonly reasons: readonly string[] };

/** All that can be asked for. */
const ACCESSES = ["net", "read", "write", "env", "run"] as const;

/** What the policy is told of an instance. */
export interface PolicyCase {
  /** The plugin's kind. */
  readonly kind: PluginKind;
  /** Where it comes from, and what it is allowed. */
  readonly source: PluginSource;
  /** The instance. */
  readonly scope: Scope;
  /** The instance's part of the config as the operator wrote it. */
  readonly config?: unknown;
}

/**
 * Decides whether a plugin gets what it asks for: all of it or nothing. Each
 * entry must be as narrow as it can be said: one address, one absolute path,
 * one variable. A check that ships gets its own target and nothing else of the
 * network. A foreign plugin gets what `allow` says; if that says nothing, a
 * check gets its target, and others nothing. Pure.
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
        reasons.push(`net ${quote(endpoint)} is not the check's own target, ${quote(scope.target)}`);
      }
    }
  }
  return reasons.length === 0 ? { ok: true, granted: request } : { ok: false, reasons };
}

/**
 * The addresses that a config names: texts in it that are `host:port`, or lists
 * of such between commas, the address of a URL that has a port, and maps with a
 * `host` and a `port`. Pure.
 */
export function addressesIn(config: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting: unknown[] = [config];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value === "string") {
      for (const part of value.split(/[\s,]+/)) {
        // What stands after the address, as a path in the registry does, is not of the network.
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

/** What is allowed, with the words that stand for addresses replaced by them. */
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

/** Why an entry is not as narrow as it must be; `undefined` if it is. */
function faultOf(access: typeof ACCESSES[number], entry: string): string | undefined {
  switch (access) {
    case "net":
      return isOneAddress(entry) ? undefined : `net ${quote(entry)} is not one address (host:port or unix:/path)`;
    case "env":
      return isVariable(entry) ? undefined : `env ${quote(entry)} is not the name of a variable`;
    default:
      return isOnePath(entry) ? undefined : `${access} ${quote(entry)} is not one absolute path, without //, . and ..`;
  }
}

function describeSource({ name }: PluginSource): string {
  return name === undefined ? "the plugin" : `${name} in plugins.yaml`;
}

function list(entries: readonly string[]): string {
  return entries.length === 0 ? "is empty" : `has ${entries.map((entry) => quote(entry)).join(", ")}`;
}

/** Whether a text is one address: `host:port`, `[v6]:port` or `unix:/path`. */
function isOneAddress(endpoint: string): boolean {
  if (endpoint.startsWith("unix:")) return isOnePath(endpoint.slice(5));
  const address = parseEndpoint(endpoint);
  if (address === undefined || !(isHostName(address.host) || isIpv6(address.host))) return false;
  return formatEndpoint(address) === endpoint;
}

function isVariable(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Whether a path is absolute, has no second way of saying it, and is not the root, however that is written. */
function isOnePath(path: string): boolean {
  const [first, ...names] = path.replace(/\/$/, "").split("/");
  // deno-lint-ignore no-control-regex -- a path with control characters is refused.
  const isName = (name: string) => name !== "" && name !== "." && name !== ".." && !/[\u0000-\u001f\u007f]/.test(name);
  return first === "" && names.length > 0 && names.every(isName);
}
