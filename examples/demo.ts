/**
 * The demo: a reporter, a writer and a real HAProxy over three instances of a
 * small web service, under traffic all the while. It lets an instance fall ill,
 * recover, be joined by a fourth, and one die, and shows how long each change
 * of health took to become a change of routing.
 *
 * `--once` ends by itself, with exit code 0 if no request failed; `--zookeeper`
 * does the same over a real ZooKeeper instead of a directory, `--store` over a
 * Lighthouse store; `--program=PATH` shows a compiled or installed Lighthouse
 * instead of this checkout.
 *
 * @module
 */
import { RuntimeSocket } from "../src/balance/runtime_socket.ts";
import { setUp } from "../tests/setup.ts";
import { freePort } from "../tests/support/free_port.ts";
import { TempDir } from "../tests/support/temp_dir.ts";
import { ask, Traffic } from "./demo/traffic.ts";
import { PROMPT } from "../plugins/balancers/haproxy/sources.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const once = Deno.args.includes("--once");
const overZookeeper = Deno.args.includes("--zookeeper");
const overStore = Deno.args.includes("--store");
const program = Deno.args.find((arg) => arg.startsWith("--program="))?.slice("--program=".length);
const KNOWN = ["--once", "--zookeeper", "--store"];
const unknown = Deno.args.filter((arg) => !KNOWN.includes(arg) && !arg.startsWith("--program="));
if (unknown.length > 0 || (overZookeeper && overStore)) {
  say(
    unknown.length === 0
      ? "Only one registry is supported: use --zookeeper or --store."
      : `Unknown argument ${unknown.join(" ")}: \
there are --once (end by itself), --zookeeper (a real ZooKeeper), --store (a Lighthouse store) and --program=PATH (a \
lighthouse that is compiled or installed).`,
  );
  Deno.exit(2);
}

/** Aborted by Ctrl-C: what runs is ended by the stack that owns it. */
const stopping = new AbortController();

/** One change that the demo makes, and what came of it. */
interface Change {
  readonly what: string;
  readonly tookMs: number;
  readonly reloads: number;
  readonly failed: number;
}

/** Steps of the demo are waited for at most so long. */
const STEP_DEADLINE_MS = 30_000;

function say(text = ""): void {
  // deno-lint-ignore no-console -- the demo is for a person at a terminal.
  console.log(text);
}

/**
 * Takes the port that the example names if it is free, or else any that is.
 * A demo that ends by itself takes any: several may run at once, and HAProxy
 * shares a port with another HAProxy without a word.
 */
function portLike(wanted: number): number {
  if (once) return freePort();
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: wanted });
    return listener.addr.port;
  } catch {
    const port = freePort();
    say(`Port ${wanted} is in use; using ${port} instead.`);
    return port;
  }
}

/** Adds what comes to a file, chunk by chunk, so that it can be read meanwhile. */
async function copyToFile(from: ReadableStream<Uint8Array>, path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, append: true });
  for await (const chunk of from) {
    for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
  }
}

/** A program of the demo, whose output goes to a file, ended when disposed of. */
class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #copied: Promise<void>;

  constructor(
    args: readonly string[],
    { logFile, path = Deno.execPath() }: { readonly logFile: string; readonly path?: string },
  ) {
    this.#child = new Deno.Command(path, { args: [...args], cwd: ROOT, stdout: "null", stderr: "piped" }).spawn();
    this.#copied = copyToFile(this.#child.stderr, logFile).catch(() => {});
  }

  async end(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    await this.#copied;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

/** What is running, so that the demo can look at it and change it. */
interface Stage {
  readonly dir: TempDir;
  readonly port: number;
  readonly ports: readonly number[];
  readonly traffic: Traffic;
}

/** What HAProxy says of itself over its socket. */
async function lookAtHaproxy(dir: TempDir): Promise<{ readonly pid: string; readonly serving: ReadonlySet<number> }> {
  using socket = await RuntimeSocket.connect(dir.file("haproxy.sock"), {
    dialect: PROMPT,
    signal: AbortSignal.timeout(5_000),
  });
  const [info = "", servers = ""] = await socket.ask(["show info", "show servers state web"]);
  const serving = servers.split("\n").map((line) => line.split(" ")).filter((columns) =>
    columns[1] === "web" && columns[5] === "2" && columns[6] === "0"
  ).map((columns) => Number(columns[18]));
  return { pid: /^Pid: (\d+)$/m.exec(info)?.[1] ?? "", serving: new Set(serving) };
}

/** Waits until something holds; answers how long it took. Throws when the demo is asked to stop. */
async function untilHolds(what: string, probe: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  for (;;) {
    stopping.signal.throwIfAborted();
    if (await probe().catch(() => false)) return performance.now() - began;
    if (performance.now() - began > STEP_DEADLINE_MS) {
      throw new Error(`Timed out after ${STEP_DEADLINE_MS}ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Makes one change and measures what came of it. */
async function change(
  stage: Stage,
  what: string,
  { make, holds }: { readonly make: () => Promise<unknown>; readonly holds: (serving: ReadonlySet<number>) => boolean },
): Promise<Change> {
  const before = await lookAtHaproxy(stage.dir);
  const failedBefore = stage.traffic.count.failed;
  await make();
  const tookMs = await untilHolds(what, async () => holds((await lookAtHaproxy(stage.dir)).serving));
  // Let some traffic show whether the change hurt anybody.
  const { sent } = stage.traffic.count;
  await untilHolds("requests go on", () => Promise.resolve(stage.traffic.count.sent > sent + 100));
  const after = await lookAtHaproxy(stage.dir);
  const reloads = before.pid === after.pid ? 0 : 1;
  const failed = stage.traffic.count.failed - failedBefore;
  say(`  ${what.padEnd(44)} routed after ${tookMs.toFixed(0).padStart(5)} ms, reloads ${reloads}, failed ${failed}`);
  return { what, tookMs, reloads, failed };
}

async function setHealth(port: number, health: "pass" | "fail"): Promise<void> {
  await (await fetch(`http://127.0.0.1:${port}/health/${health}`, { method: "POST" })).body?.cancel();
}

/** A server that is the registry. */
interface Registry {
  readonly name: "zookeeper" | "lighthouse";
  readonly address: string;
}

/** Copies the example with this run's own paths and ports. */
async function writeConfig(
  dir: TempDir,
  { port, ports, registry }: {
    readonly port: number;
    readonly ports: readonly number[];
    readonly registry: Registry | undefined;
  },
): Promise<void> {
  for (const folder of ["balancers/haproxy", "clusters/web", "services/web", "discovery/file", "logging"]) {
    if (folder === "discovery/file" && registry !== undefined) {
      const { name, address } = registry;
      await dir.write(`config/discovery/${name}.yaml`, `hosts: ["${address}"]\npath: /lighthouse/services\n`);
      continue;
    }
    const text = await Deno.readTextFile(`${ROOT}examples/web/${folder}.yaml`);
    const own = text.replaceAll("/tmp/lighthouse-demo", dir.path).replaceAll("18080", String(port))
      .replace("[18001, 18002, 18003]", JSON.stringify(ports.slice(0, 3)));
    const named = registry === undefined ? own : own.replace("discovery: file", `discovery: ${registry.name}`);
    await dir.write(`config/${folder}.yaml`, named);
  }
}

async function demo(): Promise<boolean> {
  await setUp(overZookeeper ? ["haproxy", "zookeeper"] : ["haproxy"]);
  await using dir = new TempDir("lighthouse-demo-");
  try {
    return await perform(dir);
  } catch (error) {
    if (!stopping.signal.aborted) await showLogs(dir);
    throw error;
  }
}

/** Shows the ends of the logs: the directory that they are in goes with the demo. */
async function showLogs(dir: TempDir): Promise<void> {
  for (const name of ["writer.log", "reporter.log", "service.log", "store.log"]) {
    const text = await Deno.readTextFile(dir.file(name)).catch(() => "");
    say(`--- ${name}\n${text.split("\n").slice(-20).join("\n")}`);
  }
}

/** Starts Lighthouse; its log is named after the command. */
function lighthouse(args: readonly string[], dir: TempDir): Program {
  const logFile = dir.file(`${args[0]}.log`);
  return program === undefined
    ? new Program(["task", "--quiet", "lighthouse", ...args], { logFile })
    : new Program(args, { logFile, path: program });
}

/** Starts the server that is the registry, unless a directory is. */
async function startRegistry(dir: TempDir, stack: AsyncDisposableStack): Promise<Registry | undefined> {
  if (overZookeeper) {
    say("Starting ZooKeeper ...");
    const { ZooKeeper } = await import("../tests/support/zookeeper.ts");
    return { name: "zookeeper", address: stack.use(await ZooKeeper.start()).address };
  }
  if (!overStore) return undefined;
  say("Starting a Lighthouse store ...");
  const address = `127.0.0.1:${portLike(8_001)}`;
  stack.use(lighthouse(["store", "--data.d", dir.file("store"), "--bind", address, "--bootstrap"], dir));
  await untilHolds("the store answers", async () => {
    await (await fetch(`http://${address}/version`)).body?.cancel();
    return true;
  });
  say(`  Its document: curl http://${address}/data`);
  return { name: "lighthouse", address };
}

async function perform(dir: TempDir): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const port = portLike(18_080);
  const ports = [18_001, 18_002, 18_003, 18_004].map(portLike);
  const [first = 0, second = 0, third = 0, fourth = 0] = ports;
  const registry = await startRegistry(dir, stack);
  await writeConfig(dir, { port, ports, registry });

  say(`Starting three instances of a web service on 127.0.0.1, ports ${ports.slice(0, 3).join(", ")} ...`);
  const instance = (at: number) =>
    new Program(["run", "--no-prompt", `--allow-net=127.0.0.1:${at}`, "examples/demo/web_service.ts", String(at)], {
      logFile: dir.file("service.log"),
    });
  const instances = new Map<number, Program>();
  for (const at of [first, second, third]) instances.set(at, stack.use(instance(at)));
  await untilHolds("the instances answer", async () => {
    for (const at of instances.keys()) await ask(at);
    return true;
  });

  say("Starting the reporter, the writer and, through it, HAProxy ...");
  stack.defer(() => stopHaproxy(dir));
  for (const role of ["writer", "reporter"]) {
    stack.use(lighthouse([role, dir.file("config"), "--host", "localhost", "--ip", "127.0.0.1"], dir));
  }
  await untilHolds("all three are served", async () => (await lookAtHaproxy(dir)).serving.size === 3);

  say();
  say(`  Try it:      curl http://127.0.0.1:${port}/`);
  say(`  Config:      ${dir.file("config")} (edit it while it runs)`);
  say(`  HAProxy:     ${dir.file("haproxy.cfg")}`);
  say(`  Logs:        ${dir.file("writer.log")} and reporter.log`);
  say();
  say("Sending requests through HAProxy continuously, each over a new connection.");
  const traffic = stack.use(new Traffic({ port, clients: 4, pauseMs: 2 }));
  const stage: Stage = { dir, port, ports, traffic };
  const began = performance.now();
  const changes = [
    await change(stage, `${second}: its health check fails`, {
      make: () => setHealth(second, "fail"),
      holds: (serving) => !serving.has(second),
    }),
    await change(stage, `${second}: its health check passes again`, {
      make: () => setHealth(second, "pass"),
      holds: (serving) => serving.has(second),
    }),
    await change(stage, `${fourth}: joins as fourth instance`, {
      make: async () => {
        instances.set(fourth, stack.use(instance(fourth)));
        await untilHolds("it answers", async () => await ask(fourth) !== "");
        const file = dir.file("config/services/web.yaml");
        const text = await Deno.readTextFile(file);
        await Deno.writeTextFile(file, text.replace(/ports: .*/, `ports: ${JSON.stringify(ports)}`));
      },
      holds: (serving) => serving.has(fourth),
    }),
    // What is in flight in a process that is killed is lost with any balancer, so it dies between two requests.
    await change(stage, `${first}: killed (SIGKILL)`, {
      make: () => traffic.between(async () => await instances.get(first)?.end("SIGKILL")),
      holds: (serving) => !serving.has(first),
    }),
  ];
  const tookS = (performance.now() - began) / 1_000;
  await traffic[Symbol.asyncDispose]();
  const ok = summarize(changes, traffic, tookS);
  if (!once) {
    say();
    say("The demo keeps running until Ctrl-C.");
    const asked = Promise.withResolvers<void>();
    stopping.signal.addEventListener("abort", () => asked.resolve());
    await asked.promise;
  }
  return ok;
}

function summarize(changes: readonly Change[], traffic: Traffic, tookS: number): boolean {
  const { sent, failed, reasons, answers } = traffic.count;
  say();
  say("  change                                          health to routing   reloads   failed");
  for (const { what, tookMs, reloads, failed } of changes) {
    const cells = [`${tookMs.toFixed(0)} ms`.padStart(17), String(reloads).padStart(9), String(failed).padStart(8)];
    say(`  ${what.padEnd(48)}${cells.join(" ")}`);
  }
  const reloads = changes.reduce((sum, change) => sum + change.reloads, 0);
  say();
  say(`  requests sent    ${sent} (${(sent / tookS).toFixed(0)} per second)`);
  say(`  requests failed  ${failed}${failed > 0 ? `: ${reasons.join("; ")}` : ""}`);
  say(`  reloads          ${reloads}`);
  say(`  served by        ${[...answers].toSorted().map(([from, count]) => `${from}: ${count}`).join(", ")}`);
  say("  (most of the time above is the checks': one every 250ms, and two consecutive results are required)");
  return failed === 0;
}

/** HAProxy outlives the writer on purpose; the demo ends its own by the pid that the socket gives. */
async function stopHaproxy(dir: TempDir): Promise<void> {
  try {
    const { pid } = await lookAtHaproxy(dir);
    if (pid !== "") Deno.kill(Number(pid), "SIGTERM");
  } catch {
    // It was never started, or has ended.
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stopping.abort());
try {
  Deno.exit(await demo() ? 0 : 1);
} catch (error) {
  if (stopping.signal.aborted) Deno.exit(0);
  say(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
  Deno.exit(1);
}
