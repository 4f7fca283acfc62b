import assert from "node:assert/strict";
import { readWords, withoutComment, words } from "./words.ts";

Deno.test.each([
  { line: "", want: [] },
  { line: "  # only a comment", want: [] },
  { line: "\tbalance  roundrobin ", want: ["balance", "roundrobin"] },
  { line: 'balance "roundrobin"', want: ["balance", "roundrobin"] },
  { line: "inter 3s # look often", want: ["inter", "3s"] },
  { line: "inter 3s#often", want: ["inter", "3s"] },
  { line: "reqrep ^a\\ b\\#c x\\'y", want: ["reqrep", "^a b#c", "x'y"] },
  { line: "acl a path_reg 'a # \\ b'", want: ["acl", "a", "path_reg", "a # \\ b"] },
  { line: "set \"a'b\"c'\"'", want: ["set", "a'bc\""] },
  { line: "set '' \"\" end", want: ["set", "", "", "end"] },
  { line: "regex \\d+\\.x \\x41", want: ["regex", "\\d+\\.x", "A"] },
  { line: 'log "$HOST" \\$x', want: ["log", "$HOST", "$x"] },
])("words() reads $line as HAProxy does", ({ line, want }) => {
  assert.deepEqual(words(line), want);
});

Deno.test("readWords() returns where each word is", () => {
  const line = " stick-table 'peers' web # shared";
  assert.deepEqual(readWords(line).map(({ start, end }) => line.slice(start, end)), ["stick-table", "'peers'", "web"]);
});

Deno.test.each([
  { line: "check inter 1s # every second", want: "check inter 1s" },
  { line: " a '#' \\# #", want: "a '#' \\#" },
  { line: "# nothing", want: "" },
])("withoutComment() leaves $want", ({ line, want }) => {
  assert.equal(withoutComment(line), want);
});

Deno.test("config lines are read by words.ts only", async () => {
  // HAProxy's answers, and files that this plugin has rendered, have no quotes and no comments.
  const exempt = new Set(["words.ts", "observe.ts"]);
  const folder = new URL("./", import.meta.url);
  const found: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts") || exempt.has(name)) continue;
    const source = await Deno.readTextFile(new URL(name, folder));
    for (const [index, line] of source.split("\n").entries()) {
      const splits = /\.split\((?:" "|"\\t"|\/(?:\[ \\t\]|\\s)\+?\/)/.test(line);
      // A pattern that starts with spaces or a keyword followed by spaces reads a line by itself.
      const matches =
        /\/\^(?:\\s\*|\\t\\s\*)?\(?(?:\?:)?(?:bind|server|stick|balance|cookie|id|peers|use_backend)\b[^/]*\\s/.test(
          line,
        );
      if (splits || matches) found.push(`${name}:${index + 1}: ${line.trim()}`);
    }
  }
  assert.deepEqual(found, []);
});
