/**
 * A record of the log as Python's formatters see one. Pure: the time on the
 * wall comes in.
 *
 * @module
 */
import { type CompiledFormat, compileFormat, type FieldValue } from "../kernel/format_string.ts";
import { type LogFormat, RECORD_FIELDS } from "../model/logging.ts";
import { strftime, type WallTime } from "./strftime.ts";

/** One record. */
export interface Entry {
  /** The logger, dotted. */
  readonly name: string;
  /** As Python counts: 20 is `INFO`. */
  readonly level: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** What was said, made safe: nothing in it can be taken for a record of its own. */
  readonly message: string;
  /** What goes with it, written as `key=value`, safe too; the worker is not among it. */
  readonly properties: string;
  /** The worker that said it, or of which it is said, written safely; absent for all else. */
  readonly worker?: string;
}

/** What all records of a process have in common. */
export interface ProcessFacts {
  /** `WRITER`, `REPORTER` or `RUN`: what `lighthouse.log.ContextFilter` is for. */
  readonly program: string;
  readonly pid: number;
  /** When it began, in milliseconds since 1970. */
  readonly startedMs: number;
}

/** Python's name for the thread of the main process. */
const MAIN_THREAD = "MainThread";

const LEVEL_NAMES: ReadonlyMap<number, string> = new Map([
  [10, "DEBUG"],
  [20, "INFO"],
  [30, "WARNING"],
  [40, "ERROR"],
  [50, "CRITICAL"],
]);

/** Python's name for a level. */
export function levelName(level: number): string {
  return LEVEL_NAMES.get(level) ?? `Level ${level}`;
}

/** A formatter of `logging.yaml`, ready to write. */
export class RecordFormatter {
  readonly #compiled: CompiledFormat;
  readonly #datefmt: string | undefined;
  readonly #process: ProcessFacts;
  readonly #face: (timeMs: number) => WallTime;

  /**
   * @param face what the clock on the wall shows at a time, in milliseconds since 1970
   * @throws {TypeError} if the format is none; `logging.yaml` is checked before
   */
  constructor(format: LogFormat, process: ProcessFacts, face: (timeMs: number) => WallTime) {
    const compiled = compileFormat(format.style, format.format, (name) => RECORD_FIELDS.get(name));
    if (!compiled.ok) throw new TypeError(`Cannot use the format as it must be ${compiled.wanted}`);
    [this.#compiled, this.#datefmt, this.#process, this.#face] = [compiled, format.datefmt, process, face];
  }

  /** Writes a record, without an end of line. */
  write(entry: Entry): string {
    return this.#compiled.write((name) => this.#valueOf(name, entry));
  }

  #valueOf(name: string, entry: Entry): FieldValue {
    const { program, pid, startedMs } = this.#process;
    switch (name) {
      case "name":
        return entry.name;
      case "msg":
        return entry.message;
      case "args":
        return "()";
      case "levelname":
        return levelName(entry.level);
      case "levelno":
        return entry.level;
      case "pathname":
      case "filename":
        return "(unknown file)";
      case "module":
        return entry.name.split(".").at(-1) ?? "";
      case "lineno":
        return 0;
      case "funcName":
        return "(unknown function)";
      case "created":
        return { float: entry.timeMs / 1_000 };
      case "msecs":
        return { float: milliseconds(entry.timeMs) };
      case "relativeCreated":
        return { float: entry.timeMs - startedMs };
      case "thread":
        return entry.worker === undefined ? pid : threadNumber(entry.worker);
      case "threadName":
        return entry.worker ?? MAIN_THREAD;
      case "processName":
        return "MainProcess";
      case "process":
        return pid;
      case "message":
        return messageOf(entry, { withWorker: !this.#compiled.fields.has("threadName") });
      case "asctime":
        return asctime(entry.timeMs, this.#face(entry.timeMs), this.#datefmt);
      case "program":
        return program;
      default:
        // What there is no such thing of here: exc_info, exc_text, stack_info, taskName.
        return "None";
    }
  }
}

function milliseconds(timeMs: number): number {
  return Math.floor(timeMs) % 1_000;
}

function asctime(timeMs: number, face: WallTime, datefmt: string | undefined): string {
  // An empty one is none to Python.
  if (datefmt !== undefined && datefmt !== "") return strftime(datefmt, face);
  return `${strftime("%Y-%m-%d %H:%M:%S", face)},${String(milliseconds(timeMs)).padStart(3, "0")}`;
}

/** The message with what goes with it, as the other formats of the log write it. */
function messageOf({ message, properties, worker }: Entry, { withWorker }: { readonly withWorker: boolean }): string {
  const named = withWorker && worker !== undefined
    ? `worker=${worker.includes(" ") ? JSON.stringify(worker) : worker}`
    : "";
  const all = [properties, named].filter((part) => part !== "");
  return all.length === 0 ? message : `${message} (${all.join(" ")})`;
}

/** A number for a worker that stays the same; workers have no thread number that the outside could know. */
function threadNumber(worker: string): number {
  let hash = 7;
  for (const char of worker) hash = (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash;
}

const LEVEL_COLORS: ReadonlyMap<number, number> = new Map([[20, 34], [30, 33], [40, 31], [50, 35]]);
const OTHER_LEVEL_COLOR = 37;
/** Cyan, blue, magenta, green: one after the other for each thread that is new. */
const THREAD_COLORS: readonly number[] = [36, 34, 35, 32];
/** So many threads keep their colour. */
const THREADS_MAX = 1_000;

/** Writes the line that `lighthouse.log.cli.CLIHandler` shows on a terminal: `[2026-11-20 09:17:09 I][MainThread] hello`. */
export class CliFormatter {
  readonly #face: (timeMs: number) => WallTime;
  readonly #color: boolean;
  readonly #threads = new Map<string, number>();

  /** `color` says whether levels and threads are told apart by colours. */
  constructor(face: (timeMs: number) => WallTime, { color }: { readonly color: boolean }) {
    [this.#face, this.#color] = [face, color];
  }

  /** Writes a record, without an end of line. */
  write(entry: Entry): string {
    const thread = entry.worker ?? MAIN_THREAD;
    const time = strftime("%Y-%m-%d %H:%M:%S", this.#face(entry.timeMs));
    const head = this.#paint(
      `[${time} ${levelName(entry.level).charAt(0)}]`,
      LEVEL_COLORS.get(entry.level) ?? OTHER_LEVEL_COLOR,
    );
    return `${head}${this.#paint(`[${thread}]`, this.#colorOf(thread))} ${messageOf(entry, { withWorker: false })}`;
  }

  #paint(text: string, code: number): string {
    return this.#color ? `\x1b[${code}m${text}\x1b[39m` : text;
  }

  #colorOf(thread: string): number {
    if (!this.#threads.has(thread)) {
      if (this.#threads.size >= THREADS_MAX) this.#threads.clear();
      this.#threads.set(thread, THREAD_COLORS[this.#threads.size % THREAD_COLORS.length] ?? OTHER_LEVEL_COLOR);
    }
    return this.#threads.get(thread) ?? OTHER_LEVEL_COLOR;
  }
}

/** What syslog calls the levels. */
const PRIORITIES: ReadonlyMap<number, number> = new Map([[10, 7], [20, 6], [30, 4], [40, 3], [50, 2]]);

/** A syslog message longer than this is cut: no server takes more, and a datagram cannot hold it. */
const SYSLOG_BYTES_MAX = 8_192;

const encoder = new TextEncoder();

/** Writes a message as Python's SysLogHandler does: `<14>ident text NUL`. */
export function syslogMessage(
  text: string,
  level: number,
  { facility, ident, appendNul }: { readonly facility: number; readonly ident: string; readonly appendNul: boolean },
): Uint8Array<ArrayBuffer> {
  const priority = (facility << 3) | (PRIORITIES.get(level) ?? 4);
  const whole = encoder.encode(`<${priority}>${ident}${text}`);
  const cut = whole.length <= SYSLOG_BYTES_MAX ? whole : encoder.encode(
    `${new TextDecoder().decode(whole.subarray(0, SYSLOG_BYTES_MAX - 6)).replace(/\uFFFD+$/, "")}...`,
  );
  return appendNul ? new Uint8Array([...cut, 0]) : cut;
}
