import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { GUARD_DEFAULTS, type GuardSettings } from "../model/cluster.ts";
import type { Node } from "../model/node.ts";
import { MembershipGuard, singlePolicy } from "./membership_guard.ts";
import { LiveTopology } from "./live_topology.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";

/** A membership of one cluster, `web`, whose registry a test controls. */
class Stage implements Disposable {
  readonly clock = new FakeClock();
  readonly live = new LiveTopology();
  readonly log: string[] = [];
  readonly tally = new Tally();
  readonly arrivals: string[] = [];
  asked = 0;
  changes = 0;
  readonly membership: MembershipGuard;

  constructor(guard: Partial<GuardSettings> = {}) {
    const say = (level: string) => (_text: string, properties: Record<string, unknown> = {}) => {
      const { event, cause, recheck, said } = properties;
      this.log.push([level, event, cause, recheck, said].filter((each) => each !== undefined).join(" "));
    };
    this.membership = new MembershipGuard({
      live: this.live,
      clock: this.clock,
      log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
      meter: this.tally,
      propagation: {
        arrived: (cluster, generation, atMs) => void this.arrivals.push(`${cluster} ${generation} ${atMs}`),
      },
      askAgain: () => this.asked++,
      onChange: () => this.changes++,
    });
    this.apply(guard);
  }

  apply(guard: Partial<GuardSettings>): void {
    this.membership.apply(new Map([["web", singlePolicy("zoo", { ...GUARD_DEFAULTS, ...guard })]]));
  }

  /** Reports so many nodes; returns how many are served. */
  hear(count: number, { exists = true, epoch = "1", source = "zoo" } = {}): number {
    this.membership.hear({
      cluster: "web",
      nodes: Array.from({ length: count }, (_, i) => node(8000 + i)),
      exists,
      epoch,
    }, source);
    return this.live.nodes("web")?.length ?? -1;
  }

  [Symbol.dispose](): void {
    this.membership[Symbol.dispose]();
  }
}

function node(port: number): Node {
  return { host: "a.test", ip: "10.0.0.1", port, metadata: {} };
}

Deno.test("MembershipGuard queries the registry again before it empties a cluster, and logs the hold", () => {
  using stage = new Stage();
  stage.hear(3);
  assert.equal(stage.hear(0), 3);
  assert.deepEqual([stage.asked, stage.changes], [0, 1]);
  stage.clock.advance(2_000);
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(0), 0);
  assert.deepEqual(stage.log, [
    "warn cluster.held empty 2s 0",
    "info cluster.released 0",
  ]);
});

Deno.test("MembershipGuard accepts an empty cluster only after a delay once its registry is reachable", () => {
  using stage = new Stage();
  stage.live.adopt("web", [node(8000)]);
  stage.membership.connected([{ cluster: "web", source: "zoo" }]);
  assert.equal(stage.hear(0), 1);
  stage.clock.advance(4_900);
  assert.equal(stage.asked, 0);
  stage.clock.advance(100);
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(0), 0);
});

Deno.test("MembershipGuard accepts what returns while something is held, and reports that the hold is over", () => {
  using stage = new Stage({ maxShrinkPercent: 50 });
  stage.hear(10);
  assert.equal(stage.hear(2), 10);
  assert.equal(stage.hear(10), 10);
  stage.clock.advance(120_000);
  assert.equal(stage.asked, 0, "nothing is held any more");
  assert.deepEqual(stage.log, [
    "warn cluster.held shrunk 60s 2",
    "info cluster.released 10",
  ]);
});

Deno.test("MembershipGuard queries the registry at once when an operator changes the guard of a held cluster", () => {
  using stage = new Stage({ minNodes: 2 });
  stage.hear(3);
  assert.equal(stage.hear(1), 3);
  stage.apply({ minNodes: 2 });
  assert.equal(stage.asked, 0);
  stage.apply({ minNodes: 0 });
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(1), 1);
});

Deno.test("MembershipGuard: a first answer without nodes is news once it has arrived twice", () => {
  using stage = new Stage();
  assert.equal(stage.hear(0), -1);
  assert.deepEqual([stage.changes, stage.live.heard("web"), stage.membership.hold("web")], [0, false, undefined]);
  stage.clock.advance(1_000);
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(0), 0);
  assert.deepEqual(stage.log, []);
  assert.deepEqual([stage.changes, stage.live.heard("web")], [1, true]);
});

Deno.test("MembershipGuard: a first answer that lacks nodes of an earlier run is confirmed before a node is removed", () => {
  using stage = new Stage();
  stage.live.adopt("web", Array.from({ length: 10 }, (_, i) => node(8000 + i)));
  assert.equal(stage.hear(9), 10);
  assert.equal(stage.membership.hold("web")?.cause, "behind");
  stage.clock.advance(5_000);
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(9), 9);
  // From then on its history is known.
  assert.equal(stage.hear(8), 8);
});

Deno.test("MembershipGuard: a held answer is an answer", () => {
  using stage = new Stage();
  stage.live.adopt("web", [node(8000)]);
  assert.equal(stage.hear(0), 1);
  assert.deepEqual([stage.changes, stage.live.heard("web")], [1, true]);
});

Deno.test("MembershipGuard does not accept a report from before a cluster's removal from the config as confirmation after its return", () => {
  using stage = new Stage();
  stage.hear(3);
  assert.equal(stage.hear(0), 3);
  stage.membership.apply(new Map());
  stage.clock.advance(3_600_000);
  assert.equal(stage.asked, 0);
  stage.apply({});
  assert.equal(stage.hear(0), 3);
  stage.clock.advance(2_000);
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(0), 0);
});

Deno.test("MembershipGuard keeps all of a cluster whose guard says keep, although its file was missing for a while", () => {
  using stage = new Stage({ onEmpty: "keep" });
  stage.hear(3);
  assert.equal(stage.hear(0), 3);
  stage.membership.apply(new Map());
  stage.apply({ onEmpty: "keep" });
  for (let hour = 0; hour < 3; hour++) {
    assert.equal(stage.hear(0), 3);
    stage.clock.advance(3_600_000);
  }
  assert.equal(stage.hear(1), 1);
});

Deno.test("MembershipGuard keeps the members of a cluster that its registry has lost, logs that once, and confirms what it lacks", () => {
  using stage = new Stage();
  stage.hear(3);
  for (let i = 0; i < 3; i++) assert.equal(stage.hear(0, { exists: false }), 3);
  assert.equal(stage.hear(1), 3);
  stage.clock.advance(5_000);
  assert.equal(stage.asked, 1);
  assert.equal(stage.hear(1), 1);
  assert.deepEqual(stage.log, [
    "warn cluster.held missing never 0",
    "warn cluster.held behind 5s 1",
    "info cluster.released 1",
  ]);
});

Deno.test("MembershipGuard: a missing cluster is no answer about its members, but the watch continues", () => {
  using stage = new Stage();
  stage.live.adopt("web", [node(8000)], -1_000);
  stage.membership.lostSight([{ cluster: "web", source: "zoo" }], "it was away", { until: "told" });
  assert.equal(stage.hear(0, { exists: false }), 1);
  assert.deepEqual([stage.changes, stage.live.heard("web"), stage.live.stale("web")], [0, false, undefined]);
  assert.equal(stage.live.confirmedMs("web", 0), -1_000, "nobody has confirmed them");
});

Deno.test("MembershipGuard accepts the answer of another registry at once, as it follows nothing", () => {
  using stage = new Stage();
  stage.hear(3);
  assert.equal(stage.hear(1, { source: "store", epoch: "other" }), 1);
  assert.equal(stage.hear(0, { source: "store", epoch: "other" }), 1, "but not that it has none");
});

Deno.test("MembershipGuard counts snapshots and holds, and stamps each change with the arrival of its snapshot", () => {
  using stage = new Stage();
  stage.clock.advance(100);
  stage.hear(3);
  stage.clock.advance(100);
  stage.hear(3);
  stage.hear(0);
  stage.clock.advance(100);
  stage.hear(2);
  assert.deepEqual(samplesOf(stage.tally.collect()), {
    'lighthouse_snapshots_total{cluster="web",result="changed"}': 2,
    'lighthouse_snapshots_total{cluster="web",result="unchanged"}': 1,
    'lighthouse_snapshots_total{cluster="web",result="held"}': 1,
    'lighthouse_cluster_holds_total{cluster="web",cause="empty"}': 1,
  });
  assert.deepEqual(stage.arrivals, ["web 1 100", "web 2 300"]);
});

Deno.test("MembershipGuard: a first answer above max_nodes is held and logged, although nothing is known", () => {
  using stage = new Stage({ maxNodes: 2 });
  assert.equal(stage.hear(3), -1);
  assert.deepEqual(stage.log, ["warn cluster.held many never 3"]);
});

Deno.test("MembershipGuard treats a first answer with too many nodes as none, and adopts what the balancer serves", () => {
  using stage = new Stage({ maxNodes: 2 });
  assert.equal(stage.hear(3), -1);
  assert.deepEqual([stage.live.heard("web"), stage.changes], [false, 0]);
  assert.equal(stage.membership.hold("web")?.cause, "many");
  stage.live.adopt("web", [node(8000), node(8001)]);
  assert.equal(stage.hear(3), 2);
  assert.equal(stage.hear(1), 1);
  assert.equal(stage.live.heard("web"), true);
});
