import assert from "node:assert/strict";
import { systemClock } from "../../../src/kernel/clock.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { isSilent, type Script, ScriptedServer } from "../../../tests/support/scripted_server.ts";
import { type ClientOptions, ZooKeeperClient } from "./client.ts";
import { ConnectionLostError, ZooKeeperError } from "./connection.ts";

/** A client that records what it reports; without chance it waits the least. */
function connect(hosts: readonly string[], change: Partial<ClientOptions> = {}) {
  const told: string[] = [];
  const client = new ZooKeeperClient({
    hosts,
    sessionTimeoutMs: 1_000,
    clock: systemClock,
    random: () => 0,
    onEvent() {},
    onConnected: ({ endpoint }) => told.push(`connected ${endpoint}`),
    onDisconnected: (cause) => told.push(`disconnected ${cause}`),
    onOver: () => told.push("over"),
    ...change,
  });
  return Object.assign(client, { told });
}

/** The answer to a handshake: session 7 for `timeoutMs`; 0 means that it has expired. */
function welcome(timeoutMs: number): Uint8Array {
  const frame = new DataView(new ArrayBuffer(41));
  frame.setInt32(0, 37); // What follows: the protocol's version (0), the timeout, the session, its password.
  frame.setInt32(8, timeoutMs);
  frame.setBigInt64(12, 7n);
  frame.setInt32(20, 16);
  return new Uint8Array(frame.buffer);
}

/** The answer to a ping, or to the request number `xid`, with an error code and nothing else. */
function reply(xid: number, code: number): Uint8Array {
  const frame = new DataView(new ArrayBuffer(20));
  frame.setInt32(0, 16);
  frame.setInt32(4, xid);
  frame.setBigInt64(8, 1n);
  frame.setInt32(16, code);
  return new Uint8Array(frame.buffer);
}

/** Accepts a client, answers each request as scripted by its number, and sends nothing more. */
function serves(timeoutMs: number, answer: (xid: number) => readonly Uint8Array[]): Script {
  return async (connection) => {
    const buffer = new Uint8Array(65_536);
    await connection.read(buffer);
    await connection.write(welcome(timeoutMs));
    for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
      for (let at = 0; at + 8 <= count;) {
        const view = new DataView(buffer.buffer, at, count - at);
        for (const bytes of answer(view.getInt32(4))) await connection.write(bytes);
        at += 4 + view.getInt32(0);
      }
    }
  };
}

/** Accepts a client and sends nothing more. */
function letsIn(timeoutMs: number): Script {
  return serves(timeoutMs, () => []);
}

/** Runs the next script with each connection; the last one again and again. */
function inTurn(...scripts: readonly Script[]): Script {
  let turn = 0;
  return (connection) => (scripts[Math.min(turn++, scripts.length - 1)] as Script)(connection);
}

const refuses: Script = () => Promise.resolve();

Deno.test("ZooKeeperClient tries again when a server accepts a connection and forgets it", async () => {
  await using server = new ScriptedServer(inTurn(isSilent, isSilent, letsIn(10_000)));
  const client = connect([server.target]);
  await client.connected(AbortSignal.timeout(60_000));
  assert.match(client.told.join("\n"), /^disconnected .* did not respond within 250ms\nconnected /);
  client.abandon();
  await client[Symbol.asyncDispose]();
  assert.equal(client.told.at(-1), "over");
});

Deno.test("ZooKeeperClient tries every server before it waits", async () => {
  await using first = new ScriptedServer(refuses);
  await using second = new ScriptedServer(letsIn(10_000));
  // A long wait would fail the test.
  const client = connect([first.target, second.target], { random: () => 0.999 });
  await client.connected(AbortSignal.timeout(60_000));
  assert.equal(client.told.at(-1), `connected ${second.target}`);
  assert.ok(first.accepted <= 1);
  client.abandon();
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient gives up a session that servers reject for twice its time", async () => {
  await using server = new ScriptedServer(inTurn(letsIn(300), refuses));
  const client = connect([server.target], { sessionTimeoutMs: 300 });
  assert.match(await client.ended, /no server has accepted the session/);
  await assert.rejects(client.connected(AbortSignal.timeout(60_000)), /Session ended: no server has accepted/);
  assert.equal(client.told.filter((each) => each.startsWith("disconnected")).length, 1, "one outage, reported once");
  assert.ok(server.accepted > 3);
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient never gives up a session that it does not have yet", async () => {
  await using server = new ScriptedServer(inTurn(...Array<Script>(12).fill(refuses), letsIn(10_000)));
  const client = connect([server.target], { sessionTimeoutMs: 200 });
  await client.connected(AbortSignal.timeout(60_000));
  assert.ok(server.accepted > 12);
  client.abandon();
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient ends when the server reports that the session has expired", async () => {
  await using server = new ScriptedServer(inTurn(letsIn(240), letsIn(0)));
  const client = connect([server.target], { sessionTimeoutMs: 240 });
  assert.match(await client.ended, /the session has expired/);
  await eventually("it is over", () => client.told.at(-1) === "over");
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient says why ZooKeeper is unreachable to a caller that stops waiting", async () => {
  await using server = new ScriptedServer(refuses);
  const client = connect([server.target]);
  const waiting = client.connected(AbortSignal.timeout(100));
  await assert.rejects(waiting, /ZooKeeper unreachable: .* closed the connection without a response/);
  await client[Symbol.asyncDispose]();
  await assert.rejects(client.connected(AbortSignal.timeout(100)), /Session ended: closed/);
});

Deno.test.each([
  { what: "falls silent", answer: () => [], says: /stopped responding/ },
  {
    what: "answers pings and nothing else",
    answer: (xid: number) => xid === -2 ? [reply(-2, 0)] : [],
    says: /no response from .* to: look for \/a/,
  },
  {
    what: "answers out of turn",
    answer: (xid: number) => [reply(xid + 1, 0)],
    says: /sent an invalid frame: reply out of order, xid 2/,
  },
  {
    what: "announces a frame of 2 GB",
    answer: () => [new Uint8Array([0x7f, 0xff, 0xff, 0xff])],
    says: /sent an invalid frame: length 2147483647 exceeds the limit of 67108864 bytes/,
  },
  {
    what: "announces a frame of negative length",
    answer: () => [new Uint8Array([0xff, 0xff, 0xff, 0xff])],
    says: /sent an invalid frame: length -1/,
  },
])("ZooKeeperClient leaves a server that $what", async ({ answer, says }) => {
  await using server = new ScriptedServer(serves(120, answer));
  const client = connect([server.target], { sessionTimeoutMs: 120 });
  const connection = await client.connected(AbortSignal.timeout(60_000));
  await assert.rejects(connection.exists("/a", { watch: false }), ConnectionLostError);
  await connection.closed;
  await eventually("the reason is reported", () => client.told.some((each) => says.test(each)));
  client.abandon();
  await client[Symbol.asyncDispose]();
});

/** Answers each ping and the request number 1, and sends an invalid frame for the request number 2. */
const breaksAtSecond: Script = serves(
  600,
  (xid) => [xid === 2 ? new Uint8Array([0xff, 0xff, 0xff, 0xff]) : reply(xid, 0)],
);
/** Answers each ping, but no request. */
const answersPings: Script = serves(600, (xid) => xid === -2 ? [reply(-2, 0)] : []);

/** Loses the first connection of a session, and returns the second one. */
async function continues(client: ZooKeeperClient) {
  const first = await client.connected(AbortSignal.timeout(60_000));
  await first.delete("/a");
  await assert.rejects(first.delete("/a"), ConnectionLostError);
  return await client.connected(AbortSignal.timeout(60_000));
}

const unanswered = /continued the session, but does not answer its requests/;

Deno.test("ZooKeeperClient asks again when a server continues a session and drops its first request", async () => {
  await using server = new ScriptedServer(inTurn(breaksAtSecond, answersPings, letsIn(0)));
  const client = connect([server.target], { sessionTimeoutMs: 600 });
  const second = await continues(client);
  await assert.rejects(second.delete("/a"), unanswered);
  assert.match(await client.ended, /the session has expired/);
  assert.equal(server.accepted, 3);
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient waits longer for the first answer after one was overdue", async () => {
  // The ping is sent when the first answer would be overdue.
  const isSlow = serves(600, (xid) => xid === -2 ? [reply(1, 0), reply(-2, 0)] : []);
  await using server = new ScriptedServer(inTurn(breaksAtSecond, answersPings, isSlow));
  const client = connect([server.target], { sessionTimeoutMs: 600 });
  const second = await continues(client);
  await assert.rejects(second.delete("/a"), unanswered);
  const third = await client.connected(AbortSignal.timeout(60_000));
  await third.delete("/a");
  assert.equal(server.accepted, 3);
  client.abandon();
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient continues after unknown error codes", async () => {
  await using server = new ScriptedServer(serves(10_000, (xid) => [reply(xid, -999)]), "::1");
  const client = connect([`[::1]:${server.port}`]);
  const connection = await client.connected(AbortSignal.timeout(60_000));
  await assert.rejects(
    connection.exists("/a", { watch: false }),
    (error) => error instanceof ZooKeeperError && error.message === "Cannot look for /a: ZooKeeper error -999",
  );
  await assert.rejects(connection.delete("/a"), /Cannot delete \/a: ZooKeeper error -999/);
  assert.equal(connection.sessionId, 7n);
  client.abandon();
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient ends when its credential is rejected, and does not print it", async () => {
  await using server = new ScriptedServer(serves(10_000, (xid) => xid === -4 ? [reply(-4, -115)] : []));
  const client = connect([server.target], { auth: { scheme: "digest", secret: "web:s3cret" } });
  const reason = await client.ended;
  assert.match(reason, /authentication failed: the ensemble rejects the credential/);
  assert.doesNotMatch(`${reason} ${client.told}`, /s3cret/);
  await client[Symbol.asyncDispose]();
});
