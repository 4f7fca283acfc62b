/**
 * `logging.yaml` as an operator uses it: real processes, files and sockets, and
 * Python's own logging beside ours.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../src/kernel/clock.ts";
import type { Logging } from "../../src/logging/plan.ts";
import { readLogging } from "../../src/logging/schema.ts";
import { Log } from "../../src/logging/log.ts";
import { fillFormat, type LogEntry, writeRecord } from "../../src/logging/record.ts";
import { syslogMessage } from "../../src/logging/syslog_target.ts";
import { UTC } from "../../src/logging/wall_time.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A reporter's config directory, with a service whose check fails four times a second, so that there is always something to log. */
class ReporterDir extends TempDir {
  async configure(logging: unknown): Promise<string> {
    await Deno.mkdir(this.file("registry"), { recursive: true });
    await this.write("config/discovery/file.yaml", JSON.stringify({ path: this.file("registry"), ttl: 5 }));
    const checks = { interval: 0.25, tcp: { rise: 1, fall: 1 } };
    await this.write("config/services/web.yaml", JSON.stringify({ discovery: "file", port: freePort(), checks }));
    await this.log(logging);
    return this.file("config");
  }

  async log(logging: unknown): Promise<void> {
    const text = typeof logging === "string" ? logging : JSON.stringify({ version: 1, ...logging as object });
    await this.write("config/logging.yaml", text);
  }

  async read(name: string): Promise<string> {
    return await Deno.readTextFile(this.file(name)).catch(() => "");
  }

  /** Waits until a file contains a string; returns the file's contents. */
  async holds(name: string, pattern: RegExp): Promise<string> {
    let seen = "";
    await eventually(`${name} holds ${pattern}`, async () => pattern.test(seen = await this.read(name)))
      .catch((error) => assert.fail(`${error.message}\n${seen}`));
    return seen;
  }
}

function fileHandler(filename: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { class: "logging.FileHandler", filename, ...more };
}

const PROBE_FAILED = /Probe failed/;

Deno.test("logging.yaml and later edits are applied at once; an invalid edit leaves the last valid version active", async () => {
  await using dir = new ReporterDir();
  const formatters = {
    plain: { format: "%(asctime)s|%(name)s|%(levelname)-8s|%(program)s|%(threadName)s|%(message)s" },
  };
  const config = await dir.configure({
    formatters,
    handlers: { file: fileHandler(dir.file("first.log"), { formatter: "plain" }) },
    root: { level: "DEBUG", handlers: ["file"] },
  });
  await using lighthouse = Lighthouse.start("reporter", config);
  const first = await dir.holds("first.log", PROBE_FAILED);
  for (const line of first.trimEnd().split("\n")) {
    assert.match(line, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\|lighthouse\.[\w.]+\|[A-Z]+ *\|REPORTER\|[^|]+\|/);
  }
  assert.match(first, /\|lighthouse\.app\|INFO {4}\|REPORTER\|MainThread\|Config applied/);
  assert.match(
    first,
    /\|lighthouse\.fleet\|DEBUG {3}\|REPORTER\|(?:check web:\d+\/tcp|discovery file)\|Worker in service/,
  );

  await dir.log({
    formatters: { wide: { format: "%(levelname)8s %(message)s" } },
    handlers: { file: fileHandler(dir.file("second.log"), { formatter: "wide" }) },
    root: { level: "DEBUG", handlers: ["file"] },
  });
  await dir.holds("second.log", /^ {3}DEBUG Probe failed/m);

  await dir.log("version: 1\nroot:\n  level: LOUD\n");
  const second = await dir.holds("second.log", /LOUD/);
  assert.match(second, /config\/logging\.yaml:3:10: error: Cannot use root\.level: must be one of NOTSET/);
  const failures = second.match(/Probe failed/g)?.length ?? 0;
  await eventually(
    "the last good file stays active",
    async () => ((await dir.read("second.log")).match(/Probe failed/g)?.length ?? 0) > failures,
  );

  await dir.log({
    handlers: {
      file: fileHandler(dir.file("third.log"), { level: "ERROR" }),
      all: fileHandler(dir.file("fourth.log")),
    },
    loggers: { "lighthouse.service": { level: "INFO" } },
    root: { level: "DEBUG", handlers: ["file", "all"] },
  });
  await dir.holds("fourth.log", /Config applied/);
  lighthouse.kill("SIGHUP");
  await dir.holds("fourth.log", /Rereading the config on request/);
  assert.equal(await lighthouse.stop(), 0);
  const fourth = await dir.read("fourth.log");
  assert.match(fourth, /Stopped/, "the last record is written too");
  assert.doesNotMatch(fourth, PROBE_FAILED, "1.0's name for a part filters it");
  assert.equal(await dir.read("third.log"), "");
});

Deno.test("both logging files of 1.0's manual work as in 1.0", async () => {
  await using dir = new ReporterDir();
  // Below /dev, as /dev/log is: Deno grants nobody access there.
  const address = `/dev/shm/lighthouse-${crypto.randomUUID()}`;
  using syslog = datagramSocket(address);
  const manual = (handlers: Record<string, unknown>, names: readonly string[]) => ({
    disable_existing_loggers: false,
    filters: { context: { "()": "lighthouse.log.ContextFilter" } },
    formatters: { syslog: { format: "lighthouse: [%(program)s] [%(threadName)s] %(message)s" } },
    handlers,
    root: { handlers: names, level: "DEBUG", propagate: true },
  });
  const plain = {
    class: "logging.handlers.SysLogHandler",
    address,
    filters: ["context"],
    formatter: "syslog",
  };
  const config = await dir.configure(manual({ syslog: plain }, ["syslog"]));
  await using lighthouse = Lighthouse.start("reporter", config);
  const received = receive(syslog);
  await eventually("syslog has heard of a probe", () => received.some((text) => PROBE_FAILED.test(text)));
  const about = /^<1[2-5]>lighthouse: \[REPORTER\] \[[^\]]+\] .*\0$/s;
  for (const text of received) assert.match(text, about);

  const both = {
    cli: { class: "lighthouse.log.cli.CLIHandler", stream: "ext://sys.stdout" },
    syslog: { ...plain, facility: "local6" },
  };
  await dir.log(manual(both, ["syslog", "cli"]));
  await eventually(
    "the facility has changed",
    () => received.some((text) => text.startsWith("<182>lighthouse: [REPORTER] ")),
  );
  const shown = /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d D\]\[[^\]]+\] Probe failed \(event=probe\.failed service=web/m;
  await eventually("the console has it too", () => shown.test(lighthouse.output));
  assert.equal(await lighthouse.stop(), 0);
});

/** A socket for datagrams that ends with its test. */
function datagramSocket(path?: string): Deno.DatagramConn & Disposable {
  const socket = path === undefined
    ? Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 })
    : Deno.listenDatagram({ transport: "unixpacket", path });
  return Object.assign(socket, {
    [Symbol.dispose]() {
      socket.close();
      if (path !== undefined) Deno.removeSync(path);
    },
  });
}

/** Collects what a datagram socket receives, until it is closed. */
function receive(socket: Deno.DatagramConn): string[] {
  const texts: string[] = [];
  void (async () => {
    for await (const [bytes] of socket) texts.push(new TextDecoder().decode(bytes));
  })().catch(() => {});
  return texts;
}

Deno.test("syslog over UDP and over a socket gets all records, even after the server was down", async () => {
  await using dir = new ReporterDir();
  using udp = datagramSocket();
  const overUdp = receive(udp);
  const handler = { class: "logging.handlers.SysLogHandler", formatter: "f", facility: 3 };
  const config = await dir.configure({
    formatters: { f: { format: "%(levelname)s %(message)s" } },
    handlers: {
      udp: { ...handler, address: ["localhost", (udp.addr as Deno.NetAddr).port] },
      unix: { ...handler, address: dir.file("log") },
    },
    root: { level: "DEBUG", handlers: ["udp", "unix"] },
  });
  await using lighthouse = Lighthouse.start("reporter", config);
  await eventually("UDP has it", () => overUdp.some((text) => /^<31>DEBUG Probe failed .*\0$/.test(text)));
  await lighthouse.event("log.handler_failed", { level: "error", logger: "lighthouse.log", handler: "unix" });
  using unix = datagramSocket(dir.file("log"));
  const overUnix = receive(unix);
  await eventually(
    "the socket has it, from the first record on",
    () =>
      /^<30>INFO Announcing host/.test(overUnix[0] ?? "") &&
      overUnix.some((text) => /^<31>DEBUG Probe failed .*\0$/.test(text)),
  );
  await lighthouse.event("log.handler_restored", { handler: "unix" });
  assert.equal(lighthouse.count("log.handler_failed"), 1, "reported once");
  assert.equal(await lighthouse.stop(), 0);
});

Deno.test("an unknown or failing handler silences no other handler and does not stop the process", async () => {
  await using dir = new ReporterDir();
  assert.ok((await new Deno.Command("mkfifo", { args: [dir.file("pipe")] }).output()).success);
  const config = await dir.configure({
    handlers: {
      gelf: { class: "graypy.GELFUDPHandler", host: "logs" },
      folder: fileHandler(dir.file("registry")),
      missing: fileHandler(dir.file("missing/x.log")),
      pipe: fileHandler(dir.file("pipe")),
      file: fileHandler(dir.file("good.log")),
    },
    root: { level: "DEBUG", handlers: ["gelf", "folder", "missing", "pipe", "file"] },
  });
  await using lighthouse = Lighthouse.start("reporter", config);
  const good = await dir.holds("good.log", PROBE_FAILED);
  assert.match(
    good,
    /logging\.yaml:1:\d+: warning: Unknown handler "graypy\.GELFUDPHandler" is ignored: known handlers are logging\.StreamHandler/,
  );
  await lighthouse.event("log.handler_failed", { handler: "folder", reason: /^Is a directory/ });
  await lighthouse.event("log.handler_failed", { handler: "missing", reason: /^No such file or directory/ });
  await Deno.mkdir(dir.file("missing"));
  await dir.holds("missing/x.log", PROBE_FAILED);
  await lighthouse.event("log.handler_restored", { handler: "missing", dropped: 0 });
  assert.equal(lighthouse.count("log.handler_failed", { handler: "folder" }), 1, "told once");
  assert.equal(await lighthouse.stop(), 0);
  assert.match(await dir.read("good.log"), /Stopped/);
});

Deno.test("warnings that only failing handlers receive are also written to stderr", async () => {
  await using dir = new ReporterDir();
  const config = await dir.configure({
    handlers: { missing: fileHandler(dir.file("missing/x.log")) },
    root: { level: "DEBUG", handlers: ["missing"] },
  });
  await using lighthouse = Lighthouse.start("reporter", config);
  await lighthouse.event("log.handler_failed", { handler: "missing" });
  await Deno.writeTextFile(`${config}/services/broken.yaml`, "port: none");
  await lighthouse.event("config.invalid");
  await Deno.mkdir(dir.file("missing"));
  await dir.holds("missing/x.log", /services\/broken\.yaml/);
  await lighthouse.event("log.handler_restored", { handler: "missing" });
  assert.equal(await lighthouse.stop(), 0);
});

Deno.test("a file without a usable handler leaves the log unchanged", async () => {
  await using dir = new ReporterDir();
  const config = await dir.configure({
    handlers: { x: { class: "my.Handler" } },
    root: { level: "DEBUG", handlers: ["x"] },
  });
  await using lighthouse = Lighthouse.start("reporter", config);
  await lighthouse.event("probe.failed", { level: "debug" });
  await lighthouse.event("config.suspect", { msg: /Unknown handler/ });
  assert.equal(await lighthouse.stop(), 0);
});

Deno.test("a rotating file of a running process keeps its limits of size and number", async () => {
  await using dir = new ReporterDir();
  const rotating = fileHandler(dir.file("a.log"), {
    class: "logging.handlers.RotatingFileHandler",
    maxBytes: 400,
    backupCount: 2,
  });
  const config = await dir.configure({ handlers: { rotating }, root: { level: "DEBUG", handlers: ["rotating"] } });
  await using lighthouse = Lighthouse.start("reporter", config);
  await dir.holds("a.log.2", PROBE_FAILED);
  assert.equal(await lighthouse.stop(), 0);
  const names = (await Array.fromAsync(Deno.readDir(dir.path), ({ name }) => name)).filter((name) =>
    name.startsWith("a.log")
  );
  assert.deepEqual(names.toSorted(), ["a.log", "a.log.1", "a.log.2"]);
  for (const name of names) assert.ok((await Deno.stat(dir.file(name))).size < 400, name);
});

/** Runs a part of a log in this process, with the test's own streams. */
async function logged(logging: Logging, say: (log: Log) => void): Promise<string> {
  const written: string[] = [];
  const stream = {
    write: (bytes: Uint8Array) =>
      Promise.resolve(written.push(new TextDecoder().decode(bytes))).then(() => bytes.length),
  };
  {
    await using log = new Log({
      format: "logfmt",
      terminal: false,
      write: (line) => written.push(`stderr: ${line}`),
      handlers: {
        clock: systemClock,
        process: { program: "RUN", pid: 1 },
        streams: { stdout: stream, stderr: stream },
        resolve: (path) => path,
      },
    });
    log.configure(logging);
    say(log);
  }
  return written.join("");
}

function fileOf(file: Record<string, unknown>): Logging {
  const { value, findings } = readLogging({ version: 1, ...file });
  assert.deepEqual(findings, []);
  assert.ok(value !== undefined);
  return value;
}

const CLI = fileOf({
  handlers: { cli: { class: "lighthouse.log.cli.CLIHandler" } },
  root: { level: "INFO", handlers: ["cli"] },
});

Deno.test("a message cannot forge a record, whatever the handler", async () => {
  const shown = await logged(CLI, (log) => log.part("app").info("a\nb\x1b[2K", { why: "x\ny" }));
  assert.match(shown, /^\[[^\n]+ I\]\[MainThread\] a\n {2}\| b\\u001b\[2K \(why="x\\ny"\)\n$/);
});

Deno.test("records without a handler are written to stderr if they are warnings or errors, as in Python", async () => {
  const logging = fileOf({
    handlers: { null: { class: "logging.NullHandler" } },
    loggers: { "lighthouse.writer": { handlers: ["null"] } },
    root: { level: "INFO" },
  });
  const shown = await logged(logging, (log) => {
    for (const part of ["app", "writer"]) {
      log.part(part).info("fine");
      log.part(part).warn("bad");
    }
  });
  assert.match(shown, /^stderr: [^\n]*level=warning logger=lighthouse\.app msg=bad\n$/);
});

Deno.test("a full disk is logged once, loses only what does not fit, and does not affect other handlers", async () => {
  await using dir = new TempDir();
  const logging = fileOf({
    handlers: { full: fileHandler("/dev/full"), file: fileHandler(dir.file("a.log")) },
    root: { level: "INFO", handlers: ["full", "file"] },
  });
  const shown = await logged(logging, (log) => log.part("app").info("one"));
  assert.equal(await Deno.readTextFile(dir.file("a.log")), "one\n");
  assert.match(
    shown,
    /^stderr: [^\n]*level=error logger=lighthouse\.log [^\n]*handler=full reason="No space left on device[^\n]*\n$/,
  );
});

// Python beside ours.

const RECORD = {
  name: "lighthouse.writer",
  levelname: "WARNING",
  levelno: 30,
  message: "hé 'q' \"x\" 100%",
  created: 1704445623.25,
  msecs: 250.3,
  relativeCreated: 3250.5,
  threadName: "MainThread",
  process: 42,
  lineno: 0,
};

async function askPython(question: Record<string, unknown>): Promise<readonly (string | null)[]> {
  const script = new URL("../support/python_logging.py", import.meta.url).pathname;
  const child = new Deno.Command("/usr/bin/python3", {
    args: [script],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(question)));
  await writer.close();
  const { success, stdout } = await child.output();
  assert.ok(success);
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Formats as people write them, and each combination of width, precision and alignment. */
function manyFormats(): readonly string[] {
  const formats = ["%(levelname)s:%(name)s:%(message)s", "100%% %(message)s"];
  const fields = ["levelname", "levelno", "created", "msecs", "message", "process"];
  for (const field of fields) {
    for (const type of ["levelname", "message"].includes(field) ? "s" : "sdf") {
      for (const flags of ["", "-", "0", "0-"]) {
        for (const width of ["", "12"]) {
          // Nobody writes a precision of an integer together with zeros.
          for (const precision of type === "s" || type === "f" ? ["", ".0", ".3"] : [""]) {
            formats.push(`<%(${field})${flags}${width}${precision}${type}>`);
          }
        }
      }
    }
  }
  return formats;
}

Deno.test("hundreds of formats give the same output as Python's logging", async () => {
  const formats = manyFormats();
  const answers = await askPython({ record: RECORD, formats: formats.map((text) => ["%", text, null]) });
  const values = new Map<string, string | number>(Object.entries(RECORD));
  const wrong: unknown[] = [];
  for (const [i, text] of formats.entries()) {
    const ours = fillFormat(text, (name) => values.get(name) ?? "");
    if (ours !== answers[i]) wrong.push({ text, ours, python: answers[i] });
  }
  assert.deepEqual(wrong.slice(0, 10), []);
  assert.ok(formats.length > 200, `${formats.length}`);
});

Deno.test("times and syslog messages equal those of Python's logging, byte for byte", async () => {
  await using dir = new TempDir();
  using socket = datagramSocket(dir.file("log"));
  const dates = [
    "",
    "%Y-%m-%dT%H:%M:%S",
    "%a %A %d %b %B %y %%",
    "%I:%M %p|%F|%T|%H:%M:%S",
  ];
  const answers = await askPython({
    record: RECORD,
    formats: dates.map((datefmt) => ["%", "%(asctime)s", datefmt]),
    syslog: dir.file("log"),
    facility: "local6",
  });
  const entry: LogEntry = {
    name: RECORD.name,
    level: RECORD.levelno,
    timeMs: RECORD.created * 1_000,
    message: RECORD.message,
    properties: "",
  };
  const process = { program: "WRITER", pid: RECORD.process };
  const ours = dates.map((datefmt) => writeRecord(entry, process, { format: "%(asctime)s", datefmt }, UTC));
  assert.deepEqual(ours, answers);
  const [bytes] = await socket.receive();
  assert.deepEqual(bytes, syslogMessage(RECORD.message, RECORD.levelno, 22));
});
