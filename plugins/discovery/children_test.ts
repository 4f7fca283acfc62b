import assert from "node:assert/strict";
import fc from "fast-check";
import { nodeName } from "../../src/model/node.ts";
import {
  type Child,
  childOf,
  CLUSTER_BYTES_MAX,
  composeNodes,
  Composition,
  newsOfFaults,
  readChild,
  sameNodes,
  sealedChild,
} from "./children.ts";
import { encodeNode } from "./node_json.ts";

function child(host: string, ip = "10.0.0.1"): Child {
  return readChild(encodeNode({ host, ip, port: 80, metadata: {} }));
}

function namesOf(children: Record<string, Child>): readonly string[] {
  return composeNodes(new Map(Object.entries(children))).nodes.map(nodeName);
}

Deno.test("composeNodes() sorts by name, whatever order and names the entries have", () => {
  assert.deepEqual(namesOf({ "1": child("c"), "2": child("a"), "3": child("b") }), ["a:80", "b:80", "c:80"]);
});

Deno.test("composeNodes() leaves out invalid entries, and says why", () => {
  const children = new Map([["a:80", child("a")], ["b", readChild(new Uint8Array())], ["c", sealedChild("Sealed")]]);
  const { nodes, faults } = composeNodes(children);
  assert.deepEqual(nodes.map(nodeName), ["a:80"]);
  assert.deepEqual([...faults], [["b", "Invalid node: empty"], ["c", "Sealed"]]);
});

Deno.test.each([
  { why: "the one that is called so", names: ["0", "a:80", "z"], taken: "a:80" },
  { why: "the first by name if none is", names: ["z", "m", "n"], taken: "m" },
])("composeNodes() selects, of several entries with the same name, $why", ({ names, taken }) => {
  const ips = new Map<string, string>(names.map((name, at) => [name, `10.0.0.${at}`]));
  fc.assert(fc.property(fc.shuffledSubarray<string>([...names], { minLength: names.length }), (shuffled) => {
    const { nodes, faults } = composeNodes(new Map(shuffled.map((name) => [name, child("a", ips.get(name))])));
    assert.deepEqual(nodes.map(({ ip }) => ip), [ips.get(taken)]);
    assert.deepEqual([...faults.keys()].toSorted(), names.filter((name) => name !== taken).toSorted());
  }));
});

Deno.test("composeNodes() reports no fault for a numbered entry that repeats another, and one for an entry that differs", () => {
  const faultsOf = (
    second: Child,
    mayRepeat: boolean,
  ) => [...composeNodes(new Map([["web_1", child("a")], ["web_2", second]]), { mayRepeat }).faults.keys()];
  assert.deepEqual(faultsOf(child("a"), true), []);
  assert.deepEqual(faultsOf(child("a"), false), ["web_2"]);
  assert.deepEqual(faultsOf(child("a", "10.0.0.2"), true), ["web_2"]);
});

Deno.test("composeNodes() leaves out without a fault what stands for no node at present", () => {
  const { nodes, faults } = composeNodes(new Map([["a", childOf(undefined, new Uint8Array(1))]]));
  assert.deepEqual([nodes.length, faults.size], [0, 0]);
});

function heavy(host: string, note: string): Uint8Array {
  return encodeNode({ host, ip: "10.0.0.1", port: 80, metadata: { note } });
}

Deno.test("readChild() ignores unused metadata, stores none of its bytes, and reports no change to it", () => {
  const before = readChild(heavy("a", "x".repeat(60_000)), { withoutMetadata: true });
  assert.deepEqual([before.node?.metadata, before.data.length, before.size], [{}, 0, 0]);
  const after = readChild(heavy("a", "y".repeat(60_000)), { withoutMetadata: true, before });
  assert.equal(after.node, before.node);
  // An entry that would be rejected for its length is served where nobody reads its metadata.
  assert.equal(readChild(heavy("a", "x".repeat(90_000)), { withoutMetadata: true }).fault, undefined);
  assert.match(readChild(heavy("a", "x".repeat(90_000))).fault ?? "", /metadata must be at most 65536 characters/);
});

Deno.test("composeNodes() drops a cluster's metadata above the limit, and serves every node", () => {
  const count = Math.floor(CLUSTER_BYTES_MAX / 60_000) + 20;
  const children = new Map(Array.from({ length: count }, (_, at): [string, Child] => {
    const name = `n${String(at).padStart(4, "0")}`;
    return [name, readChild(heavy(name, "x".repeat(60_000)))];
  }));
  const { nodes, excess, faults } = composeNodes(children);
  assert.deepEqual([nodes.length, faults.size], [count, 0]);
  const kept = nodes.filter(({ metadata }) => "note" in metadata).length;
  assert.ok(kept >= CLUSTER_BYTES_MAX / 60_200 - 1 && kept <= CLUSTER_BYTES_MAX / 60_000, `${kept}`);
  assert.match(
    excess ?? "",
    new RegExp(`exceed 8388608 bytes: metadata of ${count - kept} of ${count} nodes omitted, starting with "n0`),
  );
  assert.equal(composeNodes(new Map([...children].slice(0, 10))).excess, undefined);
});

Deno.test("newsOfFaults() reports each fault once, and few of many", () => {
  const faults = new Map(["a", "b"].map((name) => [name, "no node"]));
  assert.deepEqual(newsOfFaults(new Map(), faults), ['"a": no node', '"b": no node']);
  assert.deepEqual(newsOfFaults(faults, new Map([["a", "no node"], ["b", "empty"]])), ['"b": empty']);
  assert.deepEqual(newsOfFaults(faults, faults), []);
  const many = new Map(Array.from({ length: 100 }, (_, at) => [String(at), "x"]));
  assert.equal(newsOfFaults(new Map(), many).length, 6);
  assert.equal(newsOfFaults(new Map(), many).at(-1), "95 more entries skipped");
});

Deno.test("sameNodes() compares the content of nodes", () => {
  const { node } = child("a");
  assert.ok(node !== undefined);
  assert.ok(sameNodes([node], [node]));
  assert.ok(sameNodes([node], [{ ...node, metadata: {} }]));
  assert.ok(!sameNodes([node], [{ ...node, ip: "10.0.0.2" }]));
  assert.ok(!sameNodes(undefined, []));
  assert.ok(!sameNodes([node], []));
});

Deno.test("Composition handles entries that are added, removed and changed as composeNodes() handles all of them", () => {
  const pool = new Map<string, Child>();
  const large = { blob: "x".repeat(60_000) };
  const childFrom = (host: string, kind: number): Child => {
    const key = `${host} ${kind}`;
    const known = pool.get(key);
    if (known !== undefined) return known;
    const made = kind === 5
      ? sealedChild("Sealed")
      : kind === 4
      ? childOf(undefined, new Uint8Array(1))
      : readChild(encodeNode({ host, ip: `10.0.0.${kind + 1}`, port: 80, metadata: kind === 3 ? large : {} }));
    pool.set(key, made);
    return made;
  };
  const entry = fc.tuple(
    fc.integer({ min: 0, max: 11 }),
    fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h"),
    fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 3, 4, 5),
  );
  // Most entries stay from one step to the next.
  const steps = fc.array(
    fc.tuple(fc.array(entry, { maxLength: 3 }), fc.array(fc.integer({ min: 0, max: 11 }), { maxLength: 2 })),
    {
      maxLength: 12,
    },
  );
  fc.assert(
    fc.property(steps, fc.boolean(), (steps, mayRepeat) => {
      const composition = new Composition({ mayRepeat });
      const children = new Map<string, Child>();
      for (const [put, removed] of [...steps, [[], []] as const]) {
        for (const at of removed) children.delete(`entry${at}`);
        for (const [at, host, kind] of put) children.set(`entry${at}`, childFrom(host, kind));
        const [all, changed] = [composeNodes(children, { mayRepeat }), composition.compose(children)];
        assert.deepEqual(changed, all);
        assert.deepEqual([...changed.faults], [...all.faults]);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("Composition composes again when the metadata exceeds what is kept, and when it no longer does", () => {
  const composition = new Composition();
  const children = new Map(Array.from({ length: 200 }, (_, i) => {
    const node = { host: `h${i}`, ip: "10.0.0.1", port: 80, metadata: { blob: "x".repeat(60_000) } };
    return [`h${i}:80`, readChild(encodeNode(node))] as const;
  }));
  const few = new Map([...children].slice(0, 100));
  assert.equal(composition.compose(few).excess, undefined);
  for (const [name, child] of [...children].slice(100)) {
    few.set(name, child);
    assert.deepEqual(composition.compose(few), composeNodes(few));
  }
  for (const name of [...few.keys()].slice(100)) {
    few.delete(name);
    assert.deepEqual(composition.compose(few), composeNodes(few));
  }
});
