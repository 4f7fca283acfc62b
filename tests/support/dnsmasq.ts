import { freePort } from "./free_port.ts";
import { listens, ServerProcess } from "./server_process.ts";

/** A test's own name server on loopback (dnsmasq), killed when it is disposed of. */
export class NameServer implements AsyncDisposable {
  /** Its address, as a check's target. */
  readonly target: string;
  readonly #process: ServerProcess;

  private constructor(target: string, process: ServerProcess) {
    this.target = target;
    this.#process = process;
  }

  /** Starts a server that knows only the given options (`address=/web.test/192.0.2.1`) and forwards nothing; resolves when it listens. */
  static async start(options: readonly string[], { address = "127.0.0.1" } = {}): Promise<NameServer> {
    const port = freePort();
    const usual = [
      "keep-in-foreground",
      "conf-file=/dev/null",
      "no-resolv",
      "no-hosts",
      "pid-file=",
      "bind-interfaces",
    ];
    const where = [`listen-address=${address}`, `port=${port}`];
    const process = await ServerProcess.start("dnsmasq", {
      name: "dnsmasq",
      args: [...usual, ...where, ...options].map((option) => `--${option}`),
      serves: () => listens(port, address),
    });
    return new NameServer(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`, process);
  }

  /** Its process. */
  get pid(): number {
    return this.#process.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}
