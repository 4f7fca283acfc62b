import assert from "node:assert/strict";
import { compareDiagnostics, type Diagnostic, formatDiagnostic, makeExcerpt } from "./diagnostics.ts";
import { suggest } from "../kernel/suggest.ts";

const diagnostic: Diagnostic = {
  severity: "error",
  file: "config/services/web.yaml",
  line: 4,
  column: 11,
  message: 'Cannot use checks.http.rise: must be an integer >= 0; current value is "two"',
  excerpt: { text: "    rise: two", caret: 10 },
};

Deno.test("formatDiagnostic() shows the location, the line and a caret under the column", () => {
  assert.equal(
    formatDiagnostic(diagnostic),
    `config/services/web.yaml:4:11: error: Cannot use checks.http.rise: must be an integer >= 0; current value is "two"
   4 |     rise: two
     |           ^`,
  );
});

Deno.test("formatDiagnostic() aligns lines with long numbers", () => {
  assert.equal(
    formatDiagnostic({ ...diagnostic, severity: "warning", line: 123456, message: "Odd" }),
    "config/services/web.yaml:123456:11: warning: Odd\n123456 |     rise: two\n       |           ^",
  );
});

Deno.test("formatDiagnostic() of a whole file has no line", () => {
  assert.equal(formatDiagnostic({ severity: "error", file: "config", message: "Gone" }), "config: error: Gone");
});

Deno.test("formatDiagnostic() prints no terminal control characters, whatever the names of keys and files", () => {
  const text = formatDiagnostic({ severity: "error", file: "a\nb\x1b[2J.yaml", message: "Unknown key \u202Ex\ty" });
  assert.equal(text, "a\uFFFDb\uFFFD[2J.yaml: error: Unknown key \uFFFDx\uFFFDy");
});

Deno.test("formatDiagnostic() adds colour, and nothing else, when asked to", () => {
  const painted = formatDiagnostic(diagnostic, { color: true });
  assert.ok(painted.includes("\x1b[31merror:\x1b[0m"));
  // deno-lint-ignore no-control-regex
  assert.equal(painted.replaceAll(/\x1b\[\d+m/g, ""), formatDiagnostic(diagnostic));
});

Deno.test("compareDiagnostics() sorts by file, then by location", () => {
  const at = (file: string, line?: number, column?: number): Diagnostic => ({
    severity: "error",
    file,
    line,
    column,
    message: "",
  });
  const sorted = [at("b", 1, 1), at("a", 10, 1), at("a", 2, 5), at("a", 2, 3), at("a")].toSorted(compareDiagnostics);
  assert.deepEqual(sorted.map(({ file, line, column }) => `${file}${line ?? ""}${column ?? ""}`), [
    "a",
    "a23",
    "a25",
    "a101",
    "b11",
  ]);
});

Deno.test.each([
  { why: "unchanged", line: "a: b", offset: 3, masks: [], text: "a: b", caret: 3 },
  { why: "at its end", line: "a: b", offset: 4, masks: [], text: "a: b", caret: 4 },
  { why: "after its end", line: "a", offset: 9, masks: [], text: "a", caret: 1 },
  { why: "with tabs as four spaces", line: "\ta:\tb", offset: 4, masks: [], text: "    a:    b", caret: 10 },
  { why: "with wide characters as two cells", line: "日本: x", offset: 4, masks: [], text: "日本: x", caret: 6 },
  { why: "with pictographs as two cells", line: "👍: x", offset: 4, masks: [], text: "👍: x", caret: 4 },
  { why: "with combining characters as none", line: "e\u0301: x", offset: 4, masks: [], text: "e\u0301: x", caret: 3 },
  {
    why: "without terminal control characters",
    line: "a\x1b[2J\u202Eb\u0085",
    offset: 6,
    masks: [],
    text: "a\uFFFD[2J\uFFFDb\uFFFD",
    caret: 6,
  },
  { why: "with half a surrogate pair", line: "a\uD83D: b", offset: 4, masks: [], text: "a\uFFFD: b", caret: 4 },
  {
    why: "with a mask before the caret",
    line: "pw: abcdefgh, x: 1",
    offset: 14,
    masks: [{ start: 4, end: 12 }],
    text: "pw: *****, x: 1",
    caret: 11,
  },
  {
    why: "with the caret in a mask",
    line: "pw: abcdefgh",
    offset: 8,
    masks: [{ start: 4, end: 12 }],
    text: "pw: *****",
    caret: 4,
  },
  {
    why: "with masks that touch",
    line: "abcdef",
    offset: 5,
    masks: [{ start: 0, end: 3 }, { start: 3, end: 6 }],
    text: "*****",
    caret: 0,
  },
])("makeExcerpt() shows a line $why", ({ line, offset, masks, text, caret }) => {
  assert.deepEqual(makeExcerpt(line, offset, masks), { text, caret });
});

Deno.test("makeExcerpt() cuts a long line around the caret", () => {
  for (let offset = 0; offset < 400; offset += 7) {
    const line = "x".repeat(400);
    const { text, caret } = makeExcerpt(`${line.slice(0, offset)}!${line.slice(offset + 1)}`, offset, []);
    assert.ok(text.length <= 106, text);
    assert.equal(text[caret], "!");
  }
});

Deno.test.each([
  ["prot", "port"],
  ["Port", "port"],
  ["metdata", "metadata"],
  ["meta_data", "metadata"],
  ["check", "checks"],
  ["naem", "name"],
  ["xyz", undefined],
  ["a", undefined],
  ["", undefined],
  ["intervall", "interval"],
])("suggest() for %s is %s", (word, wanted) => {
  assert.equal(suggest(word, ["port", "metadata", "checks", "name", "interval", "x"]), wanted);
});
