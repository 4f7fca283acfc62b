import assert from "node:assert/strict";
import fc from "fast-check";
import { seededRandom } from "./random.ts";

/** The first draws of a seed. */
function draws(seed: number, count = 50): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random());
}

Deno.test("seededRandom() gives equal numbers for equal seeds, and different ones for different seeds", () => {
  assert.deepEqual(draws(42), draws(42));
  assert.notDeepEqual(draws(42), draws(43));
});

Deno.test("seededRandom() stays in [0, 1) for any seed", () => {
  fc.assert(fc.property(fc.double(), (seed) => draws(seed).every((draw) => draw >= 0 && draw < 1)));
});

Deno.test("seededRandom() is spread evenly", () => {
  const tenths = new Array<number>(10).fill(0);
  for (const draw of draws(7, 10_000)) tenths[Math.floor(draw * 10)]!++;
  for (const count of tenths) assert.ok(count > 800 && count < 1_200, tenths.join(" "));
});
