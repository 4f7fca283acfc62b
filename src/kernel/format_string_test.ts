import assert from "node:assert/strict";
import { compileFormat, type FieldValue, type FormatStyle } from "./format_string.ts";

const KINDS = new Map<string, "text" | "int" | "float">([
  ["levelname", "text"],
  ["message", "text"],
  ["levelno", "int"],
  ["created", "float"],
  ["msecs", "float"],
]);

const VALUES = new Map<string, FieldValue>([
  ["levelname", "INFO"],
  ["message", "hé 'q' \"x\""],
  ["levelno", 20],
  ["created", { float: 1700000000.25 }],
  ["msecs", { float: 7 }],
]);

function compile(style: FormatStyle, format: string) {
  return compileFormat(style, format, (name) => KINDS.get(name));
}

function write(style: FormatStyle, format: string): string {
  const compiled = compile(style, format);
  assert.ok(compiled.ok, compiled.ok ? "" : compiled.wanted);
  return compiled.write((name) => VALUES.get(name) ?? assert.fail(name));
}

// Each of these was written by Python 3.11; tests/integration/logging_test.ts asks it again, for many more.
Deno.test.each([
  ["%", "%(levelname)s: %(message)s", "INFO: hé 'q' \"x\""],
  ["%", "[%(levelname)-8s]", "[INFO    ]"],
  ["%", "[%(levelname)8s]", "[    INFO]"],
  ["%", "[%(levelname).2s]", "[IN]"],
  ["%", "[%(levelname)-6.2s]", "[IN    ]"],
  ["%", "[%(levelname)08s]", "[    INFO]"],
  ["%", "%(levelno)03d", "020"],
  ["%", "%(levelno)+.4d", "+0020"],
  ["%", "%(levelno)#x", "0x14"],
  ["%", "%(levelno)s", "20"],
  ["%", "%(msecs)03d", "007"],
  ["%", "%(msecs)s", "7.0"],
  ["%", "%(created)f", "1700000000.250000"],
  ["%", "%(created).1e", "1.7e+09"],
  ["%", "%(created)g", "1.7e+09"],
  ["%", "%(message)r", "'hé \\'q\\' \"x\"'"],
  ["%", "%(message)a", "'h\\xe9 \\'q\\' \"x\"'"],
  ["%", "100%% %(levelname)s", "100% INFO"],
  ["{", "{levelname:<8}|", "INFO    |"],
  ["{", "{levelname:*^8}|", "**INFO**|"],
  ["{", "{levelno:05d}|{levelno:>5}|{levelno:,}", "00020|   20|20"],
  ["{", "{created:.2f}", "1700000000.25"],
  ["{", "{created:,.1f}", "1,700,000,000.2"],
  ["{", "{{{levelname!r}}}", "{'INFO'}"],
  ["$", "$levelname ${levelno}x $$", "INFO 20x $"],
])("compileFormat() of style %s writes %s", (style, format, wanted) => {
  assert.equal(write(style as FormatStyle, format), wanted);
});

Deno.test.each([
  ["%", "hello", /a field in it such as %\(message\)s/],
  ["%", "%s", /fields have names/],
  ["%", "%(message)z", /a conversion such as s or d/],
  ["%", "%(message)s 100%", /%% for a percent sign/],
  ["%", "%(levelname)d", /%d cannot write levelname, which is a text/],
  ["%", "%(created)x", /%x cannot write created, which is a number with a fraction/],
  ["%", "%(message)*s", /widths are digits/],
  ["%", "%(message)9999999s", /widths are at most 1000/],
  ["{", "{message", /braces are closed/],
  ["{", "{}", /fields have names/],
  ["{", "{0}", /fields have names/],
  ["{", "{message!x}", /conversions are !r, !s or !a/],
  ["{", "{message:zz}", /as Python's str\.format does/],
  ["{", "{message:d}", /:d cannot write message, which is a text/],
  ["{", "{levelno:.2d}", /cannot write levelno, which is an integer/],
  ["$", "$ $message", /\$\$ for a dollar sign/],
  ["$", "x", /such as \$message/],
])("compileFormat() of style %s refuses %s", (style, format, wanted) => {
  const compiled = compile(style as FormatStyle, format);
  assert.ok(!compiled.ok);
  assert.match(compiled.wanted, wanted);
});

Deno.test("compileFormat() tells which fields exist, and writes a dash for the others", () => {
  const compiled = compile("%", "%(hostname)-8s %(message)s %(nr)d %(hostname)s");
  assert.ok(compiled.ok);
  assert.deepEqual([...compiled.fields], ["message"]);
  assert.deepEqual(compiled.unknown, ["hostname", "nr"]);
  assert.equal(compiled.write(() => "x"), "- x - -");
});
