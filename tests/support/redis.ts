import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { TempDir } from "./temp_dir.ts";

/** A Redis server of the test's own on loopback, killed when it is disposed of. */
export class RedisServer implements AsyncDisposable {
  /** Where it listens. */
  readonly port: number;
  readonly #process: Deno.ChildProcess;
  readonly #dir: TempDir;

  private constructor(port: number, process: Deno.ChildProcess, dir: TempDir) {
    this.port = port;
    this.#process = process;
    this.#dir = dir;
  }

  /** Where it listens, as a check's target. */
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
    const process = new Deno.Command("redis-server", {
      args: [await dir.write("redis.conf", `${config.join("\n")}\n`)],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const server = new RedisServer(port, process, dir);
    let ended = false;
    void process.status.then(() => ended = true);
    try {
      await eventually("redis-server listens or ends", async () => {
        if (ended) return true;
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      });
      if (ended) throw new Error(`redis-server ended at once, with this config: ${config.join("; ")}`);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It ended before, which the test will have noticed.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#process.status;
    await this.#dir[Symbol.asyncDispose]();
  }
}
