/**
 * The handlers that `logging.yaml` may name: what each is made with, and where
 * it writes to. Pure.
 *
 * @module
 */
import { converted, integer, keys, optional, text, word } from "../kernel/schema.ts";
import { FACILITIES, type LogFormat, type Output, type RotationUnit } from "./plan.ts";

/** The keys of a map. */
export type Entries = Parameters<typeof keys>[0];

/** One of a few words. */
export const oneOf = <const T>(values: Readonly<Record<string, T>>, wanted = Object.keys(values).join(" or ")) =>
  converted((value) => Object.hasOwn(values, String(value)) ? values[String(value)] : undefined, wanted);

/** Python takes anything for true or false; these are what people write. */
export const SWITCH = converted(
  (value) => value === 0 || value === 1 || typeof value === "boolean" ? Boolean(value) : undefined,
  "true or false",
);
const STREAM = optional(
  oneOf(
    {
      "ext://sys.stdout": "stdout",
      "ext://sys.stderr": "stderr",
      "ext://sys.__stdout__": "stdout",
      "ext://sys.__stderr__": "stderr",
    } as const,
    "ext://sys.stdout or ext://sys.stderr",
  ),
);
const STREAM_ENTRIES = { stream: STREAM, strm: STREAM, ".": optional(keys({ terminator: optional(text()) })) };
const FILE_ENTRIES = {
  filename: word("a path"),
  mode: optional(oneOf({ a: "a", w: "w" } as const)),
  encoding: optional(text()),
  delay: optional(SWITCH),
  errors: optional(text()),
};
const BACKUPS = optional(integer({ min: 0, max: 10_000 }));
const UNITS: Readonly<Record<string, RotationUnit>> = Object.fromEntries(
  (["S", "M", "H", "D", "MIDNIGHT", "W0", "W1", "W2", "W3", "W4", "W5", "W6"] as const).map((unit) => [unit, unit]),
);
const SYSLOG_ENTRIES = {
  address: optional(converted(toAddress, "the path of a socket, or a list of a host and a port")),
  facility: optional(
    converted(toFacility, `a number from 0 to 127, or one of ${[...FACILITIES.keys()].toSorted().join(", ")}`),
  ),
  socktype: optional(
    oneOf(
      {
        "ext://socket.SOCK_STREAM": "stream",
        "ext://socket.SOCK_DGRAM": "datagram",
        1: "stream",
        2: "datagram",
      } as const,
      "ext://socket.SOCK_DGRAM or ext://socket.SOCK_STREAM",
    ),
  ),
  ".": optional(keys({ ident: optional(text()), append_nul: optional(SWITCH) })),
};

function toAddress(
  value: unknown,
): { readonly path: string } | { readonly host: string; readonly port: number } | undefined {
  if (typeof value === "string" && value !== "") return { path: value };
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [host, port] = [value[0], Number(value[1])];
  const isPort = /^\d{1,5}$/.test(String(value[1])) && port >= 1 && port <= 65_535;
  return typeof host === "string" && host !== "" && isPort ? { host, port } : undefined;
}

function toFacility(value: unknown): number | undefined {
  if (typeof value === "string") return FACILITIES.get(value);
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 127 ? value : undefined;
}

/** What a handler's arguments are once they are validated. */
export interface Arguments {
  readonly stream?: "stdout" | "stderr";
  readonly strm?: "stdout" | "stderr";
  readonly "."?: { readonly terminator?: string; readonly ident?: string; readonly append_nul?: boolean };
  readonly filename?: string;
  readonly mode?: "a" | "w";
  readonly delay?: boolean;
  readonly maxBytes?: number;
  readonly backupCount?: number;
  readonly when?: RotationUnit;
  readonly interval?: number;
  readonly utc?: boolean;
  readonly address?: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly facility?: number;
  readonly socktype?: "datagram" | "stream";
}

/** A handler class that Lighthouse has. */
export interface HandlerClass {
  /** Its arguments. */
  readonly entries: Entries;
  readonly output: (given: Arguments) => Output;
  /** How it writes a record without a formatter; the message alone by default. */
  readonly format?: LogFormat;
}

const fileOutput = ({ filename = "", mode = "a", delay = false }: Arguments) =>
  ({ to: "file", path: filename, mode, delay }) as const;

const STREAM_HANDLER: HandlerClass = {
  entries: STREAM_ENTRIES,
  output: ({ stream, strm, ".": own }) => ({
    to: "stream",
    stream: stream ?? strm ?? "stderr",
    terminator: own?.terminator ?? "\n",
  }),
};
/** The line that 1.0 shows on a terminal, less its colors. */
const CLI_HANDLER: HandlerClass = {
  ...STREAM_HANDLER,
  format: { format: "[%(asctime)s %(levelname).1s][%(threadName)s] %(message)s", datefmt: "%Y-%m-%d %H:%M:%S" },
};
const FILE_HANDLER: HandlerClass = { entries: FILE_ENTRIES, output: fileOutput };

/** All of them, by the names that Python finds them under. */
export const HANDLER_CLASSES: ReadonlyMap<string, HandlerClass> = new Map([
  ["logging.StreamHandler", STREAM_HANDLER],
  ["logging.FileHandler", FILE_HANDLER],
  ["logging.NullHandler", { entries: {}, output: () => ({ to: "nowhere" }) }],
  ["logging.handlers.WatchedFileHandler", FILE_HANDLER],
  ["logging.handlers.RotatingFileHandler", {
    entries: { ...FILE_ENTRIES, maxBytes: optional(integer({ min: 0 })), backupCount: BACKUPS },
    output: (given) => {
      const { maxBytes = 0, backupCount: backups = 0 } = given;
      const file = fileOutput(given);
      // A file with a size to keep is never emptied; without a name to give way to it just grows. Both as in Python.
      if (maxBytes === 0) return file;
      return backups === 0
        ? { ...file, mode: "a" }
        : { ...file, mode: "a", rotation: { by: "size", maxBytes, backups } };
    },
  }],
  ["logging.handlers.TimedRotatingFileHandler", {
    entries: {
      ...FILE_ENTRIES,
      when: optional(
        converted(
          (value) => typeof value === "string" ? UNITS[value.toUpperCase()] : undefined,
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
  }],
  ["logging.handlers.SysLogHandler", {
    entries: SYSLOG_ENTRIES,
    output: ({ address = { host: "localhost", port: 514 }, facility = 1, socktype, ".": own }) => ({
      to: "syslog",
      address,
      ...(socktype === undefined ? {} : { socktype }),
      facility,
      ident: own?.ident ?? "",
      appendNul: own?.append_nul ?? true,
    }),
  }],
  ["lighthouse.log.CLIHandler", CLI_HANDLER],
  ["lighthouse.log.cli.CLIHandler", CLI_HANDLER],
]);
