import assert from "node:assert/strict";
import fc from "fast-check";
import { HaproxyBox } from "../../../tests/support/haproxy.ts";
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

Deno.test("readWords() says where each word stands", () => {
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

Deno.test("config lines are read by words.ts alone", async () => {
  // What HAProxy answers, and files that this plugin has rendered, have no quotes and no comments.
  const exempt = new Set(["words.ts", "observe.ts"]);
  const folder = new URL("./", import.meta.url);
  const found: string[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".ts") || name.endsWith("_test.ts") || exempt.has(name)) continue;
    const source = await Deno.readTextFile(new URL(name, folder));
    for (const [index, line] of source.split("\n").entries()) {
      const splits = /\.split\((?:" "|"\\t"|\/(?:\[ \\t\]|\\s)\+?\/)/.test(line);
      // A pattern that begins with spaces or a keyword and then wants spaces reads a line by itself.
      const matches =
        /\/\^(?:\\s\*|\\t\\s\*)?\(?(?:\?:)?(?:bind|server|stick|balance|cookie|id|peers|use_backend)\b[^/]*\\s/.test(
          line,
        );
      if (splits || matches) found.push(`${name}:${index + 1}: ${line.trim()}`);
    }
  }
  assert.deepEqual(found, []);
});

/** Lines of one word, put together from what is hard to read. `$` is left out: its value is HAProxy's to know. */
const hard = fc.array(
  fc.constantFrom(
    "a",
    "4",
    "\\ ",
    "\\#",
    "\\'",
    '\\"',
    "\\\\",
    "\\a",
    "\\x41",
    "''",
    "'b \\#\"'",
    '"c\'# \\\\\\""',
    "'\\'",
  ),
  { minLength: 1, maxLength: 8 },
).map((parts) => parts.join("")).filter((line) => words(line)[0] !== "");

Deno.test("words() reads every line as the HAProxy that is installed does", async () => {
  const lines = fc.sample(fc.tuple(hard, fc.constantFrom("", "#x", " # a 'b", "\t")), 500).map((parts) =>
    parts.join("")
  );
  await using box = new HaproxyBox();
  const file = [
    "global",
    `\tstats socket ${box.socketFile} mode 600 level admin`,
    ...lines.map((line, index) => `\tsetenv WORD_${index} ${line}`),
    "defaults",
    "\tmode http",
    "\ttimeout client 1s",
    "listen x",
    `\tbind unix@${box.path("x")}`,
    "",
  ];
  await Deno.writeTextFile(box.configFile, file.join("\n"));
  await box.run("-D", "-f", box.configFile, "-p", box.pidFile);
  const answers = await box.ask(...lines.map((_, index) => `show env WORD_${index}`));
  assert.deepEqual(answers, lines.map((line, index) => `WORD_${index}=${words(line).join("|")}`.trim()));
});
