import type { ClusterFacts, DiscoveryPlugin, Node } from "../../../mod.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { NamedClusters, withNames } from "../resolving.ts";
import type { StaticConfig } from "./config.ts";

const fixed: DiscoveryPlugin<StaticConfig, readonly Node[]> = {
  kind: "discovery",
  apiVersion: 1,
  name: "static",
  summary: "Nodes listed in the cluster's own file; read-only",
  stability: "stable",
  capabilities: ["watch"],
  example: {},
  config: lazySchema(async () => (await import("./config.ts")).schema),
  cluster: lazySchema(async () => (await import("./config.ts")).clusterSchema),
  permissions: ({ resolveNames }, scope) => withNames({}, resolveNames, scope),
  open({ resolveNames }, context) {
    const named = new NamedClusters({ resolveNames, context, clock: systemClock });
    context.connection("connected");
    return Promise.resolve({
      watch(cluster, signal, options) {
        const nodes = options?.config as readonly Node[];
        return named.follow(cluster, (signal) => fixedAt(nodes, signal), AbortSignal.any([signal, context.signal]));
      },
      ended: new Promise(() => {}),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
};

/** The nodes of a cluster's file, until the signal is aborted. */
async function* fixedAt(nodes: readonly Node[], signal: AbortSignal): AsyncGenerator<ClusterFacts> {
  yield { nodes, exists: true, epoch: "file" };
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

export default fixed;
