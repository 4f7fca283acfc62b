import assert from "node:assert/strict";
import fc from "fast-check";
import { escapeLines, escapeUnprintable, quote, toPrintableLine } from "./quote.ts";

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** A circular value. */
function circle(): unknown {
  const value: Record<string, unknown> = { a: 1n };
  value.self = value;
  return value;
}

/** Nested lists. */
function deep(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

const CASES: readonly { readonly why: string; readonly value: unknown; readonly then: string | RegExp }[] = [
  { why: "a string", value: "two", then: '"two"' },
  { why: "a number", value: 1.5, then: "1.5" },
  { why: "not a number", value: NaN, then: "NaN" },
  { why: "a big number", value: 12n, then: "12" },
  { why: "nothing", value: undefined, then: "undefined" },
  { why: "null", value: null, then: "null" },
  { why: "a map", value: { a: [1, true, null], b: undefined, "": "x" }, then: '{"a":[1,true,null],"":"x"}' },
  { why: "a symbol", value: Symbol("s\n"), then: String.raw`Symbol(s\n)` },
  { why: "a function", value: () => 1, then: "a function" },
  {
    why: "an object without a usable toString()",
    value: { toString: 1, valueOf: 1 },
    then: '{"toString":1,"valueOf":1}',
  },
  { why: "a map without a prototype", value: Object.create(null), then: "{}" },
  { why: "a circular value", value: circle(), then: /^\{"a":1,"self":\{"a":1,.*\.\.\.$/ },
  { why: "a deep value", value: deep(100_000), then: /^\[{77}\.\.\.$/ },
  { why: "a long value", value: "x".repeat(1e7), then: `"${"x".repeat(76)}...` },
  { why: "a long list", value: new Array(1e7).fill(0), then: /^\[0,0,.*\.\.\.$/ },
  { why: "controls", value: 'a\n\t\x00\x1b[31m"\\', then: String.raw`"a\n\t\u0000\u001b[31m\"\\"` },
  {
    why: "characters that reverse text",
    value: "a\u202eb\u2028c\u009bd\u{e0001}",
    then: String.raw`"a\u202eb\u2028c\u009bd\udb40\udc01"`,
  },
];

Deno.test.each(CASES)("quote() writes $why", ({ value, then }) => {
  if (typeof then === "string") assert.equal(quote(value), then);
  else assert.match(quote(value), then);
});

Deno.test("quote() hides the given keys at any depth", () => {
  const value = { user: "u", password: "p", inner: [{ password: { a: "p" } }] };
  const isHidden = (key: string) => key === "password";
  assert.equal(quote(value, { isHidden }), '{"user":"u","password":"*****","inner":[{"password":"*****"}]}');
});

Deno.test("quote() equals JSON for short plain values", () => {
  const letters = fc.string({ unit: "grapheme-ascii" });
  const json = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 3 },
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      letters,
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(letters, tie("json"), { maxKeys: 3, noNullPrototype: true }),
    ),
  })).json;
  fc.assert(fc.property(json, (value) => {
    const text = JSON.stringify(value);
    assert.equal(quote(value), text.length > 80 ? `${text.slice(0, 77)}...` : text);
  }));
});

Deno.test("quote() never throws, and is always short and printable", () => {
  const anything = fc.anything({
    withBigInt: true,
    withMap: true,
    withNullPrototype: true,
    withTypedArray: true,
    withSparseArray: true,
    maxDepth: 2,
  });
  fc.assert(
    fc.property(fc.oneof(anything, fc.string({ unit: "binary" })), (value) => {
      const text = quote(value);
      assert.ok(text.length <= 80, text);
      assert.doesNotMatch(text, UNPRINTABLE);
    }),
    { numRuns: 50 },
  );
});

Deno.test("escapeUnprintable() leaves no unprintable character, and JSON parses its result", () => {
  assert.equal(escapeUnprintable("plain, ünïcode 漢字 🙂"), "plain, ünïcode 漢字 🙂");
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const escaped = escapeUnprintable(text);
    assert.doesNotMatch(escaped, UNPRINTABLE);
    assert.equal(JSON.parse(escapeUnprintable(JSON.stringify(text))), text);
  }));
});

Deno.test("escapeLines() and toPrintableLine() remove characters that reverse or hide text or move the cursor", () => {
  const evil = "a\u202eb\u2066\u200b\u001b[2Jc\nd\u2028\ud800e";
  assert.equal(escapeLines(evil), "a\\u202eb\\u2066\\u200b\\u001b[2Jc\nd\\u2028\\ud800e");
  assert.equal(toPrintableLine(evil), "a b [2Jc d e");
});
