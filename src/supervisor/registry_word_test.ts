import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { WorkerDeadError } from "./plugin_host.ts";
import { type ConnectionEvent, RegistryWord } from "./registry_word.ts";

const CONNECTED: ConnectionEvent = { type: "connection", state: "connected", detail: "" };
const REFUSED: ConnectionEvent = { type: "connection", state: "disconnected", detail: "refused" };

/** Waits for the reach of a registry, on a clock that stands still. */
function begin(...before: readonly ConnectionEvent[]) {
  const clock = new FakeClock();
  const word = new RegistryWord();
  const [death, stop] = [Promise.withResolvers<string>(), new AbortController()];
  const told: string[] = [];
  for (const event of before) word.say(event);
  let end: unknown;
  void word.awaitReach({
    death: death.promise,
    clock,
    signal: stop.signal,
    onOutOfReach: (detail) => void told.push(detail),
  }).then(() => end = "over", (error) => end = error);
  /** How the waiting ended, if it did; all happens that needs no time. */
  const ending = async () => {
    for (let turn = 0; turn < 20; turn++) await undefined;
    return end;
  };
  return { clock, word, death, stop, told, ending };
}

Deno.test("RegistryWord waits for the first good word, also if it was said before", async () => {
  const { word, ending, clock } = begin();
  assert.equal(await ending(), undefined);
  word.say(CONNECTED);
  assert.equal(await ending(), "over");
  assert.equal(clock.pending, 0);
  assert.equal(await begin(CONNECTED).ending(), "over");
});

Deno.test("RegistryWord tells of a registry that is out of reach, and waits for it however long", async () => {
  const { word, ending, clock, told } = begin();
  word.say(REFUSED);
  await ending();
  clock.advance(3_600_000);
  word.say(REFUSED);
  assert.equal(await ending(), undefined);
  assert.deepEqual(told, ["refused"]);
  word.say(CONNECTED);
  assert.equal(await ending(), "over");
});

Deno.test("RegistryWord believes a worker that says nothing for half a minute", async () => {
  const { ending, clock, told } = begin();
  clock.advance(29_999);
  assert.equal(await ending(), undefined);
  clock.advance(1);
  assert.equal(await ending(), "over");
  assert.deepEqual(told, []);
});

Deno.test("RegistryWord gives up on a worker that dies, before its first word and after it", async () => {
  for (const said of [[], [REFUSED]]) {
    const { death, ending, clock } = begin(...said);
    await ending();
    death.resolve("It threw");
    const end = await ending();
    assert(end instanceof WorkerDeadError && end.message === "It threw");
    assert.equal(clock.pending, 0);
  }
});

Deno.test("RegistryWord ends when it is told to, with the reason", async () => {
  for (const said of [[], [REFUSED]]) {
    const { stop, ending } = begin(...said);
    await ending();
    stop.abort(new Error("It is replaced"));
    assert.match(String(await ending()), /It is replaced/);
  }
});
