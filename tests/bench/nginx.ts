import { Traffic } from "../../examples/demo/traffic.ts";
import { setUp } from "../setup.ts";
import { churn } from "../support/churn.ts";
import { freePort } from "../support/free_port.ts";
import { NamedServer } from "../support/haproxy.ts";
import { get, KeptLoad } from "../support/http_load.ts";
import { NginxBox, NginxWriter } from "../support/nginx.ts";
import { print, quantile } from "./figures.ts";

/** Changes that are measured one by one. */
const REPEATS = 30;
/** Nodes that are added or removed under load. */
const CHANGES = 500;

/** What the writer does to a real nginx: one change, beside a reload by hand, and churn under load. */
export async function nginx(): Promise<void> {
  await setUp(["nginx"]);
  await latency();
  for (const intervalS of [0, 2]) await underLoad(intervalS);
}

async function latency(): Promise<void> {
  await using box = new NginxBox();
  await using one = new NamedServer("one");
  await using two = new NamedServer("two");
  const servers = [one, two];
  const port = freePort();
  const wanted = (server: NamedServer) =>
    box.wanted({ web: { section: { listen: `127.0.0.1:${port}` }, nodes: [server.node] } });
  const first = async (name: string) => {
    while (await get(port).catch(() => "") !== name);
  };
  const alone = async (name: string) => {
    // Old workers accept for about 100 ms more.
    for (let streak = 0; streak < 20;) streak = await get(port).catch(() => "") === name ? streak + 1 : 0;
  };
  const ours: { first: number; proven: number }[] = [];
  const texts: string[] = [];
  {
    await using writer = new NginxWriter();
    await writer.apply(wanted(one));
    texts.push(await box.text());
    for (let i = 1; i <= REPEATS; i++) {
      const server = servers[i % 2] as NamedServer;
      const began = performance.now();
      const generation = writer.put(wanted(server));
      await first(server.name);
      const firstMs = performance.now() - began;
      while (!writer.turns.some((turn) => turn.generation === generation && turn.converged)) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      ours.push({ first: firstMs, proven: performance.now() - began });
      await alone(server.name);
      if (i === 1) texts.push(await box.text());
    }
  }
  // By hand: the same files, `nginx -t`, `nginx -s reload`.
  const byHand: number[] = [];
  for (let i = 1; i <= REPEATS; i++) {
    const server = servers[(REPEATS + i) % 2] as NamedServer;
    const began = performance.now();
    await Deno.writeTextFile(box.configFile, texts[(REPEATS + i) % 2] ?? "");
    await box.run("-t", "-q");
    await box.run("-s", "reload");
    await first(server.name);
    byHand.push(performance.now() - began);
    await alone(server.name);
  }
  const of = (which: "first" | "proven", share: number) => quantile(ours.map((each) => each[which]), share);
  print(`One change of nginx, ${REPEATS} times (floor: nginx -t and nginx -s reload by hand)`, [
    { what: "first answer of a new worker, median", value: of("first", 0.5), unit: "ms", floor: quantile(byHand, 0.5) },
    { what: "the same, 95 of 100", value: of("first", 0.95), unit: "ms", floor: quantile(byHand, 0.95) },
    { what: "proven by its hash, median", value: of("proven", 0.5), unit: "ms" },
  ]);
}

async function underLoad(intervalS: number): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const box = stack.use(new NginxBox({ reload_interval: intervalS }));
  const writer = stack.use(new NginxWriter());
  const port = freePort();
  const nodes = Array.from({ length: 8 }, (_, i) => stack.use(new NamedServer(`s${i}`)).node);
  const section = { listen: `127.0.0.1:${port}` };
  await writer.apply(box.wanted({ web: { section, nodes } }));
  const begun = writer.reloads;
  const traffic = stack.use(new Traffic({ port, clients: 4, pauseMs: 0 }));
  const kept = new KeptLoad(port, 4);
  const began = performance.now();
  for (const members of churn(nodes, CHANGES)) {
    writer.put(box.wanted({ web: { section, nodes: members } }));
    const { sent } = traffic.count;
    while (traffic.count.sent < sent + 4) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await writer.apply(box.wanted({ web: { section, nodes } }));
  const tookS = (performance.now() - began) / 1_000;
  await traffic[Symbol.asyncDispose]();
  const { sent, cut, failed } = await kept.stop();
  const count = traffic.count;
  const title = `${CHANGES} nodes added and removed in ${tookS.toFixed(0)} s, reload_interval ${intervalS} s ` +
    `(${count.sent} requests on connections of their own, ${sent} on connections that stay open)`;
  print(title, [
    { what: "requests that failed, a connection each", value: count.failed, unit: "count", most: 0 },
    { what: "requests on a connection that nginx was closing", value: cut, unit: "count" },
    { what: "other failures on connections that stay open", value: failed.length, unit: "count", most: 0 },
    { what: "reloads", value: writer.reloads - begun, unit: "count" },
  ]);
}
