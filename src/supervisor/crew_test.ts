import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { type ConnectionEvent, RegistryWord, Voice } from "./crew.ts";
import { WorkerDeadError, type WorkerEvent } from "./plugin_host.ts";

function connection(state: "connected" | "disconnected", detail = ""): WorkerEvent {
  return { type: "connection", state, detail };
}

function log(message: string): WorkerEvent {
  return { type: "log", instance: "a", level: "info", message, properties: {} };
}

function ended(reason: string): WorkerEvent {
  return { type: "ended", reason };
}

function begin() {
  const told: WorkerEvent[] = [];
  return { told, voice: new Voice((event) => told.push(event)) };
}

Deno.test("Voice holds a worker's events until it serves, except log records", () => {
  const { told, voice } = begin();
  voice.say(ended("a"));
  voice.say(log("hello"));
  assert.deepEqual(told.splice(0), [log("hello")]);
  voice.speak();
  voice.say(ended("b"));
  assert.deepEqual(told, [ended("a"), ended("b")]);
});

Deno.test("Voice keeps only the newest state of a worker's connection", () => {
  const { told, voice } = begin();
  voice.say(connection("connected"));
  voice.say(ended("a"));
  voice.say(connection("disconnected", "refused"));
  voice.speak();
  assert.deepEqual(told, [ended("a"), connection("disconnected", "refused")]);
});

Deno.test("Voice holds events while another worker serves, and passes each on once", () => {
  const { told, voice } = begin();
  voice.speak();
  voice.say(ended("a"));
  voice.hold();
  voice.say(ended("b"));
  assert.deepEqual(told, [ended("a")]);
  voice.speak();
  voice.hold();
  voice.speak();
  assert.deepEqual(told, [ended("a"), ended("b")]);
});

Deno.test("Voice holds at most 2,000 events", () => {
  const { told, voice } = begin();
  for (let i = 0; i < 2_100; i++) voice.say(ended(`${i}`));
  voice.speak();
  assert.equal(told.length, 2_000);
  assert.deepEqual(told.at(-1), ended("1999"));
});

Deno.test("Voice that has ended passes on only log records", () => {
  const { told, voice } = begin();
  voice.say(ended("a"));
  voice.end();
  voice.say(ended("b"));
  voice.say(log("closing"));
  assert.deepEqual(told, [log("closing")]);
});

const CONNECTED: ConnectionEvent = { type: "connection", state: "connected", detail: "" };
const REFUSED: ConnectionEvent = { type: "connection", state: "disconnected", detail: "refused" };

/** Awaits the connection of a registry, on a clock that stands still. */
function awaiting(...before: readonly ConnectionEvent[]) {
  const clock = new FakeClock();
  const word = new RegistryWord();
  const [death, stop] = [Promise.withResolvers<string>(), new AbortController()];
  const told: string[] = [];
  for (const event of before) word.say(event);
  let end: unknown;
  void word.awaitConnected({
    death: death.promise,
    clock,
    signal: stop.signal,
    onUnreachable: (detail) => void told.push(detail),
  }).then(() => end = "over", (error) => end = error);
  /** The result of the wait, if it is over; runs everything that needs no time. */
  const ending = async () => {
    for (let turn = 0; turn < 20; turn++) await undefined;
    return end;
  };
  return { clock, word, death, stop, told, ending };
}

Deno.test("RegistryWord waits for the first connect, also an earlier one", async () => {
  const { word, ending, clock } = awaiting();
  assert.equal(await ending(), undefined);
  word.say(CONNECTED);
  assert.equal(await ending(), "over");
  assert.equal(clock.pending, 0);
  assert.equal(await awaiting(CONNECTED).ending(), "over");
});

Deno.test("RegistryWord reports an unreachable registry, and waits for it however long", async () => {
  const { word, ending, clock, told } = awaiting();
  word.say(REFUSED);
  await ending();
  clock.advance(3_600_000);
  word.say(REFUSED);
  assert.equal(await ending(), undefined);
  assert.deepEqual(told, ["refused"]);
  word.say(CONNECTED);
  assert.equal(await ending(), "over");
});

Deno.test("RegistryWord accepts a worker that reports nothing for half a minute", async () => {
  const { ending, clock, told } = awaiting();
  clock.advance(29_999);
  assert.equal(await ending(), undefined);
  clock.advance(1);
  assert.equal(await ending(), "over");
  assert.deepEqual(told, []);
});

Deno.test("RegistryWord gives up on a worker that dies, before its first report and after it", async () => {
  for (const said of [[], [REFUSED]]) {
    const { death, ending, clock } = awaiting(...said);
    await ending();
    death.resolve("uncaught error");
    const end = await ending();
    assert(end instanceof WorkerDeadError && end.message === "uncaught error");
    assert.equal(clock.pending, 0);
  }
});

Deno.test("RegistryWord ends when aborted, with the reason", async () => {
  for (const said of [[], [REFUSED]]) {
    const { stop, ending } = awaiting(...said);
    await ending();
    stop.abort(new Error("replaced"));
    assert.match(String(await ending()), /replaced/);
  }
});

Deno.test("RegistryWord gives up on a worker that dies long after reporting its registry as unreachable", async () => {
  const { death, ending, clock } = awaiting(REFUSED);
  await ending();
  clock.advance(60_000);
  assert.equal(await ending(), undefined);
  death.resolve("uncaught error");
  assert(await ending() instanceof WorkerDeadError);
});
