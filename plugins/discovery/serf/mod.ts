import type { DiscoveryPlugin, Schema } from "../../../mod.ts";
import type { SerfClusterConfig, SerfConfig, SerfServiceConfig } from "./config.ts";

type Name = "schema" | "clusterSchema" | "serviceSchema";

/** The host validates and never loads a client; a worker that serves never loads a validator. */
function validator<Output>(name: Name): Schema<Output> {
  return {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate: async (value) => {
        const schema: Schema<unknown> = (await import("./config.ts"))[name];
        return await (schema as Schema<Output>)["~standard"].validate(value);
      },
    },
  };
}

const serf: DiscoveryPlugin<SerfConfig, SerfClusterConfig, SerfServiceConfig> = {
  kind: "discovery",
  apiVersion: 1,
  name: "serf",
  summary: "The members of a gossip, by the local serf agent: a service is a tag that holds its port",
  stability: "stable",
  capabilities: ["watch", "register"],
  example: { address: "127.0.0.1:7373" },
  config: validator("schema"),
  cluster: validator("clusterSchema"),
  service: validator("serviceSchema"),
  permissions: ({ address }) => ({ net: [address] }),
  open: async (config, context) => {
    const { SerfSession } = await import("./session.ts");
    return new SerfSession(config, context);
  },
};

export default serf;
