import type { DiscoveryPlugin } from "../../../mod.ts";
import type { EtcdConfig } from "./config.ts";

const etcd: DiscoveryPlugin<EtcdConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "etcd",
  summary: "Keys in an etcd cluster that vanish with their lease",
  stability: "stable",
  capabilities: ["watch", "register", "keys"],
  example: { endpoints: ["etcd01.example.com:2379"], prefix: "/lighthouse/services" },
  config: {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      // The host validates and never loads a client; a worker that serves never loads a validator.
      validate: async (value) => (await import("./config.ts")).schema["~standard"].validate(value),
    },
  },
  permissions: ({ endpoints, tls }) => ({
    net: endpoints,
    read: [tls?.ca, tls?.cert, tls?.key].filter((path) => path !== undefined),
  }),
  open: async (config, context) => await (await import("./session.ts")).EtcdSession.open(config, context),
};

export default etcd;
