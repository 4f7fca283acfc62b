import type { ClusterName } from "../../../mod.ts";
import { isAtLeast } from "./backend.ts";
import type { HaproxyWanted } from "./config.ts";
import type { Tell } from "./lines.ts";
import type { ServedCluster } from "./served.ts";
import { words } from "./words.ts";

/** The suffix of a frontend's name, so that no backend has the same. */
const SUFFIX = ":in";

/** The name of each frontend of a file. */
export interface FrontendNames {
  /** By cluster. */
  readonly ofClusters: ReadonlyMap<ClusterName, string>;
  /** By meta cluster. */
  readonly ofMetas: ReadonlyMap<string, string>;
}

/**
 * Names the frontends. HAProxy 3.1 and 3.2 warn about a frontend with the name of a backend, and 3.3 rejects
 * it, so from 3.1 on such a frontend is named `NAME:in`. The backend keeps its name, which commands and
 * dashboards use. With an older version the names are those of 1.0.
 */
export function frontendNames(
  { wanted: { config: { metaClusters, proxies, stats }, version }, clusters }: {
    readonly wanted: HaproxyWanted;
    readonly clusters: readonly ServedCluster[];
  },
  tell: Tell,
): FrontendNames {
  const own = clusters.filter(({ wanted: { config: { port } } }) => port !== undefined)
    .map(({ wanted: { name } }) => name);
  const metas = metaClusters.map(({ name }) => name);
  const same = (names: readonly string[]) => new Map(names.map((name) => [name, name]));
  if (!isAtLeast(version, 3, 1)) return { ofClusters: same(own), ofMetas: same(metas) };
  const backends = new Set(clusters.map(({ wanted: { name } }) => name));
  const sections = [...backends, ...proxies.map(({ name }) => name), ...stats === undefined ? [] : ["stats"]];
  const taken = new Set([...sections, ...metas.filter((name) => !backends.has(name))]);
  const free = (name: string, of: string, origin: Parameters<Tell>[1]) => {
    let candidate = name + SUFFIX;
    while (taken.has(candidate)) candidate += SUFFIX;
    if (candidate !== name + SUFFIX) {
      tell(`${of}: frontend is named ${candidate}, because ${name + SUFFIX} is taken`, origin);
    }
    taken.add(candidate);
    return candidate;
  };
  // Clusters first: the names of many must not depend on those of few.
  const ofClusters = new Map(
    own.map((name) => [name, free(name, `Cluster ${name}`, { cluster: name, path: ["port"] })]),
  );
  const ofMetas = new Map(metas.map((name) => {
    const origin = { path: ["meta_clusters", name, "port"] };
    return [name, backends.has(name) ? free(name, `Meta cluster ${name}`, origin) : name];
  }));
  return { ofClusters, ofMetas };
}

/** The cluster whose own frontend a section is; `undefined` if it is a meta cluster's, or no frontend. */
export function clusterOfFrontend(header: string, lines: readonly string[]): ClusterName | undefined {
  const frontend = /^frontend (\S+)$/.exec(header)?.[1];
  if (frontend === undefined) return undefined;
  const [, backend] = lines.map(words).findLast(([keyword]) => keyword === "default_backend") ?? [];
  if (backend === undefined) return undefined;
  return frontend === backend || frontend.startsWith(backend + SUFFIX) ? backend : undefined;
}
