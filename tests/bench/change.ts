import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { type Child, Composition, readChild } from "../../plugins/discovery/children.ts";
import { encodeNode } from "../../plugins/discovery/node_json.ts";
import { differenceOf } from "../../src/balance/difference.ts";
import type { AcceptedCluster } from "../../src/config/accepted.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { LiveTopology } from "../../src/membership/live_topology.ts";
import { MembershipGuard, singlePolicy } from "../../src/membership/membership_guard.ts";
import { encodeTopology } from "../../src/membership/topology_file.ts";
import { WantedComposer } from "../../src/membership/wanted.ts";
import { CLUSTER_DEFAULTS, GUARD_DEFAULTS } from "../../src/model/cluster.ts";
import { onlySource } from "../../src/model/registry_source.ts";
import type { ClusterSnapshot } from "../../src/model/topology.ts";
import { PluginHost } from "../../src/supervisor/plugin_host.ts";
import { Portions } from "../../workers/portions.ts";
import { wantedOf } from "../support/balancer_case.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import { print, quantile } from "./figures.ts";

/** The clusters, the first of which is the floor. */
const SIZES = [10, 1_000, 5_000] as const;
/** Joins and leaves that are measured; before them, some that are not. */
const CHANGES = 200, WARM = 60;
/** The times that a look is measured. */
const LOOKS = 10;

/** What a change passes on its way, and what follows in the background; each with the times that it took. */
type Times = Map<string, number[]>;

/** Where the time of one change goes, stage by stage: without a registry and a balancer, whose time it is not. */
export async function change(): Promise<void> {
  const all = new Map<number, Times>();
  for (const size of SIZES) all.set(size, await measure(size));
  const [few, ...sizes] = SIZES;
  for (const size of sizes) {
    const medianOf = (of: number, stage: string) => quantile(all.get(of)?.get(stage) ?? [], 0.5);
    print(
      `What one join or leave costs in a cluster of ${size}, medians (floor: in a cluster of ${few})`,
      [...all.get(size)?.keys() ?? []].map((stage) => ({
        what: stage,
        value: medianOf(size, stage),
        unit: "ms",
        floor: medianOf(few, stage),
      })),
    );
  }
}

async function measure(size: number): Promise<Times> {
  const times: Times = new Map();
  const timed = <T>(stage: string, act: () => T): T => {
    const began = performance.now();
    const result = act();
    times.set(stage, [...times.get(stage) ?? [], performance.now() - began]);
    return result;
  };
  const line = new Line();
  const children = new Map(Array.from({ length: size }, (_, i) => childAt(20_000 + i)));
  const [name, child] = childAt(20_000 + size / 2);
  children.delete(name);
  let served = line.pass(children, (_, act) => act());
  const model = new HaproxyModel();
  model.programVersion = [2, 6, 12];
  model.file = [...haproxy.render(served).files.values()][0]?.text;
  model.boot();
  const seen = await model.observe(haproxy.sources(served.config), undefined, new AbortController().signal);
  let observed = haproxy.observe(seen, served.config);
  for (let i = 0; i < WARM + CHANGES; i++) {
    if (i === WARM) times.clear();
    if (i % 2 === 0) children.set(name, child);
    else children.delete(name);
    const wanted = line.pass(children, timed);
    const difference = timed("writer: difference of two desired states", () => differenceOf(served, wanted));
    if (difference === undefined) throw new Error("It takes a look");
    const found = timed("writer: commands and reads", () => haproxy.shortcut?.(difference, observed, {}));
    if (found === undefined || found.steps.length === 0) throw new Error("It takes a look");
    [observed, served] = [found.observed([]), wanted];
  }
  for (let i = 0; i < LOOKS; i++) {
    // Each is of another desired state, as after a change.
    const wanted = { ...served };
    const now = timed("in the background: observe", () => haproxy.observe(seen, wanted.config));
    const rendered = timed("in the background: render", () => haproxy.render(wanted));
    timed("in the background: plan", () => haproxy.plan(wanted, rendered, now, { reload: true }));
    const began = performance.now();
    await encodeTopology(line.live.topology.clusters, { origins: new Map([["web", line.live.origins("web")]]) });
    const stage = "in the background: topology file";
    times.set(stage, [...times.get(stage) ?? [], performance.now() - began]);
  }
  await line[Symbol.asyncDispose]();
  return times;
}

/** An entry of a registry. */
function childAt(port: number): [name: string, child: Child] {
  const peer = { name: "node.test", ip: "10.0.0.1", port: 1024 };
  const data = encodeNode({ host: "node.test", ip: "10.0.0.1", port, peer, metadata: {} });
  return [`node.test:${port}`, readChild(data, { withoutMetadata: true })];
}

/** The way of an answer from a registry's entries to a desired state. */
class Line implements AsyncDisposable {
  readonly live = new LiveTopology();
  readonly #clock = new FakeClock();
  readonly #composition = new Composition();
  readonly #portions = new Portions("web", { withoutMetadata: true });
  readonly #composer = new WantedComposer("haproxy");
  readonly #guard: MembershipGuard;
  readonly #host: PluginHost;
  readonly #base = wantedOf({ version: "2.6.12", balancer: {}, clusters: [{ name: "web", haproxy: {}, nodes: [] }] });
  #say: (text: string) => void = () => {};
  #snapshot: ClusterSnapshot | undefined;

  constructor() {
    const clock = this.#clock;
    this.#guard = new MembershipGuard({ live: this.live, clock, log: SILENT, askAgain() {}, onChange() {} });
    this.#guard.apply(new Map([["web", singlePolicy("zookeeper", GUARD_DEFAULTS)]]));
    this.#host = new PluginHost({
      name: "zookeeper",
      module: "builtin:zookeeper",
      kind: "discovery",
      permissions: "none",
      clock,
      startThread: (_, events) => {
        this.#say = (text) => events.onMessage(text);
        return { post() {}, end() {} };
      },
      onEvent: (event) => {
        if (event.type === "snapshot") this.#snapshot = event.snapshot;
      },
    });
    this.#host.post({ type: "watch", cluster: "web" });
  }

  /** Passes entries on; `timed` runs each stage. */
  pass(children: ReadonlyMap<string, Child>, timed: <T>(stage: string, act: () => T) => T): HaproxyWanted {
    this.#clock.advance(10_000);
    const { nodes } = timed("worker: members of the entries", () => this.#composition.compose(children));
    const messages = timed(
      "worker: message of what changed",
      () => this.#portions.next({ nodes, exists: true, epoch: "1" }),
    );
    timed("host: validate, and make the whole again", () => messages.forEach((text) => this.#say(text)));
    const snapshot = this.#snapshot;
    if (snapshot === undefined) throw new Error("Nothing was said");
    timed("host: guard and live topology", () => this.#guard.hear(snapshot, "zookeeper"));
    return timed("host: desired state", () => {
      const { config, host, version } = this.#base;
      const section = this.#base.clusters[0]?.config;
      const cluster: AcceptedCluster = this.#cluster ??= {
        cluster: { ...CLUSTER_DEFAULTS, name: "web", sources: [onlySource("zookeeper")], balancers: new Map() },
        sections: new Map([["haproxy", section]]),
      };
      const balancer = { file: { name: "haproxy", type: "haproxy", config: {} }, plugin: haproxy as never, config };
      const accepted = { clusters: new Map([["web", cluster]]), unknownClusters: [] };
      const composed = this.#composer.compose(balancer, accepted, this.live.topology.clusters, host);
      return { ...composed, version } as HaproxyWanted;
    });
  }

  #cluster: AcceptedCluster | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    this.#guard[Symbol.dispose]();
    await this.#host.stop({ graceMs: 0 });
  }
}
