/**
 * The nginx balancer: keeps a local nginx serving the members of clusters. Each
 * change is a reload, which is proven by what the new workers answer.
 *
 * @module
 */
import type { BalancerPlugin, Rendered } from "../../../mod.ts";
import { balancerSchema, clusterSchema, type NginxCluster, type NginxConfig } from "./config.ts";
import { explain } from "./explain.ts";
import { clusterListens, ownListens } from "./listens.ts";
import { adopt } from "./members.ts";
import { observe, type Observed } from "./observe.ts";
import { FILE_MODE, plan } from "./plan.ts";
import { type NginxFile, render } from "./render.ts";
import { parseCounters, parseStatus } from "./status.ts";
import { sources } from "./sources.ts";

/** The plugin. */
const nginx: BalancerPlugin<NginxConfig, NginxCluster, Observed> = {
  kind: "balancer",
  apiVersion: 1,
  name: "nginx",
  summary: "Keeps a local nginx in sync, with a reload for each change",
  stability: "stable",
  config: balancerSchema,
  cluster: clusterSchema,
  ignoresMetadata: true,
  permissions: ({ configFile, statusSocket, pidFile, program }) => ({
    net: [`unix:${statusSocket}`],
    read: [configFile, statusSocket],
    write: [configFile, statusSocket, pidFile],
    run: [program].filter((path) => path.startsWith("/")),
  }),
  listens: (config, cluster) => cluster === undefined ? ownListens(config) : clusterListens(cluster),
  weighing: (_config, { balance }) => ({ by: "weight", movesKeys: /^(?:hash|ip_hash)/.test(balance) }),
  sources,
  pid: ([status = ""]) => parseStatus(status)?.pid,
  observe,
  counters: ([, stubStatus = ""]) => parseCounters(stubStatus),
  adopt: (files, { configFile }) => adopt(files.get(configFile) ?? ""),
  render(wanted) {
    const { text, notices, origins } = render(wanted);
    return { files: new Map([[wanted.config.configFile, { text, mode: FILE_MODE, origins }]]), notices };
  },
  plan: (wanted, rendered, observed, allowed) => plan(wanted, fileOf(rendered), observed, allowed),
  explain: (rendered, output) => explain(fileOf(rendered), [...rendered.files.keys()][0] ?? "", output),
};

/** The only rendered file. */
function fileOf({ files, notices }: Rendered): NginxFile {
  const [{ text = "", origins = new Map() } = {}] = files.values();
  return { text, notices, origins };
}

export default nginx;
