import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { Agenda } from "./agenda.ts";

const NEVER = new AbortController().signal;

/** Lets everything happen that needs no time. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await undefined;
}

/** Waits for work, and notes when it was there. */
function waitFor(agenda: Agenda<string>, clock: FakeClock, { dueAt = Infinity, signal = NEVER } = {}) {
  const found: { wish?: string | undefined; at?: number } = {};
  void agenda.next(dueAt, signal).then((wish) => Object.assign(found, { wish, at: clock.now() }));
  return found;
}

Deno.test("Agenda hands out the newest wish at once, and drops those before it", async () => {
  const clock = new FakeClock();
  const agenda = new Agenda<string>(clock);
  agenda.put("first");
  agenda.put("second");
  assert(agenda.hasWish);
  assert.equal(await agenda.next(Infinity, NEVER), "second");
  assert(!agenda.hasWish);
});

Deno.test("Agenda ends the wait for what falls due first: a look, or something else", async () => {
  for (const [lookAt, dueAt, expected] of [[300, 500, 300], [500, 300, 300], [Infinity, 400, 400]] as const) {
    const clock = new FakeClock();
    const agenda = new Agenda<string>(clock);
    agenda.lookBy(lookAt);
    const found = waitFor(agenda, clock, { dueAt });
    for (let ms = 0; ms < 600; ms += 100) {
      await rest();
      clock.advance(100);
    }
    await rest();
    assert.deepEqual(found, { wish: undefined, at: expected });
  }
});

Deno.test("Agenda keeps the earliest look until it is forgotten", () => {
  const agenda = new Agenda<string>(new FakeClock());
  agenda.lookBy(500);
  agenda.lookBy(900);
  assert.equal(agenda.lookAt, 500);
  agenda.forgetLook();
  assert.equal(agenda.lookAt, Infinity);
});

Deno.test("Agenda wakes who waits for a look at once, and plans it for who is busy", async () => {
  const clock = new FakeClock();
  const agenda = new Agenda<string>(clock);
  const found = waitFor(agenda, clock);
  clock.advance(70);
  agenda.lookNow();
  await rest();
  assert.deepEqual(found, { wish: undefined, at: 70 });
  agenda.forgetLook();
  agenda.lookNow();
  assert.equal(agenda.lookAt, 70);
});

Deno.test("Agenda leaves no timer behind, whatever ended the wait", async () => {
  const clock = new FakeClock();
  const agenda = new Agenda<string>(clock);
  const stop = new AbortController();
  const found = waitFor(agenda, clock, { dueAt: 1_000, signal: stop.signal });
  assert.equal(clock.pending, 1);
  stop.abort();
  await rest();
  assert.deepEqual(found, { wish: undefined, at: 0 });
  assert.equal(clock.pending, 0);
  const next = waitFor(agenda, clock, { dueAt: 1_000 });
  agenda.put("wish");
  await rest();
  assert.deepEqual(next, { wish: "wish", at: 0 });
  assert.equal(clock.pending, 0);
});
