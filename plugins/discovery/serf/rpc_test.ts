import { encode } from "@msgpack/msgpack";
import assert from "node:assert/strict";
import { systemClock } from "../../../src/kernel/clock.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { isSilent, type Script, ScriptedServer, sends } from "../../../tests/support/scripted_server.ts";
import { SerfRpc } from "./rpc.ts";

function connect(server: ScriptedServer, answerMs = 10_000): Promise<SerfRpc> {
  const signal = AbortSignal.timeout(60_000);
  const address = { host: "127.0.0.1", port: server.port };
  return SerfRpc.connect({ address, answerMs, clock: systemClock, signal });
}

/** Sends these bytes, one at a time, once a command was received. */
function trickles(...objects: readonly unknown[]): Script {
  return async (connection) => {
    const buffer = new Uint8Array(1_024);
    await connection.read(buffer);
    for (const byte of objects.flatMap((object) => [...encode(object)])) await connection.write(new Uint8Array([byte]));
    await isSilent(connection);
  };
}

/** The start of a list of a million entries, nested so many times. */
function lists(depth: number): Uint8Array {
  return Uint8Array.from(Array.from({ length: depth }, () => [0xdd, 0, 0x0f, 0x42, 0x40]).flat());
}

const GREETED = { Error: "", Seq: 0 };

Deno.test("SerfRpc distinguishes answers and events, in whatever order and pieces they arrive", async () => {
  await using server = new ScriptedServer(trickles(
    GREETED,
    { Error: "", Seq: 1 },
    ...[{ Error: "", Seq: 1 }, { Event: "member-join", Members: [] }],
    ...[{ Error: "", Seq: 3 }, { Members: ["b"] }],
    ...[{ Error: "", Seq: 1 }, { Event: "member-failed", Members: [] }],
    ...[{ Error: "", Seq: 2 }, { Members: ["a"], __proto__: 1 }],
  ));
  using rpc = await connect(server);
  let events = 0;
  const streaming = rpc.stream("*", () => events++);
  const asked = [1, 2].map(() => rpc.call("members", undefined, { hasBody: true }));
  await streaming;
  assert.deepEqual(await Promise.all(asked), [{ Members: ["a"] }, { Members: ["b"] }]);
  assert.equal(events, 2);
});

Deno.test.each([
  {
    what: "says of an error",
    script: trickles({ Error: "Authentication required", Seq: 0 }),
    says: /the agent reports: Authentication required/,
  },
  { what: "answers what was not asked", script: trickles({ Error: "", Seq: 7 }), says: /Seq 7/ },
  { what: "is none of serf", script: sends("SSH-2.0-OpenSSH\r\n"), says: /invalid response from the serf agent/ },
  { what: "breaks the format", script: trickles(GREETED.Error, [1]), says: /invalid response from the serf agent/ },
  {
    what: "says that lists begin, and no more",
    script: async (connection: Deno.Conn) => {
      await connection.write(lists(12));
      await isSilent(connection as Deno.TcpConn);
    },
    says: /nested deeper than 8/,
  },
  { what: "hangs up", script: sends(""), says: /closed the connection/ },
  { what: "is silent", script: isSilent, says: /no response to handshake within 50ms/, answerMs: 50 },
])("SerfRpc closes the connection to an agent that $what", async ({ script, says, answerMs }) => {
  await using server = new ScriptedServer(script);
  await assert.rejects(connect(server, answerMs), says);
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("SerfRpc fails what is in flight, and later commands, when the connection ends", async () => {
  const hangUp = Promise.withResolvers<void>();
  await using server = new ScriptedServer(async (connection) => {
    await connection.read(new Uint8Array(1_024));
    await connection.write(encode(GREETED));
    await hangUp.promise;
  });
  using rpc = await connect(server);
  const asked = rpc.call("members", undefined, { hasBody: true });
  hangUp.resolve();
  await assert.rejects(asked, /closed the connection|reset/i);
  await assert.rejects(rpc.call("stats"), /closed the connection|reset/i);
  assert.ok(rpc.hasEnded);
});
