import assert from "node:assert/strict";
import fc from "fast-check";
import { JsonError, parseJson } from "./json_text.ts";
import { compactText } from "./tree.ts";

const parse = (text: string) => parseJson(text, { depthMax: 10 });

Deno.test.each([
  { number: "1e-400" },
  { number: "-1e-400" },
  { number: "4e-325" },
  { number: "1e400" },
  { number: "123456789012345.678901" },
  { number: "0.12345678901234567890123" },
  { number: "9007199254740993" },
  { number: "1.7976931348623159e308" },
  { number: "1234567890123456789e-3" },
])("parseJson() rejects $number, which would lose precision", ({ number }) => {
  assert.throws(() => parse(`{"n": [${number}]}`), JsonError);
});

Deno.test.each([
  { number: "0e-400" },
  { number: "0.000" },
  { number: "1.50" },
  { number: "100e-2" },
  { number: "5e-324" },
  { number: "1e308" },
  { number: "1E+21" },
  { number: "9007199254740992" },
  { number: "1234567890123456800000" },
  { number: "0.30000000000000004" },
  { number: "0.10000000000000001" },
  { number: "123456789012345.67" },
  { number: "1.0000000000000000000" },
])("parseJson() stores $number", ({ number }) => {
  assert.equal(Number(compactText(parse(number))), Number(number));
});

Deno.test("parseJson() stores every spelling of a double", () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
    for (const text of [JSON.stringify(value), value.toExponential(), value.toPrecision(17)]) parse(text);
  }));
});

Deno.test("parseJson() ignores digits within strings", () => {
  assert.equal(compactText(parse('"1e-400 \\"123456789012345.678901"')), '"1e-400 \\"123456789012345.678901"');
});
