import type { DiscoveryPlugin, Schema } from "../../../mod.ts";
import type { EtcdConfig, EtcdSection } from "./config.ts";

/** The host validates and never loads a client; a worker that serves never loads a validator. */
const section: Schema<EtcdSection> = {
  "~standard": {
    version: 1,
    vendor: "lighthouse",
    validate: async (value) => (await import("./config.ts")).sectionSchema["~standard"].validate(value),
  },
};

const etcd: DiscoveryPlugin<EtcdConfig, EtcdSection, EtcdSection> = {
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
      validate: async (value) => (await import("./config.ts")).schema["~standard"].validate(value),
    },
  },
  cluster: section,
  service: section,
  permissions: ({ endpoints, tls }) => ({
    net: endpoints,
    read: [tls?.ca, tls?.cert, tls?.key].filter((path) => path !== undefined),
  }),
  open: async (config, context) => await (await import("./session.ts")).EtcdSession.open(config, context),
};

export default etcd;
