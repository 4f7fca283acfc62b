import type { DiscoveryPlugin } from "../../../mod.ts";
import { lazySchema } from "../../../src/kernel/lazy_schema.ts";
import { withNames } from "../resolving.ts";
import type { FileConfig } from "./config.ts";

const file: DiscoveryPlugin<FileConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "file",
  summary: "Files in a directory on this host, one per node, with leases; no server required",
  stability: "stable",
  capabilities: ["watch", "register"],
  example: { path: "/run/lighthouse/registry" },
  config: lazySchema(async () => (await import("./config.ts")).schema),
  permissions: ({ path, resolveNames }, scope) => ({
    ...withNames({ read: [path] }, resolveNames, scope),
    write: [path],
  }),
  open: async (config, context) => await (await import("./session.ts")).FileSession.open(config, context),
};

export default file;
