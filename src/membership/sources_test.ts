import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { CLUSTER_DEFAULTS, GUARD_DEFAULTS, type GuardSettings } from "../model/cluster.ts";
import type { Node } from "../model/node.ts";
import { type Combine, type RegistrySource, sourceKey } from "../model/registry_source.ts";
import { LiveTopology } from "./live_topology.ts";
import { MembershipGuard } from "./membership_guard.ts";
import { SourceMembers } from "./source_members.ts";
import { watchesOf } from "./watches.ts";

/** A cluster `web` of several sources, whose registries a test controls. */
class Stage implements Disposable {
  readonly clock = new FakeClock();
  readonly live = new LiveTopology();
  readonly members = new SourceMembers();
  readonly log = new RecordingLogger();
  /** The sources that are asked again; `*` for all. */
  readonly asked: string[] = [];
  /** How often a change was reported. */
  changes = 0;
  readonly guard = new MembershipGuard({
    live: this.live,
    members: this.members,
    clock: this.clock,
    wallNow: () => 0,
    log: this.log,
    askAgain: (_cluster, source = "*") => void this.asked.push(source),
    onChange: () => void this.changes++,
  });

  apply(sources: readonly string[], combine: Combine = { policy: "union" }, guard: Partial<GuardSettings> = {}): this {
    const named = sources.map((name) => ({ name, key: name }));
    this.guard.apply(new Map([["web", { guard: { ...GUARD_DEFAULTS, ...guard }, sources: named, combine }]]));
    return this;
  }

  /** A source reports these hosts; returns the served ones. */
  hear(source: string, hosts: string, { exists = true, epoch = "1" } = {}): string {
    this.guard.hear({ cluster: "web", nodes: [...hosts].map(node), exists, epoch }, source);
    return this.served;
  }

  get served(): string {
    return (this.live.nodes("web") ?? []).map(({ host }) => host).join("");
  }

  [Symbol.dispose](): void {
    this.guard[Symbol.dispose]();
  }
}

function node(host: string): Node {
  return { host, ip: `10.0.0.${host.charCodeAt(0)}`, port: 80, metadata: {} };
}

Deno.test("a union serves the nodes of all sources and reports which source has each", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  assert.equal(stage.hear("zoo", "ab"), "ab");
  assert.equal(stage.hear("etcd", "bc"), "abc");
  assert.equal(stage.hear("zoo", "b"), "bc");
  assert.deepEqual(Object.fromEntries(stage.guard.owners("web")), { "b:80": ["zoo", "etcd"], "c:80": ["etcd"] });
  assert.equal(stage.live.origins("web").get("c:80")?.source, "etcd");
});

Deno.test("the nodes of a source's first answer may have existed before, and those of its next are new", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  stage.hear("zoo", "a");
  stage.live.takeOutage("web");
  stage.hear("etcd", "b");
  assert.equal(stage.live.takeOutage("web"), -Infinity);
  stage.hear("etcd", "bc");
  assert.equal(stage.live.takeOutage("web"), undefined);
});

Deno.test("a member that another source has now is a change, although the members are the same", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  stage.hear("zoo", "ab");
  stage.hear("etcd", "b");
  const before = stage.changes;
  assert.equal(stage.hear("etcd", "b"), "ab");
  assert.equal(stage.changes, before);
  assert.equal(stage.hear("zoo", "a"), "ab");
  assert.equal(stage.live.origins("web").get("b:80")?.source, "etcd");
  assert.equal(stage.changes, before + 1);
});

Deno.test("an unreachable source keeps its last members, and makes the cluster stale until it is back", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  stage.hear("zoo", "a");
  stage.hear("etcd", "b");
  stage.guard.lostSight([{ cluster: "web", source: "etcd" }], "no route", { until: "connected" });
  assert.equal(stage.hear("zoo", "c"), "bc");
  assert.equal(stage.live.stale("web")?.reason, "etcd: no route");
  stage.guard.connected([{ cluster: "web", source: "etcd" }]);
  assert.equal(stage.live.stale("web"), undefined);
});

Deno.test("a wiped source is held by itself, and the other one continues", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  stage.hear("zoo", "a");
  stage.hear("etcd", "bc");
  assert.equal(stage.hear("etcd", "", { exists: false, epoch: "2" }), "abc");
  assert.equal(stage.hear("etcd", "b", { epoch: "2" }), "abc");
  assert.equal(stage.hear("zoo", "d"), "bcd");
  assert.equal(stage.guard.sourceHold({ cluster: "web", source: "etcd" })?.cause, "behind");
  stage.clock.advance(5_000);
  assert.deepEqual(stage.asked, ["etcd"]);
  assert.equal(stage.hear("etcd", "b", { epoch: "2" }), "bd");
});

Deno.test("a first answer that lacks nodes of an earlier run is confirmed before a node is removed", () => {
  using stage = new Stage();
  stage.live.adopt("web", [node("a"), node("b")]);
  stage.members.adopt({ cluster: "web", source: "zoo" }, [node("a")]);
  stage.members.adopt({ cluster: "web", source: "etcd" }, [node("b")]);
  stage.apply(["zoo", "etcd"]);
  assert.equal(stage.hear("zoo", "c"), "abc", "etcd has not reported: what it had is served");
  stage.clock.advance(5_000);
  assert.equal(stage.hear("zoo", "c"), "bc");
  assert.deepEqual([
    stage.guard.heard({ cluster: "web", source: "zoo" }),
    stage.guard.heard({ cluster: "web", source: "etcd" }),
  ], [
    true,
    false,
  ]);
});

Deno.test("the guard of the cluster judges the combination of its sources", () => {
  using stage = new Stage().apply(["zoo", "etcd"], { policy: "union" }, { minNodes: 2 });
  stage.hear("zoo", "ab");
  stage.hear("etcd", "a");
  assert.equal(stage.hear("zoo", "a"), "ab");
  assert.equal(stage.guard.hold("web")?.cause, "few");
  assert.equal(stage.hear("etcd", "ac"), "ac");
});

Deno.test("a changed list keeps the members of a source that left it until the new ones have reported", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  stage.hear("zoo", "a");
  stage.hear("etcd", "b");
  stage.apply(["zoo", "serf"]);
  assert.equal(stage.hear("zoo", "ac"), "abc");
  assert.equal(stage.hear("serf", "d"), "acd");
  stage.apply(["serf"]);
  assert.deepEqual(stage.asked, ["*"], "the only source is asked again");
  assert.equal(stage.hear("serf", "d"), "d");
});

Deno.test("a new source that does not have the cluster yet removes no node and keeps none", () => {
  using stage = new Stage().apply(["zoo"]);
  stage.hear("zoo", "ab");
  stage.apply(["zoo", "etcd"]);
  assert.equal(stage.hear("etcd", "", { exists: false }), "ab");
  assert.equal(stage.hear("zoo", "b"), "b");
});

Deno.test("all keeps serving while a registry does not have the cluster yet, and only nodes in both once it does", () => {
  using stage = new Stage().apply(["zoo"]);
  assert.equal(stage.hear("zoo", "ab"), "ab");
  stage.apply(["zoo", "serf"], { policy: "all", match: "host" });
  assert.equal(stage.hear("serf", "", { exists: false }), "ab");
  stage.clock.advance(10_000);
  stage.hear("zoo", "ab");
  assert.equal(stage.hear("serf", "", { exists: false }), "ab");
  assert.equal(stage.hear("serf", "ac"), "a");
});

Deno.test("what an only source was held for is requested again when a second one is added", () => {
  using stage = new Stage().apply(["zoo"]);
  stage.hear("zoo", "ab");
  stage.hear("zoo", "a", { epoch: "2" });
  stage.apply(["zoo", "etcd"]);
  assert.deepEqual(stage.asked, ["*"]);
});

Deno.test("a node that two sources describe differently is reported once for as long as they do", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  const heavy = { ...node("a"), weight: 9 };
  stage.guard.hear({ cluster: "web", nodes: [{ ...node("a"), weight: 1 }], exists: true, epoch: "1" }, "zoo");
  for (let i = 0; i < 3; i++) stage.guard.hear({ cluster: "web", nodes: [heavy], exists: true, epoch: "1" }, "etcd");
  assert.equal(stage.live.nodes("web")?.[0]?.weight, 1);
  assert.equal(stage.log.take().filter((line) => JSON.stringify(line).includes("disagree")).length, 1);
  assert.deepEqual(stage.guard.conflicts("web"), [{ node: "a:80", kept: "zoo", ignored: "etcd", keys: ["weight"] }]);
});

Deno.test("first takes the next source after wait, without a report of any registry", () => {
  using stage = new Stage().apply(["etcd", "zoo"], { policy: "first", waitMs: 5_000, returnAfterMs: 60_000 });
  stage.hear("zoo", "b");
  assert.equal(stage.served, "");
  stage.clock.advance(5_000);
  assert.deepEqual([stage.served, stage.guard.chosen("web")], ["b", "zoo"]);
  stage.hear("etcd", "a");
  stage.clock.advance(59_999);
  assert.equal(stage.served, "b");
  stage.clock.advance(1);
  assert.deepEqual([stage.served, stage.guard.chosen("web")], ["a", "etcd"]);
});

/** An item of a list. */
function item(name: string, options?: RegistrySource["options"]): RegistrySource {
  const discovery = name.split("#")[0] ?? name;
  return { name, discovery, ...options && { options }, at: { name: [], options: [] } };
}

function watches(sources: readonly RegistrySource[], before?: ReturnType<typeof watchesOf>) {
  const cluster = { ...CLUSTER_DEFAULTS, name: "web", sources, balancers: new Map() };
  return watchesOf([{ cluster, sections: new Map() }], {
    discovery: new Set(["etcd", "zoo"]) as never as ReadonlyMap<string, unknown>,
    before: [...before?.values() ?? []].flatMap((each) => [...each.values()]),
  });
}

const idsOf = (all: ReturnType<typeof watchesOf>) =>
  [...all].flatMap(([discovery, each]) => [...each].map(([id, { source }]) => `${discovery} ${id} ${source}`));

Deno.test("several places of one registry are watched under names of their own, and keep them when another leaves", () => {
  const [a, b] = [item("etcd", { path: "/a" }), item("etcd#2", { path: "/b" })];
  const both = watches([item("zoo"), a, b]);
  assert.deepEqual(idsOf(both), ["zoo web zoo", `etcd web ${sourceKey(a)}`, `etcd web#2 ${sourceKey(b)}`]);
  const later = watches([item("zoo"), item("etcd", { path: "/b" })], both);
  assert.deepEqual(idsOf(later), ["zoo web zoo", `etcd web#2 ${sourceKey(b)}`]);
  assert.deepEqual(
    idsOf(watches([b], later)),
    [`etcd web ${sourceKey(b)}`],
    "an only source is named like its cluster",
  );
});

Deno.test("sourceKey() names the same options alike in any order, and reveals none of them", () => {
  const key = sourceKey({ discovery: "etcd", options: { path: "/a", token: "hunter2" } });
  assert.equal(key, sourceKey({ discovery: "etcd", options: { token: "hunter2", path: "/a" } }));
  assert.notEqual(key, sourceKey({ discovery: "etcd", options: { path: "/b", token: "hunter2" } }));
  assert.match(key, /^etcd@[0-9a-f]{16}$/);
  assert.equal(sourceKey({ discovery: "etcd", options: {} }), "etcd");
});

/** The conflicts that were logged: the node, and how many there were. */
function logged(stage: Stage): readonly string[] {
  return stage.log.records.flatMap(({ properties: { event, node, nodes = 1 } = {} }) =>
    event === "cluster.conflict" ? [`${node} ${nodes}`] : []
  );
}

Deno.test("a contradiction that comes and goes is logged once an hour, and many of them five a minute", () => {
  using stage = new Stage().apply(["zoo", "etcd"]);
  const hear = (source: string, weights: Readonly<Record<string, number>>) => {
    const nodes = Object.entries(weights).map(([host, weight]) => ({ ...node(host), weight }));
    stage.guard.hear({ cluster: "web", nodes, exists: true, epoch: "1" }, source);
  };
  hear("zoo", { a: 1 });
  for (let i = 0; i < 100; i++) {
    hear("etcd", { a: 2 });
    hear("etcd", { a: 1 });
    stage.clock.advance(1_000);
  }
  assert.deepEqual(logged(stage), ["a:80 1"]);
  stage.clock.advance(3_600_000);
  hear("etcd", { a: 1 });
  hear("etcd", { a: 2 });
  assert.deepEqual(logged(stage), ["a:80 1", "a:80 1"]);
  stage.clock.advance(60_000);
  const weights = (hosts: string, weight: number) => Object.fromEntries([...hosts].map((host) => [host, weight]));
  const [eight, twenty] = ["abcdefgh", "ijklmnopqrstuvwxyzAB"];
  hear("zoo", weights(eight + twenty, 1));
  hear("etcd", weights(eight, 2));
  for (let i = 0; i < twenty.length; i++) {
    stage.clock.advance(1_000);
    hear("etcd", weights(eight + twenty.slice(0, i + 1), 2));
  }
  assert.deepEqual(logged(stage).slice(2), [..."bcdef"].map((host) => `${host}:80 7`));
  stage.clock.advance(60_000);
  assert.deepEqual(logged(stage).slice(7), [..."xyzAB"].map((host) => `${host}:80 20`));
  assert.equal(stage.guard.conflicts("web").length, 28);
});
