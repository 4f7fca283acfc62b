import { nodeName } from "../../src/model/node.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, RunningWriter } from "../support/haproxy.ts";
import { TempDir } from "../support/temp_dir.ts";
import { print } from "./figures.ts";
import type { ClientOrder } from "./request_client.ts";

/** The requests, and the joins and leaves meanwhile. */
const REQUESTS = Number(Deno.env.get("REQUESTS") ?? 1_000_000), CHANGES = 5_000;
/** The nodes, of which half stay at least. */
const NODES = 8;
/** The connections of the client, and the requests on each at one time. */
const CONNECTIONS = 8, AT_ONCE = 16;

/** Whether requests fail while nodes join and leave: another HAProxy answers for the nodes, as nothing else is as quick. */
export async function requests(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const ports = Array.from({ length: NODES }, () => freePort());
  stack.use(await startNodes(ports));
  const box = stack.use(new HaproxyBox());
  const running = stack.use(new RunningWriter());
  const section = { port: freePort(), backend: ["mode http"] };
  const nodes = ports.map((port) => localNode(port)).toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
  await running.apply(box.wanted({ web: { section, nodes } }));
  const pid = await box.pid();
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const client = new Worker(new URL("./request_client.ts", import.meta.url), { type: "module" });
  stack.defer(() => client.terminate());
  const began = performance.now();
  const order: ClientOrder = {
    port: section.port,
    connections: CONNECTIONS,
    atOnce: AT_ONCE,
    requests: REQUESTS,
    counts,
  };
  client.postMessage(order);
  let members = nodes;
  for (let change = 0; change < CHANGES; change++) {
    while (Atomics.load(counts, 0) < change * REQUESTS / CHANGES) await pause();
    // Half of them leave one after the other, and come back.
    const isLeave = Math.floor(change / (NODES / 2)) % 2 === 0;
    const others = isLeave ? members : nodes.filter((node) => !members.includes(node));
    const node = others[change * 5 % others.length];
    members = nodes.filter((each) => members.includes(each) !== (each === node));
    running.writer.put(box.wanted({ web: { section, nodes: members } }));
  }
  while (Atomics.load(counts, 0) < REQUESTS) await pause();
  const tookS = (performance.now() - began) / 1_000;
  const [sent = 0, failed = 0] = counts;
  print(
    `${sent} requests while nodes joined and left ${CHANGES} times, ${(sent / tookS).toFixed(0)} a second`,
    [
      { what: "requests that failed", value: failed, unit: "count", most: 0 },
      { what: "reloads", value: await box.pid() === pid ? 0 : 1, unit: "count", most: 0 },
    ],
  );
}

/** Starts a HAProxy that answers at each of these ports. */
async function startNodes(ports: readonly number[]): Promise<AsyncDisposable> {
  const dir = new TempDir("lighthouse-bench-");
  const lines = [
    "defaults",
    "\tmode http",
    "\ttimeout client 60s",
    "frontend nodes",
    ...ports.map((port) => `\tbind 127.0.0.1:${port}`),
    "\thttp-request return status 200 content-type text/plain string ok",
    "",
  ];
  await dir.write("nodes.cfg", lines.join("\n"));
  const child = new Deno.Command("haproxy", { args: ["-db", "-f", dir.file("nodes.cfg")], stderr: "null" }).spawn();
  for (let tries = 0; tries < 1_000; tries++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: ports[0] ?? 0 }).catch(() => undefined);
    connection?.close();
    if (connection !== undefined) break;
    await pause();
  }
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await dir[Symbol.asyncDispose]();
    },
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
