/** An address: `host:port`, `[v6]:port` or `unix:/absolute/path`. */
export type Endpoint = string & { readonly __brand?: "Endpoint" };

/** The two halves of a TCP endpoint. */
export interface HostPort {
  /** A name, an IPv4 address or an IPv6 address without brackets. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** Writes host and port as one endpoint; an IPv6 address gets its brackets. */
export function formatEndpoint({ host, port }: HostPort): Endpoint {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Parses `host:port` or `[v6]:port`; `undefined` if invalid. */
export function parseEndpoint(endpoint: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s\/]+)):([0-9]{1,5})$/.exec(endpoint);
  if (match === null) return undefined;
  const port = Number(match[3]);
  const host = match[1] ?? match[2];
  return host === undefined || !isPort(port) ? undefined : { host, port };
}

/** Whether a number can be a TCP port to connect to. */
export function isPort(port: unknown): port is number {
  return typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** Whether a string is an IPv4 address in dotted form, each part 0 to 255 without leading zeros. */
export function isIpv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/.test(text);
}

/** Whether a string is an IPv6 address, without brackets and without a zone. */
export function isIpv6(text: string): boolean {
  if (!/^[0-9A-Fa-f:.]{2,45}$/.test(text) || !text.includes(":")) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups: string[] = [];
  for (const [index, half] of halves.entries()) {
    if (half === "") continue;
    const parts = half.split(":");
    const last = parts.at(-1);
    if (last !== undefined && last.includes(".")) {
      if (index !== halves.length - 1 || !isIpv4(last)) return false;
      parts.splice(-1, 1, "0", "0");
    }
    groups.push(...parts);
  }
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? groups.length <= 7 : groups.length === 8;
}

/** Whether a string can name a host: letters, digits, `.`, `-` and `_`, at most 253 characters. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?$/.test(text);
}
