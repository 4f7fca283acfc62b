/**
 * The cost of ramps with a real HAProxy: at most one command per second and node,
 * however many nodes ramp at once.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Executor } from "../../src/balance/executor.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { LiveTopology } from "../../src/membership/live_topology.ts";
import { Traffic } from "../../src/membership/traffic.ts";
import { shareRequest, wantedShare } from "../../src/membership/wanted.ts";
import { CLUSTER_DEFAULTS } from "../../src/model/cluster.ts";
import type { AcceptedCluster } from "../../src/config/accepted.ts";
import type { Step } from "../../src/plugin/contract.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, RunningWriter } from "../support/haproxy.ts";

const NODES = 200, RAMP_MS = 8_000;

Deno.test("200 nodes that ramp at once take at most one command per second each, and end at full weight", async () => {
  await using box = new HaproxyBox();
  /** How often the weight of each server was set. */
  const sent = new Map<string, number>();
  const count = (steps: readonly Step[]) => {
    for (const step of steps) {
      const [, name] = step.do === "command" ? /^set server (\S+) weight /.exec(step.command) ?? [] : [];
      if (name !== undefined) sent.set(name, (sent.get(name) ?? 0) + 1);
    }
  };
  const executor = new Executor();
  const [execute, executeHeld] = [executor.execute.bind(executor), executor.executeHeld.bind(executor)];
  executor.execute = (steps, ...rest) => (count(steps), execute(steps, ...rest));
  executor.executeHeld = (steps, ...rest) => (count(steps), executeHeld(steps, ...rest));
  await using running = new RunningWriter({ effects: executor });
  const slowStart = { delayMs: 0, rampMs: RAMP_MS, from: 0.1, curve: "linear", graceMs: 1_000 } as const;
  const web: AcceptedCluster = {
    cluster: {
      ...CLUSTER_DEFAULTS,
      name: "web",
      sources: [],
      balancers: new Map(),
      traffic: { weight: { default: 100 }, slowStart, warmUpMs: 0 },
    },
    sections: new Map([["haproxy", {}]]),
  };
  const clusters = new Map([["web", web]]);
  const live = new LiveTopology();
  const section = { port: freePort(), backend: ["mode http"] };
  const wanted = () => {
    const members = new Map([["web", live.nodes("web") ?? []]]);
    const request = shareRequest("haproxy", web, { clusters, members, host: {}, overrides: [] });
    assert(request !== undefined);
    return box.wanted({ web: { section, nodes: traffic.share(request).nodes.map(wantedShare) } });
  };
  using traffic = new Traffic({
    live,
    clock: systemClock,
    wallNow: Date.now,
    onDue: () => running.writer.put(wanted()),
  });
  traffic.apply({ clusters });
  const old = localNode(1_000, "old.test");
  live.replace({ cluster: "web", nodes: [old] });
  traffic.note("web");
  await running.apply(wanted());
  sent.clear();
  const began = performance.now();
  live.replace({ cluster: "web", nodes: [old, ...Array.from({ length: NODES }, (_, i) => localNode(2_000 + i))] });
  traffic.note("web");
  running.writer.put(wanted());
  const weights = async () => {
    const { running } = await box.observe();
    return [...running?.backends.get("web")?.values() ?? []].map(({ weight }) => weight);
  };
  await eventually("all have their full weight", async () => {
    const all = await weights();
    return all.length === NODES + 1 && all.every((weight) => weight === 256);
  }, { everyMs: 250 });
  const seconds = (performance.now() - began) / 1_000;
  const most = Math.max(...sent.values());
  assert(sent.size >= NODES, `${sent.size} servers`);
  // A second that has begun counts.
  assert(most <= Math.ceil(seconds) + 1, `${most} commands for one server in ${seconds} s`);
  assert(most <= RAMP_MS / 1_000 + 2, `${most} commands for one server`);
  assert(most > 2, "it ramps");
  assert.equal(running.reloads, 1, "only the start");
});
