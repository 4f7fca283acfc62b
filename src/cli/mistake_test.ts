import assert from "node:assert/strict";
import { describeMistake } from "./mistake.ts";

/** A command line of a few words: `check DIR` with two options, `store get PATH`. */
function wordsAfter(args: readonly string[]): readonly string[] {
  const [first, second] = args;
  if (args.length === 1) return first === "--" ? [] : ["check", "store"];
  if (first === "check") return second === "--" ? ["--strict", "--json"] : [];
  return first === "store" && args.length === 2 && second !== "--" ? ["get", "put"] : [];
}

Deno.test.each([
  {
    reason: "Error: Unexpected option or subcommand: `chekc`.\n\nDid you mean `check`?",
    args: ["chekc", "DIR"],
    then: "lighthouse: Unknown command chekc; did you mean check? See: lighthouse --help",
  },
  {
    reason: "Error: Unexpected option or subcommand: `--strct`.",
    args: ["check", "DIR", "--strct"],
    then: "lighthouse: Unknown option --strct; did you mean --strict? See: lighthouse check --help",
  },
  {
    reason: "Error: Unexpected option or subcommand: `--zzz`.",
    args: ["check", "--zzz"],
    then: "lighthouse: Unknown option --zzz. See: lighthouse check --help",
  },
  {
    reason: "Error: Unexpected option or subcommand: `gte`.",
    args: ["store", "gte"],
    then: "lighthouse: Unknown command gte; did you mean get? See: lighthouse store --help",
  },
  {
    reason: "Error: \u001b[1mExpected\u001b[0m a `DIR`,\n  but too few arguments.",
    args: ["check"],
    then: "lighthouse: Expected a DIR, but too few arguments. See: lighthouse check --help",
  },
  {
    reason: "Error: No matching option, command, or argument found.",
    args: [],
    then: "lighthouse: No command given; commands: check, store. See: lighthouse --help",
  },
])("describeMistake() describes $args in one line: $then", ({ reason, args, then }) => {
  assert.equal(describeMistake(reason, args, wordsAfter), then);
});
