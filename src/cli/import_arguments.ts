import { file } from "./value_parsers.ts";
import { object, or } from "@optique/core/constructs";
import { type Message, message, text } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";

const out = {
  out: optional(option("--out", string({ metavar: "DIR" }), {
    description: message`Directory to write the config to; must be empty or absent. Default: only print the report.`,
  })),
};

const sentence = (words: string): Message => [text(words)];

const ofFile = <const Kind extends string>(kind: Kind, name: string) =>
  command(
    kind,
    object({
      command: constant("import" as const),
      kind: constant(kind),
      input: argument(file, {
        description: sentence(`Config file of ${name}, YAML or JSON. The file is not changed.`),
      }),
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
        description:
          message`Config directory of confd, with conf.d, templates and confd.toml. Its files are not changed.`,
      }),
      ...out,
      words: commandLine("Command line of confd, after --; required if confd.toml does not set the registry."),
    }),
    { brief: message`Convert confd's templates and template resources.` },
  ),
  command(
    "aurproxy",
    object({
      command: constant("import" as const),
      kind: constant("aurproxy"),
      balancer: withDefault(
        option("--balancer", choice(["nginx", "haproxy"], { metavar: "BALANCER" }), {
          description: message`Balancer that replaces aurproxy's nginx.`,
        }),
        "nginx" as const,
      ),
      ...out,
      words: commandLine("Command line of aurproxy, after --. Its --config must be JSON or file:///PATH."),
    }),
    { brief: message`Convert aurproxy's command line and config.` },
  ),
);
