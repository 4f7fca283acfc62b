import type { PermissionRequest } from "../plugin/contract.ts";

/**
 * Converts granted permissions to Deno's form. Every kind not named is denied. A Unix socket needs
 * three permissions in Deno 2.9: `net` as `unix:/path`, `read` and `write`.
 */
export function toDenoPermissions(granted: PermissionRequest): Deno.PermissionOptionsObject {
  const net = granted.net ?? [];
  const sockets = net.filter((endpoint) => endpoint.startsWith("unix:")).map((endpoint) => endpoint.slice(5));
  return {
    net: [...net],
    read: [...granted.read ?? [], ...sockets],
    write: [...granted.write ?? [], ...sockets],
    env: [...granted.env ?? []],
    run: [...granted.run ?? []],
    sys: false,
    ffi: false,
    import: false,
  };
}

/** The union of several requests, each list sorted and without duplicates. */
export function joinPermissions(requests: readonly PermissionRequest[]): PermissionRequest {
  const kinds = ["net", "read", "write", "env", "run"] as const;
  return Object.fromEntries(kinds.flatMap((kind) => {
    const all = new Set(requests.flatMap((request) => request[kind] ?? []));
    return all.size === 0 ? [] : [[kind, [...all].toSorted()]];
  }));
}
