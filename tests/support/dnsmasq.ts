import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";

/** A name server of the test's own on loopback (dnsmasq), killed when it is disposed of. */
export class NameServer implements AsyncDisposable {
  /** Where it listens, as a check's target. */
  readonly target: string;
  readonly #process: Deno.ChildProcess;

  private constructor(target: string, process: Deno.ChildProcess) {
    this.target = target;
    this.#process = process;
  }

  /** Starts a server that knows what the options say (`address=/web.test/192.0.2.1`) and asks nobody; resolves when it listens. */
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
    const process = new Deno.Command("dnsmasq", {
      args: [...usual, ...where, ...options].map((option) => `--${option}`),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const server = new NameServer(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`, process);
    let ended = false;
    void process.status.then(() => ended = true);
    try {
      await eventually("dnsmasq listens or ends", async () => {
        if (ended) return true;
        (await Deno.connect({ hostname: address, port })).close();
        return true;
      });
      if (ended) throw new Error(`dnsmasq ended at once, with these options: ${options.join("; ")}`);
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
