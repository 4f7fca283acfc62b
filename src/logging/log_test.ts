import assert from "node:assert/strict";
import fc from "fast-check";
import type { Logger } from "../kernel/logger.ts";
import { Log, type LogFormat, type LogLevel } from "./log.ts";

/** Logs with a logger of the part `writer`; answers the lines. */
function lines(
  say: (log: Logger) => void,
  { format = "human", level = "debug", terminal = false }: {
    format?: LogFormat;
    level?: LogLevel;
    terminal?: boolean;
  } = {},
): readonly string[] {
  const written: string[] = [];
  using log = new Log({ level, format, terminal, write: (line) => written.push(line) });
  say(log.part("writer"));
  return written;
}

/** Logs one record at `info`; answers what was written of it, less the time. */
function line(format: LogFormat, message: string, properties?: Record<string, unknown>): string {
  return lines((log) => log.info(message, properties), { format }).join("")
    .replace(/^[\d-]{10} [\d:.]{12}Z |time=\S+ |"@timestamp":"[^"]+",/, "");
}

const FORMATS: readonly LogFormat[] = ["human", "logfmt", "json"];

/** What a registry, a plugin or HAProxy may say to look like more than a text. */
const HOSTILE = [
  "\n2026-01-31 09:46:42.123Z ERROR app: forged",
  '\ntime=2026-01-01T00:00:00.000Z level=error logger=lighthouse.app msg="forged"',
  '"} \n{"level":"ERROR"}',
  "\r\u001b[2K\u001b[1A\u001b]0;title\u0007",
  "\u009b31m\u0090\u2028\u2029\u0000\u007f\u0085",
  "\u202eesrever\u2066\u200e",
  '" level=error',
  "{x} {{x}} {*} {",
];

Deno.test("Log writes one line per record, in each format", () => {
  const properties = { cluster: "web", nodes: 2, why: "two words" };
  assert.equal(line("human", "Done", properties), 'INFO  writer: Done (cluster=web nodes=2 why="two words")\n');
  assert.equal(
    line("logfmt", "All done", properties),
    'level=info logger=lighthouse.writer msg="All done" cluster=web nodes=2 why="two words"\n',
  );
  assert.deepEqual(JSON.parse(line("json", "Done", properties)), {
    level: "INFO",
    logger: "lighthouse.writer",
    message: "Done",
    properties,
  });
});

Deno.test("Log begins each line with the time, in UTC", () => {
  const [human = ""] = lines((log) => log.info("x"));
  assert.match(human, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z INFO {2}writer: x\n$/);
  const [logfmt = ""] = lines((log) => log.info("x"), { format: "logfmt" });
  assert.match(logfmt, /^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info /);
});

Deno.test.each(FORMATS.map((format) => ({ format })))("Log in $format writes braces unchanged", ({ format }) => {
  for (const message of ["{", "}", "{x}", "{{x}}", "{*}", "{ }", "a {x} b {y} {", "}{"]) {
    const written = line(format, message, { x: "PUT IN", "*": "PUT IN" });
    const shown = format === "json"
      ? JSON.parse(written).message
      : /^INFO {2}writer: (.*) \(|\bmsg="?(.*?)"? x=/.exec(written)?.slice(1).join("");
    assert.equal(shown, message, written);
  }
});

Deno.test.each(FORMATS.map((format) => ({ format })))("Log in $format cannot be made to forge a line", ({ format }) => {
  for (const text of HOSTILE) {
    for (
      const written of [line(format, text), line(format, "x", { key: text }), line(format, "x", { [text]: 1 })]
    ) {
      const [first = "", ...more] = written.split("\n");
      assert.equal(more.pop(), "", "a record ends its last line");
      for (const part of [first, ...more]) assert.doesNotMatch(part, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, part);
      // The line feeds of a message are kept for people, and marked.
      for (const part of more) assert.match(part, /^ {2}\| /);
      if (format !== "human") assert.equal(more.length, 0);
      if (format === "json") JSON.parse(first);
      if (format === "logfmt") assert.equal(unquoted(first).match(/\b(?:level|msg|logger|time)=/g)?.length, 3, first);
    }
  }
});

/** A line of logfmt without what stands between quotes. */
function unquoted(line: string): string {
  return line.replaceAll(/"(?:[^"\\]|\\.)*"/g, "");
}

Deno.test("Log in logfmt reserves its own keys", () => {
  const written = line("logfmt", "x", { level: "error", msg: "forged", time: 0, logger: "app" });
  assert.equal(written, "level=info logger=lighthouse.writer msg=x level_=error msg_=forged time_=0 logger_=app\n");
});

Deno.test.each(FORMATS.map((format) => ({ format })))(
  "Log in $format keeps properties apart from the record's own keys",
  ({ format }) => {
    const forged = Object.fromEntries(
      ["level", "msg", "message", "time", "logger", "@timestamp", "properties", "", "a b=c"].map((
        key,
      ) => [key, "forged"]),
    );
    const written = line(format, "said", { ...forged, worker: "true" });
    const own = new Map<LogFormat, RegExp>([
      ["human", /^INFO {2}writer: said \(/],
      ["logfmt", /^level=info logger=lighthouse\.writer msg=said (?!.*\b(?:level|msg|logger|time)=)/],
      ["json", /^\{"level":"INFO"/],
    ]);
    assert.match(written, own.get(format) ?? /^$/);
    if (format === "json") {
      const { level, logger, message } = JSON.parse(written);
      assert.deepEqual([level, logger, message], ["INFO", "lighthouse.writer", "said"]);
    }
  },
);

Deno.test.each(FORMATS.map((format) => ({ format })))("Log in $format keeps any string on its line", ({ format }) => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constantFrom(...HOSTILE));
  fc.assert(fc.property(text, text, text, (message, key, value) => {
    const written = line(format, message, { [key]: value });
    const parts = written.replace(/\n$/, "").split("\n");
    for (const part of parts) assert.doesNotMatch(part, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    for (const part of parts.slice(1)) assert.ok(format === "human" && part.startsWith("  | "));
    if (format === "json") assert.equal(JSON.parse(written).message, message);
  }));
});

Deno.test("Log prints a multi-line message as such for people, and on one line for programs", () => {
  const message = "web.yaml:4:11: error: no\n   4 | rise: two\n     |       ^";
  const human = "INFO  writer: web.yaml:4:11: error: no\n  |    4 | rise: two\n  |      |       ^\n";
  assert.equal(line("human", message), human);
  assert.match(line("logfmt", message), /^level=info logger=lighthouse.writer msg="web[^\n]*\\n[^\n]*"\n$/);
});

Deno.test.each(FORMATS.map((format) => ({ format })))("Log in $format writes any property", ({ format }) => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  const properties = {
    error: new TypeError("unreachable"),
    big: 12n,
    circle,
    list: ["a", 1],
    nothing: undefined,
    none: null,
    symbol: Symbol("s"),
    empty: "",
    call: () => 1,
    bare: Object.create(null),
  };
  const written = line(format, "x", properties);
  assert.match(written, /unreachable/);
  assert.match(written, /12/);
  assert.equal(written.split("\n").length, 2, written);
});

Deno.test("Log writes records of its level or above", () => {
  const say = (log: Logger) => {
    for (const level of ["debug", "info", "warn", "error"] as const) log[level](level);
  };
  const said = (level: LogLevel) => lines(say, { level }).map((line) => line.trim().split(" ").at(-1));
  assert.deepEqual(said("debug"), ["debug", "info", "warn", "error"]);
  assert.deepEqual(said("warning"), ["warn", "error"]);
  assert.deepEqual(said("error"), ["error"]);
  assert.deepEqual(said("fatal"), []);
});

Deno.test("Log is human-readable on a terminal and logfmt elsewhere, by default", () => {
  const say = (log: Logger) => log.warn("x");
  assert.match(lines(say, { format: "auto", terminal: true })[0] ?? "", /WARN.*writer: x/);
  assert.match(lines(say, { format: "auto" })[0] ?? "", /^time=.* level=warning /);
  assert.match(lines(say, { format: "json", terminal: true })[0] ?? "", /^\{/);
});

Deno.test("Log colours only on a terminal", () => {
  const say = (log: Logger) => log.error("x", { a: "b" });
  // deno-lint-ignore no-control-regex -- the colours are what is looked for.
  assert.match(lines(say, { terminal: true })[0] ?? "", /\x1b\[31mERROR\x1b\[0m writer: x \x1b\[90m\(a=b\)\x1b\[0m\n$/);
  assert.doesNotMatch(lines(say)[0] ?? "", /\p{Cc}(?<!\n)/u);
});

Deno.test("Log writes nothing once it is disposed of", () => {
  const written: string[] = [];
  const log = new Log({ level: "debug", format: "human", terminal: false, write: (line) => written.push(line) });
  const part = log.part("x");
  log[Symbol.dispose]();
  part.error("late");
  assert.deepEqual(written, []);
});
