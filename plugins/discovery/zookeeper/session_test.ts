import assert from "node:assert/strict";
import { RecordingContext, soon, testNode, up } from "../../../tests/support/discovery.ts";
import { ScriptedServer } from "../../../tests/support/scripted_server.ts";
import { JuteWriter } from "./jute.ts";
import { ZooKeeperSession } from "./session.ts";

Deno.test("ZooKeeperSession fails a registration at which the server keeps closing the connection", async () => {
  // Accepts the client, and closes the connection at a request: as a server does at one that is too large.
  await using server = new ScriptedServer(async (connection) => {
    const buffer = new Uint8Array(65_536);
    await connection.read(buffer);
    await connection.write(new JuteWriter().int(0).int(10_000).long(7n).buffer(new Uint8Array(16)).frame());
    await connection.read(buffer);
  });
  const context = new RecordingContext();
  const options = { hosts: [server.target], path: "/services", sessionTimeoutMs: 10_000, acl: "open" } as const;
  const session = new ZooKeeperSession({ ...options, random: () => 0 }, context);
  await assert.rejects(session.register("web", up(testNode(1)), soon()), /closed the connection|reset/);
  assert.equal(server.accepted, 5);
  context.abort();
  await session[Symbol.asyncDispose]();
});
