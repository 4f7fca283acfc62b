import { type BindAddress, formatBindAddress, parseBindAddress } from "./bind_address.ts";

/** Where the status is served: at a port, or at a Unix socket. */
export type StatusAddress = BindAddress | { readonly path: string };

/** Reads `127.0.0.1:9180`, `[::1]:9180` or `unix:/run/lighthouse/writer.sock`; `undefined` if it is none. */
export function parseStatusAddress(text: string): StatusAddress | undefined {
  if (!text.startsWith("unix:")) return parseBindAddress(text);
  const path = text.slice("unix:".length);
  return /^\/[^\0]*[^\0/]$/.test(path) ? { path } : undefined;
}

/** Writes it as {@linkcode parseStatusAddress} reads it. */
export function formatStatusAddress(address: StatusAddress): string {
  return "path" in address ? `unix:${address.path}` : formatBindAddress(address);
}
