import { type BindAddress, formatBindAddress, parseBindAddress } from "./bind_address.ts";

/** The address of the status server: a port, or a Unix socket. */
export type StatusAddress = BindAddress | { readonly path: string };

/** Parses `127.0.0.1:9180`, `[::1]:9180` or `unix:/run/lighthouse/writer.sock`; `undefined` if invalid. */
export function parseStatusAddress(text: string): StatusAddress | undefined {
  if (!text.startsWith("unix:")) return parseBindAddress(text);
  const path = text.slice("unix:".length);
  return /^\/[^\0]*[^\0/]$/.test(path) ? { path } : undefined;
}

/** Formats it for {@linkcode parseStatusAddress}. */
export function formatStatusAddress(address: StatusAddress): string {
  return "path" in address ? `unix:${address.path}` : formatBindAddress(address);
}
