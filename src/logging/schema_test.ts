import assert from "node:assert/strict";
import type { Logging, Output } from "./plan.ts";
import { readLogging } from "./schema.ts";

/** What the file asks for, which nothing is to be said of. */
function good(file: Record<string, unknown>): Logging {
  const { value, findings } = readLogging({ version: 1, ...file });
  assert.deepEqual(findings, []);
  assert.ok(value !== undefined);
  return value;
}

/** What is said of a file, one a line: `severity path: message`. */
function said(file: unknown): string {
  return readLogging(file).findings.map(({ severity, path, message }) => `${severity} ${path.join(".")}: ${message}`)
    .join("\n");
}

/** Where a handler of a class writes to. */
function output(handler: Record<string, unknown>): Output | undefined {
  return good({ handlers: { x: handler } }).handlers.x?.output;
}

Deno.test("readLogging() reads the file of 1.0's manual", () => {
  const logging = good({
    disable_existing_loggers: false,
    filters: { context: { "()": "lighthouse.log.ContextFilter" } },
    formatters: { syslog: { format: "lighthouse: [%(program)s] [%(threadName)s] %(message)s" } },
    handlers: {
      syslog: {
        class: "logging.handlers.SysLogHandler",
        address: "/dev/log",
        filters: ["context"],
        formatter: "syslog",
      },
    },
    root: { handlers: ["syslog"], level: "DEBUG", propagate: true },
  });
  assert.deepEqual(logging, {
    root: { level: 10, propagate: true, handlers: ["syslog"] },
    loggers: {},
    handlers: {
      syslog: {
        level: 0,
        format: { format: "lighthouse: [%(program)s] [%(threadName)s] %(message)s", datefmt: undefined },
        output: { to: "syslog", address: { path: "/dev/log" }, facility: 1 },
      },
    },
  });
});

Deno.test.each([
  ["DEBUG", 10],
  ["NOTSET", 0],
  ["INFO", 20],
  ["WARN", 30],
  ["WARNING", 30],
  ["ERROR", 40],
  ["CRITICAL", 50],
  ["FATAL", 50],
  ["info", 20],
  [0, 0],
  [15, 15],
])("readLogging() reads the level %s as Python's %s", (level, wanted) => {
  assert.equal(good({ root: { level } }).root.level, wanted);
});

Deno.test("readLogging() reads the target of each handler", () => {
  const stream = { to: "stream", stream: "stderr" };
  assert.deepEqual(output({ class: "logging.StreamHandler" }), stream);
  assert.deepEqual(output({ "()": "logging.StreamHandler", stream: "ext://sys.stdout" }), {
    ...stream,
    stream: "stdout",
  });
  assert.deepEqual(output({ class: "lighthouse.log.cli.CLIHandler" }), stream);
  const file = { to: "file", filename: "x.log" };
  const plain = { class: "logging.FileHandler", filename: "x.log", encoding: "utf8", mode: "a", delay: true };
  assert.deepEqual(output(plain), file);
  assert.deepEqual(output({ class: "logging.handlers.WatchedFileHandler", filename: "x.log" }), file);
  const rotating = { class: "logging.handlers.RotatingFileHandler", filename: "x.log" };
  assert.deepEqual(output({ ...rotating, maxBytes: "1000", backupCount: 3 }), {
    ...file,
    maxBytes: 1000,
    backupCount: 3,
  });
  const timed = { class: "logging.handlers.TimedRotatingFileHandler", filename: "x.log" };
  assert.deepEqual(output(timed), { ...file, when: "H" });
  assert.deepEqual(output({ ...timed, when: "midnight", interval: 2, backupCount: 7, utc: true }), {
    ...file,
    when: "MIDNIGHT",
    interval: 2,
    backupCount: 7,
    utc: true,
  });
  const syslog = { class: "logging.handlers.SysLogHandler" };
  const there = { to: "syslog", address: { host: "localhost", port: 514 }, facility: 1 };
  assert.deepEqual(output(syslog), there);
  const full = { ...syslog, address: ["logs", 6514], facility: "local3", socktype: "ext://socket.SOCK_DGRAM" };
  assert.deepEqual(output(full), { ...there, address: { host: "logs", port: 6514 }, facility: 19 });
  assert.deepEqual(output({ class: "logging.NullHandler" }), { to: "nowhere" });
});

Deno.test("readLogging() reads a key without a value as missing, as Python does", () => {
  assert.deepEqual(
    good({ formatters: null, root: null, loggers: { a: { level: null, handlers: null } } }).loggers.a?.level,
    undefined,
  );
});

Deno.test("readLogging() accepts filters that only add to a record", () => {
  const { handlers } = good({
    filters: {
      context: { "()": "lighthouse.log.context.ContextFilter" },
      all: {},
    },
    handlers: { x: { class: "logging.NullHandler", filters: ["context", "all"] } },
    loggers: { lighthouse: { filters: ["context"] } },
    root: { handlers: ["x"], filters: ["context"] },
  });
  assert.deepEqual(Object.keys(handlers), ["x"]);
});

/** Keys of dictConfig that are not used, where they stand, a value, and what is done instead. */
const UNUSED = [
  ["incremental", { incremental: true }, "the file replaces the whole logging config"],
  ["disable_existing_loggers", { disable_existing_loggers: true }, "loggers that are not in the file stay active"],
  ["filters.a.name", { filters: { a: { name: "lighthouse.writer" } } }, "all records pass"],
  ["filters.a.class", { filters: { a: { class: "logging.Filter" } } }, "all records pass"],
  ["filters.a.()", { filters: { a: { "()": "mine.Filter" } } }, "all records pass"],
  [
    "formatters.a.class",
    { formatters: { a: { class: "mine.Formatter" } } },
    "a formatter supports only the format key",
  ],
  ["formatters.a.()", { formatters: { a: { "()": "mine.Formatter" } } }, "a formatter supports only the format key"],
  ["formatters.a.style", { formatters: { a: { style: "{" } } }, "only fields of the form %(message)s are supported"],
  ["formatters.a.defaults", { formatters: { a: { defaults: { ip: "x" } } } }, 'unknown fields are written as "-"'],
  ["formatters.a.validate", { formatters: { a: { validate: false } } }, "formats are always validated"],
  ["handlers.a.mode", handlerOf({ mode: "w" }), "records are appended to the file"],
  ["handlers.a.delay", handlerOf({ delay: false }), "the file is opened when the first record is written"],
  ["handlers.a.encoding", handlerOf({ encoding: "latin-1" }), "files are written in UTF-8"],
  ["handlers.a.errors", handlerOf({ errors: "replace" }), "files are written in UTF-8"],
  ["handlers.a.atTime", handlerOf({ atTime: "12:00" }), "the file rotates at midnight"],
  ["handlers.a.socktype", handlerOf({ socktype: "ext://socket.SOCK_STREAM" }), "messages are sent as datagrams"],
  ["handlers.a..", handlerOf({ ".": { ident: "x" } }), "messages end with NUL; add the ident to the format"],
] as const;

function handlerOf(more: Record<string, unknown>): Record<string, unknown> {
  return { handlers: { a: { class: "logging.FileHandler", filename: "x.log", ...more } } };
}

Deno.test.each(UNUSED.map(([key, file, instead]) => ({ key, file, instead })))(
  "readLogging() warns that $key is not used, names the alternative, and uses the rest",
  ({ key, file, instead }) => {
    const { value, findings } = readLogging({ version: 1, root: { level: "DEBUG" }, ...file });
    assert.equal(value?.root.level, 10);
    assert.deepEqual(findings.map(({ severity, at }) => [severity, at]), [["warning", "key"]]);
    assert.ok(findings[0]?.message.startsWith(`Key ${key} is ignored: ${instead}`), findings[0]?.message);
  },
);

Deno.test("readLogging() skips unknown keys, reports them, and uses the rest", () => {
  const file = {
    version: 1,
    formatters: { json: { "()": "pythonjsonlogger.jsonlogger.JsonFormatter", format: "%(message)s %(hostname)s" } },
    filters: { mine: { "()": "mine.Filter" } },
    handlers: {
      gelf: { class: "graypy.GELFUDPHandler", host: "logs", formatter: "json" },
      console: { class: "logging.StreamHandler", formatter: "json", filters: ["mine"] },
    },
    root: { handlers: ["gelf", "console"] },
  };
  const { value } = readLogging(file);
  assert.deepEqual(value?.root.handlers, ["console"]);
  assert.deepEqual(Object.keys(value?.handlers ?? {}), ["console"]);
  assert.deepEqual(
    said(file).split("\n").map((line) =>
      line.replace(/(?<=known fields are message|known handlers are logging).*/, "")
    ),
    [
      "warning formatters.json.(): Key formatters.json.() is ignored: a formatter supports only the format key",
      "warning filters.mine.(): Key filters.mine.() is ignored: all records pass; use the levels of loggers and handlers",
      'warning handlers.gelf.class: Unknown handler "graypy.GELFUDPHandler" is ignored: known handlers are logging',
      'warning formatters.json.format: Unknown field hostname is written as "-": known fields are message',
    ],
  );
});

Deno.test("readLogging() appends the message if the format has no field", () => {
  for (const format of ["", "hello", "{message}", "100%%"]) {
    const handlers = { x: { class: "logging.StreamHandler", formatter: "f" } };
    const { value } = readLogging({ version: 1, formatters: { f: { format } }, handlers });
    assert.equal(value?.handlers.x?.format.format, "%(message)s");
  }
});

Deno.test("readLogging() gives a CLIHandler without a formatter the line format of 1.0", () => {
  const { handlers } = good({ handlers: { cli: { class: "lighthouse.log.cli.CLIHandler" } } });
  assert.equal(handlers.cli?.format.format, "[%(asctime)s %(levelname).1s][%(threadName)s] %(message)s");
});

Deno.test.each([
  ["a conversion", { formatters: { a: { format: "%(levelno)x %(message)s" } } }, /Conversion %\(levelno\)x is not/],
  ["a directive", { formatters: { a: { datefmt: "%c" } } }, /^warning formatters\.a\.datefmt: Directive %c is not/],
  [
    "a format without a field",
    { formatters: { a: { format: "hello" } } },
    /^warning formatters\.a\.format: The format has no/,
  ],
])("readLogging() warns about %s without an equivalent in Lighthouse, and uses the rest", (_what, file, wanted) => {
  const raw = { version: 1, root: { level: "DEBUG" }, ...file };
  assert.match(said(raw), wanted);
  assert.equal(readLogging(raw).value?.root.level, 10);
});

Deno.test.each([
  ["another version", { version: "1" }, /^error version: Cannot use version: must be 1/],
  ["no version", {}, /^error : Missing key version/],
  [
    "an unknown level",
    { root: { level: "LOUD" } },
    /^error root\.level: Cannot use root\.level: must be one of NOTSET/,
  ],
  [
    "an undefined handler",
    { root: { handlers: ["x"] } },
    /^error root\.handlers\.0: .* the name of a handler, but no handler is defined/,
  ],
  ["a handler without a class", { handlers: { a: {} } }, /^error handlers\.a: .* a map with a class key/],
  [
    "an undefined formatter",
    { handlers: { a: { class: "logging.NullHandler", formatter: "x" } } },
    /^error handlers\.a\.formatter: .* the name of a formatter, but no formatter is defined; current value is "x"/,
  ],
  [
    "a file without a name",
    { handlers: { a: { class: "logging.FileHandler" } } },
    /^error handlers\.a: Missing key handlers\.a\.filename/,
  ],
  [
    "an invalid stream",
    { handlers: { a: { class: "logging.StreamHandler", stream: "stdout" } } },
    /^error handlers\.a\.stream: .* ext:\/\/sys\.stdout or ext:\/\/sys\.stderr/,
  ],
  [
    "an invalid facility",
    { handlers: { a: { class: "logging.handlers.SysLogHandler", facility: "local9" } } },
    /^error handlers\.a\.facility: .* a number from 0 to 127, or one of auth, /,
  ],
  [
    "an invalid address",
    { handlers: { a: { class: "logging.handlers.SysLogHandler", address: ["x"] } } },
    /^error handlers\.a\.address: .* a socket path, or a list of a host and a port/,
  ],
  [
    "an invalid unit",
    { handlers: { a: { class: "logging.handlers.TimedRotatingFileHandler", filename: "x", when: "Y" } } },
    /^error handlers\.a\.when: .* one of S, M, H, D, midnight, W0 to W6/,
  ],
])("readLogging() rejects %s", (_what, file, wanted) => {
  const raw = Object.hasOwn(file, "version") || Object.keys(file).length === 0 ? file : { version: 1, ...file };
  assert.equal(readLogging(raw).value, undefined);
  assert.match(said(raw), wanted);
});

Deno.test("readLogging() names an undefined handler though the level beside it is invalid", () => {
  assert.deepEqual(said({ version: 1, root: { level: "LOUD", handlers: ["consle"] } }).split("\n"), [
    'error root.level: Cannot use root.level: must be one of NOTSET, DEBUG, INFO, WARN, WARNING, ERROR, CRITICAL, FATAL, or a number; current value is "LOUD"',
    'error root.handlers.0: Cannot use root.handlers[0]: must be the name of a handler, but no handler is defined; current value is "consle"',
  ]);
});
