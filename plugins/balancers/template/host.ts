/**
 * All of the balancer `template` except rendering: what the host needs, without the template engine.
 *
 * @module
 */
import type { BalancerPlugin, Seen } from "../../../mod.ts";
import { grouped, notedClusters, pathsOf, planOutputs } from "../outputs/plan.ts";
import { balancerSchema, clusterSchema, type TemplateConfig } from "./config.ts";

/** The plugin. */
const template: BalancerPlugin<TemplateConfig, object, Seen> = {
  kind: "balancer",
  apiVersion: 1,
  name: "template",
  summary: "Renders files from Liquid templates, and reloads the programs that read them",
  stability: "stable",
  rendersInWorker: true,
  example: { files: [{ text: "{{ clusters | json }}\n", dest: "/etc/app.json" }] },
  config: balancerSchema,
  cluster: clusterSchema,
  permissions({ files }) {
    const paths = pathsOf(grouped(files));
    const programs = files.flatMap(({ check = [], reload = [] }) => [check[0] ?? "", reload[0] ?? ""]);
    return { read: paths, write: paths, run: [...new Set(programs)].filter((program) => program.startsWith("/")) };
  },
  inputs: ({ clusters, files }) => ({
    ...clusters !== undefined && { clusters },
    keys: files.flatMap(({ keys }) => keys === undefined ? [] : [keys]),
  }),
  sources({ files, reloadIntervalMs, splayMs }) {
    const [file = "", ...moreFiles] = pathsOf(grouped(files));
    return { kind: "files", file, moreFiles, reloadIntervalMs, reloadJitterMs: splayMs };
  },
  pid: () => undefined,
  observe: (seen) => seen,
  adopt: () => new Map(),
  servedBy: (files, config) => notedClusters(grouped(config.files), files),
  render() {
    throw new Error("templates are rendered in a worker");
  },
  plan: ({ config, clusters, unknown = [] }, rendered, seen, { reload }) =>
    planOutputs(grouped(config.files), {
      rendered,
      seen,
      clusters: clusters.map(({ name }) => name),
      unknown: (name) => unknown === "all" || unknown.includes(name),
      mayReload: reload,
    }),
};

export default template;
