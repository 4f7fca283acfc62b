import type { DiscoveryPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { withNames } from "../resolving.ts";
import type { LighthouseConfig } from "./config.ts";

const lighthouse: DiscoveryPlugin<LighthouseConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "lighthouse",
  summary: "A Lighthouse store of one or more instances; nodes are keys that expire with their lease",
  stability: "stable",
  capabilities: ["watch", "register"],
  example: { hosts: ["store01.example.com:8001"], path: "/services" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ hosts, ca, resolveNames }, scope) =>
    withNames({ net: hosts, read: ca === undefined ? [] : [ca] }, resolveNames, scope),
  open: async (config, context) => await (await import("./session.ts")).LighthouseSession.open(config, context),
};

export default lighthouse;
