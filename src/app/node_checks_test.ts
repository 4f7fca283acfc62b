import assert from "node:assert/strict";
import fc from "fast-check";
import { eventually } from "../../tests/support/eventually.ts";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { type AcceptedCluster, ANY_NODE } from "../config/accepted.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { seededRandom } from "../kernel/random.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import type { Node } from "../model/node.ts";
import type { HealthPolicy, NodeCheck, NodeHealth } from "../model/traffic.ts";
import type { ProbeOutcome } from "../plugin/contract.ts";
import type { PluginInstance } from "../plugin/instance.ts";
import { assignProbes, type Crews, NodeChecks, nodeProbes, NODES_PER_WORKER, OWN_WORKERS_MAX } from "./node_checks.ts";

const CHECK: NodeCheck = { name: "http", type: "http", rise: 2, fall: 2, timeoutMs: 1_000, config: {} };
const INSTANCE: PluginInstance = {
  id: "health web/http",
  kind: "check",
  module: "builtin:check/http",
  config: { uri: "/health" },
  scope: { instance: "health web/http", target: ANY_NODE },
  granted: { net: [ANY_NODE], read: ["/etc/ca.pem"] },
};

function node(i: number, more: Partial<Node> = {}): Node {
  return { host: `n${i}`, ip: `10.0.0.${i}`, port: 80, metadata: {}, ...more };
}

function cluster({ check = {}, health = {}, overflow = [] }: {
  check?: Partial<NodeCheck>;
  health?: Partial<HealthPolicy>;
  overflow?: readonly string[];
} = {}): AcceptedCluster {
  const policy: HealthPolicy = {
    intervalMs: 1_000,
    isolation: "shared",
    panicBelow: 0,
    checks: [{ ...CHECK, ...check }],
    ...health,
  };
  return {
    cluster: {
      ...CLUSTER_DEFAULTS,
      name: "web",
      sources: [],
      balancers: new Map(),
      traffic: {
        weight: { default: 100 },
        warmUpMs: 0,
        health: policy,
        ...overflow.length > 0 && { overflow: { clusters: overflow, below: 1, capacity: 0 } },
      },
    },
    sections: new Map([["haproxy", {}]]),
    nodeChecks: [{ check: { ...CHECK, ...check }, instance: INSTANCE }],
  };
}

function instances(names: readonly number[]): readonly PluginInstance[] {
  return names.map((i) => ({ ...INSTANCE, id: `health web/http n${i}:80` }));
}

Deno.test("a check of a node may reach only that node, and keeps its other permissions", () => {
  const [probe] = nodeProbes(cluster(), () => [node(1)]);
  assert.equal(probe?.instance?.id, "health web/http n1:80");
  assert.equal(probe.instance.scope.target, "10.0.0.1:80");
  assert.deepEqual(probe.instance.granted, { net: ["10.0.0.1:80"], read: ["/etc/ca.pem"] });
});

Deno.test("a node is probed at its own port, another port, or a port from its metadata; without one it cannot be checked", () => {
  const target = (check: Partial<NodeCheck>, of: Node) => {
    const [{ instance, obstacle } = {}] = nodeProbes(cluster({ check }), () => [of]);
    return instance?.scope.target ?? obstacle;
  };
  const named = node(1, { ip: "::1", metadata: { ports: { admin: 8_081, odd: "x" } } });
  assert.equal(target({}, named), "[::1]:80");
  assert.equal(target({ port: 9_000 }, named), "[::1]:9000");
  assert.equal(target({ portName: "admin" }, named), "[::1]:8081");
  assert.equal(target({ portName: "odd" }, named), "the node has no port odd in metadata.ports");
  assert.equal(target({ portName: "toString" }, named), "the node has no port toString in metadata.ports");
});

Deno.test("the nodes of overflow clusters are checked too, and a node in both only once, as a member", () => {
  const members: Record<string, readonly Node[]> = { web: [node(1)], spare: [node(1, { ip: "10.9.9.9" }), node(2)] };
  const probes = nodeProbes(cluster({ overflow: ["spare"] }), (name) => members[name] ?? []);
  assert.deepEqual(probes.map(({ instance }) => instance?.scope.target), ["10.0.0.1:80", "10.0.0.2:80"]);
});

Deno.test("50 nodes share a worker, and an added or removed node changes one worker", () => {
  const all = Array.from({ length: 120 }, (_, i) => i);
  const first = assignProbes("k", instances(all), { before: new Map(), isolation: "shared" });
  assert.deepEqual(first.specs.map(({ instances }) => instances.length), [50, 50, 20]);
  const changed = (after: readonly number[]) => {
    const { specs } = assignProbes("k", instances(after), { before: first.crews, isolation: "shared" });
    const before = new Set(first.specs.map((spec) => JSON.stringify(spec)));
    return specs.filter((spec) => !before.has(JSON.stringify(spec))).map(({ key }) => key);
  };
  assert.deepEqual(changed([...all, 500]), ["k 3"]);
  assert.deepEqual(changed(all.filter((i) => i !== 7)), ["k 1"]);
  assert.deepEqual(changed(all), []);
});

Deno.test("isolation: worker gives each node its own, at most 200, and existing ones are kept", () => {
  const all = Array.from({ length: OWN_WORKERS_MAX + 3 }, (_, i) => i);
  const first = assignProbes("k", instances(all), { before: new Map(), isolation: "worker" });
  assert.equal(first.specs.length, OWN_WORKERS_MAX);
  assert.deepEqual([...first.without], [200, 201, 202].map((i) => `health web/http n${i}:80`));
  const then = assignProbes("k", instances([900, ...all.slice(1)]), { before: first.crews, isolation: "worker" });
  assert.equal(then.specs.length, OWN_WORKERS_MAX);
  assert(!then.without.has("health web/http n1:80"));
});

Deno.test("under any churn each node has one worker, no worker has too many, and few are half-empty", () => {
  const step = fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { maxLength: 200 });
  fc.assert(fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
    let crews: Crews = new Map();
    for (const names of steps) {
      const assigned = assignProbes("k", instances(names), { before: crews, isolation: "shared" });
      crews = assigned.crews;
      const ids = assigned.specs.flatMap(({ instances }) => instances.map(({ id }) => id));
      assert.deepEqual(ids.toSorted(), instances(names).map(({ id }) => id).toSorted());
      assert(assigned.specs.every(({ instances }) => instances.length <= NODES_PER_WORKER && instances.length > 0));
      assert(assigned.specs.length <= 2 * Math.ceil(names.length / NODES_PER_WORKER));
      assert.equal(assigned.without.size, 0);
    }
  }));
});

/** Checks of a cluster whose nodes answer as a test says. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  nodes: readonly Node[] = [node(1), node(2)];
  /** What a probe of each node answers; others pass. */
  readonly answers = new Map<string, ProbeOutcome>();
  readonly health = new Map<string, NodeHealth["state"]>();
  workers = 0;
  readonly checks = new NodeChecks({
    clock: this.clock,
    random: seededRandom(1),
    log: this.log,
    nodes: (name) => name === "web" ? this.nodes : [],
    probe: (id) => Promise.resolve(this.answers.get(id.split(" ").at(-1) ?? "") ?? { status: "pass" }),
    onWorkers: () => this.workers++,
    onHealth: (_cluster, health) => {
      this.health.clear();
      for (const [name, { state }] of health) this.health.set(name, state);
    },
  });

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) await this.clock.advance(50);
  }

  async until(wanted: Readonly<Record<string, NodeHealth["state"]>>): Promise<void> {
    await eventually(`health is ${JSON.stringify(wanted)}`, async () => {
      await this.pass(100);
      return JSON.stringify(Object.fromEntries(this.health)) === JSON.stringify(wanted);
    });
  }

  events(): readonly string[] {
    return this.log.records.map(({ properties: { event, nodes } = {} }) => `${event} ${nodes}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.checks[Symbol.asyncDispose]();
  }
}

Deno.test("verdicts follow fall and rise, survive the replacement of workers, and end with their node", async () => {
  await using bench = new Bench();
  bench.checks.apply({ clusters: new Map([["web", cluster()]]) });
  await bench.until({ "n1:80": "passing", "n2:80": "passing" });
  bench.answers.set("n2:80", { status: "fail", reason: "Got status 500" });
  await bench.until({ "n1:80": "passing", "n2:80": "failing" });
  bench.nodes = [...bench.nodes, node(3)];
  bench.checks.note();
  await bench.until({ "n1:80": "passing", "n2:80": "failing", "n3:80": "passing" });
  assert.equal(bench.workers, 1);
  assert.deepEqual(bench.checks.workers.map(({ key, instances }) => [key, instances.length]), [[
    "health web/http 1",
    3,
  ]]);
  // What nobody can tell leaves a verdict as it is, for however long.
  bench.answers.set("n2:80", { status: "unknown", reason: "no worker" });
  bench.answers.set("n1:80", { status: "unknown", reason: "no open files" });
  await bench.until({ "n1:80": "unknown", "n2:80": "failing", "n3:80": "passing" });
  await bench.pass(300_000);
  assert.deepEqual(Object.fromEntries(bench.health), { "n1:80": "unknown", "n2:80": "failing", "n3:80": "passing" });
  bench.answers.clear();
  await bench.until({ "n1:80": "passing", "n2:80": "passing", "n3:80": "passing" });
  bench.nodes = [node(1)];
  bench.checks.note();
  await bench.until({ "n1:80": "passing" });
  assert.deepEqual(bench.events(), [
    "node.failing 1",
    "node.unknown 1",
    "node.known 1",
    "node.passing 1",
  ]);
  bench.checks.apply({ clusters: new Map() });
  assert.deepEqual([bench.health.size, bench.checks.workers.length], [0, 0]);
});

Deno.test("too many nodes for isolation: worker are logged once, and those without a worker keep their shares", async () => {
  await using bench = new Bench();
  bench.nodes = Array.from({ length: OWN_WORKERS_MAX + 1 }, (_, i) => node(i, { ip: `10.0.1.${i % 250}` }));
  bench.checks.apply({ clusters: new Map([["web", cluster({ health: { isolation: "worker" } })]]) });
  bench.checks.apply({ clusters: new Map([["web", cluster({ health: { isolation: "worker" } })]]) });
  assert.deepEqual(bench.events().filter((each) => each.startsWith("node.crowded")), ["node.crowded 1"]);
  assert.equal([...bench.health.values()].filter((state) => state === "unknown").length, 1);
  assert.equal(bench.checks.workers.length, OWN_WORKERS_MAX);
});
