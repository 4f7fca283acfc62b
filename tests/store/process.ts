import config from "../../deno.json" with { type: "json" };
import { endOf, ProcessLog } from "../support/logged_events.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** The flags of the task `store`, and the program: the tests run what users run. */
const ARGS: readonly string[] = config.tasks.store.command.split(" ").slice(1);

/** A real `lighthouse store` process. */
export class StoreProcess extends ProcessLog implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;

  /**
   * Starts it with the flags.
   *
   * @param within a command line before its own, such as `ip netns exec NAME`
   */
  constructor(flags: readonly string[], { within = [] }: { readonly within?: readonly string[] } = {}) {
    super();
    const [program = "", ...args] = [...within, Deno.execPath(), ...ARGS, ...flags];
    const child = new Deno.Command(program, {
      args,
      cwd: ROOT,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#read = (async () => {
      for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) this.log += text;
    })();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a signal, unless the process has ended. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // Already ended.
    }
  }

  /** Waits for the end; returns the exit code. */
  ended(): Promise<number> {
    return endOf(this.#child, { read: this.#read, log: () => this.log });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
    await this.ended();
  }
}
