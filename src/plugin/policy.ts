import { parseEndpoint } from "../model/endpoint.ts";
import { quote } from "../model/node.ts";
import type { PermissionRequest, Scope } from "./contract.ts";
import type { PluginKind, PluginSource } from "./source.ts";

/** What the policy says of a request: exactly what was asked, or why not. */
export type Grant =
  | { readonly ok: true; readonly granted: PermissionRequest }
  | { readonly ok: false; readonly reasons: readonly string[] };

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
      if (!isOnePath(path)) reasons.push(`${access} ${quote(path)} is not one absolute path`);
    }
  }
  for (const name of request.env ?? []) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) reasons.push(`env ${quote(name)} is not the name of a variable`);
  }
  if (source.origin === "foreign") {
    for (const access of ["read", "write", "env", "run"] as const) {
      if ((request[access] ?? []).length > 0) reasons.push(`${access} is not granted to a plugin that does not ship`);
    }
  }
  return reasons.length === 0 ? { ok: true, granted: request } : { ok: false, reasons };
}

function isOneAddress(endpoint: string): boolean {
  if (endpoint.startsWith("unix:")) return isOnePath(endpoint.slice(5));
  return !endpoint.includes("*") && parseEndpoint(endpoint) !== undefined;
}

function isOnePath(path: string): boolean {
  // deno-lint-ignore no-control-regex -- a path with control characters is refused.
  return /^\/[^\u0000-\u001f]+$/.test(path) && !path.split("/").includes("..");
}
