/**
 * Two registries in one daemon: whatever a hostile discovery or balancer plugin
 * sends delays the cluster of the other registry by no more than 100 ms, from the
 * registry's file to HAProxy. The computing time of plugins is not limited, so
 * the control is a second daemon beside the first, with plugins that send
 * nothing: it has the same cores, under the same load at the same time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { oddBalancerSource } from "../support/foreign_balancer.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

/** How often a node joins or leaves in each of the two daemons: alternately, so that each pair sees the same load. */
const ROUNDS = 21;
/** The promise: what the others may cost, at the median of the pairs' differences. */
const DELAY_MAX_MS = 100;

/** A discovery plugin with this watch. */
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

/** The clusters of the hostile plugins, each with a connection of its own. */
const CLUSTERS = ["many", "logs", "some"];

/** The behaviour of the plugins beside the good registry. */
interface Others {
  readonly watch: string;
  readonly render: string;
  /** The log records that show that all of them are active. */
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
    /Cannot use the plugin of balancer odd: /,
  ],
};

const QUIET: Others = {
  watch: `await new Promise(() => {});`,
  render: `{ throw new Error("nothing to render") }`,
  logged: [/Cannot use the plugin of balancer odd: /],
};

/** A writer with such plugins beside the good registry. */
class Beside implements AsyncDisposable {
  readonly #host = new TestHost();
  readonly #fixed = freePort();
  readonly #port = freePort();
  #writer: Lighthouse | undefined;
  #isThere = false;

  /** Starts it; resolves once it serves the good registry's cluster, and all the others are active. */
  async start({ watch, render, logged }: Others): Promise<void> {
    const host = this.#host;
    await host.configure();
    await this.#register("a.test", this.#fixed);
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
    this.#writer = Lighthouse.start("writer", host.configDir);
    await host.untilServing("web", [this.#fixed]);
    for (const line of logged) await this.#writer.logged(line);
  }

  /** Has a node join or leave in the good registry; returns how long HAProxy took to follow. */
  async followMs(): Promise<number> {
    const beganMs = performance.now();
    this.#isThere = !this.#isThere;
    if (this.#isThere) await this.#register("b.test", this.#port);
    else await Deno.remove(this.#fileOf("b.test", this.#port));
    await this.#host.untilServing("web", this.#isThere ? [this.#fixed, this.#port] : [this.#fixed]);
    return performance.now() - beganMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]();
    await this.#host[Symbol.asyncDispose]();
  }

  #fileOf(name: string, port: number): string {
    return this.#host.dir.file(`registry/web/${name}:${port}.json`);
  }

  async #register(host: string, port: number): Promise<void> {
    await this.#host.dir.write(
      `registry/web/${host}:${port}.json`,
      JSON.stringify({ host, ip: "127.0.0.1", port }),
    );
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

Deno.test("a hostile discovery and a hostile balancer delay another registry's cluster by no more than 100 ms", async () => {
  await setUp(["haproxy"]);
  await using hostile = new Beside();
  await using control = new Beside();
  await Promise.all([hostile.start(HOSTILE), control.start(QUIET)]);
  const pairs: [hostileMs: number, controlMs: number][] = [];
  for (let i = 0; i < ROUNDS; i++) pairs.push([await hostile.followMs(), await control.followMs()]);
  const delayMs = median(pairs.map(([hostileMs, controlMs]) => hostileMs - controlMs));
  const all = pairs.map((pair) => pair.map(Math.round).join("/")).join(" ");
  assert.ok(
    delayMs <= DELAY_MAX_MS,
    `HAProxy follows ${Math.round(delayMs)} ms later beside hostile plugins: ${all} ms`,
  );
});
