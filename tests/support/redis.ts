import { freePort } from "./free_port.ts";
import { listens, ServerProcess } from "./server_process.ts";
import { TempDir } from "./temp_dir.ts";

/** A test's own Redis server on loopback, killed when it is disposed of. */
export class RedisServer implements AsyncDisposable {
  /** Its port. */
  readonly port: number;
  readonly #process: ServerProcess;
  readonly #dir: TempDir;

  private constructor(port: number, process: ServerProcess, dir: TempDir) {
    this.port = port;
    this.#process = process;
    this.#dir = dir;
  }

  /** Its address, as a check's target. */
  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts a server with these lines of config besides the usual ones (`requirepass secret`); resolves when it listens. */
  static async start(
    lines: readonly string[] = [],
    { port = freePort(), tls = false }: { readonly port?: number; readonly tls?: boolean } = {},
  ): Promise<RedisServer> {
    const dir = new TempDir("lighthouse-redis-");
    const ports = tls ? ["port 0", `tls-port ${port}`] : [`port ${port}`];
    const config = [...ports, "bind 127.0.0.1", 'save ""', `dir ${dir.path}`, ...lines];
    const process = await ServerProcess.start("redis-server", {
      name: `redis-server with ${config.join("; ")}`,
      args: [await dir.write("redis.conf", `${config.join("\n")}\n`)],
      serves: () => listens(port),
    }).catch(async (error) => {
      await dir[Symbol.asyncDispose]();
      throw error;
    });
    return new RedisServer(port, process, dir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}
