import type { Clock } from "../kernel/clock.ts";
import { FileSink } from "./file_sink.ts";
import { Outlet, type Sink } from "./outlet.ts";
import type { HandlerPlan, Output } from "./plan.ts";
import { type LogEntry, type ProcessFacts, RecordFormatter } from "./record.ts";
import { StreamSink } from "./stream_sink.ts";
import { SyslogSink } from "./syslog_sink.ts";
import { LOCAL } from "./wall_time.ts";

/** A stream of the process. */
export interface LogStream {
  write(bytes: Uint8Array): Promise<number>;
}

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

/** What a container's log file often is. Deno opens nothing below /dev without all permissions; these are open already. */
const STREAM_FILES: Readonly<Record<string, "stdout" | "stderr">> = {
  "/dev/stdout": "stdout",
  "/proc/self/fd/1": "stdout",
  "/dev/stderr": "stderr",
  "/proc/self/fd/2": "stderr",
};

interface Running {
  /** What it was made of: one that is asked for again goes on. */
  readonly key: string;
  readonly formatter: RecordFormatter;
  readonly outlet: Outlet | undefined;
}

/** The handlers of `logging.yaml` as they run: each a formatter and an outlet. */
export class Handlers implements AsyncDisposable {
  readonly #options: HandlersOptions;
  #running: ReadonlyMap<string, Running> = new Map();
  /** The closing of all that was replaced so far. */
  #closing: Promise<void> = Promise.resolve();

  constructor(options: HandlersOptions) {
    this.#options = options;
  }

  /** Starts and ends handlers as a new file asks for; one that it asks for as before goes on undisturbed. */
  apply(plans: { readonly [name: string]: HandlerPlan }): void {
    const keyOf = ({ format, output }: HandlerPlan) => JSON.stringify([format, output]);
    const ended = [...this.#running].filter(([name, { key }]) => !plans[name] || keyOf(plans[name]) !== key);
    const closing = [this.#closing, ...ended.map(([, { outlet }]) => outlet?.close({ deadlineMs: CLOSE_DEADLINE_MS }))];
    this.#closing = Promise.all(closing).then(() => {});
    const gone = new Set(ended.map(([name]) => name));
    this.#running = new Map(
      Object.entries(plans).map(([name, plan]) => {
        const old = gone.has(name) ? undefined : this.#running.get(name);
        return [name, old ?? this.#make(name, plan, keyOf(plan))];
      }),
    );
  }

  /** Has the named handlers write a record. Never waits, and never throws. */
  write(names: readonly string[], entry: LogEntry): void {
    for (const name of names) {
      const { formatter, outlet } = this.#running.get(name) ?? {};
      if (formatter !== undefined) outlet?.put({ text: formatter.write(entry), level: entry.level });
    }
  }

  /** Waits a little until all that was logged is written, and closes what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.apply({});
    await this.#closing;
  }

  #make(name: string, { format, output }: HandlerPlan, key: string): Running {
    const { clock, process, onFailure, onRecovery } = this.#options;
    const sink = this.#sinkOf(output);
    const outlet = sink && new Outlet(sink, {
      clock,
      after: this.#closing,
      onFailure: (reason) => onFailure(name, reason),
      onRecovery: (dropped) => onRecovery(name, dropped),
    });
    if (output.to === "file" && !output.delay) outlet?.open();
    return { key, formatter: new RecordFormatter(format, process, LOCAL), outlet };
  }

  #sinkOf(output: Output): Sink | undefined {
    const { streams, resolve } = this.#options;
    if (output.to === "nowhere") return undefined;
    if (output.to === "syslog") return new SyslogSink(output);
    const stream = output.to === "stream" ? output.stream : STREAM_FILES[output.path];
    if (stream !== undefined) return new StreamSink(streams[stream]);
    return output.to === "file" ? new FileSink({ ...output, path: resolve(output.path) }) : undefined;
  }
}
