/**
 * The handlers that `logging.yaml` may name: what each is made with, and where
 * it writes to. Pure.
 *
 * @module
 */
import { converted, integer, keys, optional, text, word } from "../kernel/schema.ts";
import type { LogFormat, Output, RotationUnit, SyslogAddress } from "./plan.ts";

/** The keys of a map. */
export type Entries = Parameters<typeof keys>[0];

/** The facilities of syslog, in the order in which they are numbered. */
const FACILITIES = ("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console " +
  "solaris-cron local0 local1 local2 local3 local4 local5 local6 local7").split(" ");
const UNITS = ["S", "M", "H", "D", "MIDNIGHT", "W0", "W1", "W2", "W3", "W4", "W5", "W6"] as const;

const oneOf = <const T>(values: Readonly<Record<string, T>>, wanted: string) =>
  converted((value) => Object.hasOwn(values, String(value)) ? values[String(value)] : undefined, wanted);

/** Python takes anything for true or false; these are what people write. */
export const SWITCH = converted(
  (value) => value === 0 || value === 1 || typeof value === "boolean" ? Boolean(value) : undefined,
  "true or false",
);

/** What a handler's arguments are once they are validated. */
export interface Arguments {
  readonly stream?: "stdout" | "stderr";
  readonly filename?: string;
  readonly mode?: "a" | "w";
  readonly delay?: boolean;
  readonly maxBytes?: number;
  readonly backupCount?: number;
  readonly when?: RotationUnit;
  readonly interval?: number;
  readonly utc?: boolean;
  readonly address?: SyslogAddress;
  readonly facility?: number;
  readonly socktype?: "datagram" | "stream";
  readonly "."?: { readonly ident?: string; readonly append_nul?: boolean };
}

/** A handler class that Lighthouse has. */
export interface HandlerClass {
  /** Its arguments. */
  readonly entries: Entries;
  readonly output: (given: Arguments) => Output;
  /** How it writes a record without a formatter; the message alone by default. */
  readonly format?: LogFormat;
}

const STREAM_HANDLER: HandlerClass = {
  entries: {
    stream: optional(
      oneOf(
        { "ext://sys.stdout": "stdout", "ext://sys.stderr": "stderr" },
        "ext://sys.stdout or ext://sys.stderr",
      ),
    ),
  },
  output: ({ stream = "stderr" }) => ({ to: "stream", stream }),
};
/** The line that 1.0 shows on a terminal, less its colors. */
const CLI_HANDLER: HandlerClass = {
  ...STREAM_HANDLER,
  format: { format: "[%(asctime)s %(levelname).1s][%(threadName)s] %(message)s", datefmt: "%Y-%m-%d %H:%M:%S" },
};

const FILE_ENTRIES = {
  filename: word("a path"),
  mode: optional(oneOf({ a: "a", w: "w" }, "a or w")),
  encoding: optional(text()),
  delay: optional(SWITCH),
};
const fileOutput = ({ filename = "", mode = "a", delay = false }: Arguments) =>
  ({ to: "file", path: filename, mode, delay }) as const;
const FILE_HANDLER: HandlerClass = { entries: FILE_ENTRIES, output: fileOutput };
const BACKUPS = optional(integer({ min: 0, max: 10_000 }));

const SIZED_HANDLER: HandlerClass = {
  entries: { ...FILE_ENTRIES, maxBytes: optional(integer({ min: 0 })), backupCount: BACKUPS },
  output: (given) => {
    const { maxBytes = 0, backupCount: backups = 0 } = given;
    const file = fileOutput(given);
    // A file with a size to keep is never emptied; without a name to give way to, it just grows. Both as in Python.
    if (maxBytes === 0) return file;
    return { ...file, mode: "a", ...backups > 0 && { rotation: { by: "size", maxBytes, backups } } };
  },
};
const TIMED_HANDLER: HandlerClass = {
  entries: {
    ...FILE_ENTRIES,
    when: optional(
      converted(
        (value) => UNITS.find((unit) => typeof value === "string" && unit === value.toUpperCase()),
        "one of S, M, H, D, midnight, W0 to W6",
      ),
    ),
    interval: optional(integer({ min: 1, max: 1_000_000 })),
    backupCount: BACKUPS,
    utc: optional(SWITCH),
  },
  output: (given) => {
    const { when = "H", interval = 1, backupCount: backups = 0, utc = false } = given;
    return { ...fileOutput(given), mode: "a", rotation: { by: "time", when, interval, backups, utc } };
  },
};

const SYSLOG_HANDLER: HandlerClass = {
  entries: {
    address: optional(converted(toAddress, "the path of a socket, or a list of a host and a port")),
    facility: optional(converted(toFacility, `a number from 0 to 127, or one of ${FACILITIES.toSorted().join(", ")}`)),
    socktype: optional(
      oneOf(
        { "ext://socket.SOCK_STREAM": "stream", "ext://socket.SOCK_DGRAM": "datagram" },
        "ext://socket.SOCK_DGRAM or ext://socket.SOCK_STREAM",
      ),
    ),
    ".": optional(keys({ ident: optional(text()), append_nul: optional(SWITCH) })),
  },
  output: ({ address = { host: "localhost", port: 514 }, facility = 1, socktype, ".": own }) => {
    const { ident = "", append_nul: appendNul = true } = own ?? {};
    return { to: "syslog", address, ...socktype !== undefined && { socktype }, facility, ident, appendNul };
  },
};

function toAddress(value: unknown): SyslogAddress | undefined {
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
  ["logging.StreamHandler", STREAM_HANDLER],
  ["logging.FileHandler", FILE_HANDLER],
  ["logging.NullHandler", { entries: {}, output: () => ({ to: "nowhere" }) }],
  ["logging.handlers.WatchedFileHandler", FILE_HANDLER],
  ["logging.handlers.RotatingFileHandler", SIZED_HANDLER],
  ["logging.handlers.TimedRotatingFileHandler", TIMED_HANDLER],
  ["logging.handlers.SysLogHandler", SYSLOG_HANDLER],
  ["lighthouse.log.CLIHandler", CLI_HANDLER],
  ["lighthouse.log.cli.CLIHandler", CLI_HANDLER],
]);
