/**
 * A record of the log as Python's formatters see one. Pure: the time on the
 * wall comes in.
 *
 * @module
 */
import { type CompiledFormat, compileFormat } from "./format.ts";
import type { LogFormat } from "./plan.ts";
import { strftime, type WallTime } from "./wall_time.ts";

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

const LEVEL_NAMES: ReadonlyMap<number, string> = new Map([
  [10, "DEBUG"],
  [20, "INFO"],
  [30, "WARNING"],
  [40, "ERROR"],
  [50, "CRITICAL"],
]);

/** Python's name for a level. */
function levelName(level: number): string {
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
    const compiled = compileFormat(format.format);
    if (!compiled.ok) throw new TypeError(`Cannot use the format as it must be ${compiled.wanted}`);
    [this.#compiled, this.#datefmt, this.#process, this.#face] = [compiled, format.datefmt, process, face];
  }

  /** Writes a record, without an end of line. */
  write(entry: Entry): string {
    return this.#compiled.write((name) => this.#valueOf(name, entry));
  }

  #valueOf(name: string, entry: Entry): string | number {
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
        return entry.timeMs / 1_000;
      case "msecs":
        return milliseconds(entry.timeMs);
      case "relativeCreated":
        return entry.timeMs - startedMs;
      case "thread":
        return entry.worker === undefined ? pid : threadNumber(entry.worker);
      case "threadName":
        return entry.worker ?? "MainThread";
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
