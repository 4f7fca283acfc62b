import assert from "node:assert/strict";
import { readNameService } from "../../src/app/name_service.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

/** A discovery whose only member is the first name server of its scope, at the port from the cluster's file. */
const PLUGIN = `
const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
export default {
  kind: "discovery", apiVersion: 1, name: "ns", summary: "Name servers", stability: "stable",
  capabilities: ["watch"], config: any, cluster: any,
  permissions: (_config, scope) => ({ net: scope.nameServers ?? [] }),
  open: (_config, { scope, connection }) => {
    connection("connected");
    return Promise.resolve({
      async *watch(_cluster, signal, { config }) {
        const ip = scope.nameServers[0].replace(/:53$/, "").replace(/[\\[\\]]/g, "");
        yield { nodes: [{ host: "ns", ip, port: config.port, metadata: {} }], exists: true, epoch: "" };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
      ended: new Promise(() => {}),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
};
`;

Deno.test("a discovery of plugins.yaml gets the host's name servers and its section, if {name_servers} is allowed", async () => {
  await using host = new TestHost();
  await host.write("balancers/haproxy", host.haproxy.file);
  await host.dir.write("config/plugins/ns.ts", PLUGIN);
  await host.write("plugins", { discovery: { ns: { url: "plugins/ns.ts" } } });
  await host.write("discovery/servers", { type: "ns" });
  await host.write("clusters/dns", { discovery: "servers", servers: { port: 5353 }, haproxy: { port: freePort() } });
  await using writer = Lighthouse.start("writer", host.configDir);
  await writer.event("config.invalid", {
    msg: /Cannot grant the plugin's requested permissions: net ".*:53" is not granted/,
  });
  await host.write("plugins", { discovery: { ns: { url: "plugins/ns.ts", allow: { net: ["{name_servers}"] } } } });
  await host.untilServing("dns", [5353]);
  const { nameServers: [first = ""] } = await readNameService();
  const [server = ""] = await host.haproxy.serving("dns");
  assert.equal(server.replace(/^\S+ /, ""), first.replace(/:53$/, "").replace(/[[\]]/g, "") + ":5353");
});
