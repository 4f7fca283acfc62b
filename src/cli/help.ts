/**
 * Help, the version, shell completion, and errors of the command line. Apart
 * from the parser, since a daemon with a valid command line does not load it.
 *
 * @module
 */
import { message } from "@optique/core/message";
import { suggestSync } from "@optique/core/parser";
import { run } from "@optique/run";
import { type Arguments, parser } from "./arguments.ts";
import { EXIT } from "./exit_codes.ts";
import { describeMistake } from "./mistake.ts";

/** The footer: the first command to type and the reference, by the first word of a command line. */
function footerOf(command: string | undefined) {
  switch (command) {
    case "store":
      return message`Start with: lighthouse store --data.d DIR --bootstrap. Reference: docs/store.md.`;
    case "plugin":
      return message`Start with: lighthouse plugin list. Reference: docs/plugins/.`;
    default:
      return message`Start with: lighthouse check DIR. Reference: docs/commands.md, docs/config/.`;
  }
}

/** Prints help, the version, a completion script or an error, and exits; returns the arguments of a valid command line. */
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
    completion: { command: true, option: { hidden: "help" } },
    commandList: "top-level",
    usageLine: [{ type: "literal", value: "COMMAND" }, { type: "literal", value: "[OPTION]..." }, {
      type: "literal",
      value: "DIR",
    }],
    termWidth: "auto",
    brief: message`Keeps the local load balancer in sync with service discovery.`,
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
