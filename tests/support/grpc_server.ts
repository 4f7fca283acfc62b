import { freePort } from "./free_port.ts";
import { listens, ServerProcess } from "./server_process.ts";

/** Debian's Python: another one on the PATH may lack grpcio. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("grpc_server.py", import.meta.url).pathname;

/** A test's own real gRPC server on loopback, killed when it is disposed of. */
export class GrpcServer implements AsyncDisposable {
  /** Its address, as a check's target. */
  readonly target: string;
  readonly #process: ServerProcess;

  private constructor(target: string, process: ServerProcess) {
    this.target = target;
    this.#process = process;
  }

  /** Its address, under its name. */
  get named(): string {
    return this.target.replace("127.0.0.1", "localhost");
  }

  /** Starts a server, with the health service by default, over TLS if files (PEM) are given; resolves when it listens. */
  static async start(
    { health = true, tls }: {
      readonly health?: boolean;
      readonly tls?: { readonly key: string; readonly certificate: string };
    } = {},
  ): Promise<GrpcServer> {
    const port = freePort();
    const files = tls === undefined ? [] : [tls.key, tls.certificate];
    const process = await ServerProcess.start(PYTHON, {
      name: "the gRPC server",
      args: [SCRIPT, `127.0.0.1:${port}`, health ? "health" : "nothing", ...files],
      serves: () => listens(port),
    });
    return new GrpcServer(`127.0.0.1:${port}`, process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
