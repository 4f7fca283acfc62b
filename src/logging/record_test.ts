import assert from "node:assert/strict";
import { compileFormat, type LogEntry, RECORD_FIELDS, RecordFormatter } from "./record.ts";
import { UTC } from "./wall_time.ts";

const PROCESS = { program: "WRITER", pid: 42, startedMs: Date.UTC(2024, 0, 5, 9, 7, 0) };

const entry: LogEntry = {
  name: "lighthouse.writer",
  level: 20,
  timeMs: Date.UTC(2024, 0, 5, 9, 7, 3, 7),
  message: "HAProxy was reloaded",
  properties: 'reason="a new frontend"',
};

const probing: LogEntry = { ...entry, name: "lighthouse.checks.http", worker: "check web:8000/http", properties: "" };

function write(format: string, record = entry, datefmt?: string): string {
  return new RecordFormatter({ format, ...datefmt !== undefined && { datefmt } }, PROCESS, UTC)
    .write(record);
}

Deno.test("RecordFormatter writes what 1.0's manual shows", () => {
  assert.equal(
    write("lighthouse: [%(program)s] [%(threadName)s] %(message)s"),
    'lighthouse: [WRITER] [MainThread] HAProxy was reloaded (reason="a new frontend")',
  );
  assert.equal(write("[%(threadName)s] %(message)s", probing), "[check web:8000/http] HAProxy was reloaded");
});

Deno.test("RecordFormatter names the worker where the format does not", () => {
  assert.equal(write("%(message)s", probing), 'HAProxy was reloaded (worker="check web:8000/http")');
});

Deno.test("RecordFormatter writes the time as Python does", () => {
  assert.equal(write("%(asctime)s"), "2024-01-05 09:07:03,007");
  assert.equal(write("%(asctime)s", entry, "%d/%b %H:%M"), "05/Jan 09:07");
  assert.equal(write("%(asctime)s", entry, ""), "2024-01-05 09:07:03,007");
  assert.equal(write("%(created).3f %(msecs)03d %(relativeCreated)d"), "1704445623.007 007 3007");
});

Deno.test.each([
  ["name", "lighthouse.writer"],
  ["levelname", "INFO"],
  ["levelno", "20"],
  ["module", "writer"],
  ["process", "42"],
  ["processName", "MainProcess"],
  ["thread", "42"],
  ["threadName", "MainThread"],
  ["filename", "(unknown file)"],
  ["funcName", "(unknown function)"],
  ["lineno", "0"],
])("RecordFormatter writes %s", (field, wanted) => assert.equal(write(`%(${field})s`), wanted));

Deno.test("RecordFormatter has a value for each field that a format may name, and - for others", () => {
  for (const field of RECORD_FIELDS) assert.notEqual(write(`%(${field})s`), "-", field);
  assert.equal(write("%(hostname)s|%(levelname)s"), "-|INFO");
});

const VALUES = new Map<string, string | number>([
  ["levelname", "INFO"],
  ["message", "hé 'q'"],
  ["levelno", 20],
  ["created", 1700000000.25],
  ["msecs", 7],
]);

function fill(format: string): string {
  const compiled = compileFormat(format);
  assert.ok(compiled !== undefined, format);
  return compiled.write((name) => VALUES.get(name) ?? assert.fail(name));
}

// Each of these was written by Python 3.11; tests/integration/logging_test.ts asks it again, for many more.
Deno.test.each([
  ["%(levelname)s: %(message)s", "INFO: hé 'q'"],
  ["[%(levelname)-8s]", "[INFO    ]"],
  ["[%(levelname)8s]", "[    INFO]"],
  ["[%(levelname).2s]", "[IN]"],
  ["[%(levelname)-6.2s]", "[IN    ]"],
  ["[%(levelname)08s]", "[    INFO]"],
  ["%(levelno)03d", "020"],
  ["[%(levelno)-5d]", "[20   ]"],
  ["%(created).3f", "1700000000.250"],
  ["%(created)s", "1700000000.25"],
  ["%(msecs)03d", "007"],
  ["100%% %(levelname)s", "100% INFO"],
])("compileFormat() writes %s as Python does", (format, wanted) => {
  assert.equal(fill(format), wanted);
});

Deno.test("compileFormat() names unknown fields", () => {
  assert.deepEqual(compileFormat("%(hostname)-10s|%(levelname)s|%(hostname)s")?.unknown, ["hostname"]);
});

Deno.test("compileFormat() names conversions that it does not have, and writes them as %s", () => {
  const format = "%(levelno)x %(message)r %(levelno)+d %(levelname)s";
  assert.deepEqual(compileFormat(format)?.unsupported, ["%(levelno)x", "%(message)r", "%(levelno)+d"]);
  assert.equal(fill(format), "20 hé 'q' 20 INFO");
});

Deno.test.each(["hello", "100% %(message)s", "%s", "%()s", "%(message)", "%(message)5000s", "%(created).500f"])(
  "compileFormat() rejects %s",
  (format) => assert.equal(compileFormat(format), undefined),
);
