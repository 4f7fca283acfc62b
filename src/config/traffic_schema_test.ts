import assert from "node:assert/strict";
import { bad, good } from "../../tests/support/checked.ts";
import type { TrafficPolicy } from "../model/traffic.ts";
import { readCluster } from "./cluster_schema.ts";
import { overflowNames } from "./traffic_schema.ts";

function read(traffic: unknown) {
  return readCluster({ discovery: "zoo", haproxy: {}, traffic }, { fileName: "web", balancers: ["haproxy"] });
}

function policy(traffic: unknown): TrafficPolicy | undefined {
  return good(read(traffic)).traffic;
}

Deno.test("a cluster without traffic has no policy, and an empty one takes the registry's weights", () => {
  assert.equal(
    good(readCluster({ discovery: "zoo", haproxy: {} }, { fileName: "web", balancers: ["haproxy"] })).traffic,
    undefined,
  );
  assert.deepEqual(policy({}), { weight: { default: 100 }, warmUpMs: 0 });
});

Deno.test("traffic.weight is a number, or says where to read it", () => {
  assert.deepEqual(policy({ weight: 50 })?.weight, { fixed: 50, default: 100 });
  assert.deepEqual(policy({ weight: { from: "metadata.lb.weight", default: 10 } })?.weight, {
    from: { of: "metadata", path: ["lb", "weight"] },
    default: 10,
  });
  assert.deepEqual(policy({ weight: { from: "labels.weight" } })?.weight, {
    from: { of: "labels", path: ["weight"] },
    default: 100,
  });
});

Deno.test("traffic.slow_start has defaults for all that it does not say", () => {
  assert.deepEqual(policy({ slow_start: {} })?.slowStart, {
    delayMs: 0,
    rampMs: 60_000,
    from: 0.1,
    curve: "linear",
    graceMs: 60_000,
  });
  const whole = { delay: "10s", ramp: "2m", from: "25%", curve: "quadratic", grace: 0 };
  assert.deepEqual(policy({ slow_start: whole, warm_up: "30s" }), {
    weight: { default: 100 },
    slowStart: { delayMs: 10_000, rampMs: 120_000, from: 0.25, curve: "quadratic", graceMs: 0 },
    warmUpMs: 30_000,
  });
});

Deno.test("traffic.zones and traffic.overflow have defaults, and percentages are parts", () => {
  assert.deepEqual(policy({ zones: {} })?.zones, { spillBelow: 0.8, key: { of: "zone" } });
  assert.deepEqual(policy({ zones: { prefer: "local", spill_below: "50%", key: "labels.az" } })?.zones, {
    spillBelow: 0.5,
    key: { of: "labels", path: ["az"] },
  });
  assert.deepEqual(policy({ overflow: { clusters: ["b", "b"] } })?.overflow, {
    clusters: ["b"],
    below: 0.8,
    capacity: 0,
  });
  const { overflow } = policy({ overflow: { clusters: ["b"], below: "100%", capacity: 10 } }) ?? {};
  assert.deepEqual(overflow, { clusters: ["b"], below: 1, capacity: 10 });
});

Deno.test("a cluster that another names as its overflow may do without a balancer's section", () => {
  const options = { fileName: "spare", balancers: ["haproxy"] };
  assert.match(bad(readCluster({ discovery: "zoo" }, options)), /must have a section for at least one balancer/);
  good(readCluster({ discovery: "zoo" }, { ...options, overflow: ["spare"] }));
  good(readCluster({ discovery: "zoo", name: "other" }, { ...options, overflow: ["other"] }));
  bad(readCluster({ discovery: "zoo", name: "other" }, { ...options, overflow: ["spare"] }));
  assert.deepEqual(overflowNames({ traffic: { overflow: { clusters: ["a", 1] } } }), ["a"]);
  assert.deepEqual(overflowNames({ traffic: 1 }), []);
});

Deno.test.each([
  { traffic: { zones: { prefer: "x" } }, reason: /traffic\.zones\.prefer as it must be local/ },
  { traffic: { zones: { spill_below: 0 } }, reason: /spill_below as it must be a whole percentage from 1 to 100/ },
  { traffic: { zones: { key: "rack" } }, reason: /zones\.key as it must be zone, metadata\.KEY or labels\.NAME/ },
  { traffic: { overflow: {} }, reason: /Missing key traffic\.overflow\.clusters/ },
  { traffic: { overflow: { clusters: [] } }, reason: /clusters as it must be a list of names of clusters/ },
  { traffic: 1, reason: /traffic as it must be a map/ },
  { traffic: { weight: -1 }, reason: /traffic\.weight as it must be an integer from 0 to 65536/ },
  {
    traffic: { weight: { from: "weight" } },
    reason: /traffic\.weight\.from as it must be metadata\.KEY or labels\.NAME/,
  },
  {
    traffic: { slow_start: { ramp: "2d" } },
    reason: /traffic\.slow_start\.ramp as it must be a duration from 0s to 1h/,
  },
  { traffic: { slow_start: { from: "101%" } }, reason: /slow_start\.from as it must be a whole percentage/ },
  { traffic: { slow_start: { curve: "steep" } }, reason: /slow_start\.curve as it must be linear or quadratic/ },
])("traffic $traffic is rejected with a reason", ({ traffic, reason }) => {
  assert.match(bad(read(traffic)), reason);
});

Deno.test("an unknown key below traffic is a warning with its place", () => {
  const { value } = read({ slow_strat: {} });
  assert.deepEqual(value?.traffic, { weight: { default: 100 }, warmUpMs: 0 });
  assert.deepEqual(value?.unknownKeys.map(({ severity, path }) => [severity, path]), [["warning", [
    "traffic",
    "slow_strat",
  ]]]);
});
