import type { DiscoveryPlugin } from "../../../mod.ts";
import type { FormatSection } from "../formats/table.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { withNames } from "../resolving.ts";
import { filesOf } from "../tls_files.ts";
import type { ZooKeeperConfig } from "./config.ts";

const zookeeper: DiscoveryPlugin<ZooKeeperConfig, FormatSection, FormatSection> = {
  kind: "discovery",
  apiVersion: 1,
  name: "zookeeper",
  summary: "Ephemeral znodes in a ZooKeeper ensemble, shared with Lighthouse 1.0",
  stability: "stable",
  capabilities: ["watch", "register", "keys"],
  example: { hosts: ["zk01.example.com:2181"], path: "/lighthouse/services" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  cluster: lazySchema(async () => (await import("./config.ts")).clusterSchema),
  service: lazySchema(async () => (await import("./config.ts")).serviceSchema),
  permissions: ({ hosts, tls, resolveNames }, scope) =>
    withNames({ net: hosts, read: filesOf(tls) }, resolveNames, scope),
  open: async (config, context) => await (await import("./session.ts")).ZooKeeperSession.open(config, context),
};

export default zookeeper;
