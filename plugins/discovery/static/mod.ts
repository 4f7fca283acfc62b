import type { DiscoveryPlugin, Node } from "../../../mod.ts";
import { lazySchema } from "../lazy_schema.ts";

const fixed: DiscoveryPlugin<object, readonly Node[]> = {
  kind: "discovery",
  apiVersion: 1,
  name: "static",
  summary: "Nodes that stand in the cluster's own file; read-only",
  stability: "stable",
  capabilities: ["watch"],
  example: {},
  config: lazySchema(async () => (await import("./config.ts")).schema),
  cluster: lazySchema(async () => (await import("./config.ts")).clusterSchema),
  permissions: () => ({}),
  open(_config, { connection, signal: closing }) {
    connection("connected");
    return Promise.resolve({
      async *watch(_cluster, signal, options) {
        yield { nodes: options?.config as readonly Node[], exists: true, epoch: "file" };
        const ended = AbortSignal.any([signal, closing]);
        await new Promise((resolve) => ended.addEventListener("abort", resolve, { once: true }));
      },
      ended: new Promise(() => {}),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
};

export default fixed;
