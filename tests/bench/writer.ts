import type { Node } from "../../mod.ts";
import { Traffic } from "../../examples/demo/traffic.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, RunningWriter } from "../support/haproxy.ts";
import { print } from "./figures.ts";

/** The nodes of the large cluster. */
const NODES = 1_000;
/** Nodes that are added or removed under load. */
const CHANGES = 500;

/** What the writer does to a real HAProxy: a large snapshot, and churn under load. */
export async function writer(): Promise<void> {
  await snapshot();
  await churn();
}

async function snapshot(): Promise<void> {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const section = { port: freePort(), backend: ["mode http"] };
  await running.apply(box.wanted({ web: { section } }));
  const nodes = Array.from({ length: NODES }, (_, i) => localNode(1_000 + i));
  const reloads = running.reloads;
  const began = performance.now();
  await running.apply(box.wanted({ web: { section, nodes } }));
  const tookMs = performance.now() - began;
  const appliedMs = running.turns.filter(({ steps }) => steps.length > 0).at(-1)?.tookMs ?? NaN;
  const floorMs = await rawFill(box);
  print(`A snapshot of ${NODES} nodes into a running HAProxy (floor: the same commands, raw)`, [
    {
      what: "put to all in HAProxy and observed again",
      value: Math.min(tookMs, appliedMs),
      unit: "ms",
      floor: floorMs,
      most: 1.2 * floorMs,
    },
    { what: "reloads", value: running.reloads - reloads, unit: "count", most: 0 },
  ]);
}

/** Adds and enables as many servers with nothing but the socket; answers the time it took. */
async function rawFill(box: HaproxyBox): Promise<number> {
  const began = performance.now();
  for (let i = 0; i < NODES; i += 100) {
    const names = Array.from({ length: 100 }, (_, k) => i + k);
    await box.ask(...names.flatMap((k) => [
      `add server web/raw${k} 127.0.0.1:${1_000 + k} id ${100_000 + k}`,
      `enable server web/raw${k}`,
    ]));
  }
  return performance.now() - began;
}

async function churn(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const box = stack.use(new HaproxyBox());
  const running = stack.use(new RunningWriter());
  const port = freePort();
  const section = { port, backend: ["mode http"] };
  const nodes: Node[] = Array.from({ length: 8 }, (_, i) => {
    const server = stack.use(Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response(`hello from ${i}\n`, { headers: { connection: "close" } }),
    ));
    return localNode(server.addr.port);
  });
  await running.apply(box.wanted({ web: { section, nodes } }));
  const pid = await box.pid();
  const traffic = stack.use(new Traffic({ port, clients: 8, pauseMs: 0 }));
  let members = nodes;
  const began = performance.now();
  for (let i = 0; i < CHANGES; i++) {
    // Half of the changes take a node out, half bring it back: never fewer than half of them stay.
    const node = nodes[i % nodes.length] as Node;
    members = members.includes(node) && members.length > 4
      ? members.filter((member) => member !== node)
      : [...members.filter((member) => member !== node), node];
    running.writer.put(box.wanted({ web: { section, nodes: members } }));
    const { sent } = traffic.count;
    while (traffic.count.sent < sent + 4) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const tookS = (performance.now() - began) / 1_000;
  await traffic[Symbol.asyncDispose]();
  const { sent, failed } = traffic.count;
  print(`${CHANGES} nodes added and removed under load (${sent} requests, ${(sent / tookS).toFixed(0)} a second)`, [
    { what: "requests that failed", value: failed, unit: "count", most: 0 },
    { what: "reloads", value: await box.pid() === pid ? 0 : 1, unit: "count", most: 0 },
  ]);
}
