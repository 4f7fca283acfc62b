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

/** Waits, in a tight loop, until HAProxy sends requests to a server (or no longer). */
export async function untilServing(
  socket: RuntimeSocket,
  backend: string,
  server: string,
  wanted: boolean,
): Promise<void> {
  for (;;) {
    const [servers = ""] = await socket.ask([`show servers state ${backend}`]);
    if (isServing(servers, server) === wanted) return;
  }
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
