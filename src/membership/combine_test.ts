import assert from "node:assert/strict";
import { seededRandom } from "../kernel/random.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { Combine } from "../model/registry_source.ts";
import { type Choice, combine, combineAtOnce, type Combined, type Contribution } from "./combine.ts";

const UNION: Combine = { policy: "union" };
const ALL: Combine = { policy: "all", match: "host" };
const FIRST: Combine = { policy: "first", waitMs: 5_000, returnAfterMs: 60_000 };

function node(address: string, more: Partial<Node> = {}): Node {
  const [ip = "", port] = address.split("|");
  return { host: ip, ip, port: Number(port ?? 80), metadata: {}, ...more };
}

function source(name: string, nodes: readonly Node[] | undefined, isOwn = true): Contribution {
  return { source: name, nodes, isOwn };
}

function addresses({ nodes }: Pick<Combined, "nodes">): readonly string[] | undefined {
  return nodes?.map(({ ip, port }) => `${ip}:${port}`);
}

Deno.test("a union has the nodes of all sources, each once, as the first in the list describes it", () => {
  const { nodes, sources, conflicts } = combineAtOnce([
    source("zoo", [node("10.0.0.1", { host: "a.int", weight: 1 }), node("10.0.0.2")]),
    source("etcd", [node("10.0.0.1", { weight: 9, zone: "eu" }), node("10.0.0.3", { zone: "us" })]),
  ], UNION);
  assert.deepEqual(nodes?.map(nodeName), ["10.0.0.2:80", "10.0.0.3:80", "a.int:80"]);
  assert.equal(nodes?.at(-1)?.weight, 1);
  assert.deepEqual(Object.fromEntries(sources), {
    "10.0.0.2:80": ["zoo"],
    "10.0.0.3:80": ["etcd"],
    "a.int:80": ["zoo", "etcd"],
  });
  assert.deepEqual(conflicts, [{ node: "a.int:80", kept: "zoo", ignored: "etcd", keys: ["weight"] }]);
});

Deno.test.each([
  { why: "what only one of them says", other: { zone: "eu", priority: 3, metadata: { a: 1 } }, keys: undefined },
  { why: "an address in the place of a name", other: { host: "10.0.0.1" }, keys: undefined },
  { why: "another name", other: { host: "b.int" }, keys: ["host"] },
  { why: "another state", other: { state: "drain" as const }, keys: ["state"] },
])("a union takes $why for a contradiction only if both sources say it", ({ other, keys }) => {
  const { conflicts } = combineAtOnce([
    source("zoo", [node("10.0.0.1", { host: "a.int" })]),
    source("etcd", [node("10.0.0.1", { host: "a.int", ...other })]),
  ], UNION);
  assert.deepEqual(conflicts[0]?.keys, keys);
});

Deno.test("a union treats two spellings of one address as one node", () => {
  const { nodes } = combineAtOnce([
    source("zoo", [node("2001:db8::1|80")]),
    source("etcd", [node("2001:DB8:0::1|80")]),
    source("serf", [node("::ffff:10.0.0.1|80"), node("10.0.0.1|80")]),
  ], UNION);
  assert.equal(nodes?.length, 3, "the spellings of one source are for its registry to settle");
});

Deno.test("a union keeps a name at its first address and reports the other one", () => {
  const { nodes, conflicts } = combineAtOnce([
    source("zoo", [node("10.0.0.1", { host: "a.int" })]),
    source("etcd", [node("10.0.0.9", { host: "a.int" })]),
  ], UNION);
  assert.deepEqual(nodes?.map(({ ip }) => ip), ["10.0.0.1"]);
  assert.deepEqual(conflicts, [{ node: "a.int:80", kept: "zoo", ignored: "etcd", keys: ["address"] }]);
});

Deno.test("a stand-in for a silent source is kept, contradicts nobody and has no owner", () => {
  const { nodes, sources, conflicts } = combineAtOnce([
    source("etcd", [node("10.0.0.1", { weight: 7 }), node("10.0.0.3")], false),
    source("zoo", [node("10.0.0.1", { weight: 1 })]),
  ], UNION);
  assert.deepEqual(nodes?.map(({ ip, weight }) => [ip, weight]), [["10.0.0.1", 1], ["10.0.0.3", undefined]]);
  assert.deepEqual([sources.get("10.0.0.3:80"), conflicts], [[], []]);
});

Deno.test("all has the nodes that are in every source, by address or by host, as the first describes them", () => {
  const keys = [
    node("10.0.0.1|8080"),
    node("10.0.0.1|8081"),
    node("10.0.0.2|8080"),
    node("db.int|8080", { ip: "10.0.0.3" }),
  ];
  const gossip = [node("10.0.0.1|7946", { host: "a.int" }), node("db.int|1", { ip: "10.9.9.9" })];
  const both = [source("etcd", keys), source("serf", gossip)];
  assert.deepEqual(addresses(combineAtOnce(both, ALL)), ["10.0.0.1:8080", "10.0.0.1:8081", "10.0.0.3:8080"]);
  assert.deepEqual(addresses(combineAtOnce(both, { policy: "all", match: "address" })), []);
});

Deno.test("all judges a port by what the other source says about that port, and by its host where it says nothing", () => {
  const gossip = [node("10.0.0.1|8080", { state: "drain" }), node("10.0.0.1|8081")];
  const { nodes } = combineAtOnce([
    source("etcd", [node("10.0.0.1|8080"), node("10.0.0.1|8081"), node("10.0.0.1|8082")]),
    source("serf", gossip),
  ], ALL);
  assert.deepEqual(nodes?.map(({ port, state }) => [port, state]), [[8080, "drain"], [8081, undefined], [
    8082,
    undefined,
  ]]);
});

Deno.test("all reads each node of a host a few times, however many nodes the host has", () => {
  for (const match of ["host", "address"] as const) {
    let reads = 0;
    const counted = (address: string): Node => {
      const { ip, ...rest } = node(address);
      return {
        ...rest,
        get ip() {
          reads++;
          return ip;
        },
      };
    };
    const ports = (from: number) => Array.from({ length: 300 }, (_, i) => `10.0.0.1|${from + i}`);
    const { nodes } = combineAtOnce([
      source("etcd", ports(1_000).map((address) => node(address))),
      source("serf", ports(2_000).map(counted)),
    ], { policy: "all", match });
    assert.equal(nodes?.length, match === "host" ? 300 : 0);
    assert(reads <= 10 * 300, `${reads} reads by ${match}`);
  }
});

Deno.test("all lets an unknown source remove no node, and a stand-in add none", () => {
  const keys = source("etcd", [node("10.0.0.1"), node("10.0.0.2")]);
  assert.equal(combineAtOnce([keys, source("serf", undefined)], ALL).nodes?.length, 2);
  assert.deepEqual(addresses(combineAtOnce([keys, source("serf", [node("10.0.0.1")], false)], ALL)), ["10.0.0.1:80"]);
  assert.equal(combineAtOnce([source("etcd", undefined), source("serf", undefined)], ALL).nodes, undefined);
});

/** Follows the policy `first` through time. */
class Follower {
  choice: Choice | undefined;
  #last: Combined | undefined;

  /** Which source it follows, or that what was served stays. */
  at(now: number, ...sources: readonly (readonly Node[] | undefined)[]): string | undefined {
    const contributions = sources.map((nodes, i) => source(`s${i}`, nodes));
    this.#last = combine(contributions, FIRST, { now, choice: this.choice });
    this.choice = this.#last.choice;
    return this.#last.nodes === undefined ? "stays" : this.choice?.source;
  }

  get nextAt(): number {
    return this.#last?.nextAt ?? NaN;
  }
}

const [A, B] = [[node("10.0.0.1")], [node("10.0.0.2")]];
const DRAINED = [node("10.0.0.1", { state: "drain" }), node("10.0.0.3", { weight: 0 })];

Deno.test("first follows the first source with ready nodes, and waits for an earlier one before it takes another", () => {
  assert.equal(new Follower().at(0, A, B), "s0");
  const late = new Follower();
  assert.deepEqual([late.at(0, undefined, B), late.nextAt], ["stays", 5_000]);
  assert.equal(late.at(4_999, [], B), "stays");
  assert.equal(late.at(5_000, [], B), "s1");
});

Deno.test("first stays with a source that is empty for less than wait, and keeps what is served meanwhile", () => {
  const follower = new Follower();
  follower.at(0, A, B);
  assert.deepEqual([follower.at(1_000, DRAINED, B), follower.nextAt], ["stays", 6_000]);
  assert.equal(follower.at(5_000, A, B), "s0");
  assert.equal(follower.at(6_000, [], B), "stays", "it was ready in between");
  assert.equal(follower.at(11_000, [], B), "s1");
});

Deno.test("first stays with an empty source while no other has ready nodes", () => {
  const follower = new Follower();
  follower.at(0, A, []);
  assert.equal(follower.at(1_000, [], []), "s0");
  assert.equal(follower.at(9_000, [], B), "s1", "it has waited long enough by now");
});

Deno.test("first returns to an earlier source once that has been ready for return_after without a break", () => {
  const follower = new Follower();
  follower.at(0, [], B);
  assert.equal(follower.at(5_000, [], B), "s1");
  assert.deepEqual([follower.at(6_000, A, B), follower.nextAt], ["s1", 66_000]);
  assert.equal(follower.at(60_000, [], B), "s1");
  assert.deepEqual([follower.at(61_000, A, B), follower.nextAt], ["s1", 121_000]);
  assert.equal(follower.at(120_999, A, B), "s1");
  assert.deepEqual([follower.at(121_000, A, B), follower.nextAt], ["s0", Infinity]);
});

Deno.test("first does not count a stand-in for a source as ready", () => {
  const { nodes } = combine([source("s0", A, false), source("s1", B)], FIRST, { now: 0 });
  assert.equal(nodes, undefined);
});

/** Random sources of random nodes: few hosts, ports and names, so that they collide. */
function randomSources(random: () => number, { names = false } = {}): Contribution[] {
  const pick = (n: number) => Math.floor(random() * n);
  return Array.from({ length: 1 + pick(4) }, (_, i) => {
    const nodes = new Map(
      Array.from({ length: pick(6) }, () => {
        const each = node(`10.0.0.${pick(4)}|${80 + pick(2)}`, {
          ...random() < 0.2 && { state: "drain" as const },
          ...random() < 0.2 && { weight: pick(3) },
        });
        const named = names && random() < 0.5 ? { ...each, host: `h${pick(3)}.int` } : each;
        return [nodeName(named), named] as const;
      }),
    );
    return source(`s${i}`, random() < 0.1 ? undefined : [...nodes.values()], random() < 0.85);
  });
}

function shuffled<T>(random: () => number, items: readonly T[]): readonly T[] {
  return items.map((item) => [random(), item] as const).toSorted(([a], [b]) => a - b).map(([, item]) => item);
}

const addressSet = ({ nodes = [] }: Pick<Contribution, "nodes">) =>
  new Set(nodes.map(({ ip, port }) => `${ip}:${port}`));

Deno.test("union, 2,000 random cases: every address of every source and no other, in any order", () => {
  const random = seededRandom(1);
  for (let run = 0; run < 2_000; run++) {
    const sources = randomSources(random);
    const wanted = new Set(sources.flatMap((each) => [...addressSet(each)]));
    for (const order of [sources, shuffled(random, sources)]) {
      const { nodes = [] } = combineAtOnce(order, UNION);
      assert.deepEqual(new Set(nodes.map(({ ip, port }) => `${ip}:${port}`)), wanted);
      assert.equal(new Set(nodes.map(nodeName)).size, nodes.length, "names are unique");
    }
  }
});

Deno.test("union, 2,000 random cases: an unreachable source keeps its last members, so it never removes one", () => {
  const random = seededRandom(2);
  for (let run = 0; run < 2_000; run++) {
    const sources = randomSources(random, { names: true });
    const at = Math.floor(random() * sources.length);
    const frozen = sources[at];
    // The others change arbitrarily; the unreachable one does not.
    const later = randomSources(random, { names: true }).map((each, i) => i === at ? frozen ?? each : each);
    if (frozen === undefined || !later.includes(frozen)) continue;
    const has = new Set(combineAtOnce(later, UNION).nodes?.map(({ ip, port }) => `${ip}:${port}`));
    const named = new Set(combineAtOnce(later, UNION).nodes?.map(nodeName));
    for (const each of frozen.nodes ?? []) {
      assert.ok(has.has(`${each.ip}:${each.port}`) || named.has(nodeName(each)), `${nodeName(each)} is gone`);
    }
  }
});

Deno.test("all, 2,000 random cases: never adds to what any source has, in any order the same addresses", () => {
  const random = seededRandom(3);
  const policy: Combine = { policy: "all", match: "address" };
  for (let run = 0; run < 2_000; run++) {
    const sources = randomSources(random);
    const found = addressSet({ nodes: combineAtOnce(sources, policy).nodes });
    for (const each of sources) {
      if (each.nodes !== undefined) assert.ok(found.isSubsetOf(addressSet(each)), each.source);
    }
    assert.deepEqual(addressSet({ nodes: combineAtOnce(shuffled(random, sources), policy).nodes }), found);
  }
});

Deno.test("all, 2,000 random cases: by host, has a part of the first source, and only hosts that every source has", () => {
  const random = seededRandom(4);
  for (let run = 0; run < 2_000; run++) {
    const sources = randomSources(random, { names: true });
    const known = sources.filter(({ nodes }) => nodes !== undefined);
    const { nodes = [] } = combineAtOnce(sources, ALL);
    for (const each of nodes) {
      assert.ok(addressSet(known[0] ?? { nodes: [] }).has(`${each.ip}:${each.port}`));
      for (const { nodes = [] } of known) {
        assert.ok(nodes.some(({ ip, host }) => ip === each.ip || host === each.host));
      }
    }
  }
});

Deno.test("first, 500 random histories: changes its source only after wait without ready nodes or return_after with them", () => {
  const random = seededRandom(5);
  for (let run = 0; run < 500; run++) {
    let choice: Choice | undefined;
    const readySince = new Map<string, number>();
    let lackingSince: number | undefined;
    let sources = randomSources(random);
    for (let now = 0; now < 300_000; now += 1_000) {
      if (random() < 0.15) sources = randomSources(random);
      const ready = new Set(
        sources.filter(({ isOwn, nodes = [] }) =>
          isOwn && nodes.some(({ state, weight }) => state !== "drain" && weight !== 0)
        )
          .map(({ source }) => source),
      );
      for (const name of readySince.keys()) if (!ready.has(name)) readySince.delete(name);
      for (const name of ready) if (!readySince.has(name)) readySince.set(name, now);
      const before: string | undefined = choice?.source;
      const isThere = sources.some(({ source }) => source === before);
      if (before === undefined || !isThere || ready.has(before)) lackingSince = undefined;
      else lackingSince ??= now;
      const combined: Combined = combine(sources, FIRST, { now, choice });
      choice = combined.choice;
      const after = choice?.source;
      if (before === undefined || !isThere || after === before) continue;
      assert.ok(after !== undefined && ready.has(after), "a source that takes over has ready nodes");
      const isOver = lackingSince !== undefined && now - lackingSince >= 5_000;
      const isBack = now - (readySince.get(after) ?? now) >= 60_000;
      assert.ok(isOver || isBack, `${before} gave way to ${after} at ${now}`);
      if (isBack && !isOver) assert.ok(after < before, "only an earlier source comes back");
    }
  }
});
