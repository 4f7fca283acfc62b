import assert from "node:assert/strict";
import fc from "fast-check";
import { formatInt32, formatMessage, formatStartup, parseComplaint, parseFirstColumn } from "./message.ts";

Deno.test("formatStartup() writes the length, the version and the parameters", () => {
  const bytes = formatStartup({ user: "ü", database: "d" });
  assert.deepEqual([...bytes.subarray(0, 8)], [0, 0, 0, 28, 0, 3, 0, 0]);
  assert.equal(new TextDecoder().decode(bytes.subarray(8)), "user\0ü\0database\0d\0\0");
});

Deno.test("formatMessage() writes the type, the length and the parts", () => {
  assert.deepEqual([...formatMessage("X")], [0x58, 0, 0, 0, 4]);
  const bytes = formatMessage("p", "ab\0", formatInt32(258));
  assert.deepEqual([...bytes], [0x70, 0, 0, 0, 11, 0x61, 0x62, 0, 0, 0, 1, 2]);
});

Deno.test("parseComplaint() finds code and message among other fields", () => {
  const body = new TextEncoder().encode("SFATAL\0VFATAL\0C57P03\0Mit is starting up\0Fpostmaster.c\0\0");
  assert.deepEqual(parseComplaint(body), { code: "57P03", text: "it is starting up" });
  assert.deepEqual(parseComplaint(new Uint8Array()), { code: "", text: "" });
});

Deno.test.each([
  { what: "a text", body: [0, 1, 0, 0, 0, 2, 0x6f, 0x6b], value: "ok" },
  { what: "the first of two", body: [0, 2, 0, 0, 0, 1, 0x61, 0, 0, 0, 1, 0x62], value: "a" },
  { what: "an empty string", body: [0, 1, 0, 0, 0, 0], value: "" },
  { what: "NULL", body: [0, 1, 255, 255, 255, 255], value: null },
  { what: "nothing from a row without columns", body: [0, 0], value: undefined },
  { what: "nothing from a truncated column", body: [0, 1, 0, 0, 0, 9, 0x61], value: undefined },
  { what: "nothing from a column of negative length", body: [0, 1, 255, 255, 255, 254], value: undefined },
])("parseFirstColumn() reads $what", ({ body, value }) => {
  assert.equal(parseFirstColumn(new Uint8Array(body)), value);
});

Deno.test("parseFirstColumn() and parseComplaint() accept any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
    parseFirstColumn(body);
    parseComplaint(body);
  }));
});
