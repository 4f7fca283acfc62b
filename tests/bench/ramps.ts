import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { localNode } from "../support/haproxy.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { StatusClient } from "../support/status_client.ts";
import { print, usageOf } from "./figures.ts";
import { Bench } from "./stage.ts";

/** The nodes that ramp at once, and how long. */
const NODES = 1_000, RAMP_S = 30;

/** What 1,000 nodes that ramp at once cost the writer, beside a process that sends as many commands and knows nothing. */
export async function ramps(): Promise<void> {
  await using bench = new Bench();
  const port = freePort();
  const status = new StatusClient();
  const serve = (nodes: readonly { readonly host: string; readonly port: number }[]) =>
    bench.dir.write(
      "config/clusters/web.yaml",
      JSON.stringify({
        discovery: "static",
        static: { nodes: nodes.map(({ host, port }) => ({ host, address: "127.0.0.1", port })) },
        traffic: { slow_start: { ramp: RAMP_S, from: "1%" } },
        haproxy: { port, backend: ["mode http"] },
      }),
    );
  await bench.dir.write("config/balancers/haproxy.yaml", JSON.stringify(bench.haproxy.file));
  await bench.dir.write("config/discovery/static.yaml", "{}");
  const old = localNode(1_000, "old.test");
  await serve([old]);
  await using daemon = Lighthouse.start("writer", bench.dir.file("config"), status.flags);
  const weights = async () => {
    using socket = await bench.connect();
    const [servers = ""] = await socket.ask(["show servers state web"]);
    return servers.split("\n").map((line) => line.split(" ")).filter(([, backend]) => backend === "web")
      .map((columns) => Number(columns[7]));
  };
  await eventually("it serves", async () => (await weights().catch(() => [])).length === 1);
  await serve([old, ...Array.from({ length: NODES }, (_, i) => localNode(2_000 + i))]);
  await eventually("all have come", async () => (await weights()).length === NODES + 1, { deadlineMs: 60_000 });
  const [before, began, cpu] = [await commandsOf(status), performance.now(), usageOf(daemon.pid).cpuMs];
  await eventually("all are at their full weight", async () => (await weights()).every((weight) => weight === 256), {
    deadlineMs: 4 * RAMP_S * 1_000,
    everyMs: 1_000,
  });
  const seconds = (performance.now() - began) / 1_000;
  const [after, usage] = [await commandsOf(status), usageOf(daemon.pid)];
  await daemon.stop();
  const rounds = Math.round((after - before) / NODES);
  const floor = await rawRamp(bench, rounds);
  print(`${NODES} nodes that ramp at once over ${RAMP_S} s (floor: the same commands, raw)`, [
    // Each second that has begun may have one.
    { what: "commands a node", value: (after - before) / NODES, unit: "count", most: Math.ceil(seconds) + 1 },
    { what: "CPU of the writer for each second of the ramp", value: (usage.cpuMs - cpu) / seconds, unit: "ms" },
    {
      what: "CPU of the writer for each round of commands",
      value: (usage.cpuMs - cpu) / rounds,
      unit: "ms",
      floor,
    },
    { what: "memory of the writer", value: usage.rssMb, unit: "MB" },
  ]);
}

async function commandsOf(status: StatusClient): Promise<number> {
  const page = await (await status.ask("/metrics")).text();
  const found = page.matchAll(/^lighthouse_balancer_steps_total\{[^}]*step="command"[^}]*\} (\d+)/gm);
  return [...found].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** Sets the weights of all servers so often with nothing but the socket, in a process of its own; answers its time on a core for one round. */
async function rawRamp({ haproxy }: Bench, rounds: number): Promise<number> {
  const program = `
    const { RuntimeSocket } = await import(${
    JSON.stringify(new URL("../../src/balance/runtime_socket.ts", import.meta.url).href)
  });
    const { PROMPT } = await import(${
    JSON.stringify(new URL("../../plugins/balancers/haproxy/sources.ts", import.meta.url).href)
  });
    const socket = await RuntimeSocket.connect(${
    JSON.stringify(haproxy.socketFile)
  }, { dialect: PROMPT, signal: new AbortController().signal });
    const [servers = ""] = await socket.ask(["show servers state web"]);
    const names = servers.split("\\n").map((line) => line.split(" ")).filter(([, backend]) => backend === "web").map(([, , , name]) => name);
    console.log("ready");
    for (let round = 1; round <= ${rounds}; round++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await socket.ask(names.map((name) => "set server web/" + name + " weight " + (1 + round)));
    }
    console.log("done");
    await new Promise(() => setInterval(() => {}, 1000));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", "--ext=ts", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(program));
  await input.close();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const until = async (word: string) => {
    for (let seen = ""; !seen.includes(word);) {
      const { value, done } = await lines.read();
      if (done) throw new Error("The floor ended early");
      seen += value;
    }
  };
  await until("ready");
  const before = usageOf(child.pid).cpuMs;
  await until("done");
  const after = usageOf(child.pid).cpuMs;
  await lines.cancel();
  child.kill("SIGTERM");
  await child.status;
  return (after - before) / rounds;
}
