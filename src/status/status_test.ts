import assert from "node:assert/strict";
import { beginStanding, type Standing } from "../balance/standing.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { NO_ORDERS } from "../model/override.ts";
import { GUARD_DEFAULTS } from "../model/cluster.ts";
import { type Node, nodeName } from "../model/node.ts";
import { MembershipGuard, singlePolicy } from "../membership/membership_guard.ts";
import { LiveTopology } from "../membership/live_topology.ts";
import type { Accepted } from "../config/accepted.ts";
import { Beat } from "./beat.ts";
import { type Health, HEALTH_LIMITS, judgeHealth } from "./health.ts";
import { UNREAD } from "../config/reading.ts";
import { Connectivity } from "../membership/connectivity.ts";
import { nameMembers, type Parts, statusOf } from "./status.ts";
import type { Status } from "./status_shape.ts";
import { projectStatus } from "./metrics.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";
import { wantedNode } from "../membership/wanted.ts";
import { shareTraffic } from "../traffic/shares.ts";
import { SourceMembers } from "../membership/source_members.ts";
import { onlySource } from "../model/registry_source.ts";

function node(host: string): Node {
  return { host, ip: "10.0.0.1", port: 80, metadata: {} };
}

/** An app that consumes the cluster `web` of the registry `zk`, and offers the service `api`. */
class Stage implements Disposable {
  readonly clock = new FakeClock();
  readonly live = new LiveTopology();
  readonly members = new SourceMembers();
  readonly connectivity = new Connectivity({ clock: this.clock, log: SILENT });
  readonly membership = new MembershipGuard({
    live: this.live,
    members: this.members,
    clock: this.clock,
    wallNow: () => 1_700_000_000_000,
    log: SILENT,
    askAgain() {},
    onChange() {},
  });
  /** How the balancer stands. */
  readonly writer: { standing: Standing } = { standing: beginStanding(0) };
  parts: Parts = {
    dir: "/etc/lighthouse",
    role: "run",
    reading: { ...UNREAD, readMs: 0, takenMs: 0 },
    accepted: {
      discovery: new Map([["zk", {}]]),
      clusters: new Map([["web", { cluster: { name: "web", sources: [onlySource("zk")] }, sections: new Map() }]]),
      settings: { maxAgeMs: 7 * 86_400_000 },
      services: new Map([["api", { service: { name: "api", sources: [onlySource("zk")], ports: [80] } }]]),
    } as unknown as Accepted,
    live: this.live,
    membership: this.membership,
    members: this.members,
    connectivity: this.connectivity,
    announcement: { facts: { fqdn: "web01.test", ip: "10.0.0.1" }, refusal: undefined },
    fleet: {
      workers: new Map([["discovery zk", { down: undefined, sinceMs: 0 }]]),
      stuckThreads: 0,
      openFiles: undefined,
    },
    monitor: { ports: new Map() },
    registrar: { report: [] },
    orders: { now: NO_ORDERS },
    balancers: new Map([["haproxy", { writer: this.writer }]]),
    traffic: { decided: () => undefined },
    isStopping: false,
  };

  constructor() {
    this.membership.apply(new Map([["web", singlePolicy("zk", GUARD_DEFAULTS)]]));
  }

  /** Reports members. */
  hear(...hosts: readonly string[]): void {
    this.membership.hear({ cluster: "web", nodes: hosts.map(node), exists: true, epoch: "1" }, "zoo");
  }

  status(): Status {
    return statusOf(this.parts, { version: "2.0.0", pid: 7, startedMs: 0, nowMs: this.clock.now(), lateMs: 0 });
  }

  web(): Status["clusters"][string] | undefined {
    return this.status().clusters["web"];
  }

  [Symbol.dispose](): void {
    this.membership[Symbol.dispose]();
  }
}

Deno.test("statusOf() shows a cluster from its first state to its current members", () => {
  using stage = new Stage();
  assert.deepEqual([stage.web()?.state, stage.web()?.nodes, stage.web()?.generation], ["unknown", 0, null]);
  stage.live.adopt("web", [node("a")]);
  assert.deepEqual([stage.web()?.state, stage.web()?.nodes], ["last-known", 1]);
  stage.hear("a");
  assert.deepEqual(stage.web(), {
    discovery: "zk",
    combine: null,
    follows: null,
    sources: {},
    conflicts: [],
    state: "current",
    reason: null,
    forSeconds: null,
    ageSeconds: 0,
    outdated: false,
    nodes: 1,
    emptied: null,
    members: nameMembers([node("a")]),
    memberList: [{ name: nodeName(node("a")), source: "zoo", sources: [], since: "2023-11-14T22:13:20.000Z" }],
    generation: 1,
  });
});

Deno.test("statusOf() shows since when a cluster that had members has none, until it has some", () => {
  using stage = new Stage();
  assert.equal(stage.web()?.emptied, null);
  stage.live.replace({ cluster: "web", nodes: [] });
  assert.equal(stage.web()?.emptied, null, "a cluster that never had any");
  stage.live.replace({ cluster: "web", nodes: [node("a"), node("b")] });
  stage.live.replace({ cluster: "web", nodes: [] }, { sourceOf: () => "zk", sinceMs: 1_700_000_000_000 });
  stage.live.replace({ cluster: "web", nodes: [] }, { sourceOf: () => "zk", sinceMs: 1_700_000_009_000 });
  assert.deepEqual(stage.web()?.emptied, { had: 2, since: "2023-11-14T22:13:20.000Z" });
  stage.live.replace({ cluster: "web", nodes: [node("a")] });
  assert.equal(stage.web()?.emptied, null);
});

Deno.test("statusOf() shows each of several sources, which of them have a member, and their contradictions", () => {
  using stage = new Stage();
  const sources = ["zk", "etcd"].map((name) => onlySource(name));
  const cluster = { name: "web", sources, combine: { policy: "union" } };
  const clusters = new Map([["web", { cluster, sections: new Map() }]]);
  const discovery = new Map([["zk", {}], ["etcd", {}]]);
  stage.parts = { ...stage.parts, accepted: { ...stage.parts.accepted, clusters, discovery } as unknown as Accepted };
  const named = sources.map(({ name }) => ({ name, key: name }));
  stage.membership.apply(new Map([["web", { guard: GUARD_DEFAULTS, sources: named, combine: { policy: "union" } }]]));
  const hear = (source: string, nodes: readonly Node[]) =>
    stage.membership.hear({ cluster: "web", nodes, exists: true, epoch: "1" }, source);
  hear("zk", [node("a")]);
  assert.deepEqual(stage.web()?.sources, {
    etcd: { discovery: "etcd", nodes: 0, state: "unknown", reason: null, forSeconds: null },
    zk: { discovery: "zk", nodes: 1, state: "current", reason: null, forSeconds: null },
  });
  hear("etcd", [node("a"), { ...node("b"), ip: "10.0.0.2" }]);
  stage.membership.lostSight([{ cluster: "web", source: "etcd" }], "no route", { until: "connected" });
  const web = stage.web();
  assert.deepEqual([web?.discovery, web?.combine, web?.state, web?.reason], [
    "zk, etcd",
    "union",
    "stale",
    "etcd: no route",
  ]);
  assert.equal(web?.sources["etcd"]?.state, "stale");
  assert.deepEqual(web?.memberList.map(({ name, source, sources }) => [name, source, sources]), [
    ["a:80", "zk", ["zk", "etcd"]],
    ["b:80", "etcd", ["etcd"]],
  ]);
});

Deno.test("statusOf() shows how long and why a cluster has been stale, until its connection is restored", () => {
  using stage = new Stage();
  stage.hear("a");
  stage.membership.lostSight([{ cluster: "web", source: "zk" }], "the server hung up", { until: "connected" });
  stage.clock.advance(90_500);
  assert.deepEqual([stage.web()?.state, stage.web()?.reason, stage.web()?.forSeconds, stage.web()?.nodes], [
    "stale",
    "the server hung up",
    90.5,
    1,
  ]);
  stage.membership.connected([{ cluster: "web", source: "zk" }]);
  assert.equal(stage.web()?.state, "current");
});

Deno.test("statusOf() shows held changes", () => {
  using stage = new Stage();
  stage.hear("a", "b", "c", "d");
  stage.hear();
  stage.clock.advance(1_000);
  assert.deepEqual([stage.web()?.state, stage.web()?.nodes, stage.web()?.forSeconds], ["held", 4, 1]);
  assert.match(stage.web()?.reason ?? "", /registry reports no nodes/);
});

Deno.test("statusOf() shows the first members of a cluster as held while they exceed a limit of the config", () => {
  using stage = new Stage();
  stage.membership.apply(new Map([["web", singlePolicy("zk", { ...GUARD_DEFAULTS, maxNodes: 2 })]]));
  stage.hear("a", "b", "c");
  stage.clock.advance(1_000);
  assert.deepEqual([stage.web()?.state, stage.web()?.nodes, stage.web()?.forSeconds], ["held", 0, 1]);
  assert.match(stage.web()?.reason ?? "", /more nodes than max_nodes/);
});

Deno.test("statusOf() shows members as stale if their discovery is not configured", () => {
  using stage = new Stage();
  stage.hear("a");
  const { accepted } = stage.parts;
  assert.ok(accepted);
  stage.parts = { ...stage.parts, accepted: { ...accepted, discovery: new Map() } };
  assert.deepEqual([stage.web()?.state, stage.web()?.reason], ["stale", "No valid discovery/zk.yaml"]);
});

Deno.test("statusOf() shows whether a registry is reachable, or unknown if its worker has ended", () => {
  using stage = new Stage();
  const zk = () => stage.status().discovery["zk"];
  assert.deepEqual(zk(), { worker: "serving", registry: "unknown", forSeconds: null, detail: null });
  stage.connectivity.hear("discovery zk", "connected", "10.0.0.1:2181");
  stage.clock.advance(2_000);
  stage.connectivity.hear("discovery zk", "connected", "10.0.0.2:2181");
  assert.deepEqual(zk(), { worker: "serving", registry: "connected", forSeconds: 2, detail: "10.0.0.2:2181" });
  stage.connectivity.lose("discovery zk", "it threw");
  assert.deepEqual([zk()?.registry, zk()?.forSeconds], ["unknown", 0]);
});

Deno.test("statusOf() shows each node's share, its factors, and when it changes", () => {
  using stage = new Stage();
  const nodes = [node("a"), node("b")];
  const wanted = {
    config: {},
    host: { fqdn: "h", ip: "10.0.0.9" },
    clusters: [{ name: "web", config: {}, nodes: nodes.map(wantedNode) }],
  };
  stage.writer.standing = { ...stage.writer.standing, served: { wanted, generation: 1 } };
  const slowStart = { delayMs: 0, rampMs: 60_000, from: 0.1, curve: "linear", graceMs: 0 } as const;
  const { nodes: shares, changesAtMs } = shareTraffic({
    nowMs: 30_000,
    startedMs: 0,
    policy: { weight: { default: 100 }, slowStart, warmUpMs: 0 },
    nodes,
    sightings: new Map([["b:80", { sinceMs: 0, newSinceMs: 0 }]]),
  });
  stage.parts = {
    ...stage.parts,
    traffic: {
      decided: (balancer, cluster) => ({ nodes: shares, changesInMs: changesAtMs - 30_000, balancer, cluster }),
    },
  };
  const { shares: shown, sharesChangeInSeconds } = stage.status().balancers["haproxy"]?.clusters["web"] ?? {};
  assert.deepEqual(shown?.[1], {
    name: "b:80",
    from: null,
    share: 0.3552,
    weight: 141,
    state: "ready",
    pool: "primary",
    down: false,
    factors: [
      { name: "weight", value: 100, detail: "default" },
      { name: "slow_start", value: 0.55, detail: null },
    ],
  });
  assert.equal(sharesChangeInSeconds, 1);
});

Deno.test("statusOf() shows the active members of a balancer, which may be fewer than desired", () => {
  using stage = new Stage();
  const wanted = {
    config: {},
    host: { fqdn: "h", ip: "10.0.0.9" },
    clusters: [{ name: "web", config: {}, nodes: [wantedNode(node("a"))] }],
  };
  stage.writer.standing = {
    ...stage.writer.standing,
    seenMs: 100,
    oldWorkers: [77],
    underWay: { text: "reload", atMs: 200 },
  };
  stage.clock.advance(300);
  assert.deepEqual(stage.status().balancers["haproxy"]?.underWay, { text: "reload", agoSeconds: 0.1 });
  stage.writer.standing = {
    ...stage.writer.standing,
    underWay: undefined,
    lastReload: { text: "cluster web is new", atMs: 300 },
    reloads: 1,
    served: { wanted, generation: 4 },
    turnedMs: 300,
    notices: Array.from({ length: 101 }, (_, i) => ({ text: `Cluster c${i} has no nodes` })),
    fileBehind: { text: "No space left", atMs: 300 },
    waits: [{ why: "Reload waits for the minimum interval between reloads", untilMs: 2_300 }],
  };
  stage.clock.advance(700);
  assert.deepEqual(stage.status().balancers["haproxy"], {
    gone: false,
    paused: null,
    inForce: false,
    forSeconds: 1,
    lookedSeconds: 0.7,
    seenSeconds: 0.9,
    olderPids: [77],
    underWay: null,
    generation: 4,
    clusters: {
      web: { nodes: 1, members: nameMembers([node("a")]), shares: null, sharesChangeInSeconds: null },
    },
    reloads: 1,
    starts: 0,
    lastReload: { text: "cluster web is new", agoSeconds: 0.7 },
    lastError: null,
    notices: Array.from({ length: 100 }, (_, i) => `Cluster c${i} has no nodes`),
    standby: null,
    unserved: [],
    leftOut: 0,
    fileBehind: { text: "No space left", agoSeconds: 0.7 },
    counters: null,
    waits: [{ why: "Reload waits for the minimum interval between reloads", inSeconds: 1.3 }],
  });
});

Deno.test("statusOf() shows no password in a finding, a reason or an error", () => {
  using stage = new Stage();
  const secret = "redis://:hunter2hunter2@db.example:6379";
  stage.writer.standing = { ...stage.writer.standing, lastError: { text: `Cannot ask ${secret}`, atMs: 0 } };
  stage.connectivity.hear("discovery zk", "disconnected", `no answer at ${secret}`);
  stage.hear("a");
  stage.membership.lostSight([{ cluster: "web", source: "zk" }], `no answer at ${secret}`, { until: "told" });
  stage.parts = {
    ...stage.parts,
    reading: {
      ...UNREAD,
      unread: `it is ${secret}`,
      diagnostics: [{ severity: "error", file: "x.yaml", line: 1, column: 2, message: `Cannot use ${secret}` }],
    },
    fleet: {
      workers: new Map([["check api:80/redis", { down: `It threw ${secret}`, sinceMs: 0 }]]),
      stuckThreads: 0,
      openFiles: undefined,
    },
  };
  const status = stage.status();
  const text = JSON.stringify([status, judgeHealth(status)]);
  assert.doesNotMatch(text, /hunter2/);
  assert.deepEqual(text.match(/db\.example/g)?.length, 9, "all else of them is shown");
});

Deno.test("statusOf() has an entry for a cluster of any name", () => {
  using stage = new Stage();
  const { accepted } = stage.parts;
  const clusters = new Map([["p", { cluster: { name: "__proto__", sources: [onlySource("zk")] } }]]);
  stage.parts = { ...stage.parts, accepted: { ...accepted, clusters } as unknown as Accepted };
  assert.match(JSON.stringify(stage.status()), /"__proto__":\{"discovery":"zk"/);
});

Deno.test("statusOf() shows a service whose check cannot run as unknown, with the reason and the effective state", () => {
  using stage = new Stage();
  const check = {
    name: "http",
    verdict: { up: true, streak: { passed: true, length: 2 } },
    probedMs: 0,
    failure: undefined,
    unknown: { sinceMs: 0, reason: "no worker" },
    intervalMs: 1_000,
    timeoutMs: 1_000,
  };
  const shown = (status: "up" | "down") => {
    const ports = new Map([["api:80", { status, sinceMs: 0, checks: [check] }]]);
    stage.parts = { ...stage.parts, monitor: { ports } };
    return stage.status().services["api:80"];
  };
  assert.equal(shown("up")?.status, "unknown");
  assert.match(shown("up")?.reason ?? "", /^Check http cannot run: no worker.*; counts as up$/);
  assert.match(shown("up")?.checks[0]?.unknown?.text ?? "", /^no worker/);
  assert.deepEqual([shown("down")?.status, shown("down")?.reason], ["down", null]);
});

Deno.test("nameMembers() depends only on names and addresses, not on their order", () => {
  const [a, b] = [node("a"), node("b")];
  assert.equal(nameMembers([a, b]), nameMembers([{ ...b, metadata: { x: 1 } }, a]));
  assert.notEqual(nameMembers([a, b]), nameMembers([a]));
  assert.notEqual(nameMembers([a]), nameMembers([{ ...a, ip: "10.0.0.2" }]));
  // printf 'a:80 10.0.0.1\n' | sha256sum | cut -c1-16
  assert.equal(nameMembers([a]), "74ef861b561278d0");
});

Deno.test("Beat returns the delay of the last beat, and the current delay of the next", () => {
  const clock = new FakeClock();
  using beat = new Beat(clock);
  clock.advance(5_000);
  assert.equal(beat.lateMs, 0);
  let now = clock.now();
  const stopped = { now: () => now, after: clock.after.bind(clock) };
  using late = new Beat(stopped);
  now += 8_000;
  assert.equal(late.lateMs, 7_000, "no timer has fired yet");
  clock.advance(1_000);
  assert.equal(late.lateMs, 7_000, "the last one was so late");
});

const AT_WORK: Status = {
  version: "2.0.0",
  role: "run",
  pid: 7,
  upSeconds: 1_000,
  stopping: false,
  loop: { lateSeconds: 0.01 },
  host: { name: "web01.test", ip: "10.0.0.1", refused: null },
  config: {
    dir: "/etc/lighthouse",
    readSeconds: 9,
    takenSeconds: 900,
    unreadable: null,
    errors: 0,
    warnings: 2,
    findings: [],
  },
  discovery: { zk: { worker: "serving", registry: "connected", forSeconds: 900, detail: "10.0.0.1:2181" } },
  clusters: {
    web: {
      discovery: "zk",
      combine: null,
      follows: null,
      sources: {},
      conflicts: [],
      state: "current",
      reason: null,
      forSeconds: null,
      ageSeconds: 0,
      outdated: false,
      nodes: 1,
      emptied: null,
      members: "x",
      memberList: [],
      generation: 1,
    },
  },
  balancers: {
    haproxy: {
      inForce: true,
      forSeconds: 900,
      gone: false,
      paused: null,
      standby: null,
      lookedSeconds: 4,
      seenSeconds: 4,
      olderPids: [],
      underWay: null,
      generation: 1,
      clusters: {},
      reloads: 0,
      starts: 0,
      lastReload: null,
      lastError: null,
      notices: [],
      unserved: [],
      leftOut: 0,
      fileBehind: null,
      counters: null,
      waits: [],
    },
  },
  services: {
    "api:80": {
      status: "up",
      reason: null,
      forSeconds: 900,
      checks: [
        {
          name: "http",
          passes: true,
          probedSeconds: 2,
          failure: null,
          unknown: null,
          intervalSeconds: 2,
          timeoutSeconds: 1,
        },
        {
          name: "exec",
          passes: true,
          probedSeconds: 700,
          failure: null,
          unknown: null,
          intervalSeconds: 600,
          timeoutSeconds: 60,
        },
      ],
      discovery: "zk",
      registration: { wanted: "present", done: true, failure: null, contestedBy: null },
      registrations: {},
    },
  },
  workers: {
    "discovery zk": { serving: true, forSeconds: 900, reason: null, outdated: null },
    "check api:80/http": { serving: false, forSeconds: 3, reason: "It is starting", outdated: null },
  },
  stuckThreads: 0,
  hungPlugins: [],
};

/** The same but for what is given, however deep. */
function but(changes: unknown, of: unknown = AT_WORK): Status {
  if (typeof changes !== "object" || changes === null || Array.isArray(changes)) return changes as Status;
  const before = of as Record<string, unknown>;
  const after = Object.entries(changes).map(([key, value]) => [key, but(value, before?.[key])]);
  return { ...before, ...Object.fromEntries(after) } as Status;
}

const EXEC = { name: "exec", passes: true, failure: null, unknown: null, intervalSeconds: 600, timeoutSeconds: 60 };

Deno.test("judgeHealth() passes a working app", () => {
  assert.deepEqual(judgeHealth(AT_WORK), { status: "ok" });
});

Deno.test.each([
  { why: "the main loop is late", change: { loop: { lateSeconds: 7.5 } }, reason: /Main loop is delayed by 8s/ },
  {
    why: "the config is no longer polled",
    change: { config: { readSeconds: 75 } },
    reason: /not been read for 75s/,
  },
  {
    why: "the config was never read",
    change: { config: { readSeconds: null } },
    reason: /not been read for 1000s/,
  },
  {
    why: "a writer's turn does not end",
    change: { balancers: { haproxy: { lookedSeconds: 61 } } },
    reason: /not completed a reconcile of balancer haproxy for 61s/,
  },
  {
    why: "a writer's first poll does not end",
    change: { balancers: { haproxy: { lookedSeconds: null, forSeconds: 61 } } },
    reason: /not completed a reconcile of balancer haproxy for 61s/,
  },
  {
    why: "a step exceeds every deadline",
    change: { balancers: { haproxy: { lookedSeconds: 700, underWay: { text: "reload", agoSeconds: 699 } } } },
    reason: /step reload has been running for 699s/,
  },
  {
    why: "a check is not probed",
    change: { services: { "api:80": { checks: [{ ...EXEC, probedSeconds: 1_990 }] } } },
    reason: /Check exec has not probed api:80 for 1990s/,
  },
  {
    why: "a worker is not in service",
    change: { workers: { "check api:80/http": { forSeconds: 61, reason: "It threw" } } },
    reason: /Worker check api:80\/http has not been in service for 61s: It threw/,
  },
  { why: "a thread is stuck", change: { stuckThreads: 1 }, reason: /1 worker thread cannot be stopped/ },
])("judgeHealth() fails when $why", ({ change, reason }) => {
  const { status, reasons = [] } = judgeHealth(but(change));
  assert.equal(status, "failing");
  assert.equal(reasons.length, 1, reasons.join("; "));
  assert.match(reasons[0] ?? "", reason);
});

Deno.test.each([
  {
    why: "a registry is unreachable",
    change: { discovery: { zk: { registry: "disconnected", forSeconds: 86_400, detail: "refused" } } },
    said: /Registry zk has been unreachable for 86400s: refused/,
  },
  {
    why: "members are stale",
    change: { clusters: { web: { state: "stale", reason: "refused", forSeconds: 86_400 } } },
    said: /Cluster web has been stale for 86400s: refused/,
  },
  {
    why: "members are held",
    change: { clusters: { web: { state: "held", reason: "too few", forSeconds: 60 } } },
    said: /held for 60s: too few/,
  },
  {
    why: "members are from before the start",
    change: { clusters: { web: { state: "last-known" } } },
    said: /served from last known good members/,
  },
  { why: "the config is invalid", change: { config: { errors: 2 } }, said: /The config has 2 errors/ },
  {
    why: "the config cannot be read",
    change: { config: { unreadable: "it is gone" } },
    said: /Cannot read the config directory: it is gone/,
  },
  {
    why: "the balancer does not answer",
    change: {
      balancers: { haproxy: { inForce: false, forSeconds: 3_600, lastError: { text: "silent", agoSeconds: 3_590 } } },
    },
    said: /Balancer haproxy has been out of sync for 3600s: silent/,
  },
  {
    why: "the balancer's file cannot be written",
    change: { balancers: { haproxy: { fileBehind: { text: "No space left", agoSeconds: 60 } } } },
    said: /The file of balancer haproxy has been older than the running config for 60s: No space left/,
  },
  {
    why: "members are older than max_age",
    change: { clusters: { web: { outdated: true, ageSeconds: 700_000 } } },
    said: /Members of cluster web were last confirmed 700000s ago, longer than max_age/,
  },
  {
    why: "a worker has the previous config",
    change: {
      workers: { "check api:80/http": { serving: true, outdated: { reason: "No file descriptors", forSeconds: 60 } } },
    },
    said: /Worker check api:80\/http has been running with the previous config for 60s: No file descriptors/,
  },
  {
    why: "this host has no name",
    change: { host: { refused: "Cannot announce this host as localhost" } },
    said: /Cannot announce this host as localhost/,
  },
  {
    why: "a check cannot run",
    change: {
      services: {
        "api:80": { checks: [{ ...EXEC, probedSeconds: 1, unknown: { text: "no worker", agoSeconds: 12 } }] },
      },
    },
    said: /Check exec of api:80 has been unable to run for 12s \(counts as up\): no worker/,
  },
  {
    why: "two hosts fight over one node",
    change: { services: { "api:80": { registration: { contestedBy: "10.0.0.2" } } } },
    said: /api:80 is contested: the host at 10.0.0.2 registers the same node name, web01.test/,
  },
  {
    why: "a service is down",
    change: {
      services: {
        "api:80": {
          status: "down",
          forSeconds: 12,
          checks: [{ ...EXEC, probedSeconds: 1, passes: false, failure: "exit status 1" }],
        },
      },
    },
    said: /^Service api:80 has been down for 12s; exec: exit status 1$/,
  },
  {
    why: "a balancer does not serve a cluster",
    change: {
      balancers: { haproxy: { unserved: ["web"], leftOut: 1, lastError: { text: "address in use", agoSeconds: 9 } } },
    },
    said: /^Balancer haproxy does not serve web: address in use$/,
  },
  {
    why: "another writer keeps the balancer",
    change: { balancers: { haproxy: { standby: "process 7 manages this balancer" } } },
    said: /^This writer is on standby for balancer haproxy: process 7 manages/,
  },
  {
    why: "a balancer lacks a part of its config",
    change: { balancers: { haproxy: { leftOut: 1 } } },
    said: /^Balancer haproxy skips 1 part of its config$/,
  },
  {
    why: "a cluster that had members has none",
    change: { clusters: { web: { nodes: 0, emptied: { had: 3, since: "2026-11-30T03:12:04.000Z" } } } },
    said: /^Cluster web has had no nodes since 2026-11-30T03:12:04.000Z; previously 3$/,
  },
  {
    why: "a registration fails",
    change: { services: { "api:80": { registration: { done: false, failure: "refused" } } } },
    said: /api:80 should be present in its registry, but is not: refused/,
  },
  {
    why: "a worker has been out of service for a while",
    change: { workers: { "check api:80/http": { forSeconds: 30, reason: "It threw" } } },
    said: /not been in service for 30s: It threw/,
  },
])("judgeHealth() is degraded, not failing, when $why", ({ change, said }) => {
  const { status, degraded = [] }: Health = judgeHealth(but(change));
  assert.equal(status, "ok");
  assert.equal(degraded.length, 1, degraded.join("; "));
  assert.match(degraded[0] ?? "", said);
});

Deno.test.each([
  { why: "a check with a long interval waits for its turn", change: {} },
  {
    why: "a long reload is under way",
    change: { balancers: { haproxy: { lookedSeconds: 300, underWay: { text: "reload", agoSeconds: 299 } } } },
  },
  {
    why: "a balancer waits for its first desired state",
    change: { balancers: { haproxy: { lookedSeconds: null, forSeconds: 5 } } },
  },
  { why: "a change was just made", change: { balancers: { haproxy: { inForce: false, forSeconds: 2 } } } },
])("judgeHealth() reports nothing when $why", ({ change }) => {
  assert.deepEqual(judgeHealth(but(change)), { status: "ok" });
});

Deno.test("judgeHealth() checks nothing more when the process was asked to end", () => {
  assert.deepEqual(judgeHealth(but({ stopping: true, config: { readSeconds: 900 } })), { status: "stopping" });
});

Deno.test("judgeHealth() uses configured limits", () => {
  const limits = { ...HEALTH_LIMITS, work: 2 };
  assert.equal(judgeHealth(AT_WORK, limits).status, "failing");
});

Deno.test("Beat records how late each beat was", () => {
  const clock = new FakeClock();
  const tally = new Tally();
  using _beat = new Beat(clock, tally);
  clock.advance(3_000);
  assert.deepEqual(samplesOf(tally.collect()), {
    lighthouse_event_loop_delay_seconds_sum: 0,
    lighthouse_event_loop_delay_seconds_count: 3,
  });
});

Deno.test("projectStatus() exposes the values of /status and /health, and no unknown ones", () => {
  using stage = new Stage();
  const exposed = (parts = stage.parts) => {
    stage.parts = parts;
    const status = stage.status();
    return samplesOf(new Tally().collect((to) => projectStatus(to, { status, health: judgeHealth(status), parts })));
  };
  const before = exposed();
  assert.equal(before['lighthouse_cluster_state{cluster="web",state="unknown"}'], 1);
  assert.equal(before['lighthouse_cluster_members{cluster="web",state="ready"}'], 0);
  assert.equal(before['lighthouse_cluster_age_seconds{cluster="web"}'], undefined);
  assert.equal(before['lighthouse_service_up{service="api:80"}'], undefined);
  stage.hear("a", "b");
  stage.live.replace({ cluster: "web", nodes: [node("a"), { ...node("b"), state: "drain" }] });
  stage.writer.standing = { ...stage.writer.standing, turnedMs: 0 };
  stage.clock.advance(5_000);
  stage.membership.lostSight([{ cluster: "web", source: "zk" }], "the server hung up", { until: "connected" });
  stage.clock.advance(7_000);
  const check = {
    name: "http",
    verdict: { up: false, streak: { passed: false, length: 2 } },
    probedMs: 0,
    failure: "no",
    unknown: undefined,
    intervalMs: 1_000,
    timeoutMs: 1_000,
  };
  const after = exposed({
    ...stage.parts,
    monitor: { ports: new Map([["api:80", { status: "down", sinceMs: 0, checks: [check] }]]) },
    fleet: {
      workers: new Map([["discovery zk", { down: "it crashed", sinceMs: 0 }], ["check api:80/http", {
        down: undefined,
        sinceMs: 0,
      }]]),
      stuckThreads: 1,
      openFiles: undefined,
    },
  });
  const expected = {
    'lighthouse_cluster_members{cluster="web",state="ready"}': 1,
    'lighthouse_cluster_members{cluster="web",state="drain"}': 1,
    'lighthouse_cluster_state{cluster="web",state="stale"}': 1,
    'lighthouse_cluster_state{cluster="web",state="current"}': 0,
    'lighthouse_cluster_age_seconds{cluster="web"}': 7,
    'lighthouse_service_up{service="api:80"}': 0,
    'lighthouse_check_passing{service="api:80",check="http"}': 0,
    'lighthouse_balancer_in_sync{balancer="haproxy"}': 0,
    'lighthouse_balancer_out_of_sync_seconds{balancer="haproxy"}': 12,
    'lighthouse_workers{kind="discovery",state="down"}': 1,
    'lighthouse_workers{kind="check",state="serving"}': 1,
    lighthouse_stuck_threads: 1,
    'lighthouse_health_findings{severity="failing"}': 1,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(after[name], value, name);
  assert.ok((after['lighthouse_health_findings{severity="degraded"}'] ?? 0) >= 2);
});
