import assert from "node:assert/strict";
import { bad, good } from "../../tests/support/checked.ts";
import type { TrafficPolicy } from "../model/traffic.ts";
import { readCluster } from "./cluster_schema.ts";
import { readService } from "./service_schema.ts";
import { overflowNames } from "./traffic_schema.ts";

function read(traffic: unknown) {
  return readCluster({ discovery: "zoo", haproxy: {}, traffic }, { fileName: "web", balancers: ["haproxy"] });
}

function policy(traffic: unknown): TrafficPolicy | undefined {
  return good(read(traffic)).traffic;
}

Deno.test("a cluster without traffic has no policy, and with an empty one the registry's weights", () => {
  assert.equal(
    good(readCluster({ discovery: "zoo", haproxy: {} }, { fileName: "web", balancers: ["haproxy"] })).traffic,
    undefined,
  );
  assert.deepEqual(policy({}), { weight: { default: 100 }, warmUpMs: 0 });
});

Deno.test("traffic.weight is a number, or names its source", () => {
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

Deno.test("an item of discovery has its own traffic, beside that of the cluster", () => {
  const names = { fileName: "web", balancers: ["haproxy"], discovery: ["zoo", "etcd"] };
  const discovery = [
    "zoo",
    { etcd: { path: "/a" }, traffic: { weight: 20 } },
    { etcd: null, traffic: { weight: { from: "labels.w" }, slow_start: { ramp: "30s" } } },
  ];
  const { traffic, sources } = good(readCluster({ discovery, haproxy: {} }, names));
  assert.deepEqual(sources.map(({ name, options }) => [name, options]), [
    ["zoo", undefined],
    ["etcd", { path: "/a" }],
    ["etcd#2", undefined],
  ]);
  assert.deepEqual(traffic, {
    weight: { default: 100 },
    sources: [
      { source: "etcd", weight: { fixed: 20, default: 100 } },
      {
        source: "etcd#2",
        weight: { from: { of: "labels", path: ["w"] }, default: 100 },
        slowStart: { delayMs: 0, rampMs: 30_000, from: 0.1, curve: "linear", graceMs: 60_000 },
      },
    ],
    warmUpMs: 0,
  });
  const both = good(readCluster({ discovery, traffic: { weight: 7 }, haproxy: {} }, names)).traffic;
  assert.deepEqual([both?.weight, both?.sources?.length], [{ fixed: 7, default: 100 }, 2]);
});

Deno.test.each([
  {
    traffic: { weight: { default: 50 } },
    message: "Missing key discovery[0].traffic.weight.from: must be metadata.KEY or labels.NAME",
  },
  {
    traffic: { weight: -1 },
    message: "Cannot use discovery[0].traffic.weight: must be an integer from 0 to 65536; current value is -1",
  },
  {
    traffic: { slow_start: null },
    message: "Cannot use discovery[0].traffic.slow_start: must be a map; current value is null",
  },
  { traffic: 5, message: "Cannot use discovery[0].traffic: must be a map; current value is 5" },
])("an item's traffic $traffic is an error: $message", ({ traffic, message }) => {
  const names = { fileName: "web", balancers: ["haproxy"], discovery: ["zoo"] };
  const { findings } = readCluster({ discovery: [{ zoo: {}, traffic }], haproxy: {} }, names);
  assert.deepEqual(findings.map((each) => each.message), [message]);
});

Deno.test("policies of all sources are rejected in an item's traffic, and a service's items have none", () => {
  const discovery = [{ zoo: {}, traffic: { zones: {} } }];
  const names = { fileName: "web", balancers: ["haproxy"], discovery: ["zoo"] };
  const { unknownKeys } = good(readCluster({ discovery, haproxy: {} }, names));
  assert.deepEqual(unknownKeys.map(({ message }) => message), [
    "Unknown key discovery[0].traffic.zones is ignored: known keys are slow_start, weight",
  ]);
  const service = readService({ port: 80, discovery: [{ zoo: {}, traffic: {} }] }, {
    fileName: "web",
    discovery: ["zoo"],
  });
  assert.match(service.findings.map(({ message }) => message).join("\n"), /^Unknown key discovery\[0\]\.traffic/m);
});

Deno.test("traffic.slow_start has defaults for missing keys", () => {
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

Deno.test("traffic.zones and traffic.overflow have defaults, and percentages become fractions", () => {
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

Deno.test("a cluster named as another's overflow needs no balancer's section", () => {
  const options = { fileName: "spare", balancers: ["haproxy"] };
  assert.match(bad(readCluster({ discovery: "zoo" }, options)), /must have a section for at least one balancer/);
  good(readCluster({ discovery: "zoo" }, { ...options, overflow: ["spare"] }));
  good(readCluster({ discovery: "zoo", name: "other" }, { ...options, overflow: ["other"] }));
  bad(readCluster({ discovery: "zoo", name: "other" }, { ...options, overflow: ["spare"] }));
  assert.deepEqual(overflowNames({ traffic: { overflow: { clusters: ["a", 1] } } }), ["a"]);
  assert.deepEqual(overflowNames({ traffic: 1 }), []);
});

Deno.test.each([
  { traffic: { zones: { prefer: "x" } }, reason: /traffic\.zones\.prefer: must be local/ },
  { traffic: { zones: { spill_below: 0 } }, reason: /spill_below: must be a whole percentage from 1 to 100/ },
  { traffic: { zones: { key: "rack" } }, reason: /zones\.key: must be zone, metadata\.KEY or labels\.NAME/ },
  { traffic: { overflow: {} }, reason: /Missing key traffic\.overflow\.clusters/ },
  { traffic: { overflow: { clusters: [] } }, reason: /clusters: must be a list of cluster names/ },
  { traffic: 1, reason: /traffic: must be a map/ },
  { traffic: { weight: -1 }, reason: /traffic\.weight: must be an integer from 0 to 65536/ },
  {
    traffic: { weight: { from: "weight" } },
    reason: /traffic\.weight\.from: must be metadata\.KEY or labels\.NAME/,
  },
  {
    traffic: { slow_start: { ramp: "2d" } },
    reason: /traffic\.slow_start\.ramp: must be a duration from 0s to 1h/,
  },
  { traffic: { slow_start: { from: "101%" } }, reason: /slow_start\.from: must be a whole percentage/ },
  { traffic: { slow_start: { curve: "steep" } }, reason: /slow_start\.curve: must be linear or quadratic/ },
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
