import type { DiscoveryPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { withNames } from "../resolving.ts";
import type { SerfClusterConfig, SerfConfig, SerfServiceConfig } from "./config.ts";

const serf: DiscoveryPlugin<SerfConfig, SerfClusterConfig, SerfServiceConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "serf",
  summary: "Members of a serf cluster, read from the local agent; a service is a tag with its port",
  stability: "stable",
  capabilities: ["watch", "register"],
  example: { address: "127.0.0.1:7373" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  cluster: lazySchema(async () => (await import("./config.ts")).clusterSchema),
  service: lazySchema(async () => (await import("./config.ts")).serviceSchema),
  permissions: ({ address, resolveNames }, scope) => withNames({ net: [address] }, resolveNames, scope),
  open: async (config, context) => {
    const { SerfSession } = await import("./session.ts");
    return new SerfSession(config, context);
  },
};

export default serf;
