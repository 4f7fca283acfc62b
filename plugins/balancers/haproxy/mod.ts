/**
 * The HAProxy balancer: keeps a local HAProxy serving the members of clusters,
 * without a reload wherever HAProxy can do without one.
 *
 * @module
 */
import type { BalancerPlugin } from "../../../mod.ts";
import { adopt, adoptRunning } from "./adopt.ts";
import { balancerSchema, clusterSchema, type HaproxyCluster, type HaproxyConfig } from "./config.ts";
import { explain } from "./explain.ts";
import { clusterListens, ownListens } from "./listens.ts";
import { observe, type Observed, pidOf, QUERIES } from "./observe.ts";
import { plan } from "./plan.ts";
import { render } from "./render.ts";

/** The plugin. */
const haproxy: BalancerPlugin<HaproxyConfig, HaproxyCluster, Observed> = {
  kind: "balancer",
  apiVersion: 1,
  name: "haproxy",
  summary: "Keeps a local HAProxy in step over its socket",
  stability: "stable",
  config: balancerSchema,
  cluster: clusterSchema,
  permissions: ({ configFile, socketFile, pidFile, program }) => ({
    net: [`unix:${socketFile}`],
    read: [configFile, socketFile],
    write: [configFile, socketFile, pidFile],
    run: program.startsWith("/") ? [program] : [],
  }),
  listens: (config, cluster) => cluster === undefined ? ownListens(config) : clusterListens(config, cluster),
  sources: ({ configFile, socketFile, program, restartIntervalMs }) => ({
    socket: socketFile,
    queries: QUERIES,
    file: configFile,
    program,
    reloadIntervalMs: restartIntervalMs,
  }),
  pid: pidOf,
  observe,
  adopt,
  adoptRunning,
  render,
  plan,
  explain,
};

export default haproxy;
