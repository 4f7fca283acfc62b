import type { Clock } from "../kernel/clock.ts";
import { FileTarget } from "./file_target.ts";
import { type LogStream, Outlet, type Target } from "./outlet.ts";
import type { HandlerPlan, Output } from "./plan.ts";
import { type LogEntry, type ProcessFacts, writeRecord } from "./record.ts";
import { syslogMessage, SyslogTarget } from "./syslog_target.ts";
import { LOCAL } from "./wall_time.ts";

const encoder = new TextEncoder();

export interface HandlersOptions {
  readonly clock: Clock;
  readonly process: ProcessFacts;
  /** Where `ext://sys.stdout` and `ext://sys.stderr` lead. */
  readonly streams: { readonly [name in "stdout" | "stderr"]: LogStream };
  /** Makes a path of the file absolute. */
  readonly resolve: (path: string) => string;
  /** As of an {@linkcode Outlet}. */
  readonly onFailure: (handler: string, reason: string) => void;
  readonly onRecovery: (handler: string, dropped: number) => void;
}

/** How long handlers have to write what they hold, when they are replaced or at the end. */
const CLOSE_DEADLINE_MS = 2_000;

/** What a container's log file often is. Deno opens nothing below /dev without all permissions; these are open already. */
const STREAM_FILES: Readonly<Record<string, "stdout" | "stderr">> = {
  "/dev/stdout": "stdout",
  "/dev/stderr": "stderr",
};

/** The handlers of `logging.yaml` as they run: each a format and an outlet. */
export class Handlers implements AsyncDisposable {
  readonly #options: HandlersOptions;
  #running: ReadonlyMap<string, { readonly plan: HandlerPlan; readonly outlet: Outlet }> = new Map();
  /** The closing of all that was replaced so far. */
  #closing: Promise<void> = Promise.resolve();

  constructor(options: HandlersOptions) {
    this.#options = options;
  }

  /** Ends all handlers, and starts those of a new file once what they had to write is written. */
  apply(plans: { readonly [name: string]: HandlerPlan }): void {
    const { clock, onFailure, onRecovery } = this.#options;
    const ended = [...this.#running.values()].map(({ outlet }) => outlet.close({ deadlineMs: CLOSE_DEADLINE_MS }));
    const after = this.#closing = Promise.all([this.#closing, ...ended]).then(() => {});
    this.#running = new Map(
      Object.entries(plans).flatMap(([name, plan]) => {
        const calls = {
          onFailure: (reason: string) => onFailure(name, reason),
          onRecovery: (dropped: number) => onRecovery(name, dropped),
        };
        const target = this.#targetOf(plan.output);
        return target === undefined ? [] : [[name, { plan, outlet: new Outlet(target, { clock, after, ...calls }) }]];
      }),
    );
  }

  /**
   * Has the named handlers write a record. Never waits, and never throws. Returns whether they take it: not if
   * all of them are failing at present.
   */
  write(names: readonly string[], entry: LogEntry): boolean {
    const named = names.flatMap((name) => this.#running.get(name) ?? []);
    for (const { plan: { format, output }, outlet } of named) {
      const text = writeRecord(entry, this.#options.process, format, LOCAL);
      const isSyslog = output.to === "syslog";
      outlet.put(isSyslog ? syslogMessage(text, entry.level, output.facility) : encoder.encode(`${text}\n`));
    }
    return named.length === 0 || named.some(({ outlet }) => !outlet.isFailing);
  }

  /** Waits a little until all that was logged is written, and closes what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.apply({});
    await this.#closing;
  }

  #targetOf(output: Output): Target | undefined {
    const { streams, resolve } = this.#options;
    if (output.to === "nowhere") return undefined;
    if (output.to === "syslog") return new SyslogTarget(output.address, resolve);
    const stream = output.to === "stream" ? output.stream : STREAM_FILES[output.filename];
    // The process's own streams are never closed: they are not the log's alone.
    if (stream !== undefined) return { open: () => Promise.resolve(streams[stream]), close() {} };
    return output.to === "file" ? new FileTarget({ ...output, filename: resolve(output.filename) }) : undefined;
  }
}
