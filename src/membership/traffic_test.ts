import assert from "node:assert/strict";
import type { AcceptedCluster } from "../config/accepted.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import { onlySource } from "../model/registry_source.ts";
import type { Node } from "../model/node.ts";
import type { NodeField, TrafficPolicy } from "../model/traffic.ts";
import { LiveTopology } from "./live_topology.ts";
import { decodeTopology, encodeTopology } from "./topology_file.ts";
import { Traffic } from "./traffic.ts";

const WALL = 1_700_000_000_000;
const SLOW: TrafficPolicy = {
  weight: { default: 100 },
  slowStart: { delayMs: 0, rampMs: 60_000, from: 0.1, curve: "linear", graceMs: 60_000 },
  warmUpMs: 0,
};

function node(host: string): Node {
  return { host, ip: "10.0.0.1", port: 80, metadata: {} };
}

function clusterOf(traffic: TrafficPolicy | undefined): AcceptedCluster {
  const cluster = { ...CLUSTER_DEFAULTS, name: "web", sources: [onlySource("zoo")], balancers: new Map(), traffic };
  return { cluster, sections: new Map([["haproxy", {}]]) };
}

/** What a writer knows, with a registry that a test controls. */
class Stage {
  readonly clock = new FakeClock();
  readonly live = new LiveTopology();
  wall = WALL;
  due = 0;
  readonly traffic: Traffic;
  readonly #cluster: AcceptedCluster;

  constructor({ policy = SLOW, wall = WALL }: { policy?: TrafficPolicy; wall?: number } = {}) {
    this.wall = wall;
    this.traffic = new Traffic({
      live: this.live,
      clock: this.clock,
      wallNow: () => this.wall,
      onDue: () => this.due++,
    });
    this.#cluster = this.apply(policy);
  }

  /** Applies a config with a policy; returns the cluster. */
  apply(policy: TrafficPolicy): AcceptedCluster {
    const cluster = clusterOf(policy);
    this.traffic.apply({ clusters: new Map([["web", cluster]]) });
    return cluster;
  }

  /** The registry reports these nodes. */
  has(...hosts: readonly string[]): void {
    if (this.live.replace({ cluster: "web", nodes: hosts.map(node) })) this.traffic.note("web");
  }

  /** The registries report the hosts of each source. */
  report(sources: Readonly<Record<string, string>>): void {
    const all = Object.entries(sources);
    const nodes = all.flatMap(([, hosts]) => [...hosts]).toSorted().map(node);
    const sourceOf = (name: string) => all.find(([, hosts]) => hosts.includes(name.charAt(0)))?.[0];
    this.live.replace({ cluster: "web", nodes }, { sourceOf, sinceMs: this.wall });
    this.traffic.note("web");
  }

  /** The weights by host. */
  get weights(): Record<string, number | undefined> {
    const { nodes } = this.traffic.share({
      balancer: "haproxy",
      cluster: this.#cluster,
      host: {},
      nodes: this.live.nodes("web") ?? [],
    });
    return Object.fromEntries(nodes.map(({ node, weight }) => [node.host, weight]));
  }

  /** Loses the registry for so long. */
  async outage(forMs: number): Promise<void> {
    this.live.markStale("web", { reason: "away", sinceMs: this.clock.now(), until: "connected" });
    await this.clock.advance(forMs);
    this.live.markConnected("web");
  }
}

Deno.test("the nodes of the first answer are not new, and one that joins later is", async () => {
  const stage = new Stage();
  stage.has("a", "b");
  assert.deepEqual(stage.weights, { a: 256, b: 256 });
  await stage.clock.advance(1_000);
  stage.has("a", "b", "c");
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 26 });
  await stage.clock.advance(61_000);
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 256 });
});

Deno.test("nodes that joined during an outage of the registry are new if it was short, and not if it was long", async () => {
  for (const [forMs, weight] of [[5_000, 26], [120_000, 256]] as const) {
    const stage = new Stage();
    stage.has("a");
    await stage.outage(forMs);
    stage.has("a", "b");
    assert.equal(stage.weights.b, weight);
    stage.has("a", "b", "c");
    assert.equal(stage.weights.c, 26, "what joins later joined while the registry was watched");
  }
});

Deno.test("a node has the weight, the ramp and the grace of the source that reports it", async () => {
  const slowStart = { delayMs: 0, rampMs: 60_000, from: 0.5, curve: "linear", graceMs: 1_000 } as const;
  const sources = [{ source: "etcd", weight: { fixed: 50, default: 100 }, slowStart }];
  const stage = new Stage({ policy: { ...SLOW, sources } });
  stage.report({ zoo: "ab", etcd: "c" });
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 128 });
  stage.report({ zoo: "a", etcd: "" });
  await stage.clock.advance(2_000);
  stage.report({ zoo: "ab", etcd: "c" });
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 6 }, "only the source's grace is over");
  await stage.clock.advance(61_000);
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 128 });
  stage.report({ zoo: "abc", etcd: "" });
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 256 });
});

Deno.test("nodes that a source reports in its first answer are not new", () => {
  const stage = new Stage();
  stage.report({ zoo: "a" });
  stage.live.markFirst("web");
  stage.report({ zoo: "a", etcd: "b" });
  assert.deepEqual(stage.weights, { a: 256, b: 256 });
  stage.report({ zoo: "a", etcd: "bc" });
  assert.deepEqual(stage.weights, { a: 256, b: 256, c: 26 });
});

Deno.test("an outage in which no node joined leaves the next node new", async () => {
  const stage = new Stage();
  stage.has("a");
  await stage.outage(120_000);
  stage.has("a");
  stage.has("a", "b");
  assert.equal(stage.weights.b, 26);
});

Deno.test("one timer wakes for all nodes, at most once a second, and none when nothing ramps", async () => {
  const stage = new Stage();
  stage.has("a");
  stage.has("a", ...Array.from({ length: 200 }, (_, i) => `n${i}`));
  void stage.weights;
  let wakes = 0;
  for (let s = 0; s < 62; s++) {
    await stage.clock.advance(1_000);
    if (stage.due === wakes) continue;
    assert.equal(stage.due, ++wakes);
    void stage.weights;
  }
  assert(wakes > 30 && wakes <= 61, `${wakes}`);
  await stage.clock.advance(600_000);
  assert.equal(stage.due, wakes);
});

Deno.test("a ramp continues over a restart, by the topology file, and setting the clock does not stop it", async () => {
  const stage = new Stage();
  stage.has("a");
  stage.has("a", "b");
  await stage.clock.advance(30_000);
  const half = stage.weights.b;
  const { clusters } = stage.live.topology;
  const confirmed = new Map([["web", WALL + 30_000]]);
  const text = await encodeTopology(clusters, { confirmed, sightings: stage.traffic.sightings });
  for (
    const [wall, weight] of [[WALL + 30_000, half], [WALL + 30_000 - 7_200_000, 26], [WALL + 7_200_000, 256]] as const
  ) {
    const decoded = await decodeTopology(text);
    assert(decoded.ok);
    const next = new Stage({ wall });
    next.traffic.restore(decoded.sightings, WALL + 30_000);
    next.has("a", "b");
    assert.equal(next.weights.b, weight, `at ${wall}`);
    await next.clock.advance(61_000);
    assert.equal(next.weights.b, 256);
  }
});

Deno.test("setting the clock while the writer runs moves no ramp", async () => {
  const stage = new Stage();
  stage.has("a");
  stage.has("a", "b");
  await stage.clock.advance(30_000);
  const half = stage.weights.b;
  stage.wall += 86_400_000;
  assert.equal(stage.weights.b, half);
});

Deno.test("nodes that a balancer finds down count once it reports them, and a repetition is no news", () => {
  const stage = new Stage({ policy: { ...SLOW, slowStart: { ...SLOW.slowStart!, delayMs: 10_000 } } });
  stage.has("a");
  stage.has("a", "b");
  assert.deepEqual(stage.weights, { a: 256, b: 0 });
  stage.traffic.noteDown("haproxy", new Map([["web", ["a:80"]], ["other", ["x:1"]]]));
  assert.equal(stage.due, 1);
  assert.deepEqual(stage.weights, { a: 256, b: 256 });
  stage.traffic.noteDown("haproxy", new Map([["web", ["a:80"]]]));
  assert.equal(stage.due, 1);
});

Deno.test("nodes that were found down are news once the balancer reports nothing about their cluster, and only then", () => {
  const stage = new Stage({ policy: { ...SLOW, slowStart: { ...SLOW.slowStart!, delayMs: 10_000 } } });
  stage.has("a");
  stage.has("a", "b");
  stage.traffic.noteDown("haproxy", new Map([["web", ["a:80"]]]));
  assert.deepEqual(stage.weights, { a: 256, b: 256 });
  stage.traffic.noteDown("haproxy", new Map());
  assert.equal(stage.due, 2);
  assert.deepEqual(stage.weights, { a: 256, b: 0 });
  stage.traffic.noteDown("haproxy", new Map([["web", []]]));
  stage.traffic.noteDown("haproxy", new Map());
  assert.equal(stage.due, 2);
});

Deno.test("members have the zones of an edited policy, and none of them is new because of it", () => {
  const stage = new Stage();
  stage.live.replace({
    cluster: "web",
    nodes: [{ ...node("a"), zone: "eu", metadata: { rack: "r1" } }, { ...node("b"), metadata: { rack: "r2" } }],
  });
  stage.traffic.note("web");
  const zonesBy = (key: NodeField | undefined) => {
    stage.apply(key === undefined ? SLOW : { ...SLOW, zones: { spillBelow: 0.5, key } });
    return Object.fromEntries([...stage.traffic.sightings.get("web") ?? []].map(([name, { zone }]) => [name, zone]));
  };
  assert.deepEqual(zonesBy({ of: "zone" }), { "a:80": "eu", "b:80": undefined });
  assert.deepEqual(zonesBy({ of: "metadata", path: ["rack"] }), { "a:80": "r1", "b:80": "r2" });
  assert.deepEqual(zonesBy(undefined), { "a:80": undefined, "b:80": undefined });
  assert.deepEqual(stage.weights, { a: 256, b: 256 });
});

Deno.test("a topology file without policies is unchanged", async () => {
  const members = new Map([["web", [node("a")]]]);
  const plain = await encodeTopology(members);
  assert.equal(await encodeTopology(members, { sightings: new Map() }), plain);
  assert.doesNotMatch(plain, /sightings/);
});

Deno.test("an override lasts for as long as it was set for, however the time of day was set before", () => {
  for (const movedMs of [-7_200_000, 0, 7_200_000]) {
    const stage = new Stage();
    stage.has("a", "b");
    stage.wall += movedMs;
    const said = { author: "alice", reason: "", sinceMs: stage.wall, untilMs: stage.wall + 600_000 };
    const { nodes } = stage.traffic.share({
      balancer: "haproxy",
      cluster: clusterOf(SLOW),
      host: {},
      nodes: stage.live.nodes("web") ?? [],
      overrides: new Map([["a:80", [{ ...said, kind: "drain" }]]]),
    });
    assert.deepEqual(nodes.map(({ state }) => state), ["drain", "ready"], `moved by ${movedMs} ms`);
    const { changesInMs } = stage.traffic.decided("haproxy", "web") ?? {};
    assert.equal(changesInMs, 600_000, `moved by ${movedMs} ms`);
  }
});
