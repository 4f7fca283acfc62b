import type { DiscoveryPlugin, Node, Schema } from "../../../mod.ts";

const lazy = <T>(load: () => Promise<Schema<T>>): Schema<T> => ({
  "~standard": { version: 1, vendor: "lighthouse", validate: async (raw) => (await load())["~standard"].validate(raw) },
});

const fixed: DiscoveryPlugin<object, readonly Node[]> = {
  kind: "discovery",
  apiVersion: 1,
  name: "static",
  summary: "Nodes that stand in the cluster's own file; read-only",
  stability: "stable",
  capabilities: ["watch"],
  example: {},
  config: lazy(async () => (await import("./config.ts")).schema),
  cluster: lazy(async () => (await import("./config.ts")).clusterSchema),
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
