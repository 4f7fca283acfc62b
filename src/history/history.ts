import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import type { Logger } from "../kernel/logger.ts";
import { Serial } from "../kernel/serial.ts";
import { abortable } from "../kernel/within.ts";
import { FileTarget } from "../logging/file_target.ts";
import { Outlet } from "../logging/outlet.ts";
import type { EventRecord } from "../model/event_record.ts";
import { makeDirectory } from "../system/trusted_file.ts";
import { ConfigMemory, type ConfigText } from "./config_memory.ts";
import { type FileChange, formatEntry, type HistoryEntry } from "./entry.ts";
import { type Installed, KeptFiles } from "./kept_files.ts";

export interface HistoryOptions {
  /** What the process does: `writer`, `reporter` or `run`. */
  readonly role: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Masks what is secret in a line of a balancer's file. */
  readonly redact: (line: string) => string;
}

/** A file grows so far, and so many full ones are kept: 20 MiB for each role of a host. */
const ROTATION = { maxBytes: 4 * 1024 * 1024, backupCount: 4 } as const;
/** So many records wait until the config says where they go. */
const WAITING_MAX = 1_000;
/** How long the last records may take to be written. */
const CLOSE_DEADLINE_MS = 1_000;

/** Records that say nothing of a change, or the same again and again. */
const NO_CHANGES: ReadonlySet<string> = new Set([
  "balancer.child_output",
  "balancer.output",
  "config.notice",
  "http.shed",
  "plugin.log",
  "service.unchecked",
]);
/** What has a balancer's file read, and so shows what differs in it. */
const READS_FILE: ReadonlySet<string> = new Set([
  "balancer.notified",
  "balancer.reloaded",
  "balancer.restarted",
  "balancer.started",
]);

const encoder = new TextEncoder();

/** An entry whose files are known once the memory of the last config is read. */
type Waiting = { entry: HistoryEntry; readonly config?: ConfigText };

/**
 * The history of a process: what changed and why, a line of JSON for each
 * record of the log, in files that outlive it. Records are taken without
 * waiting; what cannot be written is dropped and reported, and nothing waits for it.
 */
export class History implements AsyncDisposable {
  readonly #options: HistoryOptions;
  readonly #work = new Serial();
  readonly #config = new ConfigMemory();
  readonly #kept: KeptFiles;
  #waiting: Waiting[] | undefined = [];
  #outlet: Outlet | undefined;
  /** Where it is kept; `null` if nowhere. */
  #dir: string | null | undefined;
  /** What the next `config.applied` is about. */
  #taken: ConfigText | undefined;
  #changes: readonly FileChange[] | undefined;
  #isFirstLine = true;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#kept = new KeptFiles({ clock: options.clock, redact: options.redact, onFailure: (why) => this.#tell(why) });
  }

  /** Takes a record of the log. */
  hear(record: EventRecord): void {
    if (this.#dir === null || NO_CHANGES.has(record.event)) return;
    const { role, pid } = this.#options;
    const isConfig = record.event === "config.applied";
    const { balancer } = record.fields;
    const diff = READS_FILE.has(record.event) && typeof balancer === "string"
      ? this.#kept.takeDiff(balancer)
      : undefined;
    const entry: HistoryEntry = {
      ...record,
      role,
      pid,
      ...isConfig && this.#changes !== undefined && { files: this.#changes },
      ...diff !== undefined && { diff },
    };
    if (this.#waiting === undefined) this.#write(entry);
    else if (this.#waiting.length < WAITING_MAX) {
      this.#waiting.push({ entry, ...isConfig && this.#taken !== undefined && { config: this.#taken } });
    }
    if (!isConfig) return;
    this.#taken = this.#changes = undefined;
  }

  /** Takes what the config is about to be, and where the history is kept then; nowhere without a directory. */
  takeConfig({ dir, config }: { readonly dir: string | undefined; readonly config: ConfigText }): void {
    if (dir === undefined) {
      this.#waiting = undefined;
      this.#dir = null;
      return void this.#close();
    }
    const isFirst = this.#dir === undefined || this.#dir === null;
    this.#taken = config;
    if (isFirst) this.#config.begin(config);
    else this.#changes = this.#config.take(config);
    if (dir !== this.#dir) {
      this.#dir = dir;
      this.#waiting ??= [];
      void this.#work.run(() => this.#open(dir));
    } else void this.#work.run(() => this.#keepConfig(dir));
  }

  /** Takes a file of a balancer that was replaced. */
  install(balancer: string, installed: Installed): void {
    if (this.#dir !== null) this.#kept.take(balancer, installed);
  }

  /** Writes what is left, for a moment at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    using late = deadline(CLOSE_DEADLINE_MS, { clock: this.#options.clock });
    // A disk that hangs must not keep the process from ending.
    const unlessLate = (work: Promise<void>) => abortable(work, late.signal).catch(() => {});
    await unlessLate(this.#work.idle());
    await Promise.all([this.#close(), unlessLate(this.#kept.idle())]);
  }

  async #open(dir: string): Promise<void> {
    await this.#close();
    try {
      await makeDirectory(dir, { mode: 0o750 });
      await this.#kept.open(dir);
    } catch (error) {
      this.#tell(reasonOf(error));
    }
    const known = await this.#config.read(this.#configPlace(dir));
    const taken = this.#taken;
    if (known !== undefined && taken !== undefined) this.#changes ??= this.#config.since(known, taken);
    const { clock, role, log } = this.#options;
    this.#isFirstLine = true;
    this.#outlet = new Outlet(new FileTarget({ filename: `${dir}/${role}.jsonl`, ...ROTATION }), {
      clock,
      onFailure: (reason) => this.#tell(reason),
      onRecovery: (dropped) => log.info("Event history can be written again", { event: "history.written", dropped }),
    });
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    let isFirst = true;
    for (const { entry, config } of waiting) {
      const files = isFirst && config !== undefined ? known && this.#config.since(known, config) : entry.files;
      if (config !== undefined) isFirst = false;
      this.#write(files === undefined ? entry : { ...entry, files });
    }
    await this.#keepConfig(dir);
  }

  async #keepConfig(dir: string): Promise<void> {
    await this.#config.keep(this.#configPlace(dir)).catch((error) => this.#tell(reasonOf(error)));
  }

  /** Writer and reporter of a host read other parts of one config. */
  #configPlace(dir: string): string {
    return `${dir}/${this.#options.role}.config.json`;
  }

  #write(entry: HistoryEntry): void {
    // A process that was killed may have left half a line.
    const line = `${this.#isFirstLine ? "\n" : ""}${formatEntry(entry)}`;
    this.#isFirstLine = false;
    this.#outlet?.put(encoder.encode(line));
  }

  async #close(): Promise<void> {
    const outlet = this.#outlet;
    this.#outlet = undefined;
    await outlet?.close({ deadlineMs: CLOSE_DEADLINE_MS });
  }

  #tell(reason: string): void {
    this.#options.log.warn("Cannot write event history; dropping records", { event: "history.unwritten", reason });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
