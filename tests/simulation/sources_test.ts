import assert from "node:assert/strict";
import { combine, type Combined } from "../../src/membership/combine.ts";
import { nodeName } from "../../src/model/node.ts";
import type { Combine } from "../../src/model/registry_source.ts";
import { type SourcesBug, SourcesWorld } from "./sources_world.ts";

/** The number of worlds in a run; `SEED=n` runs one. */
const SEEDS = 600;
/** The number of worlds that are tried for each bug. */
const SEEDS_FOR_A_BUG = 300;
const STEPS = 30;
/** A world has settled after this. */
const QUIET_MS = 60_000;

/** Runs one world; returns its fault with the story. */
function live(seed: number, policy: Combine["policy"], bug?: SourcesBug): string | undefined {
  const world = new SourcesWorld(seed, policy, bug);
  world.pass(5_000);
  for (let i = 0; i < STEPS && world.fault === undefined; i++) world.step();
  world.heal();
  world.pass(QUIET_MS);
  const fault = world.fault ?? world.unsettled();
  return fault === undefined ? undefined : `SEED=${seed}: ${fault}\n${world.story.join("\n")}`;
}

const given = Deno.env.get("SEED");
const seeds = given === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(given)];

Deno.test.each(["union", "all", "first"] as const)(
  "policy $0 keeps its promises under every fault of two registries and settles afterwards",
  (policy) => {
    for (const seed of seeds) {
      const fault = live(seed, policy);
      if (fault !== undefined) assert.fail(fault);
    }
  },
);

/** All nodes of all sources, unchanged. */
function everything(sources: Parameters<typeof combine>[0]): Combined {
  const all = sources.flatMap(({ source, nodes = [] }) =>
    nodes.map((node) => ({ ...node, host: `${source}.${node.host}` }))
  );
  const nodes = all.toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
  return { nodes, sources: new Map(), conflicts: [], choice: undefined, nextAt: Infinity };
}

const BUGS: readonly SourcesBug[] = [
  {
    name: "treats an unreachable source as empty",
    policy: "union",
    emptiesWhenLost: true,
    found: /is gone, though it never left/,
  },
  {
    name: "drops the members of a source that has not answered since the start",
    policy: "union",
    forgets: true,
    combine: (sources, ...rest) => combine(sources.filter(({ isOwn }) => isOwn), ...rest),
    found: /is gone, though it never left/,
  },
  {
    name: "serves an address once per source",
    policy: "union",
    combine: everything,
    found: /is served twice|is gone/,
  },
  {
    name: "accepts any source where all are required",
    policy: "all",
    combine: (sources, _policy, context) => combine(sources, { policy: "union" }, context),
    found: /has ever had it/,
  },
  {
    name: "lets a source that has not answered remove unknown nodes",
    policy: "all",
    forgets: true,
    combine: (sources, ...rest) => combine(sources.map((each) => each.isOwn ? each : { ...each, nodes: [] }), ...rest),
    found: /is gone, though it never left/,
  },
  {
    name: "leaves its source as soon as it seems empty",
    policy: "first",
    combine: (sources, policy, context) =>
      combine(sources, policy.policy === "first" ? { ...policy, waitMs: 0 } : policy, context),
    found: /gives way to/,
  },
  {
    name: "returns to an earlier source without waiting",
    policy: "first",
    combine: (sources, policy, context) =>
      combine(sources, policy.policy === "first" ? { ...policy, returnAfterMs: 0 } : policy, context),
    found: /gives way to/,
  },
];

for (const bug of BUGS) {
  Deno.test(`the simulation finds a cluster of several registries that ${bug.name}`, () => {
    for (let seed = 1; seed <= SEEDS_FOR_A_BUG; seed++) {
      const fault = live(seed, bug.policy, bug);
      if (fault !== undefined) return assert.match(fault.split("\n")[0] ?? "", bug.found);
    }
    assert.fail(`no seed of ${SEEDS_FOR_A_BUG} found it`);
  });
}
