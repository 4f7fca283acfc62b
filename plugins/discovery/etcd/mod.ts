import type { DiscoveryPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { withNames } from "../resolving.ts";
import { filesOf } from "../tls_files.ts";
import type { FormatSection } from "../formats/table.ts";
import type { EtcdConfig } from "./config.ts";

const etcd: DiscoveryPlugin<EtcdConfig, FormatSection, FormatSection> = {
  kind: "discovery",
  apiVersion: 1,
  name: "etcd",
  summary: "Keys in an etcd cluster that expire with their lease",
  stability: "stable",
  capabilities: ["watch", "register", "keys"],
  example: { endpoints: ["etcd01.example.com:2379"], prefix: "/lighthouse/services" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  cluster: lazySchema(async () => (await import("./config.ts")).clusterSchema),
  service: lazySchema(async () => (await import("./config.ts")).serviceSchema),
  permissions: ({ endpoints, tls, resolveNames }, scope) =>
    withNames({ net: endpoints, read: filesOf(tls) }, resolveNames, scope),
  open: async (config, context) => await (await import("./session.ts")).EtcdSession.open(config, context),
};

export default etcd;
