/**
 * A host of a registry in a store, as a process of its own: registers a node
 * in the cluster `web`, if a port is given, and prints the ports of each
 * snapshot on one line: `store_client.ts HOSTS TTL_MS [PORT]`.
 *
 * @module
 */
import { LighthouseSession } from "../../plugins/discovery/lighthouse/session.ts";
import { RecordingContext, testNode, up } from "./discovery.ts";

const [hosts = "", ttlMs = "", port] = Deno.args;
const options = { hosts: hosts.split(","), path: ["services"], ttlMs: Number(ttlMs) };
const session = await LighthouseSession.open(options, new RecordingContext());
const register = async () => {
  for (;;) {
    try {
      return await session.register("web", up(testNode(Number(port))), AbortSignal.timeout(60_000));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
};
if (port !== undefined) void register();
for await (const { nodes } of session.watch("web", new AbortController().signal)) {
  // deno-lint-ignore no-console -- what the parent reads.
  console.log(nodes.map((node) => node.port).join(","));
}
