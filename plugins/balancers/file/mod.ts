/**
 * Files in published formats, for programs that watch them: plain JSON, Envoy, Traefik, Prometheus, a hosts file, variables.
 *
 * @module
 */
import type { BalancerPlugin, Rendered, RenderedFile, RenderFault, Seen, Step, Wanted } from "../../../mod.ts";
import { notedClusters, noteOf, type OutputGroup, pathsOf, planOutputs } from "../outputs/plan.ts";
import { balancerSchema, clusterSchema, type FileConfig } from "./config.ts";
import { CLUSTER_FORMATS, COMMON_FORMATS } from "./formats.ts";

const SUFFIX = ".json";

/** The groups of files, for clusters with these names. */
function groupsOf(config: FileConfig, clusters: readonly string[]): readonly OutputGroup[] {
  const { directory, path, reload, mode, owner, check, timeoutMs, rollback } = config;
  const isPerCluster = CLUSTER_FORMATS[config.format] !== undefined;
  const paths = isPerCluster ? clusters.map((name) => pathOf(directory, name)) : [path];
  const files = paths.map((path) => ({ path, mode, owner, check, timeoutMs, rollback }));
  if (reload === undefined) return files.map((file) => ({ name: file.path, files: [file] }));
  return files.length === 0 ? [] : [{ name: "reload", files, reload, note: noteAt(config) }];
}

/** Where the loaded version is recorded, if a reader is to load it. */
function noteAt({ directory, path, format }: FileConfig): string {
  return CLUSTER_FORMATS[format] === undefined ? noteOf(path) : `${directory}/.lighthouse`;
}

function pathOf(directory: string, cluster: string): string {
  return `${directory}/${cluster}${SUFFIX}`;
}

function render({ config, clusters, unheard = [] }: Wanted<FileConfig>): Rendered {
  const { format, directory, path } = config;
  const ofCluster = CLUSTER_FORMATS[format];
  const pending = (path: string, names: readonly string[]): RenderFault => ({
    text: `Cannot render ${path}: no registry has reported cluster ${names.join(" or ")} yet`,
    origin: { path: [] },
    isOfData: true,
    isPending: true,
  });
  if (ofCluster !== undefined) {
    const files = clusters.filter(({ name }) => !unheard.includes(name)).map((cluster): [string, RenderedFile] => [
      pathOf(directory, cluster.name),
      { text: ofCluster(cluster) },
    ]);
    const faults = unheard.map((name) => pending(pathOf(directory, name), [name]));
    return { files: new Map(files), notices: [], ...faults.length > 0 && { faults } };
  }
  if (unheard.length > 0) return { files: new Map(), notices: [], faults: [pending(path, unheard)] };
  try {
    const text = COMMON_FORMATS[format]?.write(clusters, config) ?? "";
    return { files: new Map([[path, { text }]]), notices: [] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { files: new Map(), notices: [], faults: [{ text: `Cannot render ${path}: ${why}`, origin: { path: [] } }] };
  }
}

function servedBy(files: ReadonlyMap<string, string>, config: FileConfig): readonly string[] {
  const { format, directory, path } = config;
  if (CLUSTER_FORMATS[format] !== undefined) return notedClusters(groupsOf(config, [""]), files);
  const text = files.get(path);
  return text === undefined || directory !== "" ? [] : COMMON_FORMATS[format]?.clustersIn(text) ?? [];
}

function plan(
  { config, clusters, unknown = [] }: Wanted<FileConfig>,
  rendered: Rendered,
  seen: Seen,
  mayReload: boolean,
) {
  const names = clusters.map(({ name }) => name);
  const isUnknown = (name: string) => unknown === "all" || unknown.includes(name);
  const vanishing = CLUSTER_FORMATS[config.format] === undefined &&
    servedBy(seen.files ?? new Map(), config).some((name) => isUnknown(name) && !names.includes(name));
  if (vanishing) return [];
  // With a reload all are one group, and a file that cannot be rendered yet delays no other.
  const rendering = names.filter((name) => directoryless(config) || rendered.files.has(pathOf(config.directory, name)));
  const steps = planOutputs(groupsOf(config, rendering), {
    rendered,
    seen,
    clusters: names,
    // The file of one cluster says nothing about another.
    unknown: () => false,
    mayReload,
  });
  return [...purged(config, names, seen, isUnknown), ...steps];
}

function directoryless({ directory }: FileConfig): boolean {
  return directory === "";
}

/** Removes the files of unknown clusters, if configured. */
function purged(
  config: FileConfig,
  clusters: readonly string[],
  { files = new Map() }: Seen,
  isUnknown: (cluster: string) => boolean,
): readonly Step[] {
  const { directory, purge } = config;
  if (!purge) return [];
  const wanted = new Set(clusters.map((name) => pathOf(directory, name)));
  return [...files.keys()].filter((path) => path.startsWith(`${directory}/`) && path.endsWith(SUFFIX)).flatMap(
    (path): readonly Step[] => {
      const name = path.slice(directory.length + 1, -SUFFIX.length);
      if (wanted.has(path) || isUnknown(name) || name.startsWith(".")) return [];
      return [{ do: "remove", path, output: path }];
    },
  );
}

const file: BalancerPlugin<FileConfig, object, Seen> = {
  kind: "balancer",
  apiVersion: 1,
  name: "file",
  summary: "Writes members to files for Envoy, Traefik, Prometheus and others",
  stability: "stable",
  example: { format: "prometheus", path: "/etc/prometheus/targets/lighthouse.json" },
  config: balancerSchema,
  cluster: clusterSchema,
  permissions(config) {
    const { directory, check = [], reload = [] } = config;
    const paths = [...directory === "" ? pathsOf(groupsOf(config, [])) : [directory], noteAt(config)];
    const run = [...new Set([check[0] ?? "", reload[0] ?? ""])].filter((program) => program.startsWith("/"));
    return { read: paths, write: paths, run };
  },
  inputs: ({ clusters }) => clusters === undefined ? {} : { clusters },
  sources(config) {
    const { directory, path, splayMs, reloadIntervalMs } = config;
    const pace = { reloadIntervalMs, reloadJitterMs: splayMs };
    if (directory !== "") {
      return { kind: "files", file: noteAt(config), directory: { path: directory, suffix: SUFFIX }, ...pace };
    }
    const moreFiles = pathsOf(groupsOf(config, [])).filter((each) => each !== path);
    return { kind: "files", file: path, moreFiles, ...pace };
  },
  pid: () => undefined,
  observe: (seen) => seen,
  adopt: () => new Map(),
  servedBy,
  render,
  plan: (wanted, rendered, seen, { reload }) => plan(wanted, rendered, seen, reload),
};

export default file;
