import { ZooKeeperClient } from "../../plugins/discovery/zookeeper/client.ts";
import { type Acl, type Connection, ERROR, ZooKeeperError } from "../../plugins/discovery/zookeeper/connection.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";

/** The path that the benches register under. */
export const BASE_PATH = "/lighthouse/services";

const OPEN: readonly Acl[] = [{ permissions: 31, scheme: "world", id: "anyone" }];
const CONNECT_MS = 30_000;

/** Writes znodes as any reporter would, without what a reporter does besides. */
export class RawRegistry implements AsyncDisposable {
  readonly #client: ZooKeeperClient;
  readonly #connection: Connection;
  readonly #onChange: Map<string, () => void>;

  private constructor(client: ZooKeeperClient, connection: Connection, onChange: Map<string, () => void>) {
    [this.#client, this.#connection, this.#onChange] = [client, connection, onChange];
  }

  /** Connects. */
  static async connect(server: { readonly address: string }): Promise<RawRegistry> {
    const onChange = new Map<string, () => void>();
    const client = new ZooKeeperClient({
      hosts: [server.address],
      sessionTimeoutMs: 30_000,
      clock: systemClock,
      random: systemRandom,
      onEvent({ path }) {
        const call = onChange.get(path);
        onChange.delete(path);
        call?.();
      },
      onConnected() {},
      onDisconnected() {},
      onOver() {},
    });
    return new RawRegistry(client, await client.connected(AbortSignal.timeout(CONNECT_MS)), onChange);
  }

  /** Makes a path and its parents. */
  async makePath(path: string): Promise<void> {
    const names = path.split("/").slice(1);
    for (const at of names.keys()) {
      try {
        const parent = `/${names.slice(0, at + 1).join("/")}`;
        await this.#connection.create(parent, new Uint8Array(0), { ephemeral: false, acl: OPEN });
      } catch (error) {
        if (!(error instanceof ZooKeeperError && error.code === ERROR.nodeExists)) throw error;
      }
    }
  }

  /** Registers a node: resolves when the server has it. */
  async create(cluster: string, host: string, port: number): Promise<void> {
    const peer = JSON.stringify({ ip: "127.0.0.1", name: host, port: 1024 });
    const data = JSON.stringify({ host, ip: "127.0.0.1", metadata: "{}", peer, port });
    const path = `${BASE_PATH}/${cluster}/${host}:${port}`;
    await this.#connection.create(path, new TextEncoder().encode(data), { ephemeral: true, acl: OPEN });
  }

  /** Deletes a node. */
  async remove(cluster: string, host: string, port: number): Promise<void> {
    await this.#connection.delete(`${BASE_PATH}/${cluster}/${host}:${port}`);
  }

  /** Lists the children, and calls once when they change. */
  async children(cluster: string, onChange: () => void): Promise<readonly string[]> {
    const path = `${BASE_PATH}/${cluster}`;
    this.#onChange.set(path, onChange);
    return await this.#connection.getChildren(path, { watch: true });
  }

  /** Reads the data of a child, as a reader of addresses must. */
  async read(cluster: string, name: string): Promise<unknown> {
    const { data } = await this.#connection.getData(`${BASE_PATH}/${cluster}/${name}`, { watch: false });
    return JSON.parse(new TextDecoder().decode(data));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}
