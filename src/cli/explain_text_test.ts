import assert from "node:assert/strict";
import type { Explained, ExplainedNode } from "../admin/explained.ts";
import { explainText, pickExplained } from "./explain_text.ts";

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
  factors: [{ name: "weight", value: 100, detail: "default" }, { name: "source", value: 0.5, detail: "zoo" }, {
    name: "slow_start",
    value: 0.35,
    detail: null,
  }, { name: "zone", value: 1, detail: null }],
  override: null,
};
const EXPLAINED: Explained = {
  role: "writer",
  dir: "/etc/lighthouse",
  clusters: [{
    cluster: "web",
    balancer: "haproxy",
    state: "held",
    reason: "its registry says that it has no nodes",
    discovery: "zoo",
    changesInSeconds: 1,
    nodes: [
      NODE,
      {
        ...NODE,
        name: "b.test:80",
        state: "drain",
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
        from: "spare",
        source: null,
        since: null,
      },
      { ...NODE, name: "d.test:80", down: true, factors: [] },
    ],
  }, {
    cluster: "spare",
    balancer: null,
    state: "current",
    reason: null,
    discovery: "zoo",
    changesInSeconds: null,
    nodes: [],
  }],
};

function lines(cluster?: string, node?: string): readonly string[] {
  return [...explainText(pickExplained(EXPLAINED, { cluster, node }), { cluster, node })];
}

Deno.test("explain says of each node whether it is in rotation, its share with every factor, and where it comes from", () => {
  const since = "from zoo  since 2026-11-30T06:00:00.000Z";
  assert.deepEqual(lines("web"), [
    "web  balancer haproxy  discovery zoo  held: its registry says that it has no nodes  4 nodes  next change in 1s",
    `  a.test:80  in rotation  share 9.22 %  weight 26  100 (default) × source 0.5 (zoo) × slow_start 0.35 × zone 1 = 17.5  ${since}`,
    `  b.test:80  draining  share 0 %  weight 26  by ann: disk  ${since}`,
    "  c.test:80  waiting (others are preferred)  share 0 %  weight 0  of cluster spare",
    `  d.test:80  DOWN in the balancer  share 9.22 %  weight 26  ${since}`,
  ]);
});

Deno.test("explain finds a node by its name, its host or its address, and says why it is not there", () => {
  for (const node of ["a.test:80", "a.test"]) {
    assert.match(lines("web", node)[1] ?? "", /^ {2}a\.test:80 {2}in rotation/);
  }
  assert.equal(lines("web", "10.0.0.1:80").length, 5);
  assert.equal(
    lines("web", "x.test")[1],
    "  x.test is not registered in zoo; held: its registry says that it has no nodes",
  );
  assert.deepEqual(lines("spare"), ["spare  discovery zoo  current", "  no balancer has a section for it"]);
  assert.deepEqual(lines("none"), []);
});
