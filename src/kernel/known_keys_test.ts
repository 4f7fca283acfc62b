import assert from "node:assert/strict";
import fc from "fast-check";
import { under, type Validated, validateKnown, validateKnownAsync } from "./known_keys.ts";

/** A validator that, like many, names one unknown key at a time. */
function oneAtATime(known: readonly string[]): (value: unknown) => Validated<object> {
  return (value) => {
    const unknown = Object.keys(value as object).find((key) => !known.includes(key));
    return unknown === undefined
      ? { value: value as object }
      : { issues: [{ message: `no ${unknown}`, path: [unknown], unknownKey: { known } }] };
  };
}

Deno.test("validateKnown() removes unknown keys until none is left", () => {
  const { value, findings } = validateKnown({ a: 1, bb: 2, c: 3, d: 4 }, oneAtATime(["a", "d"]));
  assert.deepEqual(value, { a: 1, d: 4 });
  assert.deepEqual(findings.map(({ path, severity }) => [path[0], severity]), [["bb", "warning"], ["c", "warning"]]);
});

Deno.test("validateKnown() removes nested keys without changing its input", () => {
  const given = Object.freeze({ list: Object.freeze([Object.freeze({ a: 1, x: 2 })]), b: 3 });
  const { value } = validateKnown(given, (value): Validated<unknown> => {
    const inner = (value as typeof given).list[0];
    return inner !== undefined && Object.hasOwn(inner, "x")
      ? { issues: [{ message: "x", path: [{ key: "list" }, 0, "x"], unknownKey: { known: ["a"] } }] }
      : { value };
  });
  assert.deepEqual(value, { list: [{ a: 1 }], b: 3 });
});

Deno.test("validateKnown() stops with a validator that never succeeds", () => {
  const never = (path: readonly string[]) => (): Validated<never> => ({
    issues: [{ message: "never", path, unknownKey: { known: [] } }],
  });
  for (const path of [[], ["b"], ["a", "b"]]) {
    const { value, findings } = validateKnown({ a: 1 }, never(path));
    assert.equal(value, undefined);
    assert.deepEqual(findings.map(({ severity, message }) => [severity, message]), [["error", "never"]]);
  }
});

Deno.test("validateKnownAsync() returns the same as validateKnown()", async () => {
  const names = fc.uniqueArray(fc.constantFrom(..."abcdefgh"), { maxLength: 8 });
  await fc.assert(fc.asyncProperty(names, names, async (keys, known) => {
    const value = Object.fromEntries(keys.map((key) => [key, 1]));
    const sync = validateKnown(value, oneAtATime(known));
    const async = await validateKnownAsync(value, (given) => Promise.resolve(oneAtATime(known)(given)));
    assert.deepEqual(async, sync);
    assert.deepEqual(Object.keys(sync.value ?? {}), keys.filter((key) => known.includes(key)));
  }));
});

Deno.test("under() moves findings below the path of their part, in their messages too", () => {
  const moved = (path: readonly (string | number)[], message: string) =>
    under(["checks", "http"], [{ severity: "error", at: "value", path, message }])[0];
  assert.deepEqual(
    [
      moved(["uri"], "Cannot use uri: must be a path; current value is 1"),
      moved(["headers", "x"], "Cannot use the header name: must be another"),
      moved(["lines", 0], "Cannot use lines[0]: must be text"),
      moved([], "Missing key uri: must be a path"),
      moved([], "Cannot use the file: must be a map; current value is 1"),
      moved(["uri"], "Cannot use uri-like things"),
      moved(["urj"], "Unknown key urj is ignored: did you mean uri?"),
    ].map((each) => `${each?.path.join(".")}: ${each?.message}`),
    [
      "checks.http.uri: Cannot use checks.http.uri: must be a path; current value is 1",
      "checks.http.headers.x: Cannot use the header name: must be another",
      "checks.http.lines.0: Cannot use checks.http.lines[0]: must be text",
      "checks.http: Missing key checks.http.uri: must be a path",
      "checks.http: Cannot use checks.http: must be a map; current value is 1",
      "checks.http.uri: Cannot use uri-like things",
      "checks.http.urj: Unknown key checks.http.urj is ignored: did you mean uri?",
    ],
  );
});
