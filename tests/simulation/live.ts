import assert from "node:assert/strict";
import { World, type WorldOptions } from "./world.ts";

/** Worlds that a run looks at; `SEED=n` looks at one. */
export const SEEDS = 2_000;
/** Things that befall each. */
const STEPS = 25;
/** The world is at rest after this: the longest backoff, and a round of everything. */
const QUIET_MS = 120_000;

/** How one world went. */
export interface Life {
  /** What was wrong, with its story; `undefined` if nothing was. */
  readonly fault: string | undefined;
  /** The same for two runs of one seed. */
  readonly fingerprint: string;
}

/** Lives through one world; asks after each tick whether all is as it was promised. */
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

/** Registers the test of a part of all seeds, of which there are `of`: so the parts run beside one another. */
export function testPart(part: number, of: number): void {
  const given = Deno.env.get("SEED");
  const all = given === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(given)];
  const seeds = all.filter((seed) => seed % of === part);
  const ignore = seeds.length === 0;
  Deno.test({
    name: `whatever befalls it, the world keeps its promises and comes to rest (part ${part + 1} of ${of})`,
    ignore,
    fn: async () => {
      for (const seed of seeds) {
        const { fault } = await live(seed);
        if (fault !== undefined) assert.fail(fault);
      }
    },
  });
}
