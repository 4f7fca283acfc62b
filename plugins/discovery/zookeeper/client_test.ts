import assert from "node:assert/strict";
import { systemClock } from "../../../src/kernel/clock.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { isSilent, type Script, ScriptedServer } from "../../../tests/support/scripted_server.ts";
import { type ClientOptions, race, ZooKeeperClient } from "./client.ts";
import { WireWriter } from "./wire.ts";

/** A client that keeps what it tells; without chance it waits the least. */
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

/** Lets a client in for a session of `timeoutMs` and says nothing more; 0 says that the session has expired. */
function letsIn(timeoutMs: number): Script {
  return async (connection) => {
    await connection.read(new Uint8Array(1_024));
    const welcome = new WireWriter().int(0).int(timeoutMs).long(7n).bytes(new Uint8Array(16)).flag(false);
    await connection.write(welcome.frame());
    await isSilent(connection);
  };
}

/** Does with each connection the next script; the last one over and over. */
function inTurn(...scripts: readonly Script[]): Script {
  let turn = 0;
  return (connection) => (scripts[Math.min(turn++, scripts.length - 1)] as Script)(connection);
}

const refuses: Script = () => Promise.resolve();

Deno.test("ZooKeeperClient tries again when a server takes a connection and forgets it", async () => {
  await using server = new ScriptedServer(inTurn(isSilent, isSilent, letsIn(10_000)));
  const client = connect([server.target]);
  await client.connected(AbortSignal.timeout(10_000));
  assert.match(client.told.join("\n"), /^disconnected .* did not answer within 250 ms\nconnected /);
  client.abandon();
  await client[Symbol.asyncDispose]();
  assert.equal(client.told.at(-1), "over");
});

Deno.test("ZooKeeperClient asks every server before it waits", async () => {
  await using first = new ScriptedServer(refuses);
  await using second = new ScriptedServer(letsIn(10_000));
  // A long wait, if there was one, would fail the test.
  const client = connect([first.target, second.target], { random: () => 0.999 });
  await client.connected(AbortSignal.timeout(10_000));
  assert.equal(client.told.at(-1), `connected ${second.target}`);
  assert.ok(first.accepted <= 1);
  client.abandon();
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient gives up a session that servers refuse for twice its time", async () => {
  await using server = new ScriptedServer(inTurn(letsIn(300), refuses));
  const client = connect([server.target], { sessionTimeoutMs: 300 });
  assert.match(await client.ended, /no server has taken the session back/);
  await assert.rejects(client.connected(AbortSignal.timeout(10_000)), /The session is over: no server has taken/);
  assert.equal(client.told.filter((each) => each.startsWith("disconnected")).length, 1, "one outage, told once");
  assert.ok(server.accepted > 3);
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient never gives up a session that it does not have yet", async () => {
  await using server = new ScriptedServer(inTurn(...Array<Script>(12).fill(refuses), letsIn(10_000)));
  const client = connect([server.target], { sessionTimeoutMs: 200 });
  await client.connected(AbortSignal.timeout(10_000));
  assert.ok(server.accepted > 12);
  client.abandon();
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient ends when it is told that the session has expired", async () => {
  await using server = new ScriptedServer(inTurn(letsIn(240), letsIn(0)));
  const client = connect([server.target], { sessionTimeoutMs: 240 });
  assert.match(await client.ended, /says that the session has expired/);
  await eventually("it is over", () => client.told.at(-1) === "over");
  await client[Symbol.asyncDispose]();
});

Deno.test("ZooKeeperClient says why ZooKeeper is out of reach to those who wait no longer", async () => {
  await using server = new ScriptedServer(refuses);
  const client = connect([server.target]);
  const waiting = client.connected(AbortSignal.timeout(100));
  await assert.rejects(waiting, /ZooKeeper is out of reach: .* hung up without an answer/);
  await client[Symbol.asyncDispose]();
  await assert.rejects(client.connected(AbortSignal.timeout(100)), /The session is over: it was closed/);
});

Deno.test("race() waits for a promise until the signal is aborted, and takes no notice afterwards", async () => {
  const controller = new AbortController();
  assert.equal(await race(Promise.resolve(1), controller.signal, () => new Error("late")), 1);
  const slow = Promise.withResolvers<number>();
  const racing = race(slow.promise, controller.signal, () => new Error("late"));
  controller.abort();
  await assert.rejects(racing, /late/);
  slow.reject(new Error("Nobody hears this"));
  await assert.rejects(race(slow.promise, controller.signal, () => new Error("late")), /late/);
});
