import assert from "node:assert/strict";
import { BUGS } from "./bugs.ts";
import { live } from "./live.ts";

/** The number of worlds that are tried for each bug. */
const SEEDS_FOR_A_BUG = 200;

Deno.test("equal seeds give equal simulations, and different seeds give different ones", async () => {
  const runs: string[][] = [];
  for (let run = 0; run < 2; run++) {
    runs.push([]);
    for (let seed = 1; seed <= 12; seed++) runs.at(-1)?.push((await live(seed)).fingerprint);
  }
  assert.deepEqual(runs[0], runs[1]);
  assert.equal(new Set(runs[0]).size, 12);
});

for (const bug of BUGS) {
  Deno.test(`the simulation finds a program that ${bug.name}`, async () => {
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
