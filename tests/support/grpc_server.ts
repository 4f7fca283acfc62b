import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";

/** Debian's Python: another on the PATH may not have grpcio. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("grpc_server.py", import.meta.url).pathname;

/** A real gRPC server of the test's own on loopback, killed when it is disposed of. */
export class GrpcServer implements AsyncDisposable {
  /** Where it listens, as a check's target. */
  readonly target: string;
  readonly #process: Deno.ChildProcess;

  private constructor(target: string, process: Deno.ChildProcess) {
    this.target = target;
    this.#process = process;
  }

  /** Where it listens, under its name. */
  get named(): string {
    return this.target.replace("127.0.0.1", "localhost");
  }

  /** Starts a server, with the health service unless told, over TLS if there are files (PEM) for it; resolves when it listens. */
  static async start(
    { health = true, tls }: {
      readonly health?: boolean;
      readonly tls?: { readonly key: string; readonly certificate: string };
    } = {},
  ): Promise<GrpcServer> {
    const port = freePort();
    const files = tls === undefined ? [] : [tls.key, tls.certificate];
    const process = new Deno.Command(PYTHON, {
      args: [SCRIPT, `127.0.0.1:${port}`, health ? "health" : "nothing", ...files],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const server = new GrpcServer(`127.0.0.1:${port}`, process);
    let ended = false;
    void process.status.then(() => ended = true);
    try {
      await eventually("the gRPC server listens or ends", async () => {
        if (ended) return true;
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      });
      if (ended) throw new Error("The gRPC server ended at once");
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
  }
}
