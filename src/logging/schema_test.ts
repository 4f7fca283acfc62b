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

Deno.test("readLogging() reads the file that 1.0's manual shows", () => {
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
    disableOthers: false,
    root: { level: 10, propagate: true, handlers: ["syslog"], only: [] },
    loggers: {},
    handlers: {
      syslog: {
        level: 0,
        only: [],
        format: { format: "lighthouse: [%(program)s] [%(threadName)s] %(message)s" },
        output: { to: "syslog", address: { path: "/dev/log" }, facility: 1, ident: "", appendNul: true },
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

Deno.test("readLogging() knows where each handler writes to", () => {
  const stream = { to: "stream", stream: "stderr" };
  assert.deepEqual(output({ class: "logging.StreamHandler" }), stream);
  assert.deepEqual(output({ "()": "logging.StreamHandler", stream: "ext://sys.stdout" }), {
    ...stream,
    stream: "stdout",
  });
  assert.deepEqual(output({ class: "lighthouse.log.cli.CLIHandler" }), stream);
  const file = { to: "file", path: "x.log", mode: "a", delay: false };
  assert.deepEqual(output({ class: "logging.FileHandler", filename: "x.log", encoding: "utf8" }), file);
  assert.deepEqual(output({ class: "logging.FileHandler", filename: "x.log", mode: "w", delay: true }), {
    ...file,
    mode: "w",
    delay: true,
  });
  assert.deepEqual(output({ class: "logging.handlers.WatchedFileHandler", filename: "x.log" }), file);
  const rotating = { class: "logging.handlers.RotatingFileHandler", filename: "x.log", mode: "w" };
  assert.deepEqual(output({ ...rotating, maxBytes: "1000", backupCount: 3 }), {
    ...file,
    rotation: { by: "size", maxBytes: 1000, backups: 3 },
  });
  assert.deepEqual(output({ ...rotating, maxBytes: 1000 }), file);
  assert.deepEqual(output(rotating), { ...file, mode: "w" });
  const timed = { class: "logging.handlers.TimedRotatingFileHandler", filename: "x.log" };
  assert.deepEqual(output(timed), {
    ...file,
    rotation: { by: "time", when: "H", interval: 1, backups: 0, utc: false },
  });
  assert.deepEqual(output({ ...timed, when: "midnight", interval: 2, backupCount: 7, utc: true }), {
    ...file,
    rotation: { by: "time", when: "MIDNIGHT", interval: 2, backups: 7, utc: true },
  });
  const syslog = { class: "logging.handlers.SysLogHandler" };
  const there = { to: "syslog", address: { host: "localhost", port: 514 }, facility: 1, ident: "", appendNul: true };
  assert.deepEqual(output(syslog), there);
  const full = {
    ...syslog,
    address: ["logs", 6514],
    facility: "local3",
    socktype: "ext://socket.SOCK_STREAM",
    ".": { ident: "lh: ", append_nul: false },
  };
  assert.deepEqual(output(full), {
    ...there,
    address: { host: "logs", port: 6514 },
    facility: 19,
    socktype: "stream",
    ident: "lh: ",
    appendNul: false,
  });
  assert.deepEqual(output({ class: "logging.NullHandler" }), { to: "nowhere" });
});

Deno.test("readLogging() takes a key without a value for none, as Python does", () => {
  assert.deepEqual(
    good({ formatters: null, root: null, loggers: { a: { level: null, handlers: null } } }).loggers.a?.level,
    undefined,
  );
});

Deno.test("readLogging() reads filters by name, and those that only add to a record", () => {
  const { handlers, root } = good({
    filters: {
      writer: { name: "lighthouse.writer" },
      own: { "()": "logging.Filter", name: "kazoo" },
      context: { "()": "lighthouse.log.context.ContextFilter" },
      all: {},
    },
    handlers: { x: { class: "logging.NullHandler", filters: ["writer", "context", "all"] } },
    root: { handlers: ["x"], filters: ["own"] },
  });
  assert.deepEqual(handlers.x?.only, ["lighthouse.writer"]);
  assert.deepEqual(root.only, ["kazoo"]);
});

Deno.test("readLogging() leaves out what it does not know, says so, and uses the rest", () => {
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
  const lines = said(file).split("\n");
  assert.match(
    lines[0] ?? "",
    /^warning handlers\.gelf\.class: Unknown handler "graypy\.GELFUDPHandler", which is not used: known are /,
  );
  assert.match(
    lines[1] ?? "",
    /^warning filters\.mine\.\(\): Unknown filter "mine\.Filter", which lets all records pass/,
  );
  assert.match(lines[2] ?? "", /^warning formatters\.json\.\(\): Unknown formatter "pythonjsonlogger/);
  assert.match(
    lines[3] ?? "",
    /^warning formatters\.json\.format: Unknown field hostname, written as -: /,
  );
  assert.equal(lines.length, 4);
});

Deno.test("readLogging() gives a CLIHandler without a formatter the line of 1.0", () => {
  const { handlers } = good({ handlers: { cli: { class: "lighthouse.log.cli.CLIHandler" } } });
  assert.equal(handlers.cli?.format.format, "[%(asctime)s %(levelname).1s][%(threadName)s] %(message)s");
});

Deno.test.each([
  ["a style", { formatters: { a: { style: "{", format: "{message}" } } }, /^warning formatters\.a\.style: Style "\{"/],
  ["a conversion", { formatters: { a: { format: "%(levelno)x %(message)s" } } }, /Conversion %\(levelno\)x is not/],
  ["a directive", { formatters: { a: { datefmt: "%c" } } }, /^warning formatters\.a\.datefmt: Directive %c is not/],
  ["incremental", { incremental: true }, /^warning incremental: Unknown key incremental, which is not used/],
])("readLogging() warns of %s that Lighthouse has no counterpart for, and uses the rest", (_what, file, wanted) => {
  const raw = { version: 1, root: { level: "DEBUG" }, ...file };
  assert.match(said(raw), wanted);
  assert.equal(readLogging(raw).value?.root.level, 10);
});

Deno.test("readLogging() silences loggers only where the file says so itself", () => {
  assert.equal(good({}).disableOthers, false);
  assert.equal(good({ disable_existing_loggers: true, loggers: { lighthouse: {} } }).disableOthers, true);
  assert.match(
    said({ version: 1, disable_existing_loggers: true }),
    /^warning disable_existing_loggers: Loggers that the/,
  );
});

Deno.test.each([
  ["another version", { version: "1" }, /^error version: Cannot use version as it must be 1/],
  ["no version", {}, /^error : Missing key version/],
  [
    "an unknown level",
    { root: { level: "LOUD" } },
    /^error root\.level: Cannot use root\.level as it must be one of NOTSET/,
  ],
  [
    "a handler that is not defined",
    { root: { handlers: ["x"] } },
    /^error root\.handlers\.0: .* a handler, of which none/,
  ],
  ["a handler without a class", { handlers: { a: {} } }, /^error handlers\.a: .* a map with a class/],
  [
    "a formatter that is not defined",
    { handlers: { a: { class: "logging.NullHandler", formatter: "x" } } },
    /^error handlers\.a\.formatter: .* a formatter, of which none is defined: current value is "x"/,
  ],
  [
    "a filter that is not defined",
    { filters: { y: {} }, root: { filters: ["x"] } },
    /^error root\.filters\.0: .* one of the filters y: current value is "x"/,
  ],
  [
    "a format that names no field",
    { formatters: { a: { format: "hello" } } },
    /^error formatters\.a\.format: .* a string with fields such as %\(message\)s, .*: current value is "hello"/,
  ],
  [
    "a file without a name",
    { handlers: { a: { class: "logging.FileHandler" } } },
    /^error handlers\.a: Missing key handlers\.a\.filename/,
  ],
  [
    "a stream that is none",
    { handlers: { a: { class: "logging.StreamHandler", stream: "stdout" } } },
    /^error handlers\.a\.stream: .* ext:\/\/sys\.stdout or ext:\/\/sys\.stderr/,
  ],
  [
    "a facility that is none",
    { handlers: { a: { class: "logging.handlers.SysLogHandler", facility: "local9" } } },
    /^error handlers\.a\.facility: .* a number from 0 to 127, or one of auth, /,
  ],
  [
    "an address that is none",
    { handlers: { a: { class: "logging.handlers.SysLogHandler", address: ["x"] } } },
    /^error handlers\.a\.address: .* the path of a socket, or a list of a host and a port/,
  ],
  [
    "a unit that is none",
    { handlers: { a: { class: "logging.handlers.TimedRotatingFileHandler", filename: "x", when: "Y" } } },
    /^error handlers\.a\.when: .* one of S, M, H, D, midnight, W0 to W6/,
  ],
])("readLogging() refuses %s", (_what, file, wanted) => {
  const raw = Object.hasOwn(file, "version") || Object.keys(file).length === 0 ? file : { version: 1, ...file };
  assert.equal(readLogging(raw).value, undefined);
  assert.match(said(raw), wanted);
});

Deno.test("readLogging() names a handler that is not defined though the level beside it is wrong", () => {
  assert.deepEqual(said({ version: 1, root: { level: "LOUD", handlers: ["consle"] } }).split("\n"), [
    'error root.level: Cannot use root.level as it must be one of NOTSET, DEBUG, INFO, WARN, WARNING, ERROR, CRITICAL, FATAL, or a number: current value is "LOUD"',
    'error root.handlers.0: Cannot use root.handlers[0] as it must be a handler, of which none is defined: current value is "consle"',
  ]);
});
