/**
 * The handlers that `logging.yaml` may name: what each is made with, and where
 * it writes to. Pure.
 *
 * @module
 */
import { converted, flag, integer, type keys, optional, word } from "../kernel/schema.ts";
import type { LogFormat } from "./plan.ts";

/** A handler class: its arguments, and those that are not given. */
export interface HandlerClass {
  readonly entries: Parameters<typeof keys>[0];
  readonly output: { readonly to: string; readonly [argument: string]: unknown };
  /** How it writes a record without a formatter; the message alone by default. */
  readonly format?: LogFormat;
}

const STREAMS = new Map<unknown, string>([["ext://sys.stdout", "stdout"], ["ext://sys.stderr", "stderr"]]);
const FACILITIES = ("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console " +
  "solaris-cron local0 local1 local2 local3 local4 local5 local6 local7").split(" ");
const UNITS = ["S", "M", "H", "D", "MIDNIGHT", "W0", "W1", "W2", "W3", "W4", "W5", "W6"];

const STREAM: HandlerClass = {
  entries: { stream: optional(converted((value) => STREAMS.get(value), [...STREAMS.keys()].join(" or "))) },
  output: { to: "stream", stream: "stderr" },
};
/** The line that 1.0 shows on a terminal, less its colors. */
const CLI: HandlerClass = {
  ...STREAM,
  format: { format: "[%(asctime)s %(levelname).1s][%(threadName)s] %(message)s", datefmt: "%Y-%m-%d %H:%M:%S" },
};
const FILE: HandlerClass = { entries: { filename: word("a path") }, output: { to: "file" } };
const ROTATING = { ...FILE.entries, backupCount: optional(integer({ min: 0, max: 10_000 })) };
const SIZED: HandlerClass = { entries: { ...ROTATING, maxBytes: optional(integer({ min: 0 })) }, output: FILE.output };
const TIMED: HandlerClass = {
  entries: {
    ...ROTATING,
    when: optional(converted(toUnit, "one of S, M, H, D, midnight, W0 to W6")),
    interval: optional(integer({ min: 1, max: 1_000_000 })),
    utc: optional(flag()),
  },
  output: { to: "file", when: "H" },
};
const SYSLOG: HandlerClass = {
  entries: {
    address: optional(converted(toAddress, "a socket path, or a list of a host and a port")),
    facility: optional(converted(toFacility, `a number from 0 to 127, or one of ${FACILITIES.toSorted().join(", ")}`)),
  },
  output: { to: "syslog", address: { host: "localhost", port: 514 }, facility: 1 },
};

function toUnit(value: unknown): string | undefined {
  return UNITS.find((unit) => typeof value === "string" && unit === value.toUpperCase());
}

function toAddress(value: unknown) {
  if (typeof value === "string" && value !== "") return { path: value };
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [host, port] = [value[0], Number(value[1])];
  const isPort = Number.isInteger(port) && port >= 1 && port <= 65_535;
  return typeof host === "string" && host !== "" && isPort ? { host, port } : undefined;
}

function toFacility(value: unknown): number | undefined {
  const number = typeof value === "string" ? FACILITIES.indexOf(value) : Number(value);
  return Number.isInteger(number) && number >= 0 && number <= 127 ? number : undefined;
}

/** All of them, by the names that Python finds them under. */
export const HANDLER_CLASSES: ReadonlyMap<string, HandlerClass> = new Map([
  ["logging.StreamHandler", STREAM],
  ["logging.FileHandler", FILE],
  ["logging.NullHandler", { entries: {}, output: { to: "nowhere" } }],
  ["logging.handlers.WatchedFileHandler", FILE],
  ["logging.handlers.RotatingFileHandler", SIZED],
  ["logging.handlers.TimedRotatingFileHandler", TIMED],
  ["logging.handlers.SysLogHandler", SYSLOG],
  ["lighthouse.log.CLIHandler", CLI],
  ["lighthouse.log.cli.CLIHandler", CLI],
]);
