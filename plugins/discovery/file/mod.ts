import type { DiscoveryPlugin } from "../../../mod.ts";
import type { FileConfig } from "./config.ts";
import { FileSession } from "./session.ts";

const file: DiscoveryPlugin<FileConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "file",
  summary: "A directory on this host: one file for each node, with a lease; no server needed",
  stability: "stable",
  example: { path: "/run/lighthouse/registry" },
  config: {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      // Only the worker that describes a plugin validates: one that serves never loads a validator.
      validate: async (value) => (await import("./config.ts")).schema["~standard"].validate(value),
    },
  },
  permissions: ({ path }) => ({ read: [path], write: [path] }),
  open: (config, context) => FileSession.open(config, context),
};

export default file;
