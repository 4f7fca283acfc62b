import { freeServerId } from "../../plugins/balancers/haproxy/backend.ts";
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, kill } from "../support/haproxy.ts";
import { TempDir } from "../support/temp_dir.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";

/** A HAProxy of its own, and the config directory of a writer for it with one cluster over ZooKeeper. */
export class Bench implements AsyncDisposable {
  readonly dir: TempDir = new TempDir("lighthouse-bench-");
  readonly haproxy: HaproxyBox = new HaproxyBox();
  /** Where the cluster's frontend listens. */
  readonly port: number = freePort();

  /** Writes the config directory. */
  async configure({ zookeeper, path, cluster }: { zookeeper: string; path: string; cluster: string }): Promise<void> {
    await this.dir.write("config/balancers/haproxy.yaml", JSON.stringify(this.haproxy.file));
    await this.dir.write("config/discovery/zookeeper.yaml", JSON.stringify({ hosts: [zookeeper], path }));
    await this.dir.write(
      `config/clusters/${cluster}.yaml`,
      JSON.stringify({ discovery: "zookeeper", haproxy: { port: this.port, backend: ["mode http"] } }),
    );
  }

  /** Writes the config directory for clusters of any registry. */
  async configureFor(method: string, file: Record<string, unknown>, clusters: readonly string[]): Promise<void> {
    await this.dir.write("config/balancers/haproxy.yaml", JSON.stringify(this.haproxy.file));
    await this.dir.write(`config/discovery/${method}.yaml`, JSON.stringify(file));
    for (const cluster of clusters) {
      const haproxy = { port: freePort(), backend: ["mode http"] };
      await this.dir.write(`config/clusters/${cluster}.yaml`, JSON.stringify({ discovery: method, haproxy }));
    }
  }

  /** Writes the file of a cluster beside the one that is measured. */
  async cluster(name: string): Promise<void> {
    const file = { discovery: "zookeeper", haproxy: { port: freePort(), backend: ["mode http"] } };
    await this.dir.write(`config/clusters/${name}.yaml`, JSON.stringify(file));
  }

  /** Opens a connection to HAProxy that stays open. */
  connect(): Promise<RuntimeSocket> {
    return RuntimeSocket.connect(this.haproxy.socketFile, { dialect: PROMPT, signal: new AbortController().signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.haproxy[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A minimal program of this directory, whose time is the floor of ours. */
export class BareProgram implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  private constructor(child: Deno.ChildProcess, reader: ReadableStreamDefaultReader<Uint8Array>) {
    [this.#child, this.#reader] = [child, reader];
  }

  /** Starts it, and waits until it prints that it is ready. */
  static async start(file: string, args: readonly string[]): Promise<BareProgram> {
    const program = new URL(file, import.meta.url).pathname;
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", program, ...args], stdout: "piped" });
    const child = command.spawn();
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    if (done) throw new Error(`${file} ended: exit status ${(await child.status).code}`);
    return new BareProgram(child, reader);
  }

  /** Sends a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child.pid);
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** The server whose weight a minimal program sets, in a HAProxy that nobody else changes. */
const FLAG = "flag";

/** A HAProxy with one server. */
export class FlagHaproxy implements AsyncDisposable {
  readonly #box = new HaproxyBox();
  #child: Deno.ChildProcess | undefined;

  /** The server, as `BACKEND/SERVER`. */
  readonly server: string = `web/${FLAG}`;

  /** Starts it. */
  static async start(): Promise<FlagHaproxy> {
    const flag = new FlagHaproxy();
    const lines = [
      "global",
      `\tstats socket ${flag.socketFile} level admin`,
      "defaults",
      "\ttimeout connect 1s",
      "\ttimeout client 1s",
      "\ttimeout server 1s",
      "backend web",
      "\tbalance roundrobin",
      `\tserver ${FLAG} 127.0.0.1:1 id ${freeServerId(FLAG, new Set())}`,
      "",
    ];
    const file = flag.#box.configFile;
    await Deno.writeTextFile(file, lines.join("\n"));
    flag.#child = new Deno.Command("haproxy", { args: ["-db", "-f", file], stderr: "null" }).spawn();
    await eventually("HAProxy listens", () => Deno.stat(flag.socketFile).then(() => true, () => false));
    return flag;
  }

  get socketFile(): string {
    return this.#box.socketFile;
  }

  /** Opens a connection that stays open. */
  connect(): Promise<RuntimeSocket> {
    return RuntimeSocket.connect(this.socketFile, { dialect: PROMPT, signal: new AbortController().signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#box[Symbol.asyncDispose]();
    await this.#child?.status;
  }
}

/** Waits, in a loop as tight as that of {@linkcode untilServing}, until the weight of the flag differs; returns it. */
export async function untilFlagged(socket: RuntimeSocket, weight?: string): Promise<string> {
  const until = performance.now() + ARRIVAL_DEADLINE_MS;
  const one = `show stat -1 4 ${freeServerId(FLAG, new Set())}`;
  while (performance.now() < until) {
    const [shown = ""] = await socket.ask([one]);
    const now = shown.split("\n").find((line) => line.startsWith(`web,${FLAG},`))?.split(",")[18];
    if (now !== undefined && now !== weight) return now;
  }
  throw new Error(`no command within ${ARRIVAL_DEADLINE_MS} ms`);
}

/** How long a change may take to HAProxy: longer is a change that never arrives. */
export const ARRIVAL_DEADLINE_MS = 120_000;
/** Servers whose ids collide have another one than their names say: so often all of them are read. */
const READ_ALL_EVERY = 50;

/** Waits, in a tight loop, until HAProxy sends requests to a server (or no longer). Throws if that takes too long. */
export async function untilServing(
  socket: RuntimeSocket,
  backend: string,
  server: string,
  wanted: boolean,
): Promise<void> {
  const until = performance.now() + ARRIVAL_DEADLINE_MS;
  // One server is asked for, not all: that costs HAProxy the same whatever the size of the cluster.
  const one = `show stat -1 4 ${freeServerId(server, new Set())}`;
  let wasUp = false;
  for (let reads = 1; performance.now() < until; reads++) {
    const [shown = ""] = await socket.ask([one]);
    const isUpNow = isUp(shown, backend, server);
    if (isUpNow === wanted) {
      // A server that was never seen by this id may serve by another.
      if (wanted || wasUp || !isServing(await serversOf(socket, backend), server)) return;
    }
    wasUp ||= isUpNow;
    if (reads % READ_ALL_EVERY === 0 && isServing(await serversOf(socket, backend), server) === wanted) return;
  }
  throw new Error(`${server} ${wanted ? "gets no" : "gets"} requests of ${backend} after ${ARRIVAL_DEADLINE_MS} ms`);
}

/** Whether an answer of `show stat` has a server that gets requests. */
function isUp(shown: string, backend: string, server: string): boolean {
  const row = shown.split("\n").find((line) => line.startsWith(`${backend},${server},`));
  return row?.split(",")[17] === "no check";
}

async function serversOf(socket: RuntimeSocket, backend: string): Promise<string> {
  const [servers = ""] = await socket.ask([`show servers state ${backend}`]);
  return servers;
}

/** Whether a server stands in `show servers state` as running and not in maintenance. */
function isServing(servers: string, name: string): boolean {
  const at = servers.indexOf(` ${name} `);
  if (at === -1) return false;
  const [, , , state, admin] = servers.slice(at).split(" ", 6);
  return state === "2" && admin === "0";
}

/** How many servers of a backend get requests. */
export async function countServing(socket: RuntimeSocket, backend: string): Promise<number> {
  const [servers = ""] = await socket.ask([`show servers state ${backend}`]);
  return servers.split("\n").filter((line) => {
    const columns = line.split(" ");
    return columns[1] === backend && columns[5] === "2" && columns[6] === "0";
  }).length;
}
