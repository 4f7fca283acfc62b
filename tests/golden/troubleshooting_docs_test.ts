/**
 * docs/troubleshooting.md: every event that it names is one of the log's, and
 * every command is one of the command line's.
 *
 * @module
 */
import assert from "node:assert/strict";
import { getDocPage } from "@optique/core/parser";
import { parser } from "../../src/cli/arguments.ts";
import { EVENTS } from "../../src/logging/events.ts";

const text = await Deno.readTextFile(new URL("../../docs/troubleshooting.md", import.meta.url));
const rows = [...text.matchAll(/^\| (?!---|symptom)(.*) \|$/gm)].map(([, row = ""]) =>
  row.split(" | ").map((cell) => cell.trim())
);

Deno.test("docs/troubleshooting.md names only events of the log", () => {
  const ids = rows.flatMap(([, events = ""]) => [...events.matchAll(/`([^`]+)`/g)].map(([, id = ""]) => id));
  assert.ok(ids.length >= 30);
  assert.deepEqual(ids.filter((id) => !Object.hasOwn(EVENTS, id)), []);
});

Deno.test("docs/troubleshooting.md gives a command for every symptom, and every command exists", () => {
  const commands = new Set(
    getDocPage(parser, [])?.sections.flatMap(({ entries }) =>
      entries.flatMap(({ term }) => term.type === "command" ? [term.name] : [])
    ),
  );
  for (const row of rows) {
    const [, name] = /^`lighthouse ([\w-]+)/.exec(row[2] ?? "") ?? [];
    assert.ok(name === "--version" || commands.has(name ?? ""), row.join(" | "));
  }
});

Deno.test("docs/troubleshooting.md says for every symptom what to do", () => {
  for (const row of rows) {
    assert.equal(row.length, 4, row.join(" | "));
    assert.notEqual(row[3], "");
  }
});
