import assert from "node:assert/strict";
import fc from "fast-check";
import { formatRequest, parseResponse } from "./message.ts";

/** A frame around a message. */
function framed(...message: readonly number[]): Uint8Array {
  return new Uint8Array([0, 0, 0, 0, message.length, ...message]);
}

Deno.test("formatRequest() frames the name of the service", () => {
  assert.deepEqual(formatRequest(""), framed());
  assert.deepEqual(formatRequest("wéb"), framed(10, 4, 0x77, 0xc3, 0xa9, 0x62));
  const long = formatRequest("x".repeat(300));
  assert.deepEqual([...long.subarray(0, 8)], [0, 0, 0, 1, 47, 10, 0xac, 2]);
});

Deno.test.each([
  { bytes: framed(8, 1), status: "SERVING" },
  { bytes: framed(), status: "UNKNOWN" },
  { bytes: framed(8, 2), status: "NOT_SERVING" },
  { bytes: framed(8, 3), status: "SERVICE_UNKNOWN" },
  { bytes: framed(8, 9), status: "status 9" },
  { bytes: framed(8, 0x81, 0), status: "SERVING" },
  { bytes: framed(8, 2, 8, 1), status: "SERVING" },
  { bytes: framed(16, 5, 26, 1, 65, 8, 1), status: "SERVING" },
  { bytes: framed(8, 0x81, 0x80, 0x80, 0x80, 0x10), status: "status 4294967297" },
])("parseResponse() reads $status", ({ bytes, status }) => {
  assert.equal(parseResponse(bytes), status);
});

Deno.test.each([
  { what: "nothing", bytes: new Uint8Array() },
  { what: "a frame without an end", bytes: new Uint8Array([0, 0, 0, 0, 3, 8, 1]) },
  { what: "two frames", bytes: new Uint8Array([...framed(8, 1), ...framed(8, 1)]) },
  { what: "a compressed message", bytes: new Uint8Array([1, 0, 0, 0, 2, 8, 1]) },
  { what: "a number without an end", bytes: framed(8, 0x81) },
  { what: "a number of too many bytes", bytes: framed(8, ...Array(10).fill(0x80), 1) },
  { what: "a string that is too long", bytes: framed(26, 9, 65) },
  { what: "a group", bytes: framed(11, 8, 1) },
])("parseResponse() rejects $what", ({ bytes }) => {
  assert.equal(parseResponse(bytes), undefined);
});

Deno.test("parseResponse() accepts any bytes", () => {
  fc.assert(fc.property(fc.array(fc.nat(255), { maxLength: 40 }), (message) => {
    const said = parseResponse(framed(...message));
    assert.ok(said === undefined || /^(?:UNKNOWN|SERVING|NOT_SERVING|SERVICE_UNKNOWN|status \d+)$/.test(said));
  }));
});
