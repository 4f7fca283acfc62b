import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";

/** Where an instance listens. */
export interface BindAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The port of a store unless told otherwise. */
const DEFAULT_PORT = 8001;

/** Reads `localhost`, `10.0.0.1:8001`, `[::1]:8001`; `undefined` if it is none. */
export function parseBindAddress(text: string): BindAddress | undefined {
  const [, inBrackets, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = inBrackets ?? plain;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (host === undefined || port > 65_535) return undefined;
  const isRight = inBrackets === undefined ? isIpv4(host) || isHostName(host) : isIpv6(host);
  return isRight ? { host, port } : undefined;
}

/** Writes it as {@linkcode parseBindAddress} reads it. */
export function formatBindAddress({ host, port }: BindAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIpv4(host) && host.startsWith("127."));
}
