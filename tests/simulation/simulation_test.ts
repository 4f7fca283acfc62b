import assert from "node:assert/strict";
import { World } from "./world.ts";

/** Worlds that a run looks at; `SEED=n` looks at one. */
const SEEDS = 500;
/** Things that befall each. */
const STEPS = 25;
/** The world is at rest after this: the longest backoff, and a round of everything. */
const QUIET_MS = 90_000;

/** Runs one world; throws with its seed and its story when something is wrong. */
async function live(seed: number, options: { readonly forgetful?: boolean } = {}): Promise<void> {
  await using world = new World(seed, options);
  const check = (fault: string | undefined) => {
    if (fault !== undefined) throw new Error(`SEED=${seed}: ${fault}\n${world.story.join("\n")}`);
  };
  await world.pass(5_000);
  for (let i = 0; i < STEPS; i++) {
    await world.step();
    check(world.fault());
  }
  world.heal();
  await world.pass(QUIET_MS);
  check(world.unsettled());
}

Deno.test("whatever befalls it, the world comes to rest where it is wanted, and an outage empties nothing", async () => {
  const given = Deno.env.get("SEED");
  const seeds = given === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(given)];
  for (const seed of seeds) await live(seed);
});

Deno.test("the simulation bites: a world that takes an outage for emptiness is found out", async () => {
  let found = 0;
  for (let seed = 1; seed <= 20; seed++) await live(seed, { forgetful: true }).catch(() => found++);
  assert.ok(found > 0, "no seed of 20 found the bug");
});
