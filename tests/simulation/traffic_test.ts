import assert from "node:assert/strict";
import type { NodeHealth } from "../../src/model/traffic.ts";
import { shareTraffic } from "../../src/traffic/shares.ts";
import { type TrafficBug, TrafficWorld } from "./traffic_world.ts";

/** The number of worlds in a run; `SEED=n` runs one. */
const SEEDS = 100;
/** The number of worlds that are tried for each bug. */
const SEEDS_FOR_A_BUG = 50;
const STEPS = 30;

/** Runs one world; returns its fault with the story. */
async function live(seed: number, bug?: TrafficBug): Promise<string | undefined> {
  const world = new TrafficWorld(seed, shareTraffic, bug);
  await world.pass(5_000);
  for (let i = 0; i < STEPS && world.fault === undefined; i++) await world.step();
  await world.pass(30_000);
  return world.fault === undefined ? undefined : `SEED=${seed}: ${world.fault}\n${world.story.join("\n")}`;
}

const given = Deno.env.get("SEED");
const seeds = given === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(given)];

Deno.test("all traffic policies hold together under every fault of the cluster, its writer and the clock", async () => {
  for (const seed of seeds) {
    const fault = await live(seed);
    if (fault !== undefined) assert.fail(fault);
  }
});

const BUGS: readonly TrafficBug[] = [
  {
    name: "ignores weights",
    found: /weight: /,
    decide: (input, real) => real({ ...input, policy: input.policy && { ...input.policy, weight: { default: 100 } } }),
  },
  {
    name: "ignores the weights of sources",
    found: /weight: /,
    decide: (input, real) => real({ ...input, sourceOf: undefined }),
  },
  {
    name: "gives no node a slow start",
    found: /slow_start: /,
    decide: (input, real) => real({ ...input, policy: input.policy && { ...input.policy, slowStart: undefined } }),
  },
  {
    name: "lets its ramps follow a clock that is moved",
    found: /slow_start: |zones: |overflow: /,
    decide: (input, real) => {
      const shares = real({ ...input, nowMs: input.nowMs + (input.wallAheadMs ?? 0) });
      return { ...shares, changesAtMs: input.nowMs + 1_000 };
    },
  },
  {
    name: "does not wake for the next step of a ramp",
    found: /slow_start: |warm_up: |override: |overflow: |zones: /,
    decide: (input, real) => ({ ...real(input), changesAtMs: Infinity }),
  },
  {
    name: "ignores the preferred zone",
    found: /zones: /,
    decide: (input, real) => real({ ...input, zone: undefined }),
  },
  {
    name: "does not overflow",
    found: /overflow: |all: /,
    decide: (input, real) => real({ ...input, overflow: [] }),
  },
  {
    name: "applies slow start while it warms up",
    found: /warm_up: /,
    decide: (input, real) => real({ ...input, startedMs: -Infinity }),
  },
  {
    name: "ignores the checks of nodes",
    found: /health: /,
    decide: (input, real) => real({ ...input, health: undefined }),
  },
  {
    name: "treats a node that cannot be checked as failing",
    found: /zones: |overflow: |weight: |slow_start: /,
    decide: (input, real) => {
      const health = [...input.health ?? []].map(([name, each]): [string, NodeHealth] => [
        name,
        each.state === "unknown" ? { ...each, state: "failing" } : each,
      ]);
      return real({ ...input, health: new Map(health) });
    },
  },
  {
    name: "ignores the operator",
    found: /override: /,
    decide: (input, real) => real({ ...input, overrides: undefined }),
  },
];

for (const bug of BUGS) {
  Deno.test(`the simulation finds a writer that ${bug.name}`, async () => {
    for (let seed = 1; seed <= SEEDS_FOR_A_BUG; seed++) {
      const fault = await live(seed, bug);
      if (fault !== undefined) return assert.match(fault.split("\n")[0] ?? "", bug.found);
    }
    assert.fail(`no seed of ${SEEDS_FOR_A_BUG} found it`);
  });
}
