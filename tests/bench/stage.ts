import { freeServerId } from "../../plugins/balancers/haproxy/backend.ts";
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox } from "../support/haproxy.ts";
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
  for (let reads = 1; performance.now() < until; reads++) {
    const [shown = ""] = await socket.ask([one]);
    if (isUp(shown, backend, server) === wanted) {
      if (wanted) return;
      if (!isServing(await serversOf(socket, backend), server)) return;
    }
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
