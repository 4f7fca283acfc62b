import type { Listening } from "../../../mod.ts";
import type { HaproxyCluster, HaproxyConfig } from "./config.ts";
import { words } from "./words.ts";

/** The addresses that the balancer's own file makes HAProxy listen on. */
export function ownListens({ bindAddress, metaClusters, proxies, stats }: HaproxyConfig): readonly Listening[] {
  return [
    ...metaClusters.flatMap(({ name, port, frontend }) => [
      { host: bindAddress, port, path: ["meta_clusters", name, "port"] },
      ...bindLines(frontend, ["meta_clusters", name, "frontend"]),
    ]),
    ...proxies.flatMap(({ name, port, bindAddress, options }) => [
      { host: bindAddress, port, path: ["proxies", name, "port"] },
      ...bindLines(options, ["proxies", name, "options"]),
    ]),
    ...stats === undefined ? [] : [{ host: "", port: stats.port, path: ["stats", "port"] }],
  ];
}

/** The addresses that a cluster's section makes HAProxy listen on; none without a port. */
export function clusterListens(
  { bindAddress }: HaproxyConfig,
  { port, frontend }: HaproxyCluster,
): readonly Listening[] {
  if (port === undefined) return [];
  return [{ host: bindAddress, port, path: ["port"] }, ...bindLines(frontend, ["frontend"])];
}

/** How many ports of a range are listed. */
const RANGE_MAX = 1_000;

/** The address and port of a `bind` among a user's own lines, if it is a plain one. */
function bindLines(lines: readonly string[], path: readonly string[]): readonly Listening[] {
  return lines.flatMap((line, i) => {
    const [keyword, addresses = ""] = words(line);
    if (keyword !== "bind") return [];
    return addresses.split(",").flatMap((address) => {
      const match = /^(?:ipv[46]@)?\[?([^@\]]*)\]?:([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(address);
      if (match === null) return [];
      const [first, last] = [Number(match[2]), Number(match[3] ?? match[2])];
      const ports = Array.from({ length: Math.min(Math.max(0, last - first + 1), RANGE_MAX) }, (_, at) => first + at);
      return ports.map((port) => ({ host: match[1] ?? "", port, path: [...path, i] }));
    });
  });
}
