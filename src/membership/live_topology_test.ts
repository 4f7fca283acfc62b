import assert from "node:assert/strict";
import fc from "fast-check";
import { type Node, nodeName } from "../model/node.ts";
import { LiveTopology, type Stale } from "./live_topology.ts";

const AWAY: Stale = { reason: "connection lost", sinceMs: 5, until: "connected" };

function node(host: string, { port = 80, metadata = {} }: { port?: number; metadata?: Node["metadata"] } = {}): Node {
  return { host, ip: "10.0.0.1", port, metadata };
}

/** The content of a topology, as `web: a.int b.int`. */
function outline(live: LiveTopology): readonly string[] {
  return [...live.topology.clusters].map(([name, nodes]) => `${name}: ${nodes.map(({ host }) => host).join(" ")}`);
}

Deno.test("LiveTopology keeps what a registry reported last, sorted by cluster", () => {
  const live = new LiveTopology();
  assert.equal(live.replace({ cluster: "web", nodes: [node("a"), node("b")] }), true);
  assert.equal(live.replace({ cluster: "db", nodes: [node("c")] }), true);
  assert.equal(live.replace({ cluster: "web", nodes: [node("b")] }), true);
  assert.deepEqual(outline(live), ["db: c", "web: b"]);
});

Deno.test("LiveTopology: a cluster is empty if the registry says so, which differs from an unknown one", () => {
  const live = new LiveTopology();
  assert.equal(live.replace({ cluster: "web", nodes: [] }), true, "it is news that it is empty");
  assert.deepEqual(outline(live), ["web: "]);
  assert.equal(live.heard("web"), true);
  assert.equal(live.heard("db"), false);
  assert.equal(live.topology.clusters.has("db"), false);
});

Deno.test("LiveTopology: a cluster is stale since the first loss, until its connection is back", () => {
  const live = new LiveTopology();
  live.replace({ cluster: "web", nodes: [node("a")] });
  live.markStale("web", AWAY);
  live.markStale("web", { ...AWAY, reason: "still away", sinceMs: 90 });
  assert.deepEqual(live.stale("web"), { ...AWAY, reason: "still away" });
  live.markConnected("web");
  assert.equal(live.stale("web"), undefined, "its watch continues, and reports changes");
});

Deno.test("LiveTopology: a cluster whose watch is lost stays stale until it is reported again", () => {
  const live = new LiveTopology();
  live.replace({ cluster: "web", nodes: [node("a")] });
  live.markStale("web", { reason: "the watch failed", sinceMs: 1, until: "told" });
  live.markStale("web", AWAY);
  live.markConnected("web");
  assert.equal(live.stale("web")?.sinceMs, 1);
  live.replace({ cluster: "web", nodes: [node("a")] });
  assert.equal(live.stale("web"), undefined);
});

Deno.test("LiveTopology.generation() is the one in which a cluster's members were set", () => {
  const live = new LiveTopology();
  assert.equal(live.generation("web"), undefined);
  live.adopt("web", [node("a")]);
  live.replace({ cluster: "db", nodes: [node("d")] });
  live.replace({ cluster: "web", nodes: [node("a")] });
  assert.deepEqual(["web", "db"].map((name) => live.generation(name)), [1, 2]);
  live.replace({ cluster: "web", nodes: [] });
  assert.deepEqual([live.generation("web"), live.topology.generation], [3, 3]);
});

Deno.test("LiveTopology: an unreachable registry removes nothing", () => {
  const live = new LiveTopology();
  live.replace({ cluster: "web", nodes: [node("a")] });
  const before = live.topology;
  live.markStale("web", AWAY);
  assert.deepEqual(live.topology, before);
  assert.deepEqual(live.stale("web"), AWAY);
  assert.equal(live.heard("web"), true);
  assert.equal(live.replace({ cluster: "web", nodes: [node("a")] }), false);
  assert.equal(live.stale("web"), undefined, "it is watched again");
});

Deno.test("LiveTopology knows nothing of a cluster that was never reported", () => {
  const live = new LiveTopology();
  live.markStale("web", AWAY);
  assert.equal(live.stale("web"), undefined);
  assert.equal(live.topology.clusters.size, 0);
});

Deno.test("LiveTopology serves adopted members until a registry reports, and never overrules a registry", () => {
  const live = new LiveTopology();
  live.adopt("web", [node("old")]);
  assert.deepEqual(outline(live), ["web: old"]);
  assert.equal(live.heard("web"), false);
  live.adopt("web", [node("older")]);
  assert.deepEqual(outline(live), ["web: old"]);
  live.markStale("web", AWAY);
  assert.equal(live.heard("web"), false);
  assert.deepEqual(outline(live), ["web: old"]);
  assert.equal(live.replace({ cluster: "web", nodes: [] }), true);
  live.adopt("web", [node("older")]);
  assert.deepEqual(outline(live), ["web: "]);
  assert.equal(live.heard("web"), true);
});

Deno.test("LiveTopology: a registry that confirms adopted members has reported, and changes nothing", () => {
  const live = new LiveTopology();
  live.adopt("web", [node("a")]);
  const { generation } = live.topology;
  assert.equal(live.replace({ cluster: "web", nodes: [node("a")] }), false);
  assert.equal(live.heard("web"), true);
  assert.equal(live.topology.generation, generation);
});

Deno.test.each([
  { why: "another node", nodes: [node("b")] },
  { why: "one node more", nodes: [node("a"), node("b")] },
  { why: "one node less", nodes: [] },
  { why: "another port", nodes: [node("a", { port: 81 })] },
  { why: "another address of the same name", nodes: [{ ...node("a"), ip: "10.0.0.2" }] },
  { why: "other metadata", nodes: [node("a", { metadata: { zone: "b" } })] },
  { why: "a peer", nodes: [{ ...node("a"), peer: { name: "a", ip: "10.0.0.1", port: 1024 } }] },
])("LiveTopology.replace() sees $why", ({ nodes }) => {
  const live = new LiveTopology();
  live.replace({ cluster: "web", nodes: [node("a")] });
  const { generation } = live.topology;
  assert.equal(live.replace({ cluster: "web", nodes }), true);
  assert.equal(live.topology.generation, generation + 1);
});

Deno.test("LiveTopology forgets nothing: a cluster may return while its registry is unreachable", () => {
  const live = new LiveTopology();
  live.replace({ cluster: "a", nodes: [node("a")] });
  live.replace({ cluster: "b", nodes: [node("b")] });
  live.markStale("a", AWAY);
  assert.deepEqual(outline(live), ["a: a", "b: b"]);
});

Deno.test("LiveTopology: a topology that was returned does not change any more", () => {
  const live = new LiveTopology();
  live.replace({ cluster: "web", nodes: [node("a")] });
  const before = live.topology;
  live.replace({ cluster: "web", nodes: [] });
  assert.equal(before.clusters.get("web")?.length, 1);
});

Deno.test("LiveTopology knows of each cluster what its registry reported last, whatever else happens", () => {
  const cluster = fc.constantFrom("a", "b", "c");
  const nodes = fc.uniqueArray(fc.constantFrom("x", "y", "z"), { maxLength: 3 }).map((hosts) =>
    hosts.map((h) => node(h))
  );
  const happening = fc.oneof(
    fc.record({ do: fc.constant("replace" as const), cluster, nodes }),
    fc.record({ do: fc.constant("adopt" as const), cluster, nodes }),
    fc.record({ do: fc.constant("stale" as const), cluster }),
  );
  fc.assert(fc.property(fc.array(happening), (happenings) => {
    const live = new LiveTopology();
    let generation = 0;
    for (const each of happenings) {
      if (each.do === "replace") live.replace(each);
      else if (each.do === "adopt") live.adopt(each.cluster, each.nodes);
      else live.markStale(each.cluster, AWAY);
      assert.ok(live.topology.generation >= generation);
      generation = live.topology.generation;
    }
    for (const name of ["a", "b", "c"]) {
      const said = happenings.findLast((each) => each.do === "replace" && each.cluster === name);
      const adopted = happenings.find((each) => each.do === "adopt" && each.cluster === name);
      const source = said ?? adopted;
      assert.deepEqual(live.topology.clusters.get(name), source?.do === "stale" ? undefined : source?.nodes);
      assert.equal(live.heard(name), said !== undefined);
    }
  }));
});

Deno.test("LiveTopology keeps which source reported each member, and since when, while the same one does", () => {
  const live = new LiveTopology();
  const node = (port: number) => ({ host: "a", ip: "10.0.0.1", port, metadata: {} });
  const origins = () => Object.fromEntries(live.origins("web"));
  live.adopt("web", [node(1)], 0, new Map([["a:1", { source: "zoo", sinceMs: 10 }]]));
  live.replace({ cluster: "web", nodes: [node(1), node(2)] }, { sourceOf: () => "zoo", sinceMs: 20 });
  assert.deepEqual(origins(), { "a:1": { source: "zoo", sinceMs: 10 }, "a:2": { source: "zoo", sinceMs: 20 } });
  live.replace({ cluster: "web", nodes: [node(1)] }, { sourceOf: () => "zoo", sinceMs: 30 });
  live.replace({ cluster: "web", nodes: [node(1), node(2)] }, { sourceOf: () => "zoo", sinceMs: 40 });
  assert.deepEqual(origins(), { "a:1": { source: "zoo", sinceMs: 10 }, "a:2": { source: "zoo", sinceMs: 40 } });
  live.replace({ cluster: "web", nodes: [node(1), node(2)] }, { sourceOf: () => "store", sinceMs: 50 });
  assert.deepEqual(origins(), { "a:1": { source: "store", sinceMs: 50 }, "a:2": { source: "store", sinceMs: 50 } });
});

Deno.test("LiveTopology knows the origins of members after any sequence of changes as if it had seen each of them", () => {
  const pool = new Map<string, Node>();
  const make = (port: number, last: number): Node => {
    const key = `${port}/${last}`;
    const made = pool.get(key) ?? { host: "a", ip: `10.0.0.${last}`, port, metadata: {} };
    pool.set(key, made);
    return made;
  };
  const members = fc.array(fc.tuple(fc.integer({ min: 1, max: 25 }), fc.constantFrom(1, 1, 2)), { maxLength: 25 });
  const sources = fc.constantFrom("zoo", "zoo", "zoo", "etcd", "both");
  fc.assert(fc.property(fc.array(fc.tuple(members, sources), { maxLength: 10 }), fc.boolean(), (answers, isSorted) => {
    const live = new LiveTopology();
    let expected = new Map<string, unknown>();
    for (const [at, [members, source]] of answers.entries()) {
      const unique = [...new Map(members.map(([port, last]) => [`a:${port}`, make(port, last)])).values()];
      const nodes = isSorted ? unique.toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1) : unique;
      const sourceOf = source === "both" ? (name: string) => name.endsWith("1") ? "zoo" : "etcd" : source;
      live.replace({ cluster: "web", nodes }, { sourceOf, sinceMs: at });
      const before = expected as Map<string, { source: string; sinceMs: number }>;
      expected = new Map(
        nodes.map(nodeName).map((name) => {
          const now = typeof sourceOf === "string" ? sourceOf : sourceOf(name);
          return [name, before.get(name)?.source === now ? before.get(name) : { source: now, sinceMs: at }];
        }),
      );
      assert.deepEqual(new Map(live.origins("web")), expected);
      for (const name of expected.keys()) assert.deepEqual(live.origins("web").get(name), expected.get(name));
    }
  }));
});
