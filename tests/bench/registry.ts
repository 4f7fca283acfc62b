import { Buffer } from "node:buffer";
import zookeeper from "node-zookeeper-client";
import type { ZooKeeper } from "../support/zookeeper.ts";

/** The path that the benches register under. */
export const BASE_PATH = "/lighthouse/services";

/** A client that writes znodes as any reporter would, and knows nothing of ours. */
export class RawRegistry implements Disposable {
  readonly #client: ReturnType<typeof zookeeper.createClient>;

  private constructor(client: ReturnType<typeof zookeeper.createClient>) {
    this.#client = client;
  }

  /** Connects. */
  static async connect(server: ZooKeeper): Promise<RawRegistry> {
    const client = zookeeper.createClient(server.address, { sessionTimeout: 30_000 });
    const connected = Promise.withResolvers<void>();
    client.once("connected", () => connected.resolve());
    client.connect();
    await connected.promise;
    return new RawRegistry(client);
  }

  /** Makes a path and its parents. */
  async makePath(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#client.mkdirp(path, (error: unknown) => error ? reject(error) : resolve())
    );
  }

  /** Registers a node: resolves when the server has it. */
  async create(cluster: string, host: string, port: number): Promise<void> {
    const peer = JSON.stringify({ ip: "127.0.0.1", name: host, port: 1024 });
    const data = Buffer.from(JSON.stringify({ host, ip: "127.0.0.1", metadata: "{}", peer, port }));
    await new Promise<void>((resolve, reject) =>
      this.#client.create(
        `${BASE_PATH}/${cluster}/${host}:${port}`,
        data,
        zookeeper.CreateMode.EPHEMERAL,
        (error: unknown) => error ? reject(error) : resolve(),
      )
    );
  }

  /** Takes a node back. */
  async remove(cluster: string, host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#client.remove(
        `${BASE_PATH}/${cluster}/${host}:${port}`,
        (error: unknown) => error ? reject(error) : resolve(),
      )
    );
  }

  /** Lists the children, and calls once when they change. */
  async children(cluster: string, onChange: () => void): Promise<readonly string[]> {
    return await new Promise((resolve, reject) =>
      this.#client.getChildren(
        `${BASE_PATH}/${cluster}`,
        onChange,
        (error: unknown, children: readonly string[]) => error ? reject(error) : resolve(children),
      )
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
