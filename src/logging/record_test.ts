import assert from "node:assert/strict";
import { fillFormat, type LogEntry, remarksOnFormat, writeRecord } from "./record.ts";
import { UTC } from "./wall_time.ts";

const PROCESS = { program: "WRITER", pid: 42 };

const entry: LogEntry = {
  name: "lighthouse.writer",
  level: 20,
  timeMs: Date.UTC(2024, 0, 5, 9, 7, 3, 7),
  message: "HAProxy was reloaded",
  properties: 'reason="a new frontend"',
};

const probing: LogEntry = { ...entry, name: "lighthouse.checks.http", worker: "check web:8000/http", properties: "" };

function write(format: string, record = entry, datefmt?: string): string {
  return writeRecord(record, PROCESS, { format, datefmt }, UTC);
}

Deno.test("writeRecord() writes the output of 1.0's manual", () => {
  assert.equal(
    write("lighthouse: [%(program)s] [%(threadName)s] %(message)s"),
    'lighthouse: [WRITER] [MainThread] HAProxy was reloaded (reason="a new frontend")',
  );
  assert.equal(write("[%(threadName)s] %(message)s", probing), "[check web:8000/http] HAProxy was reloaded");
});

Deno.test("writeRecord() names the worker if the format does not", () => {
  assert.equal(write("%(message)s", probing), 'HAProxy was reloaded (worker="check web:8000/http")');
});

Deno.test("writeRecord() writes the time as Python does", () => {
  assert.equal(write("%(asctime)s"), "2024-01-05 09:07:03,007");
  assert.equal(write("%(asctime)s", entry, "%d/%b %H:%M"), "05/Jan 09:07");
  assert.equal(write("%(asctime)s", entry, ""), "2024-01-05 09:07:03,007");
  assert.equal(write("%(created).3f %(msecs)03d"), "1704445623.007 007");
});

Deno.test.each([
  ["name", "lighthouse.writer"],
  ["levelname", "INFO"],
  ["levelno", "20"],
  ["module", "writer"],
  ["process", "42"],
  ["threadName", "MainThread"],
])("writeRecord() writes %s", (field, wanted) => assert.equal(write(`%(${field})s`), wanted));

Deno.test("writeRecord() writes - for an unknown field", () => {
  assert.equal(write("%(filename)s:%(lineno)d|%(levelname)s"), "-:-|INFO");
});

const VALUES = new Map<string, string | number>([
  ["levelname", "INFO"],
  ["message", "hé 'q'"],
  ["levelno", 20],
  ["created", 1700000000.25],
  ["msecs", 7],
]);

function fill(format: string): string {
  return fillFormat(format, (name) => VALUES.get(name) ?? assert.fail(name));
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
])("fillFormat() writes %s as Python does", (format, wanted) => {
  assert.equal(fill(format), wanted);
});

Deno.test.each([
  ["%(hostname)-10s|%(levelname)s", [
    'Unknown field hostname is written as "-": known fields are message, asctime, name, ',
  ]],
  ["%(levelno)x", ["Conversion %(levelno)x is not supported; written as %s"]],
  ["%(message)r", ["Conversion %(message)r is not supported; written as %s"]],
  ["%(levelno)+d", ["Conversion %(levelno)+d is not supported; written as %s"]],
  ["%(levelname)d", ["Conversion %(levelname)d is not supported; written as %s"]],
  ["hello", ["The format has no field such as %(message)s; only the message is written"]],
  ["100% %(message)s", ["A % without a field such as %(message)s is written literally; write %% instead"]],
  ["%(message)5000s", ["The format has no field such as %(message)s; only the message is written"]],
  ["%(asctime)s 100%% %(levelname)-8s %(created).3f %(levelno)03d", []],
])("remarksOnFormat() reports where Python would write %s differently", (format, wanted) => {
  const remarks = remarksOnFormat({ format }).map(([, message]) => message);
  assert.equal(remarks.length, wanted.length, remarks.join("\n"));
  for (const [i, begin] of wanted.entries()) assert.ok(remarks[i]?.startsWith(begin), remarks[i]);
});

Deno.test("fillFormat() writes an unknown conversion as %s, and leaves other text alone", () => {
  assert.equal(fill("%(levelno)x %(message)r %(levelno)+d %(levelname)s"), "20 hé 'q' 20 INFO");
  assert.equal(fill("100% %s %(message)5000s"), "100% %s %(message)5000s");
});
