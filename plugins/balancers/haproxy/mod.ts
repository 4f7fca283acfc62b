/**
 * The HAProxy balancer: keeps a local HAProxy serving the members of clusters,
 * without a reload wherever HAProxy can do without one.
 *
 * @module
 */
import type { BalancerPlugin, ClusterName, Rendered } from "../../../mod.ts";
import { adopt } from "./adopt.ts";
import { balancerSchema, clusterSchema, type HaproxyCluster, type HaproxyConfig } from "./config.ts";
import { observe, type Observed, pidOf, QUERIES } from "./observe.ts";
import { plan } from "./plan.ts";
import { clusterAt, render } from "./render.ts";
import { clusterListening } from "./structure.ts";

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
  render,
  plan,
  blame,
};

/** HAProxy names the line, the section, or both; the host names an address that is taken. */
function blame({ text }: Rendered, message: string): ClusterName | undefined {
  for (const [, line] of message.matchAll(/\[[^\]\s]*:([0-9]+)\]/g)) {
    const cluster = clusterAt(text, Number(line));
    if (cluster !== undefined) return cluster;
  }
  const named = /(?:[Pp]roxy|frontend|backend) '?([A-Za-z0-9_.:-]+?)'?[:, ]/.exec(message)?.[1];
  if (named !== undefined && text.includes(`\nbackend ${named}\n`)) return named;
  const taken = /\baddress (\S+) is taken\b/.exec(message)?.[1];
  return taken === undefined ? undefined : clusterListening(text, taken);
}

export default haproxy;
