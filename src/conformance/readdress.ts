import { formatEndpoint } from "../model/endpoint.ts";
import { isRecord } from "../model/node.ts";

/**
 * Writes a config with other addresses: wherever one of `addresses` stands in
 * it, as a text, in one, or as a map with `host` and `port`, stands its
 * replacement. Pure.
 */
export function readdress(config: unknown, addresses: ReadonlyMap<string, string>): unknown {
  if (typeof config === "string") {
    // Longest first: 10.0.0.1:80 stands in 10.0.0.1:8080 too.
    const known = [...addresses.keys()].toSorted((a, b) => b.length - a.length).map((each) =>
      each.replace(/[.[\]]/g, "\\$&")
    );
    if (known.length === 0) return config;
    return config.replaceAll(
      new RegExp(`(?<![\\w.-])(?:${known.join("|")})(?!\\w)`, "g"),
      (address) => addresses.get(address) ?? address,
    );
  }
  if (Array.isArray(config)) return config.map((each) => readdress(each, addresses));
  if (!isRecord(config)) return config;
  const { host, port } = config;
  const other = typeof host === "string" ? addresses.get(formatEndpoint({ host, port: Number(port) })) : undefined;
  if (other !== undefined) {
    const colon = other.lastIndexOf(":");
    return { ...config, host: other.slice(0, colon), port: Number(other.slice(colon + 1)) };
  }
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, readdress(value, addresses)]));
}
