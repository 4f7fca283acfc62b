import assert from "node:assert/strict";
import { compileFormat } from "./format.ts";

const VALUES = new Map<string, string | number>([
  ["levelname", "INFO"],
  ["message", "hé 'q'"],
  ["levelno", 20],
  ["created", 1700000000.25],
  ["msecs", 7],
]);

function write(format: string): string {
  const compiled = compileFormat(format);
  assert.ok(compiled.ok, compiled.ok ? "" : compiled.wanted);
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
  ["[%(levelno)8.4d]", "[    0020]"],
  ["%(created).3f", "1700000000.250"],
  ["%(created)s %(msecs)s", "1700000000.25 7.0"],
  ["%(msecs)03d", "007"],
  ["100%% %(levelname)s", "100% INFO"],
])("compileFormat() writes %s as Python does", (format, wanted) => {
  assert.equal(write(format), wanted);
});

Deno.test("compileFormat() names unknown fields, and writes them as -", () => {
  const compiled = compileFormat("%(hostname)-10s|%(levelname)s");
  assert.ok(compiled.ok);
  assert.deepEqual([compiled.unknown, [...compiled.fields]], [["hostname"], ["levelname"]]);
  assert.equal(compiled.write(() => "x"), "-|x");
});

Deno.test("compileFormat() names conversions that it does not have, and writes them as %s", () => {
  const compiled = compileFormat("%(levelno)x %(message)r %(levelno)+d %(levelname)s");
  assert.ok(compiled.ok);
  assert.deepEqual(compiled.unsupported, ["%(levelno)x", "%(message)r", "%(levelno)+d"]);
  assert.equal(compiled.write((name) => VALUES.get(name) ?? ""), "20 hé 'q' 20 INFO");
});

Deno.test.each([
  ["hello", /a field in it such as %\(message\)s/],
  ["100% %(message)s", /%% for a percent sign/],
  ["%s", /%% for a percent sign/],
  ["%()s", /%% for a percent sign/],
  ["%(message)", /%% for a percent sign/],
  ["%(levelname)d", /%d cannot write levelname, which is a string/],
  ["%(message)5000s", /widths up to 1000/],
  ["%(created).500f", /precisions up to 100/],
])("compileFormat() rejects %s", (format, wanted) => {
  const compiled = compileFormat(format);
  assert.ok(!compiled.ok);
  assert.match(compiled.wanted, wanted);
});
