import assert from "node:assert/strict";
import type { Explained, ExplainedNode } from "../admin/explained.ts";
import { explainText, pickExplained, rotation } from "./explain_text.ts";

const NODE: ExplainedNode = {
  name: "a.test:80",
  address: "10.0.0.1:80",
  from: null,
  source: "zoo",
  since: "2026-11-30T06:00:00.000Z",
  share: 0.0922,
  weight: 26,
  state: "ready",
  waits: false,
  down: false,
  check: "L7OK 200 in 1ms: OK",
  sessions: 1,
  factors: [{ name: "weight", value: 100, detail: "default" }, { name: "source", value: 0.5, detail: "zoo" }, {
    name: "slow_start",
    value: 0.35,
    detail: null,
  }, { name: "zone", value: 1, detail: null }],
  override: null,
  has: { state: "ready", weight: 26, share: 0.0922 },
};
const EXPLAINED: Explained = {
  role: "writer",
  dir: "/etc/lighthouse",
  host: "lb.test",
  clusters: [{
    cluster: "web",
    balancer: "haproxy",
    paused: null,
    state: "held",
    reason: "registry reports no nodes",
    discovery: "zoo",
    sources: [{
      source: "zoo",
      registry: "connected",
      forSeconds: 60,
      detail: "10.0.0.5:2181",
      nodes: 4,
      leftOut: [
        { reason: "web: y.test: no port", agoSeconds: 9 },
        { reason: "web: x.test: no address", agoSeconds: 20 },
      ],
    }],
    silence: null,
    changesInSeconds: 1,
    nodes: [
      NODE,
      {
        ...NODE,
        name: "b.test:80",
        state: "drain",
        has: { state: "drain", weight: 0, share: 0 },
        share: 0,
        factors: [],
        override: { author: "ann", reason: "disk", until: null },
      },
      {
        ...NODE,
        name: "c.test:80",
        waits: true,
        weight: 0,
        share: 0,
        factors: [],
        has: { state: "ready", weight: 0, share: 0 },
        from: "spare",
        source: null,
        since: null,
        check: null,
        sessions: null,
      },
      { ...NODE, name: "d.test:80", down: true, factors: [], check: "L4CON in 0ms: Connection refused", sessions: 0 },
    ],
    others: [],
  }, {
    cluster: "spare",
    balancer: null,
    paused: null,
    state: "current",
    reason: null,
    discovery: "zoo",
    sources: [],
    silence: null,
    changesInSeconds: null,
    nodes: [],
    others: [],
  }],
};

function lines(cluster?: string, node?: string): readonly string[] {
  return [...explainText(pickExplained(EXPLAINED, { cluster, node }), { cluster, node })];
}

Deno.test("explain prints each node's state, its share with every factor, and its source", () => {
  const since = "check L7OK 200 in 1ms: OK  1 session  from zoo  since 2026-11-30T06:00:00.000Z";
  assert.deepEqual(lines("web"), [
    "web  balancer haproxy  discovery zoo  held: registry reports no nodes  4 nodes  next share change in 1s",
    `  a.test:80  in rotation  share 9.22 %  weight 26  100 (default) × source 0.5 (zoo) × slow_start 0.35 × zone 1 = 17.5  ${since}`,
    `  b.test:80  draining  share 0 %  weight 26  by ann: disk  ${since}`,
    "  c.test:80  standby (other nodes are preferred)  share 0 %  weight 0  of cluster spare",
    "  d.test:80  DOWN in the balancer  share 9.22 %  weight 26  check L4CON in 0ms: Connection refused  0 sessions  " +
    "from zoo  since 2026-11-30T06:00:00.000Z",
  ]);
});

Deno.test("explain finds a node by name, host or address, and prints why it is absent", () => {
  for (const node of ["a.test:80", "a.test"]) {
    assert.match(lines("web", node)[1] ?? "", /^ {2}a\.test:80 {2}in rotation/);
  }
  assert.equal(lines("web", "10.0.0.1:80").length, 5);
  assert.equal(
    lines("web", "x.test")[1],
    "  x.test is not registered in zoo; held: registry reports no nodes",
  );
  assert.deepEqual(lines("web", "x.test").slice(2), [
    "    registry zoo as read by lb.test  connected for 60s (10.0.0.5:2181)  4 nodes",
    "      invalid entry rejected 20s ago: web: x.test: no address",
  ]);
  assert.equal(lines("web", "z.test").length, 5, "what names no such node is not the less a hint");
  const silent = EXPLAINED.clusters.map((each) => ({ ...each, silence: "no response on its socket" }));
  const [head = ""] = explainText({ ...EXPLAINED, clusters: silent }, {});
  assert.match(head, /^web {2}balancer haproxy \(not read: no response on its socket\) {2}/);
  assert.deepEqual(lines("spare"), ["spare  discovery zoo  current", "  no balancer section in the cluster's file"]);
  assert.deepEqual(lines("none"), []);
});

Deno.test("explain prints the balancer's state if it differs, which alone decides in a pause", () => {
  const [web] = EXPLAINED.clusters;
  assert(web !== undefined);
  const node = { ...NODE, factors: [], has: { state: "drain", weight: 0, share: 0 } } as const;
  const print = (
    more: Partial<typeof web>,
  ) => [...explainText({ ...EXPLAINED, clusters: [{ ...web, nodes: [node], ...more }] }, {})];
  assert.match(
    print({})[1] ?? "",
    /^ {2}a\.test:80 {2}in rotation {2}share 9\.22 % {2}weight 26 {2}haproxy has: draining {2}share 0 % {2}weight 0 {2}check/,
  );
  const paused = { author: "bob", reason: "upgrade", until: "2026-11-30T06:30:00.000Z" };
  const [head = "", line = ""] = print({ paused });
  assert.match(
    head,
    /^web {2}balancer haproxy {2}management paused by bob: upgrade \(until 2026-11-30T06:30:00\.000Z\): no changes are applied {2}/,
  );
  assert.match(
    line,
    /^ {2}a\.test:80 {2}draining {2}share 0 % {2}weight 0 {2}after the pause: in rotation {2}share 9\.22 % {2}weight 26 {2}check/,
  );
  const same = print({ paused, nodes: [NODE] })[1] ?? "";
  assert.match(same, /^ {2}a\.test:80 {2}in rotation {2}share 9\.22 % {2}weight 26 {2}check/);
  const absent = { ...NODE, factors: [], has: { state: "absent", weight: 0, share: 0 } } as const;
  assert.match(print({ nodes: [absent] })[1] ?? "", / weight 26 {2}haproxy has: absent {2}/);
  const others = [{ name: "z.test:80", has: { state: "ready", weight: 1, share: 0.5 } }] as const;
  assert.equal(print({ others })[2], "  z.test:80  is not a member  haproxy has: in rotation  share 50 %  weight 1");
  // Who has a weight of 1 by default has none that was decided.
  assert.doesNotMatch(print({ nodes: [{ ...NODE, weight: null }] })[1] ?? "", /has:/);
});

Deno.test("explain prints why a node fails its check", () => {
  const [web] = EXPLAINED.clusters;
  assert(web !== undefined);
  const factors = [{ name: "weight", value: 100, detail: "default" }, {
    name: "health",
    value: 0,
    detail: "http: Got status 500, expected 200",
  }];
  const node = { ...NODE, weight: 0, share: 0, has: { state: "ready", weight: 0, share: 0 }, factors } as const;
  assert.match(
    [...explainText({ ...EXPLAINED, clusters: [{ ...web, nodes: [node] }] }, {})][1] ?? "",
    /^ {2}a\.test:80 {2}failing its check {2}share 0 % {2}weight 0 {2}100 \(default\) × health 0 \(http: Got status 500, expected 200\) = 0 {2}check/,
  );
});

Deno.test("rotation() names the factor that stops requests to a node", () => {
  const cases = [
    [{ share: 0, weight: 0, factors: NODE.factors }, "waiting (slow start)"],
    [{ share: 0, weight: 0, factors: [{ name: "weight", value: 0, detail: "registry" }] }, "no requests (weight 0)"],
    [{
      share: 0,
      weight: 0,
      factors: [{ name: "weight", value: 100, detail: "default" }, { name: "source", value: 0, detail: "spare" }],
    }, "no requests (source 0)"],
    [{ share: null, weight: 0, factors: [] }, "no requests (weight 0)"],
    [{ share: 0.1, weight: 26, factors: NODE.factors }, "in rotation"],
  ] as const;
  for (const [has, words] of cases) assert.equal(rotation({ ...NODE, ...has }), words);
});
