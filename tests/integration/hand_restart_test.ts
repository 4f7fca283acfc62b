/**
 * An operator reloads HAProxy by hand, with the current file, under load: nodes
 * that should get no requests get none, and no request fails.
 *
 * @module
 */
import assert from "node:assert/strict";
import { wantedNode } from "../../src/membership/wanted.ts";
import type { WantedNode } from "../../src/plugin/contract.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { HttpLoad } from "../support/http_load.ts";

const HTTP = ["mode http", "timeout connect 5s", "timeout server 5s"];

/** A server that counts its requests, except those of checks. */
class CountedServer extends NamedServer {
  count = 0;

  constructor(name: string) {
    super(name, (request) => {
      if (new URL(request.url).pathname !== "/health") this.count++;
      return true;
    });
  }
}

/** Reloads HAProxy as an operator would; returns when another process serves. */
async function reloadByHand(box: HaproxyBox): Promise<void> {
  const pid = await box.pid();
  const { configFile, pidFile, socketFile } = box;
  await box.run("-D", "-f", configFile, "-p", pidFile, "-L", "lb.test", "-x", socketFile, "-sf", `${pid}`);
  await eventually("another process serves", async () => await box.pid() !== pid);
}

// A busy machine must not fail a check: without a preferred server the idle one would be right to serve.
const CHECKED = { backend: [...HTTP, "option httpchk GET /health"], server_options: "check inter 2s fall 10 rise 1" };

const STATES: readonly {
  readonly what: string;
  readonly section?: Record<string, unknown>;
  readonly hasFallback?: boolean;
  readonly change: Partial<WantedNode>;
}[] = [
  { what: "drained", change: { state: "drain" } },
  { what: "drained with a weight", change: { state: "drain", weight: 3 } },
  { what: "in maintenance", change: { state: "maint" } },
  { what: "at weight 0", change: { weight: 0 } },
  { what: "in an idle pool", change: { pool: "overflow", weight: 256 } },
  {
    what: "in an idle pool of the last resort",
    hasFallback: true,
    section: CHECKED,
    change: { pool: "overflow", weight: 256, isFallback: true, from: "spare" },
  },
  {
    what: "drained, in a pool of the last resort and beside a panic threshold",
    hasFallback: true,
    section: { ...CHECKED, panic_threshold: 50 },
    change: { state: "drain", isFallback: true },
  },
];

for (const { what, change, section: more = { backend: HTTP }, hasFallback = false } of STATES) {
  Deno.test(`a manual reload under load sends no requests to a node ${what}, and no request fails`, async () => {
    await using box = new HaproxyBox();
    await using idle = new CountedServer("idle.test");
    await using one = new CountedServer("one.test");
    await using two = new CountedServer("two.test");
    const section = { port: freePort(), ...more };
    const wantedWith = (node: WantedNode) => {
      const wanted = box.wanted({ web: { section, nodes: [one.node, two.node, node] } });
      return { ...wanted, clusters: wanted.clusters.map((each) => ({ ...each, ...hasFallback && { hasFallback } })) };
    };
    await using running = new RunningWriter({ reconcileMs: 100 });
    // A member at first, so that the state is set without a reload.
    await running.apply(wantedWith(wantedNode(idle.node)));
    await running.apply(wantedWith({ ...wantedNode(idle.node), ...change }));
    await eventually("the file says it", async () => {
      const line = /\tserver idle\.test:\d+ (.*)/.exec(await Deno.readTextFile(box.configFile))?.[1] ?? "";
      return /weight 0|disabled/.test(line);
    }).catch(async (error) => {
      throw new Error(`${error.message}: ${await Deno.readTextFile(box.configFile)}`);
    });
    const load = new HttpLoad(section.port);
    await load.more(100);
    idle.count = 0;
    for (let i = 0; i < 3; i++) {
      await reloadByHand(box);
      await load.more(100);
    }
    const { failed } = await load.stop();
    assert.deepEqual(failed, []);
    assert.equal(idle.count, 0);
    assert(one.count > 100 && two.count > 100, `${one.count} ${two.count}`);
    assert.equal(running.reloads, 1, running.log.join("\n"));
  });
}
