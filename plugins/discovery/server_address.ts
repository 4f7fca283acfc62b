import type { Endpoint } from "../../mod.ts";
import { formatEndpoint, isHostName, isIpv6, parseEndpoint } from "../../src/model/endpoint.ts";

/** Parses `host`, `host:port`, `[v6]` or `[v6]:port`; `undefined` for anything else. */
export function serverAddress(text: string, defaultPort: number): Endpoint | undefined {
  const endpoint = parseEndpoint(/^(?:\[[^\]]*\]|[^:]*)$/.test(text) ? `${text}:${defaultPort}` : text);
  if (endpoint === undefined || !(isHostName(endpoint.host) || isIpv6(endpoint.host))) return undefined;
  return formatEndpoint(endpoint);
}
