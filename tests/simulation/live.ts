import assert from "node:assert/strict";
import { World, type WorldOptions } from "./world.ts";

/** The number of worlds in a run; `SEED=n` runs one. */
export const SEEDS = 2_000;
/** The number of faults in each world. */
const STEPS = 25;
/** A world has settled after this: the longest backoff, and a round of everything. */
const QUIET_MS = 120_000;

/** The result of one world. */
export interface Life {
  /** The fault with its story; `undefined` if there is none. */
  readonly fault: string | undefined;
  /** Equal for two runs of one seed. */
  readonly fingerprint: string;
}

/** Runs one world, checking its promises after each tick. */
export async function live(seed: number, options: WorldOptions = {}): Promise<Life> {
  await using world = new World(seed, options);
  await world.pass(8_000);
  for (let i = 0; i < STEPS && world.fault === undefined; i++) await world.step();
  world.heal();
  await world.pass(QUIET_MS);
  const fault = world.fault ?? world.unsettled();
  return {
    fault: fault === undefined ? undefined : `SEED=${seed}: ${fault}\n${world.story.join("\n")}`,
    fingerprint: world.fingerprint(),
  };
}

/** Registers the test of one of `of` parts of all seeds, so that the parts run in parallel. */
export function testPart(part: number, of: number): void {
  const given = Deno.env.get("SEED");
  const all = given === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(given)];
  const seeds = all.filter((seed) => seed % of === part);
  const ignore = seeds.length === 0;
  Deno.test({
    name: `each simulation keeps the promises under every fault, and converges afterwards (part ${part + 1} of ${of})`,
    ignore,
    fn: async () => {
      for (const seed of seeds) {
        const { fault } = await live(seed);
        if (fault !== undefined) assert.fail(fault);
      }
    },
  });
}
