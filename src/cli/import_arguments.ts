import { file } from "./value_parsers.ts";
import { object, or } from "@optique/core/constructs";
import { type Message, message, text } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";

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

/** The program and its options, as they stand where it is started. */
const commandLine = (words: string) =>
  multiple(argument(string({ metavar: "COMMAND" }), { description: sentence(words) }));

/** What `import` takes: a command for each tool. */
export const importArguments = or(
  ofFile("nerve", "nerve"),
  ofFile("synapse", "synapse"),
  command(
    "confd",
    object({
      command: constant("import" as const),
      kind: constant("confd"),
      input: argument(string({ metavar: "CONFDIR" }), {
        description: message`The directory of confd: conf.d, templates, confd.toml. It is only read.`,
      }),
      ...out,
      words: commandLine("The command line of confd, after --; it names the registry unless confd.toml does."),
    }),
    { brief: message`Convert templates and template resources of confd.` },
  ),
  command(
    "aurproxy",
    object({
      command: constant("import" as const),
      kind: constant("aurproxy"),
      balancer: withDefault(
        option("--balancer", choice(["nginx", "haproxy"], { metavar: "BALANCER" }), {
          description: message`Which balancer serves what aurproxy's nginx did.`,
        }),
        "nginx" as const,
      ),
      ...out,
      words: commandLine("The command line of aurproxy, after --, with its --config: JSON or file:///PATH."),
    }),
    { brief: message`Convert the command line and the config of aurproxy.` },
  ),
);
