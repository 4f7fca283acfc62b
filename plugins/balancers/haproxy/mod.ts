/**
 * The HAProxy balancer: keeps a local HAProxy serving the members of clusters, without a reload wherever
 * HAProxy needs none.
 *
 * @module
 */
import type { BalancerPlugin, Endpoint, Rendered } from "../../../mod.ts";
import { adopt, adoptRunning } from "./adopt.ts";
import { balancerSchema, clusterSchema, type HaproxyCluster, type HaproxyConfig } from "./config.ts";
import { explain } from "./explain.ts";
import { clusterListens, ownListens } from "./listens.ts";
import { nodeDetails, nodesDown, observe, type Observed, pidOf } from "./observe.ts";
import { FILE_MODE, plan } from "./plan.ts";
import { type HaproxyFile, render } from "./render.ts";
import { shortcut } from "./shortcut.ts";
import { sources } from "./sources.ts";
import { weighing } from "./weighing.ts";

/** The plugin. */
const haproxy: BalancerPlugin<HaproxyConfig, HaproxyCluster, Observed> = {
  kind: "balancer",
  apiVersion: 1,
  name: "haproxy",
  summary: "Keeps a local HAProxy in sync over its socket",
  stability: "stable",
  config: balancerSchema,
  cluster: clusterSchema,
  ignoresMetadata: true,
  permissions: ({ configFile, socketFile, masterSocket, pidFile, program, reloadCommand: [reload = ""] = [] }) => {
    const sockets = [socketFile, ...masterSocket === undefined ? [] : [masterSocket]];
    return {
      net: sockets.map((path): Endpoint => `unix:${path}`),
      read: [configFile, ...sockets],
      write: [configFile, ...sockets, pidFile],
      run: [program, reload].filter((path) => path.startsWith("/")),
    };
  },
  listens: (config, cluster) => cluster === undefined ? ownListens(config) : clusterListens(config, cluster),
  weighing,
  sources,
  pid: pidOf,
  observe,
  adopt: (files, { configFile }) => adopt(files.get(configFile) ?? ""),
  adoptRunning,
  nodesDown: ({ running }) => nodesDown(running),
  nodeDetails,
  render(wanted) {
    const { text, notices, origins } = render(wanted);
    return { files: new Map([[wanted.config.configFile, { text, mode: FILE_MODE, origins }]]), notices };
  },
  plan: (wanted, rendered, observed, allowed) => plan(wanted, fileOf(rendered), observed, allowed),
  shortcut,
  explain: (rendered, output) => explain(fileOf(rendered), output),
};

/** The only rendered file. */
function fileOf({ files, notices }: Rendered): HaproxyFile {
  const [{ text = "", origins = new Map() } = {}] = files.values();
  return { text, notices, origins };
}

export default haproxy;
