import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import {
  converted,
  flag,
  formatPath,
  type HouseSchema,
  houseSchema,
  integer,
  keys,
  keyTypesOf,
  list,
  mapOf,
  matching,
  milliseconds,
  optional,
  percentage,
  refined,
  seconds,
  text,
  word,
} from "./schema.ts";

/** Validates; returns the value, or the messages. */
function judge(schema: HouseSchema<unknown>, value: unknown): unknown {
  const result = schema["~standard"].validate(value);
  return "issues" in result ? result.issues.map(({ message }) => message) : result.value;
}

/** A map with one key `x`. */
const withX = (schema: Parameters<typeof keys>[0][string]) => houseSchema(keys({ x: schema }));

const HTTP = houseSchema(keys({
  uri: word("a path"),
  method: optional(matching(/^[A-Z]+$/, "capital letters")),
  headers: optional(mapOf(text())),
  ports: optional(list(integer({ min: 1, max: 65_535 }))),
  login: optional(keys({ user: text(), password: word() })),
  verify: optional(flag()),
}));

Deno.test("houseSchema() returns a valid value, transformed by the schema", () => {
  const value = {
    uri: "/",
    method: "GET",
    headers: { a: "b" },
    ports: ["80", 443],
    login: { user: "", password: "p" },
  };
  assert.deepEqual(judge(HTTP, value), { ...value, ports: [80, 443] });
});

const REFUSALS: readonly { readonly why: string; readonly value: unknown; readonly then: string }[] = [
  { why: "a wrong type", value: { uri: 5 }, then: "Cannot use uri: must be a path; current value is 5" },
  { why: "an empty word", value: { uri: "" }, then: 'Cannot use uri: must be a path; current value is ""' },
  {
    why: "a wrong format",
    value: { uri: "/", method: "get" },
    then: 'Cannot use method: must be capital letters; current value is "get"',
  },
  {
    why: "a value deep in a map",
    value: { uri: "/", headers: { "x-y": 1 } },
    then: "Cannot use headers.x-y: must be a string; current value is 1",
  },
  {
    why: "a value deep in a list",
    value: { uri: "/", ports: [80, 0] },
    then: "Cannot use ports[1]: must be an integer from 1 to 65535; current value is 0",
  },
  { why: "a missing key", value: {}, then: "Missing key uri: must be a path" },
  {
    why: "a missing key deep down",
    value: { uri: "/", login: { user: "u" } },
    then: "Missing key login.password: must be a non-empty string",
  },
  { why: "an unknown key", value: { uri: "/", urj: 1 }, then: "Unknown key urj" },
  {
    why: "an unknown key deep down",
    value: { uri: "/", login: { user: "", password: "p", x: 1 } },
    then: "Unknown key login.x",
  },
  { why: "no map", value: "uri", then: 'Cannot use the file: must be a map; current value is "uri"' },
  { why: "a list for a map", value: [], then: "Cannot use the file: must be a map; current value is []" },
  { why: "null", value: null, then: "Cannot use the file: must be a map; current value is null" },
  {
    why: "a list for a map of values",
    value: { uri: "/", headers: ["a"] },
    then: 'Cannot use headers: must be a map; current value is ["a"]',
  },
  {
    why: "a secret, without showing it",
    value: { uri: "/", login: { user: "", password: 12345 } },
    then: "Cannot use login.password: must be a non-empty string; current value is *****",
  },
  {
    why: "a value that contains a secret, without showing it",
    value: { uri: "/", login: [{ password: "p" }] },
    then: 'Cannot use login: must be a map; current value is [{"password":"*****"}]',
  },
  {
    why: "a secret whose whole map is of the wrong type, without showing it",
    value: { uri: { token: "t" } },
    then: 'Cannot use uri: must be a path; current value is {"token":"*****"}',
  },
];

Deno.test.each(REFUSALS)(
  "houseSchema() rejects $why",
  ({ value, then }) => assert.deepEqual(judge(HTTP, value), [then]),
);

Deno.test("houseSchema() returns all issues at once, and the known keys for an unknown key", () => {
  const result = HTTP["~standard"].validate({ method: 1, verfiy: true });
  assert.ok("issues" in result);
  assert.deepEqual(result.issues.map(({ message }) => message), [
    "Missing key uri: must be a path",
    "Cannot use method: must be capital letters; current value is 1",
    "Unknown key verfiy",
  ]);
  assert.deepEqual(result.issues.map(({ path }) => path), [[], ["method"], ["verfiy"]]);
  assert.deepEqual(result.issues[2]?.unknownKey?.known, ["uri", "method", "headers", "ports", "login", "verify"]);
});

Deno.test("houseSchema() never throws, whatever the value", () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, maxDepth: 2 }), (value) => {
      for (const issue of [judge(HTTP, value), judge(HTTP, { uri: value })]) assert.ok(issue);
    }),
    { numRuns: 50 },
  );
});

Deno.test("houseSchema(): inherited keys are unknown like others", () => {
  for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    assert.deepEqual(judge(HTTP, JSON.parse(`{"uri":"/","${key}":{"x":1}}`)), [`Unknown key ${key}`]);
  }
  assert.equal(({} as { x?: unknown }).x, undefined);
});

Deno.test.each([
  { given: 5, then: 5 },
  { given: "5", then: 5 },
  { given: "007", then: 7 },
  { given: "-1", then: undefined },
  { given: 5.5, then: undefined },
  { given: "5.0", then: undefined },
  { given: "0x5", then: undefined },
  { given: " 5", then: undefined },
  { given: "", then: undefined },
  { given: "5\n", then: undefined },
  { given: true, then: undefined },
  { given: null, then: undefined },
  { given: NaN, then: undefined },
  { given: Infinity, then: undefined },
  { given: "9".repeat(400), then: undefined },
])("integer() reads $given", ({ given, then }) => {
  const refusal = `Cannot use x: must be an integer >= 0; current value is `;
  const answer = judge(withX(integer({ min: 0 })), { x: given });
  if (then !== undefined) assert.deepEqual(answer, { x: then });
  else assert.ok(Array.isArray(answer) && String(answer[0]).startsWith(refusal), String(answer));
});

Deno.test.each([
  { given: 0.5, then: 0.5 },
  { given: "0.5", then: 0.5 },
  { given: 60, then: 60 },
  { given: 0.57, then: 0.57 },
  { given: "500ms", then: 0.5 },
  { given: "2s", then: 2 },
  { given: "1m", then: 60 },
  { given: "2m", then: undefined },
  { given: "99ms", then: undefined },
  { given: "2 s", then: undefined },
  { given: 0, then: undefined },
  { given: 61, then: undefined },
  { given: ".5", then: undefined },
  { given: "1e1", then: undefined },
  { given: NaN, then: undefined },
  { given: "9".repeat(400), then: undefined },
])("seconds() reads $given", ({ given, then }) => {
  const answer = judge(withX(seconds({ min: 0.1, max: 60 })), { x: given });
  if (then !== undefined) assert.deepEqual(answer, { x: then });
  else assert.match(String(answer), /Cannot use x: must be a duration from 100ms to 1m, such as/);
});

Deno.test.each([
  { given: 250, then: 250 },
  { given: "250", then: 250 },
  { given: "2s", then: 2_000 },
  { given: "1.5s", then: 1_500 },
  { given: 0.5, then: undefined },
  { given: "0.5ms", then: undefined },
  { given: "1d", then: undefined },
])("milliseconds() reads $given", ({ given, then }) => {
  const answer = judge(withX(milliseconds({ min: 0, max: 60_000 })), { x: given });
  if (then !== undefined) assert.deepEqual(answer, { x: then });
  else {assert.match(
      String(answer),
      /Cannot use x: must be a duration from 0s to 1m, such as 2s or 500ms, or a number of milli/,
    );}
});

Deno.test.each([
  { given: 80, then: 80 },
  { given: "80", then: 80 },
  { given: "80%", then: 80 },
  { given: "101%", then: undefined },
  { given: "80.5%", then: undefined },
  { given: 0.8, then: undefined },
  { given: "80 %", then: undefined },
])("percentage() reads $given", ({ given, then }) => {
  const answer = judge(withX(percentage()), { x: given });
  if (then !== undefined) assert.deepEqual(answer, { x: then });
  else assert.match(String(answer), /Cannot use x: must be a whole percentage from 0 to 100, with or without %/);
});

Deno.test("keyTypesOf() finds durations and percentages anywhere in a schema", () => {
  const schema = refined(
    houseSchema(keys({
      a: optional(seconds({ min: 0, max: 1 }), 1),
      b: keys({ c: percentage() }),
      d: list(keys({ e: milliseconds({ min: 0, max: 1 }) })),
      f: mapOf(seconds({ min: 0, max: 1 })),
      g: integer({ min: 0 }),
    })),
    () => [],
  );
  assert.deepEqual(Object.fromEntries(keyTypesOf(schema)), {
    a: "duration",
    "b.c": "percentage",
    "d.*.e": "duration",
    "f.*": "duration",
  });
});

Deno.test("converted() returns the converted value", () => {
  const schema = withX(converted((value) => value === "yes" ? { done: true } : undefined, "yes"));
  assert.deepEqual(judge(schema, { x: "yes" }), { x: { done: true } });
  assert.deepEqual(judge(schema, { x: "no" }), ['Cannot use x: must be yes; current value is "no"']);
});

Deno.test("refined() checks a value only if all its keys are valid", () => {
  const schema = refined(withX(integer({ min: 0 })), ({ x }) => x === 7 ? [{ message: "Not 7", path: ["x"] }] : []);
  assert.deepEqual(judge(schema, { x: 6 }), { x: 6 });
  assert.deepEqual(judge(schema, { x: 7 }), ["Not 7"]);
  assert.match(String(judge(schema, { x: "seven" })), /an integer >= 0/);
});

Deno.test("refined() checks its keys although others are wrong or missing", () => {
  const schema = refined(
    houseSchema(keys({ x: integer({ min: 0 }), y: integer({ min: 0 }), z: integer({ min: 0 }) })),
    ({ x, y }) => x > y ? [{ message: "x > y", path: ["x"] }] : [],
    ["x", "y"],
  );
  const messages = (value: unknown) => (judge(schema, value) as readonly string[]).map((each) => each.slice(0, 14));
  assert.deepEqual(messages({ x: 2, y: 1, z: -1 }), ["Cannot use z: ", "x > y"]);
  assert.deepEqual(messages({ x: 2, y: 1 }), ["Missing key z:", "x > y"]);
  assert.deepEqual(messages({ x: 2, y: 1, z: 1, w: 1 }), ["Unknown key w", "x > y"]);
  assert.deepEqual(messages({ x: 2, z: 1 }), ["Missing key y:"]);
  assert.deepEqual(messages({ x: "2?", y: 1, z: 1 }), ["Cannot use x: "]);
});

Deno.test("houseSchema() names the known keys of a map whose schema depends on the value", () => {
  const schema = withX(v.lazy((value) => typeof value === "string" ? text() : keys({ user: optional(text()) })));
  const result = schema["~standard"].validate({ x: { usr: "u" } });
  assert.ok("issues" in result);
  assert.deepEqual(result.issues.map(({ unknownKey }) => unknownKey?.known), [["user"]]);
});

Deno.test("formatPath() formats a path for messages", () => {
  assert.equal(formatPath([]), "");
  assert.equal(formatPath(["checks", "http", "rise"]), "checks.http.rise");
  assert.equal(formatPath(["hosts", 0, "port"]), "hosts[0].port");
});
