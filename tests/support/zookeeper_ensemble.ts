import { freePort } from "./free_port.ts";
import { ZooKeeper } from "./zookeeper.ts";

/** An ensemble of three real ZooKeepers. */
export class ZooKeeperEnsemble implements AsyncDisposable {
  private constructor(readonly servers: readonly ZooKeeper[]) {}

  /** Starts them and waits until they have a leader. */
  static async start(): Promise<ZooKeeperEnsemble> {
    const peers = [1, 2, 3].map((id) => ({ id, quorum: freePort(), election: freePort() }));
    const members = peers.map(({ id, quorum, election }) => `server.${id}=127.0.0.1:${quorum}:${election}`);
    const config = ["initLimit=50", "syncLimit=20", ...members];
    await using stack = new AsyncDisposableStack();
    // None answers before two of them have connected.
    const servers = await Promise.all(
      peers.map(async ({ id }) => stack.use(await ZooKeeper.start({ config, id }))),
    );
    const ensemble = new ZooKeeperEnsemble(servers);
    stack.move();
    return ensemble;
  }

  /** The addresses of all. */
  get hosts(): readonly string[] {
    return this.servers.map((server) => server.address);
  }

  /** The current leader. */
  async leader(): Promise<ZooKeeper> {
    for (const server of this.servers) {
      if (server.pid !== undefined && (await server.ask("srvr").catch(() => "")).includes("Mode: leader")) {
        return server;
      }
    }
    throw new Error("No server leads");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server[Symbol.asyncDispose]()));
  }
}
