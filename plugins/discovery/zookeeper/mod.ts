import type { DiscoveryPlugin } from "../../../mod.ts";
import type { ZooKeeperConfig } from "./config.ts";

const zookeeper: DiscoveryPlugin<ZooKeeperConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "zookeeper",
  summary: "Ephemeral znodes in a ZooKeeper ensemble, shared with Lighthouse 1.0",
  stability: "stable",
  capabilities: ["watch", "register"],
  example: { hosts: ["zk01.example.com:2181"], path: "/lighthouse/services" },
  config: {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      // The host validates and never loads a client; a worker that serves never loads a validator.
      validate: async (value) => (await import("./config.ts")).schema["~standard"].validate(value),
    },
  },
  permissions: ({ hosts }) => ({ net: hosts }),
  open: async (config, context) => {
    const { ZooKeeperSession } = await import("./session.ts");
    return new ZooKeeperSession(config, context);
  },
};

export default zookeeper;
