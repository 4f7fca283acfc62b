/**
 * Two registries in one daemon: what a hostile discovery plugin, or a hostile
 * balancer's plugin, sends delays the cluster of the other registry by no more
 * than 100 ms, from the registry's file to HAProxy. What plugins compute is not
 * limited, so the control is the same daemon with plugins that compute for as
 * long and send nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { oddBalancerSource } from "../support/foreign_balancer.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

/** How often a node joins or leaves. */
const ROUNDS = 20;
/** What the others may cost: the promise. */
const DELAY_MAX_MS = 100;
/** What else the machine does changes from one daemon to the next: so often the two are compared. */
const TRIES_MAX = 3;

/** A discovery plugin whose watches do this. */
const discovery = (watch: string) => `
const plugin: any = {
  kind: "discovery", apiVersion: 1, name: "other", summary: "Another", stability: "experimental", example: {},
  capabilities: ["watch"],
  config: { "~standard": { version: 1, vendor: "x", validate: (value: any) => ({ value }) } },
  permissions: () => ({}),
  async open(config: any, { log, connection }: any) {
    connection("connected");
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    return {
      ended: new Promise(() => {}), async register() {}, async deregister() {}, async release() {},
      async [Symbol.asyncDispose]() {},
      async *watch(cluster: string) {${watch}
      },
    };
  },
};
export default plugin;
`;

/** The clusters of the others, each with a connection of its own. */
const CLUSTERS = ["many", "logs", "some"];

/** What the plugins beside the good registry do. */
interface Others {
  readonly watch: string;
  readonly render: string;
  /** What the log has once all of them do it. */
  readonly logged: readonly RegExp[];
}

const HOSTILE: Others = {
  watch: `
        const metadata = { x: "x".repeat(30_000) };
        const keys = Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => ["k" + i, i]));
        for (let round = 0;; round++) {
          if (cluster === "logs") { for (let i = 0; i < 3; i++) log.info("x", keys); await pause(20); continue; }
          const node = (i: number) => ({ host: "h" + i, ip: "10.0.0.1", port: 1 + round % 9, metadata });
          const length = cluster === "many" ? 100_000 : 900;
          try {
            yield { exists: true, epoch: "e", nodes: Array.from({ length }, (_, i) => cluster === "many" ? { ...node(i), metadata: {} } : node(i)) };
          } catch { await pause(20); }
          await pause(20);
        }`,
  render:
    `({ text: "x", notices: [], origins: new Map(Array.from({ length: 1_500_000 }, (_, i) => [i + 1, { file: "f", line: i }])) })`,
  logged: [
    /k19=19 worker="?discovery other_logs/,
    /event=cluster\.held .*cluster=many .*said=100000/,
    /Cluster changed" event=cluster\.changed cluster=some nodes=900/,
    /Cannot use the plugin of the balancer odd: /,
  ],
};

/** They compute for a part of the time, and send nothing. */
const busy = (part: number): Others => ({
  watch: `
        for (;;) {
          const until = performance.now() + ${part} * 100;
          while (performance.now() < until) JSON.stringify({ cluster });
          await pause(${1 - part} * 100);
        }`,
  render: `{ throw new Error("nothing to render") }`,
  logged: [/Cannot use the plugin of the balancer odd: /],
});

/** Has a node join and leave in the good registry; answers how long HAProxy took to follow, at the median. */
async function followMs(host: TestHost, fixed: number): Promise<number> {
  const took: number[] = [];
  const port = freePort();
  const file = host.dir.file(`registry/web/b.test:${port}.json`);
  for (let i = 0; i < ROUNDS; i++) {
    const joins = i % 2 === 0;
    const beganMs = performance.now();
    if (joins) await Deno.writeTextFile(file, JSON.stringify({ host: "b.test", ip: "127.0.0.1", port }));
    else await Deno.remove(file);
    await host.untilServing("web", joins ? [fixed, port] : [fixed]);
    took.push(performance.now() - beganMs);
  }
  return took.toSorted((a, b) => a - b)[ROUNDS / 2] ?? Infinity;
}

/** How long a process's threads besides the first have computed so far, in milliseconds. */
async function workersMs(pid: number): Promise<number> {
  let ticks = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    if (name === String(pid)) continue;
    const stat = await Deno.readTextFile(`/proc/${pid}/task/${name}/stat`).catch(() => "");
    const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number);
    ticks += user + system;
  }
  return ticks * 10;
}

/** Runs a writer with such plugins beside the good registry: how long HAProxy took to follow, and which part of the time each plugin computed. */
async function beside({ watch, render, logged }: Others): Promise<{ readonly tookMs: number; readonly part: number }> {
  await using host = new TestHost();
  await host.configure();
  const fixed = freePort();
  await host.dir.write(
    `registry/web/a.test:${fixed}.json`,
    JSON.stringify({ host: "a.test", ip: "127.0.0.1", port: fixed }),
  );
  const folder = host.dir.file("odd");
  await host.dir.write("config/plugins/other.ts", discovery(watch));
  await host.dir.write("config/plugins/odd.js", oddBalancerSource(folder, `render: () => ${render}`));
  await host.write("plugins", {
    discovery: Object.fromEntries(CLUSTERS.map((name) => [`other_${name}`, { url: "plugins/other.ts" }])),
    balancers: {
      odd: {
        url: "plugins/odd.js",
        allow: { net: [`unix:${folder}/socket`], write: [`${folder}/file`], run: [`${folder}/check`] },
      },
    },
  });
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 60 });
  await host.write("clusters/web", { discovery: "file", haproxy: { port: freePort(), backend: ["mode http"] } });
  await host.write("balancers/odd", {});
  for (const name of CLUSTERS) {
    await host.write(`discovery/other_${name}`, {});
    await host.write(`clusters/${name}`, { discovery: `other_${name}`, odd: {} });
  }
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [fixed]);
  for (const line of logged) await writer.logged(line);
  const [beganMs, hadMs] = [performance.now(), await workersMs(writer.pid)];
  const tookMs = await followMs(host, fixed);
  const computedMs = await workersMs(writer.pid) - hadMs;
  return { tookMs, part: Math.min(1, computedMs / (performance.now() - beganMs) / CLUSTERS.length) };
}

Deno.test("a hostile discovery and a hostile balancer delay another registry's cluster by no more than 100 ms", async () => {
  await setUp(["haproxy"]);
  const tries: string[] = [];
  for (let i = 0; i < TRIES_MAX; i++) {
    const hostile = await beside(HOSTILE);
    const control = await beside(busy(hostile.part));
    if (hostile.tookMs <= control.tookMs + DELAY_MAX_MS) return;
    tries.push(`${Math.round(hostile.tookMs)} ms, control ${Math.round(control.tookMs)} ms`);
  }
  assert.fail(`HAProxy follows too late beside hostile plugins: ${tries.join("; ")}`);
});
