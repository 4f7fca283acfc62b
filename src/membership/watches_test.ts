import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import type { AcceptedBalancer, AcceptedCluster, AcceptedDiscovery } from "../config/accepted.ts";
import { Watches } from "./watches.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";
import { onlySource } from "../model/registry_source.ts";

const ZOO = "discovery zoo";

/** What is watched, with all calls to workers and the membership as a list. */
class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  readonly stop = new AbortController();
  readonly tally = new Tally();
  readonly #told: string[] = [];
  readonly watches = new Watches({
    fleet: {
      post: (key, message) => {
        const full = message.type === "watch" && !message.withoutMetadata && "with metadata";
        const said = message.type === "watch" && message.config !== undefined && JSON.stringify(message.config);
        this.#tell(...[`${key}: ${message.type}`, "cluster" in message && message.cluster, full, said].filter(Boolean));
      },
    },
    membership: {
      apply: () => {},
      connected: (sources) => this.#tell("connected", ...[...sources].map(({ cluster }) => cluster)),
      lostSight: (sources, reason, { until }) =>
        this.#tell(`lost until ${until} (${reason})`, ...[...sources].map(({ cluster }) => cluster)),
      hear: ({ cluster }) => this.#tell("heard", cluster),
    },
    clock: this.clock,
    random: () => 1,
    log: this.log,
    meter: this.tally,
    signal: this.stop.signal,
  });

  #tell(...words: readonly (string | false)[]): void {
    this.#told.push(words.join(" "));
  }

  /**
   * Applies a config of clusters with their discoveries, of which `zoo` and `dns` exist; returns the calls.
   */
  apply(clusters: Readonly<Record<string, string>>, ...ignoresMetadata: readonly boolean[]): readonly string[] {
    const entries = Object.entries(clusters).map(([name, discovery]): [string, AcceptedCluster] => [
      // A file need not be named like its cluster.
      `file-of-${name}`,
      {
        cluster: { ...CLUSTER_DEFAULTS, name, sources: [onlySource(discovery)], balancers: new Map() },
        sections: new Map(),
      },
    ]);
    const balancers = new Map(ignoresMetadata.map((ignores, at) => {
      const plugin = { ignoresMetadata: ignores } as AcceptedBalancer["plugin"];
      return [String(at), { plugin } as AcceptedBalancer];
    }));
    const discovery = new Map(["zoo", "dns"].map((name) => [name, {} as AcceptedDiscovery]));
    this.watches.apply({ clusters: new Map(entries), discovery, balancers });
    return this.take();
  }

  /** Applies a config of one cluster of `zoo` with this section for the discovery; returns the calls. */
  applyOptions(options?: unknown): readonly string[] {
    const cluster = { ...CLUSTER_DEFAULTS, name: "web", sources: [onlySource("zoo")], balancers: new Map() };
    const clusters = new Map([["web", { cluster, sections: new Map(), options: new Map([["zoo", options]]) }]]);
    this.watches.apply({ clusters, discovery: new Map([["zoo", {} as AcceptedDiscovery]]), balancers: new Map() });
    return this.take();
  }

  /** The calls since the last time. */
  take(): readonly string[] {
    return this.#told.splice(0);
  }

  /** Advances the clock, and lets everything happen that needs no time. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    for (let turn = 0; turn < 20; turn++) await undefined;
  }

  lose(cluster: string, message: string): readonly string[] {
    this.watches.hear(ZOO, { type: "lost", cluster, error: { name: "Error", message } });
    return this.take();
  }
}

Deno.test("Watches starts what is new, ends what is gone, and leaves the rest", () => {
  const bench = new Bench();
  assert.deepEqual(bench.apply({ web: "zoo", api: "zoo", db: "gone" }), [
    "discovery zoo: watch web",
    "discovery zoo: watch api",
  ]);
  assert.deepEqual(bench.apply({ web: "zoo", api: "dns" }), [
    "discovery zoo: unwatch api",
    "lost until told (Switching to discovery/dns.yaml: waiting for the first response) api",
    "discovery dns: watch api",
  ]);
});

Deno.test("Watches requests metadata only while a balancer reads it", () => {
  const bench = new Bench();
  assert.deepEqual(bench.apply({ web: "zoo" }, true), ["discovery zoo: watch web"]);
  assert.deepEqual(bench.apply({ web: "zoo", api: "dns" }, true, false), [
    "discovery zoo: unwatch web",
    "discovery zoo: watch web with metadata",
    "discovery dns: watch api with metadata",
  ]);
  assert.deepEqual(bench.apply({ web: "zoo", api: "dns" }, true, false), []);
  assert.deepEqual(bench.apply({ web: "zoo" }, true), [
    "discovery dns: unwatch api",
    "lost until told (No file in clusters/ defines the cluster) api",
    "discovery zoo: unwatch web",
    "discovery zoo: watch web",
  ]);
});

Deno.test("Watches passes on a cluster's section for its discovery, and watches again when that changes", () => {
  const bench = new Bench();
  assert.deepEqual(bench.applyOptions({ a: 1 }), ['discovery zoo: watch web {"a":1}']);
  assert.deepEqual(bench.applyOptions({ a: 1 }), []);
  const both = ["discovery zoo: unwatch web", 'discovery zoo: watch web {"a":2}'];
  assert.deepEqual(bench.applyOptions({ a: 2 }), both);
  assert.deepEqual(bench.applyOptions(), ["discovery zoo: unwatch web", "discovery zoo: watch web"]);
});

Deno.test("Watches starts all again in a new worker of a discovery, and nothing in one of a check", () => {
  const bench = new Bench();
  bench.apply({ web: "zoo", api: "dns" });
  bench.watches.begin(ZOO);
  bench.watches.begin("check web:80/http");
  assert.deepEqual(bench.take(), ["discovery zoo: watch web"]);
});

Deno.test("Watches takes reports of the clusters that it watches, and ignores a worker's reports about others", () => {
  const bench = new Bench();
  bench.apply({ web: "zoo", api: "dns" });
  const others = ["api", "__proto__", "constructor"];
  for (const cluster of ["web", ...others]) {
    bench.watches.hear(ZOO, { type: "snapshot", snapshot: { cluster, nodes: [], exists: true, epoch: "1" } });
  }
  const taken = others.map((cluster) => `discovery zoo: taken ${cluster}`);
  assert.deepEqual(bench.take(), ["discovery zoo: taken web", "heard web", ...taken]);
  assert.deepEqual(bench.lose("api", "no such path"), []);
});

Deno.test("Watches reports for all clusters of a registry that it is reachable, unreachable, or without a worker", () => {
  const bench = new Bench();
  bench.apply({ web: "zoo", api: "zoo", db: "dns" });
  bench.watches.hear(ZOO, { type: "connection", state: "connected", detail: "" });
  bench.watches.hear(ZOO, { type: "connection", state: "disconnected", detail: "no route" });
  bench.watches.lose(ZOO, "it threw");
  assert.deepEqual(bench.take(), [
    "connected web api",
    "lost until connected (no route) web api",
    "lost until told (it threw) web api",
  ]);
});

Deno.test("Watches restarts a lost watch, later each time, until the cluster is reported", async () => {
  const bench = new Bench();
  bench.apply({ web: "zoo" });
  for (const waitMs of [200, 400, 800]) {
    assert.deepEqual(bench.lose("web", "no such path"), ["lost until told (no such path) web"]);
    await bench.pass(waitMs - 1);
    assert.deepEqual(bench.take(), []);
    await bench.pass(1);
    assert.deepEqual(bench.take(), ["discovery zoo: watch web"]);
  }
  assert.equal(bench.log.take().length, 1, "the same again is no news");
  bench.watches.hear(ZOO, { type: "snapshot", snapshot: { cluster: "web", nodes: [], exists: true, epoch: "1" } });
  bench.lose("web", "no such path");
  await bench.pass(200);
  assert.deepEqual(bench.take(), ["discovery zoo: watch web"]);
  assert.equal(bench.log.take().length, 1);
});

Deno.test("Watches does not restart a watch that is not desired any more", async () => {
  const bench = new Bench();
  bench.apply({ web: "zoo" });
  bench.lose("web", "no such path");
  bench.apply({});
  await bench.pass(1_000);
  assert.deepEqual(bench.take(), []);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("Watches asks for a cluster once more by restarting its watch", () => {
  const bench = new Bench();
  bench.apply({ web: "zoo", api: "dns" });
  bench.watches.askAgain("web");
  assert.deepEqual(bench.take(), ["discovery zoo: unwatch web", "discovery zoo: watch web"]);
});

Deno.test("Watches counts each failed watch", async () => {
  const bench = new Bench();
  bench.apply({ web: "zoo" });
  bench.lose("web", "no such path");
  await bench.pass(200);
  bench.lose("web", "no such path");
  await bench.pass(400);
  assert.deepEqual(samplesOf(bench.tally.collect()), { 'lighthouse_watch_failures_total{cluster="web"}': 2 });
});
