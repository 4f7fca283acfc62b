import { isHostName, isIpv4, isIpv6 } from "./endpoint.ts";

/** A listening address. */
export interface BindAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Parses `10.0.0.1:8001` or `[::1]:8001`, and `localhost` or `[::1]` with a default port; `undefined` if invalid. */
export function parseBindAddress(
  text: string,
  { defaultPort }: { readonly defaultPort?: number } = {},
): BindAddress | undefined {
  const [, inBrackets, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = inBrackets ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  if (host === undefined || port === undefined || port > 65_535) return undefined;
  const isRight = inBrackets === undefined ? isIpv4(host) || isHostName(host) : isIpv6(host);
  return isRight ? { host, port } : undefined;
}

/** Formats an address for {@linkcode parseBindAddress}. */
export function formatBindAddress({ host, port }: BindAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIpv4(host) && host.startsWith("127."));
}

/** Whether a `Host` header names this machine: a foreign name is a sign of DNS rebinding. */
export function isLocalHost(header: string): boolean {
  const address = parseBindAddress(header, { defaultPort: 80 });
  // Host names are case-insensitive, and may have a trailing dot.
  return address !== undefined && isLoopback(address.host.toLowerCase().replace(/\.$/, ""));
}
