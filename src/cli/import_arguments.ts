import { file } from "./value_parsers.ts";
import { object, or } from "@optique/core/constructs";
import { type Message, message, text } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";

const out = {
  out: optional(option("--out", string({ metavar: "DIR" }), {
    description:
      message`Write the config directory here: a directory that is empty or absent; else only the report is printed.`,
  })),
};

const sentence = (words: string): Message => [text(words)];

const ofFile = <const Kind extends string>(kind: Kind, name: string) =>
  command(
    kind,
    object({
      command: constant("import" as const),
      kind: constant(kind),
      input: argument(file, { description: sentence(`The file of ${name}, YAML or JSON. It is only read.`) }),
      ...out,
    }),
    { brief: sentence(`Convert the config of ${name}.`) },
  );

/** What `import` takes: a command for each tool. */
export const importArguments = or(ofFile("nerve", "nerve"), ofFile("synapse", "synapse"));
