import type { HaproxyWanted } from "./config.ts";
import { words } from "./words.ts";

/**
 * The clusters that no request can reach: they have neither a port nor a meta cluster, and no line that
 * HAProxy gets sends requests to their backend.
 */
export function unreachedClusters({ config, clusters }: HaproxyWanted): readonly string[] {
  const lines = [
    ...config.defaults,
    ...config.metaClusters.flatMap(({ frontend }) => frontend),
    ...config.proxies.flatMap(({ options }) => options),
    ...clusters.flatMap(({ config: { frontend } }) => frontend),
  ];
  const targets = new Set(lines.flatMap((line) => {
    const [keyword = "", target = ""] = words(line);
    return keyword === "use_backend" || keyword === "default_backend" ? [target] : [];
  }));
  // A name that is computed for each request may be any.
  if ([...targets].some((target) => target.includes("%["))) return [];
  return clusters.filter(({ name, metaCluster, config: { port } }) =>
    port === undefined && metaCluster === undefined && !targets.has(name)
  ).map(({ name }) => name);
}
