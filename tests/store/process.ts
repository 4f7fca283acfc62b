import config from "../../deno.json" with { type: "json" };
import { eventually } from "../support/eventually.ts";
import {
  assertKnown,
  countEvents,
  type Fields,
  type LoggedEvent,
  readEvents,
  untilLogged,
} from "../support/logged_events.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** What `deno` is told by the task `store`, and the program: the tests run what users run. */
const ARGS: readonly string[] = config.tasks.store.command.split(" ").slice(1);

/** A real `lighthouse store` process. */
export class StoreProcess implements AsyncDisposable {
  /** What it has logged so far. */
  log = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;

  /**
   * Starts it with the flags.
   *
   * @param within a command line before its own, such as `ip netns exec NAME`
   */
  constructor(flags: readonly string[], { within = [] }: { readonly within?: readonly string[] } = {}) {
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

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Waits until the log has an event with such fields; answers the record. */
  event(
    event: string,
    fields?: Fields,
    options?: { readonly times?: number; readonly after?: LoggedEvent },
  ): Promise<LoggedEvent> {
    return untilLogged(() => this.log, event, fields, options);
  }

  /** How often the log has an event with such fields. */
  count(event: string, fields?: Fields): number {
    return countEvents(this.log, event, fields);
  }

  /** Waits until the log has a line. */
  async logged(pattern: RegExp): Promise<void> {
    await eventually(`the log has ${pattern}`, () => pattern.test(this.log)).catch((error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
  }

  /** Sends it a signal, unless it has ended. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  /** Waits for its end; answers its exit code. */
  async ended(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#read;
    assertKnown(readEvents(this.log));
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
    await this.ended();
  }
}
