import assert from "node:assert/strict";
import { RECORD_FIELDS } from "./format.ts";
import { type Entry, RecordFormatter, syslogMessage } from "./record.ts";
import { utcTime } from "./wall_time.ts";

const PROCESS = { program: "WRITER", pid: 42, startedMs: Date.UTC(2024, 0, 5, 9, 7, 0) };

const entry: Entry = {
  name: "lighthouse.writer",
  level: 20,
  timeMs: Date.UTC(2024, 0, 5, 9, 7, 3, 7),
  message: "HAProxy was reloaded",
  properties: 'reason="a new frontend"',
};

const probing: Entry = { ...entry, name: "lighthouse.checks.http", worker: "check web:8000/http", properties: "" };

function write(format: string, record = entry, datefmt?: string): string {
  return new RecordFormatter({ format, ...datefmt !== undefined && { datefmt } }, PROCESS, utcTime)
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
  ["msg", "HAProxy was reloaded"],
  ["module", "writer"],
  ["process", "42"],
  ["processName", "MainProcess"],
  ["thread", "42"],
  ["threadName", "MainThread"],
  ["filename", "(unknown file)"],
  ["funcName", "(unknown function)"],
  ["lineno", "0"],
  ["exc_info", "None"],
])("RecordFormatter writes %s", (field, wanted) => assert.equal(write(`%(${field})s`), wanted));

Deno.test("RecordFormatter has a value for each field that a format may name", () => {
  for (const [field, kind] of RECORD_FIELDS) {
    assert.notEqual(write(`%(${field})${kind === "text" ? "s" : "d"}`), "-", field);
  }
});

function message(text: string, level: number, { facility = 1, ident = "", appendNul = true } = {}): string {
  return new TextDecoder().decode(syslogMessage(text, level, { facility, ident, appendNul }));
}

Deno.test("syslogMessage() writes priority, text and NUL as Python does", () => {
  assert.equal(message("hello", 20), "<14>hello\0");
  assert.equal(message("hé", 40, { facility: 16, ident: "lighthouse: ", appendNul: false }), "<131>lighthouse: hé");
  assert.deepEqual([10, 20, 30, 40, 50, 5].map((level) => message("", level)), [
    "<15>\0",
    "<14>\0",
    "<12>\0",
    "<11>\0",
    "<10>\0",
    "<12>\0",
  ]);
});

Deno.test("syslogMessage() cuts what no server takes", () => {
  const bytes = syslogMessage("é".repeat(10_000), 20, { facility: 1, ident: "", appendNul: true });
  assert.ok(bytes.length <= 8_193);
  assert.match(new TextDecoder("utf-8", { fatal: true }).decode(bytes), /é\.\.\.\0$/);
});
