import assert from "node:assert/strict";
import { BUGS } from "./bugs.ts";
import { live } from "./live.ts";

/** So many worlds are enough for each bug. */
const SEEDS_FOR_A_BUG = 40;

Deno.test("the simulation is the same for the same seed, and another for another", async () => {
  const fingerprints: string[] = [];
  for (const seed of [7, 8, 7]) fingerprints.push((await live(seed)).fingerprint);
  assert.equal(fingerprints[0], fingerprints[2]);
  assert.notEqual(fingerprints[0], fingerprints[1]);
});

for (const bug of BUGS) {
  Deno.test(`the simulation bites: it finds a program that ${bug.name}`, async () => {
    const found: string[] = [];
    for (let seed = 1; seed <= SEEDS_FOR_A_BUG; seed++) {
      const { fault } = await live(seed, { bug });
      if (fault === undefined) continue;
      found.push(fault);
      if (bug.found.test(fault.split("\n")[0] ?? "")) return;
    }
    assert.fail(`no seed of ${SEEDS_FOR_A_BUG} found it: ${found.map((fault) => fault.split("\n")[0]).join("\n")}`);
  });
}
