import { formatEndpoint, isHostName, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { quote } from "../model/node.ts";
import type { PermissionRequest, Scope } from "./contract.ts";
import type { PluginKind, PluginSource } from "./source.ts";

/** What the policy says of a request: exactly what was asked, or why not. */
export type Grant =
  | { readonly ok: true; readonly granted: PermissionRequest }
  | { readonly ok: false; readonly reasons: readonly string[] };

/** All that can be asked for. */
const ACCESSES = ["net", "read", "write", "env", "run"] as const;

/**
 * Decides whether a plugin gets what it asks for. A check gets its own target
 * and nothing else of the network. Each entry must be as narrow as it can be
 * said: one address, one absolute path, one variable. A foreign plugin gets
 * nothing beyond its target until an operator grants it. Pure.
 */
export function decide(
  request: PermissionRequest,
  { kind, source, scope }: { readonly kind: PluginKind; readonly source: PluginSource; readonly scope: Scope },
): Grant {
  const reasons: string[] = [];
  for (const endpoint of request.net ?? []) {
    if (!isOneAddress(endpoint)) reasons.push(`net ${quote(endpoint)} is not one address (host:port or unix:/path)`);
    else if (kind === "check" && endpoint !== scope.target) {
      reasons.push(`net ${quote(endpoint)} is not the check's own target, ${quote(scope.target)}`);
    }
  }
  for (const access of ["read", "write", "run"] as const) {
    for (const path of request[access] ?? []) {
      if (!isOnePath(path)) reasons.push(`${access} ${quote(path)} is not one absolute path, without //, . and ..`);
    }
  }
  for (const name of request.env ?? []) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) reasons.push(`env ${quote(name)} is not the name of a variable`);
  }
  if (source.origin === "foreign") {
    // A Unix socket brings the right to read and write its path with it, so for a discovery even `net` can be wide.
    const withheld = kind === "check" ? ["read", "write", "env", "run"] as const : ACCESSES;
    for (const access of withheld) {
      if ((request[access] ?? []).length > 0) reasons.push(`${access} is not granted to a plugin that does not ship`);
    }
  }
  return reasons.length === 0 ? { ok: true, granted: request } : { ok: false, reasons };
}

function isOneAddress(endpoint: string): boolean {
  if (endpoint.startsWith("unix:")) return isOnePath(endpoint.slice(5));
  const address = parseEndpoint(endpoint);
  if (address === undefined || !(isHostName(address.host) || isIpv6(address.host))) return false;
  return formatEndpoint(address) === endpoint;
}

/** Whether a path is absolute, has no second way of saying it, and is not the root, however that is written. */
function isOnePath(path: string): boolean {
  const [first, ...names] = path.replace(/\/$/, "").split("/");
  // deno-lint-ignore no-control-regex -- a path with control characters is refused.
  const isName = (name: string) => name !== "" && name !== "." && name !== ".." && !/[\u0000-\u001f\u007f]/.test(name);
  return first === "" && names.length > 0 && names.every(isName);
}
