/**
 * The error of a wrong command line: one line with the mistake, a suggestion,
 * and the command that prints the usage. Pure.
 *
 * @module
 */
import { suggest } from "../kernel/suggest.ts";
import { escapeUnprintable } from "../kernel/quote.ts";

/**
 * Describes a mistake. `reason` is the parser's message; `wordsAfter` returns the
 * commands (for `""`) or options (for `--`) that may follow some arguments.
 */
export function describeMistake(
  reason: string,
  args: readonly string[],
  wordsAfter: (args: readonly string[]) => readonly string[],
): string {
  const commands = commandsOf(args, wordsAfter);
  const help = `See: ${["lighthouse", ...commands, "--help"].join(" ")}`;
  // deno-lint-ignore no-control-regex -- removes the escape sequences of colours
  const plain = reason.replaceAll(/\x1b\[[0-9;]*m/g, "").replace(/^Error: /, "").replaceAll(/\s+/g, " ").trim();
  if (args.length === 0) return `lighthouse: No command given; commands: ${wordsAfter([""]).join(", ")}. ${help}`;
  const unexpected = /^Unexpected option or subcommand: [`"]?([^`"\s]+)[`"]?/.exec(plain)?.[1];
  if (unexpected === undefined) return `lighthouse: ${escapeUnprintable(plain.replaceAll("`", ""))} ${help}`;
  const word = unexpected.split("=")[0] ?? "";
  const isOption = word.startsWith("-");
  const known = wordsAfter([...commands, isOption ? "--" : ""]);
  const meant = suggest(word, known);
  const kind = isOption ? "option" : commands.length === args.length || known.length > 0 ? "command" : "argument";
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  return escapeUnprintable(`lighthouse: Unknown ${kind} ${word}${hint}${hint === "" ? "." : ""} ${help}`);
}

/** The commands that a command line begins with: `store get`. */
function commandsOf(args: readonly string[], wordsAfter: (args: readonly string[]) => readonly string[]): string[] {
  const commands: string[] = [];
  for (const arg of args) {
    if (!wordsAfter([...commands, ""]).includes(arg)) break;
    commands.push(arg);
  }
  return commands;
}
