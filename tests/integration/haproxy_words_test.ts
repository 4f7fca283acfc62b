import assert from "node:assert/strict";
import fc from "fast-check";
import { words } from "../../plugins/balancers/haproxy/words.ts";
import { HaproxyBox } from "../support/haproxy.ts";

/** Lines of one word, composed of what is hard to parse. `$` is excluded: only HAProxy knows its value. */
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

Deno.test("words() parses every line like the installed HAProxy", async () => {
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
