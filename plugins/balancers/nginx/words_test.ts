import assert from "node:assert/strict";
import { quoted, readLine } from "./words.ts";

Deno.test.each([
  { line: "", text: "", directives: [] },
  { line: "  # only a comment", text: "", directives: [] },
  { line: "gzip on", text: "gzip on;", directives: [["gzip", "on"]] },
  { line: " gzip on ; # why", text: "gzip on ;", directives: [["gzip", "on"]] },
  { line: "gzip on # why", text: "gzip on;", directives: [["gzip", "on"]] },
  { line: "a#b c", text: "a#b c;", directives: [["a#b", "c"]] },
  { line: "a b; c d", text: "a b; c d;", directives: [["a", "b"], ["c", "d"]] },
  { line: "x \"a b\" 'c;d'", text: "x \"a b\" 'c;d';", directives: [["x", "a b", "c;d"]] },
  { line: 'x a"b', text: 'x a"b;', directives: [["x", 'a"b']] },
  { line: "x ${y}z", text: "x ${y}z;", directives: [["x", "${y}z"]] },
  { line: "x \\{ \\.png", text: "x \\{ \\.png;", directives: [["x", "\\{", "\\.png"]] },
  {
    line: "map $a $b { default 1; }",
    text: "map $a $b { default 1; }",
    directives: [["map", "$a", "$b"], ["default", "1"]],
  },
])("readLine() reads $line as nginx does", ({ line, text, directives }) => {
  assert.deepEqual(readLine(line), { ok: true, text, directives });
});

Deno.test.each([
  { line: "}", why: "balanced braces" },
  { line: "a; } location / {", why: "balanced braces" },
  { line: "location / {", why: "balanced braces" },
  { line: "a { b }", why: "a semicolon before each }" },
  { line: ";", why: "a directive before each ;" },
  { line: '"open', why: "a closing quote for each quote, followed by a space or a semicolon" },
  { line: "'a'b", why: "a closing quote for each quote, followed by a space or a semicolon" },
  { line: "a \\", why: "a closing quote for each quote, followed by a space or a semicolon" },
])("readLine() rejects $line, which would affect other lines", ({ line, why }) => {
  assert.deepEqual(readLine(line), { ok: false, why });
});

Deno.test("quoted() writes any string as one word", () => {
  for (const text of ["/", "a b", 'a"b', "a\\b", "a;b", "{", "#", "$x", "~", "ä"]) {
    assert.deepEqual(readLine(`x ${quoted(text)}`), {
      ok: true,
      text: `x ${quoted(text)};`,
      directives: [["x", text]],
    });
  }
});
