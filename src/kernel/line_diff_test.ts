import assert from "node:assert/strict";
import fc from "fast-check";
import { lineDiff } from "./line_diff.ts";

Deno.test("lineDiff() shows changed lines with three lines around them", () => {
  const before = Array.from({ length: 20 }, (_, i) => `line ${i}`);
  const now = before.map((line, i) => i === 10 ? "another" : line);
  assert.deepEqual(lineDiff(before.join("\n"), now.join("\n")), [
    "@@ -8 +8 @@",
    " line 7",
    " line 8",
    " line 9",
    "-line 10",
    "+another",
    " line 11",
    " line 12",
    " line 13",
  ]);
});

Deno.test("lineDiff() is empty for equal texts, and complete for a new one", () => {
  assert.deepEqual(lineDiff("a\nb\n", "a\nb\n"), []);
  assert.deepEqual(lineDiff("", "a\nb\n"), ["@@ -1 +1 @@", "+a", "+b"]);
});

Deno.test("lineDiff() contains every line of both texts that differs", () => {
  const line = fc.constantFrom("a", "b", "c");
  fc.assert(fc.property(fc.array(line, { maxLength: 8 }), fc.array(line, { maxLength: 8 }), (before, now) => {
    const lines = lineDiff(before.join("\n"), now.join("\n")).filter((each) => !each.startsWith("@@"));
    const count = (sign: string) => lines.filter((each) => each.startsWith(sign)).length;
    const length = (all: readonly string[]) => all.join("\n") === "" ? 0 : all.length;
    assert.equal(count("+") - count("-"), length(now) - length(before));
  }));
});
