/**
 * Weight and state of a node, with a real HAProxy: the distribution of requests,
 * the cost of a change, and the effect of a start by hand.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { WantedNode } from "../../src/plugin/contract.ts";
import type { Node } from "../../src/model/node.ts";
import { wantedNode } from "../../src/membership/wanted.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, kill, localNode, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { get, HttpLoad } from "../support/http_load.ts";

const HTTP = ["mode http", "timeout connect 5s", "timeout server 5s"];

/** Sends sequential requests; returns how often each server answered. */
async function shares(port: number, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const name = await get(port);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Two servers, each with its node's weight and state. */
function two(one: NamedServer, other: NamedServer, of: Partial<Node>, otherOf: Partial<Node>): readonly Node[] {
  return [{ ...one.node, ...of }, { ...other.node, ...otherOf }];
}

Deno.test("members share requests by their weights at once, without a reload or a failed request", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using other = new NamedServer("other.test");
  await using third = new NamedServer("third.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), backend: HTTP };
  const serve = (nodes: readonly Node[]) => running.apply(box.wanted({ web: { section, nodes } }));
  await serve(two(one, other, { weight: 1 }, { weight: 3 }));
  assert.deepEqual(await shares(section.port, 400), { "one.test": 100, "other.test": 300 });
  const load = new HttpLoad(section.port);
  await serve(two(one, other, { weight: 3 }, { weight: 1 }));
  await load.more(200);
  await serve(two(one, other, {}, { weight: 0 }));
  await load.more(200);
  await serve([...two(one, other, { weight: 1 }, { weight: 1 }), { ...third.node, weight: 2 }]);
  await load.more(200);
  assert.deepEqual((await load.stop()).failed, []);
  const counts = await shares(section.port, 400);
  assert.deepEqual(counts, { "one.test": 100, "other.test": 100, "third.test": 200 });
  await serve(two(one, other, {}, { weight: 0 }));
  assert.deepEqual(await shares(section.port, 20), { "one.test": 20 });
  assert.equal(running.reloads, 1, "only the start");
});

Deno.test("a node with state drain keeps its connection and gets no new ones until the state is removed", async () => {
  await using box = new HaproxyBox();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let taken = 0;
  void (async () => {
    for await (const connection of listener) {
      taken++;
      connection.readable.pipeTo(connection.writable).catch(() => {});
    }
  })();
  await using other = new NamedServer("other.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const echo = localNode(listener.addr.port, "echo.test");
  const section = { port: freePort(), backend: ["mode tcp"], frontend: ["mode tcp"] };
  const serve = (nodes: readonly Node[]) => running.apply(box.wanted({ web: { section, nodes } }));
  await serve([echo]);
  using client = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
  const lives = async () => {
    await client.write(new TextEncoder().encode("ping"));
    return await client.read(new Uint8Array(8)) === 4;
  };
  assert(await lives());
  await serve([{ ...echo, state: "drain" }, other.node]);
  assert.deepEqual(await shares(section.port, 20), { "other.test": 20 });
  assert(await lives());
  assert.equal(taken, 1);
  await serve([echo, { ...other.node, state: "drain" }]);
  using again = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
  await again.write(new TextEncoder().encode("ping"));
  await eventually("it is served again", () => taken === 2);
  assert(await lives());
  assert.equal(running.reloads, 1);
});

/** Each state of a member, and the requests that it and the other member get after a start by hand. */
const STATES: readonly { readonly what: string; readonly change: Partial<WantedNode>; readonly counts: object }[] = [
  { what: "a weight", change: { weight: 3 }, counts: { "one.test": 30, "other.test": 10 } },
  { what: "weight 0", change: { weight: 0 }, counts: { "other.test": 40 } },
  { what: "drain", change: { state: "drain" }, counts: { "other.test": 40 } },
  { what: "drain with a weight", change: { state: "drain", weight: 3 }, counts: { "other.test": 40 } },
  { what: "maint", change: { state: "maint" }, counts: { "other.test": 40 } },
  { what: "overflow", change: { pool: "overflow", weight: 3 }, counts: { "other.test": 40 } },
];

for (const { what, change, counts } of STATES) {
  Deno.test(`a HAProxy started by hand sends no more requests to a member with ${what} than the writer's HAProxy`, async () => {
    await using box = new HaproxyBox();
    await using one = new NamedServer("one.test");
    await using other = new NamedServer("other.test");
    const section = { port: freePort(), backend: HTTP };
    const wantedWith = (more: Partial<WantedNode>) =>
      box.wanted({ web: { section, nodes: [{ ...wantedNode(one.node), ...more }, other.node] } });
    const wanted = wantedWith(change);
    {
      await using running = new RunningWriter({ reconcileMs: 100 });
      await running.apply(wantedWith({}));
      await running.apply(wanted);
      assert.deepEqual(await shares(section.port, 40), counts);
      await eventually("the file says it", async () => / # lighthouse: /.test(await Deno.readTextFile(box.configFile)));
    }
    for (const pid of box.processes()) kill(pid);
    await eventually("it is gone", () => box.processes().length === 0);
    await box.run("-D", "-f", box.configFile, "-p", box.pidFile, "-L", "lb.test");
    assert.deepEqual(await shares(section.port, 40), counts);
    await using running = new RunningWriter({ reconcileMs: 100 });
    await running.apply(wanted);
    assert.deepEqual(await shares(section.port, 40), counts);
    await running.apply(wantedWith({}));
    assert.deepEqual(await shares(section.port, 40), { "one.test": 20, "other.test": 20 });
    assert.equal(running.reloads, 0, running.log.join("\n"));
  });
}

Deno.test("a weight changed by hand is reverted to the node's weight", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using running = new RunningWriter({ reconcileMs: 50 });
  const nodes = [{ ...one.node, weight: 5 }];
  // The node is added without a weight, so the initial weight differs from the desired one.
  await running.apply(box.wanted({ web: { nodes: [one.node] } }));
  await running.apply(box.wanted({ web: { nodes } }));
  const key = `web/one.test:${one.port}`;
  // A change before everything has settled is no drift.
  await eventually("the change is noticed", async () => {
    await box.ask(`set server ${key} weight 9`);
    return running.count("balancer.drift", { found: `${key} has weight 9 instead of 5` }) > 0;
  });
  const weight = async () => (await box.observe()).running?.backends.get("web")?.get(`one.test:${one.port}`)?.weight;
  await eventually("it has its weight again", async () => await weight() === 5);
  assert.equal(running.reloads, 1);
});

Deno.test("if the balance algorithm has static weights, a weight takes a reload and a drain takes none", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using other = new NamedServer("other.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), backend: [...HTTP, "balance static-rr"] };
  const serve = (nodes: readonly Node[]) =>
    running.apply(box.wanted({ web: { section, nodes } }, { restart_interval: 0 }));
  await serve(two(one, other, {}, {}));
  await serve(two(one, other, { state: "drain" }, {}));
  assert.deepEqual(await shares(section.port, 20), { "other.test": 20 });
  await serve(two(one, other, { weight: 0 }, {}));
  assert.deepEqual(await shares(section.port, 20), { "other.test": 20 });
  assert.equal(running.reloads, 1, running.log.join("\n"));
  await serve(two(one, other, { weight: 3 }, {}));
  assert.equal(running.reloads, 2);
  await running.event("balancer.reloaded", { reason: /balance static-rr\W+cannot change weights at run time/ });
  assert.deepEqual(await shares(section.port, 40), { "one.test": 30, "other.test": 10 });
});
