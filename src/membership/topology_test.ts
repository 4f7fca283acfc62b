import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node } from "../model/node.ts";
import { type Stale, Store } from "./topology.ts";

const AWAY: Stale = { reason: "connection lost", sinceMs: 5, until: "connected" };

function node(host: string, { port = 80, metadata = {} }: { port?: number; metadata?: Node["metadata"] } = {}): Node {
  return { host, ip: "10.0.0.1", port, metadata };
}

/** What a store knows, as `web: a.int b.int`. */
function outline(store: Store): readonly string[] {
  return [...store.topology.clusters].map(([name, nodes]) => `${name}: ${nodes.map(({ host }) => host).join(" ")}`);
}

Deno.test("Store keeps what a registry said last, sorted by cluster", () => {
  const store = new Store();
  assert.equal(store.replace({ cluster: "web", nodes: [node("a"), node("b")] }), true);
  assert.equal(store.replace({ cluster: "db", nodes: [node("c")] }), true);
  assert.equal(store.replace({ cluster: "web", nodes: [node("b")] }), true);
  assert.deepEqual(outline(store), ["db: c", "web: b"]);
});

Deno.test("Store: an empty cluster is empty if the registry says so, and is not the same as an unknown one", () => {
  const store = new Store();
  assert.equal(store.replace({ cluster: "web", nodes: [] }), true, "it is news that it is empty");
  assert.deepEqual(outline(store), ["web: "]);
  assert.equal(store.heard("web"), true);
  assert.equal(store.heard("db"), false);
  assert.equal(store.topology.clusters.has("db"), false);
});

Deno.test("Store: a cluster is stale since the first loss, until its connection is there again", () => {
  const store = new Store();
  store.replace({ cluster: "web", nodes: [node("a")] });
  store.markStale("web", AWAY);
  store.markStale("web", { ...AWAY, reason: "still away", sinceMs: 90 });
  assert.deepEqual(store.stale("web"), { ...AWAY, reason: "still away" });
  store.markConnected("web");
  assert.equal(store.stale("web"), undefined, "its watch goes on, and tells what is new");
});

Deno.test("Store: a cluster whose watch is lost stays stale until it is told anew", () => {
  const store = new Store();
  store.replace({ cluster: "web", nodes: [node("a")] });
  store.markStale("web", { reason: "the watch failed", sinceMs: 1, until: "told" });
  store.markStale("web", AWAY);
  store.markConnected("web");
  assert.equal(store.stale("web")?.sinceMs, 1);
  store.replace({ cluster: "web", nodes: [node("a")] });
  assert.equal(store.stale("web"), undefined);
});

Deno.test("Store.generation() is the one with which a cluster's members came", () => {
  const store = new Store();
  assert.equal(store.generation("web"), undefined);
  store.adopt("web", [node("a")]);
  store.replace({ cluster: "db", nodes: [node("d")] });
  store.replace({ cluster: "web", nodes: [node("a")] });
  assert.deepEqual(["web", "db"].map((name) => store.generation(name)), [1, 2]);
  store.replace({ cluster: "web", nodes: [] });
  assert.deepEqual([store.generation("web"), store.topology.generation], [3, 3]);
});

Deno.test("Store: a registry that is out of reach removes nothing", () => {
  const store = new Store();
  store.replace({ cluster: "web", nodes: [node("a")] });
  const before = store.topology;
  store.markStale("web", AWAY);
  assert.deepEqual(store.topology, before);
  assert.deepEqual(store.stale("web"), AWAY);
  assert.equal(store.heard("web"), true);
  assert.equal(store.replace({ cluster: "web", nodes: [node("a")] }), false);
  assert.equal(store.stale("web"), undefined, "it is watched again");
});

Deno.test("Store makes nothing up of a cluster that it never heard of", () => {
  const store = new Store();
  store.markStale("web", AWAY);
  assert.equal(store.stale("web"), undefined);
  assert.equal(store.topology.clusters.size, 0);
});

Deno.test("Store serves what was adopted until a registry speaks, and a registry is never overruled", () => {
  const store = new Store();
  store.adopt("web", [node("old")]);
  assert.deepEqual(outline(store), ["web: old"]);
  assert.equal(store.heard("web"), false);
  store.adopt("web", [node("older")]);
  assert.deepEqual(outline(store), ["web: old"]);
  store.markStale("web", AWAY);
  assert.equal(store.heard("web"), false);
  assert.deepEqual(outline(store), ["web: old"]);
  assert.equal(store.replace({ cluster: "web", nodes: [] }), true);
  store.adopt("web", [node("older")]);
  assert.deepEqual(outline(store), ["web: "]);
  assert.equal(store.heard("web"), true);
});

Deno.test("Store: a registry that confirms what was adopted has spoken, and changes nothing", () => {
  const store = new Store();
  store.adopt("web", [node("a")]);
  const { generation } = store.topology;
  assert.equal(store.replace({ cluster: "web", nodes: [node("a")] }), false);
  assert.equal(store.heard("web"), true);
  assert.equal(store.topology.generation, generation);
});

Deno.test.each([
  { why: "another node", nodes: [node("b")] },
  { why: "one node more", nodes: [node("a"), node("b")] },
  { why: "one node less", nodes: [] },
  { why: "another port", nodes: [node("a", { port: 81 })] },
  { why: "another address of the same name", nodes: [{ ...node("a"), ip: "10.0.0.2" }] },
  { why: "other metadata", nodes: [node("a", { metadata: { zone: "b" } })] },
  { why: "a peer", nodes: [{ ...node("a"), peer: { name: "a", ip: "10.0.0.1", port: 1024 } }] },
])("Store.replace() sees $why", ({ nodes }) => {
  const store = new Store();
  store.replace({ cluster: "web", nodes: [node("a")] });
  const { generation } = store.topology;
  assert.equal(store.replace({ cluster: "web", nodes }), true);
  assert.equal(store.topology.generation, generation + 1);
});

Deno.test("Store forgets nothing: a cluster may come back while its registry is away", () => {
  const store = new Store();
  store.replace({ cluster: "a", nodes: [node("a")] });
  store.replace({ cluster: "b", nodes: [node("b")] });
  store.markStale("a", AWAY);
  assert.deepEqual(outline(store), ["a: a", "b: b"]);
});

Deno.test("Store: a topology that was handed out does not change any more", () => {
  const store = new Store();
  store.replace({ cluster: "web", nodes: [node("a")] });
  const before = store.topology;
  store.replace({ cluster: "web", nodes: [] });
  assert.equal(before.clusters.get("web")?.length, 1);
});

Deno.test("Store knows of each cluster what its registry said last, whatever else befell", () => {
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
    const store = new Store();
    let generation = 0;
    for (const each of happenings) {
      if (each.do === "replace") store.replace(each);
      else if (each.do === "adopt") store.adopt(each.cluster, each.nodes);
      else store.markStale(each.cluster, AWAY);
      assert.ok(store.topology.generation >= generation);
      generation = store.topology.generation;
    }
    for (const name of ["a", "b", "c"]) {
      const said = happenings.findLast((each) => each.do === "replace" && each.cluster === name);
      const adopted = happenings.find((each) => each.do === "adopt" && each.cluster === name);
      const source = said ?? adopted;
      assert.deepEqual(store.topology.clusters.get(name), source?.do === "stale" ? undefined : source?.nodes);
      assert.equal(store.heard(name), said !== undefined);
    }
  }));
});
