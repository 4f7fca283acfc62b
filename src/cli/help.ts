/**
 * What a command line gets that cannot be carried out as it stands: help, the
 * version, a shell's completion, or what is wrong with it. Apart from the
 * parser, as a daemon that was called rightly has no use for it.
 *
 * @module
 */
import { message } from "@optique/core/message";
import { suggestSync } from "@optique/core/parser";
import { run } from "@optique/run";
import { type Arguments, parser } from "./arguments.ts";
import { EXIT } from "./exit_codes.ts";
import { describeMistake } from "./mistake.ts";

/** What to type first, and where all is told, by the first word of a command line. */
function footerOf(command: string | undefined) {
  switch (command) {
    case "store":
      return message`Start with: lighthouse store --data.d DIR --bootstrap. Requests and flags are in docs/store.md.`;
    case "plugin":
      return message`Start with: lighthouse plugin list. How a plugin is written is in docs/plugins/.`;
    default:
      return message`Start with: lighthouse check DIR. The keys of each file are in docs/config/.`;
  }
}

/** Prints what a command line asks for, or what is wrong with it, and ends the process; answers it if nothing is. */
export function help(
  args: readonly string[],
  { version, complain }: { readonly version: string; readonly complain: (line: string) => void },
): Arguments {
  return run(parser, {
    programName: "lighthouse",
    args,
    // 1.0 takes -h.
    help: { command: true, option: { names: ["--help", "-h"] } },
    version: { value: version, option: true },
    completion: "both",
    brief: message`Keeps a local HAProxy in step with service discovery.`,
    footer: footerOf(args[0]),
    showDefault: true,
    showChoices: true,
    errorExitCode: EXIT.usage,
    aboveError: "none",
    stderr: (reason) => complain(describeMistake(reason, args, wordsAfter)),
  });
}

function wordsAfter(args: readonly string[]): readonly string[] {
  const [first = "", ...rest] = args;
  return suggestSync(parser, [first, ...rest]).flatMap((word) => word.kind === "literal" ? [word.text] : []);
}
