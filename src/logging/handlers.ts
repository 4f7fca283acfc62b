import type { Clock } from "../kernel/clock.ts";
import type { HandlerPlan, Output } from "./plan.ts";
import { FileSink } from "./file_sink.ts";
import { Outlet, type Sink } from "./outlet.ts";
import { type Entry, type ProcessFacts, RecordFormatter } from "./record.ts";
import { StreamSink } from "./stream_sink.ts";
import { SyslogSink } from "./syslog_sink.ts";
import { localTime } from "./wall_time.ts";

/** A stream of the process. */
export interface LogStream {
  write(bytes: Uint8Array): Promise<number>;
}

/** What {@linkcode Handlers} are told. */
export interface HandlersOptions {
  readonly clock: Clock;
  readonly process: ProcessFacts;
  /** Where `ext://sys.stdout` and `ext://sys.stderr` lead. */
  readonly streams: { readonly [name in "stdout" | "stderr"]: LogStream };
  /** Makes a path of the file absolute. */
  readonly resolve: (path: string) => string;
  /** Called once when a handler cannot write, until it can again. */
  readonly onFailure: (handler: string, reason: string) => void;
  /** Called when it can, with the number of records that were dropped. */
  readonly onRecovery: (handler: string, dropped: number) => void;
}

/** How long handlers have to write what they hold, when they are replaced or at the end. */
const CLOSE_DEADLINE_MS = 2_000;

/** What a container's log file often is. */
const STREAM_FILES: ReadonlyMap<string, "stdout" | "stderr"> = new Map([
  ["/dev/stdout", "stdout"],
  ["/proc/self/fd/1", "stdout"],
  ["/dev/stderr", "stderr"],
  ["/proc/self/fd/2", "stderr"],
]);

interface Running {
  /** What it was made of: one that is asked for again goes on. */
  readonly key: string;
  readonly write: (entry: Entry) => string;
  readonly outlet: Outlet | undefined;
}

/** The handlers of `logging.yaml` as they run: each a formatter and an outlet. */
export class Handlers implements AsyncDisposable {
  readonly #options: HandlersOptions;
  #running: ReadonlyMap<string, Running> = new Map();
  /** The closing of all that was replaced so far. */
  #closing: Promise<unknown> = Promise.resolve();

  constructor(options: HandlersOptions) {
    this.#options = options;
  }

  /** Starts and ends handlers as a new file asks for; one that it asks for as before goes on undisturbed. */
  apply(plans: { readonly [name: string]: HandlerPlan }): void {
    const before = this.#running;
    const kept = new Map<string, Running>();
    const made: [string, HandlerPlan, string][] = [];
    for (const [name, plan] of Object.entries(plans)) {
      const key = JSON.stringify([plan.format, plan.output]);
      const old = before.get(name);
      if (old?.key === key) kept.set(name, old);
      else made.push([name, plan, key]);
    }
    const ended = [...before].filter(([name, running]) => kept.get(name) !== running).map(([, running]) => running);
    this.#closing = Promise.all([this.#closing, ...ended.map(closeOutlet)]);
    const after = this.#closing.then(() => {});
    for (const [name, plan, key] of made) kept.set(name, this.#make(name, plan, { key, after }));
    this.#running = kept;
  }

  /** Has the named handlers write a record. Never waits, and never throws. */
  write(names: readonly string[], entry: Entry): void {
    for (const name of names) {
      const running = this.#running.get(name);
      running?.outlet?.put({ text: running.write(entry), level: entry.level });
    }
  }

  /** Waits a little until all that was logged is written, and closes what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.apply({});
    await this.#closing;
  }

  #make(
    name: string,
    { format, output }: HandlerPlan,
    { key, after }: { readonly key: string; readonly after: Promise<void> },
  ): Running {
    const { clock, process, onFailure, onRecovery } = this.#options;
    const formatter = new RecordFormatter(format, process, localTime);
    const sink = this.#sinkOf(output);
    const outlet = sink && new Outlet(sink, {
      clock,
      after,
      onFailure: (reason) => onFailure(name, reason),
      onRecovery: (dropped) => onRecovery(name, dropped),
    });
    if (output.to === "file" && !output.delay) outlet?.open();
    return { key, write: (entry) => formatter.write(entry), outlet };
  }

  #sinkOf(output: Output): Sink | undefined {
    switch (output.to) {
      case "stream":
        return new StreamSink(this.#options.streams[output.stream], output);
      case "file": {
        // Deno opens nothing below /dev without all permissions; the process has these two open already.
        const stream = STREAM_FILES.get(output.path);
        if (stream !== undefined) return new StreamSink(this.#options.streams[stream], { terminator: "\n" });
        return new FileSink({ ...output, path: this.#options.resolve(output.path) });
      }
      case "syslog":
        return new SyslogSink(output);
      case "nowhere":
        return undefined;
    }
  }
}

async function closeOutlet({ outlet }: Running): Promise<void> {
  await outlet?.close({ deadlineMs: CLOSE_DEADLINE_MS });
}
