import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { CLUSTER_DEFAULTS } from "../model/cluster.ts";
import type { AcceptedCluster, AcceptedDiscovery } from "../config/accepted.ts";
import type { Hold } from "./guard.ts";
import { StartupGate } from "./startup_gate.ts";
import { onlySource } from "../model/registry_source.ts";

/** A start with the clusters `web` and `api`, and `lost`, whose discovery does not exist. */
class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  /** The clusters that a registry has reported. */
  readonly heard = new Set<string>();
  /** The clusters whose report is held. */
  readonly held = new Set<string>();
  /** The clusters whose members are known. */
  readonly known = new Set<string>();
  calls = 0;
  readonly startupGate = new StartupGate({
    live: { nodes: (name) => this.known.has(name) ? [] : undefined },
    membership: {
      heard: ({ cluster }) => this.heard.has(cluster),
      hold: (cluster) => this.held.has(cluster) ? { cause: "many", since: 0, askAt: Infinity } as Hold : undefined,
    },
    clock: this.clock,
    log: this.log,
    onDue: () => void this.calls++,
  });

  mayServe(isServed: boolean): boolean {
    const cluster = (name: string, discovery: string): [string, AcceptedCluster] => [
      name,
      {
        cluster: { ...CLUSTER_DEFAULTS, name, sources: [onlySource(discovery)], balancers: new Map() },
        sections: new Map(),
      },
    ];
    const clusters = new Map([cluster("web", "zoo"), cluster("api", "zoo"), cluster("lost", "gone")]);
    return this.startupGate.mayServe({ clusters, discovery: new Map([["zoo", {} as AcceptedDiscovery]]) }, isServed);
  }
}

Deno.test("StartupGate ends for good when each cluster with a registry was reported", () => {
  const bench = new Bench();
  assert(!bench.mayServe(true));
  bench.heard.add("web");
  assert(!bench.mayServe(true));
  bench.heard.add("api");
  assert(bench.mayServe(true));
  assert.equal(bench.clock.pending, 0);
  bench.heard.clear();
  assert(bench.mayServe(true));
  assert.deepEqual(bench.log.lines, []);
});

Deno.test("StartupGate ends after two seconds, and reports the silent clusters", () => {
  const bench = new Bench();
  bench.known.add("web");
  assert(!bench.mayServe(true));
  assert(!bench.mayServe(true));
  bench.clock.advance(2_001);
  assert.equal(bench.calls, 1, "it has called back once, though it was asked twice");
  assert(bench.mayServe(true));
  assert.deepEqual(bench.log.events, ["warn cluster.silent"]);
  assert.deepEqual(bench.log.records[0]?.properties, {
    event: "cluster.silent",
    clusters: "web, api",
    unknown: "api",
  }, "one is served with its last known members, of the other none are known");
});

Deno.test("StartupGate does not report a cluster as silent whose registry's report is held", () => {
  const bench = new Bench();
  bench.held.add("web").add("api");
  assert(!bench.mayServe(true));
  bench.clock.advance(2_001);
  assert(bench.mayServe(true));
  assert.deepEqual(bench.log.events, []);
});

Deno.test("StartupGate does not wait where nothing runs and last known members exist for all", () => {
  const bench = new Bench();
  bench.known.add("web").add("api");
  assert(!bench.mayServe(true), "what runs has its members already");
  assert(bench.mayServe(false));
  assert.equal(bench.clock.pending, 0);
});

Deno.test("StartupGate leaves no timer behind when it is ended", () => {
  const bench = new Bench();
  assert(!bench.mayServe(false));
  assert.equal(bench.clock.pending, 1);
  bench.startupGate[Symbol.dispose]();
  assert.equal(bench.clock.pending, 0);
});
