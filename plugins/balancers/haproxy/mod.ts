/**
 * The HAProxy balancer: keeps a local HAProxy serving the members of clusters,
 * without a reload wherever HAProxy can do without one.
 *
 * @module
 */
import type { BalancerPlugin, Endpoint } from "../../../mod.ts";
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
  sources: ({ configFile, socketFile, pidFile, masterSocket, program, restartIntervalMs, reloadJitterMs }) => ({
    socket: socketFile,
    queries: QUERIES,
    file: configFile,
    alsoWrites: [pidFile, ...masterSocket === undefined ? [] : [masterSocket]],
    program,
    reloadIntervalMs: restartIntervalMs,
    reloadJitterMs,
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
