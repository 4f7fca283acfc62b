import assert from "node:assert/strict";
import { deadline } from "./deadline.ts";
import { FakeClock } from "./fake_clock.ts";

Deno.test("deadline() aborts its signal at its time, not earlier", () => {
  const clock = new FakeClock();
  using late = deadline(100, { clock });
  clock.advance(99);
  assert.equal(late.signal.aborted, false);
  clock.advance(1);
  assert.match(String(late.signal.reason), /Timed out after 100ms/);
});

Deno.test("deadline() aborts with the given signal", () => {
  const given = new AbortController();
  using late = deadline(100, { clock: new FakeClock(), signal: given.signal });
  given.abort("enough");
  assert.equal(late.signal.reason, "enough");
});

Deno.test("deadline() leaves no timer behind when it is disposed of", () => {
  const clock = new FakeClock();
  deadline(100, { clock })[Symbol.dispose]();
  assert.equal(clock.pending, 0);
});
