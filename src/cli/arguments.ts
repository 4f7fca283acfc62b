import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, withDefault } from "@optique/core/modifiers";
import { type InferValue, parse } from "@optique/core/parser";
import { command, constant, option } from "@optique/core/primitives";
import { bridgeArguments } from "./bridge_arguments.ts";
import { announced, daemons, dir, logging, named } from "./daemon_arguments.ts";
import { importArguments } from "./import_arguments.ts";
import { historyArguments } from "./history_arguments.ts";
import { nodesArguments } from "./nodes_arguments.ts";
import { operatorArguments } from "./operator_arguments.ts";
import { pluginArguments } from "./plugin_arguments.ts";
import { registerArguments } from "./register_arguments.ts";
import { storeArguments } from "./store_arguments.ts";
import { storeCommandArguments } from "./store_command_arguments.ts";
import { converted, duration } from "./value_parsers.ts";

/** A file of the config directory, and what is read in its place. */
const candidate = converted((text) => {
  const [, name, path] = /^((?:(?:balancers|discovery|clusters|services)\/)?[^/=]+\.ya?ml)=(.+)$/s.exec(text) ?? [];
  return name === undefined || path === undefined ? undefined : { name, path };
}, {
  metavar: "NAME=PATH",
  wanted: "a file of the config directory and another path, such as services/web.yaml=/tmp/new",
  placeholder: { name: "", path: "" },
  format: ({ name, path }) => `${name}=${path}`,
});

/** The command line: every subcommand, with its help. */
export const parser = or(
  daemons,
  command(
    "check",
    merge(
      object({
        command: constant("check" as const),
        dir,
        strict: withDefault(
          option("--strict", {
            description: message`Warnings (such as unknown keys) fail too, and so does a HAProxy that cannot be asked.`,
          }),
          false,
        ),
        ignoresNames: withDefault(
          option("--no-resolve", {
            description: message`Ignore host names that cannot be resolved here, as in continuous integration.`,
          }),
          false,
        ),
        candidates: withDefault(
          multiple(option("--file", candidate, {
            description:
              message`Check DIR with PATH in the place of its file NAME, such as services/web.yaml=/tmp/new; can be repeated.`,
          })),
          [],
        ),
        json: withDefault(option("--json", { description: message`Print one JSON object for each finding.` }), false),
      }),
      object("What this host is announced as", named),
    ),
    {
      brief: message`Validate a config directory and say all that is wrong with it.`,
      description: message`Reads DIR, lets each plugin validate its part, and prints every finding with its file, line \
and column; HAProxy itself judges a temporary copy of its file, and if it is not installed, that is said. Changes nothing. Exit codes: 0 nothing wrong, 1 something is, 2 wrong usage.`,
    },
  ),
  command(
    "plan",
    merge(
      object({
        command: constant("plan" as const),
        dir,
        waitMs: withDefault(
          option("--wait", duration({ minMs: 100, maxMs: 600_000 }), {
            description: message`How long to wait for the registries' first answers.`,
          }),
          5_000,
        ),
      }),
      logging,
      announced,
    ),
    {
      brief: message`Print the HAProxy file that the writer would install and the steps it would take.`,
      description: message`Reads DIR, the registries and the running HAProxy as the writer does, then prints the file \
(on stdout) and the steps (as comments before it). Touches nothing. Exit codes: 0 DIR is valid and its registries answered, 1 one of these \
is not so, 2 wrong usage.`,
    },
  ),
  command("nodes", merge(nodesArguments(dir), object("This host, for --others", named)), {
    brief: message`Print the nodes that a registry has of a cluster.`,
    description: message`Asks the registry about CLUSTER as the writer does, and prints a line for each node; invalid \
entries and the reasons go to standard error. No guard applies: it prints what the registry has now. Exit codes: 0 printed, 1 the registry did not answer, has no nodes \
or fewer than --wait, 2 wrong usage.`,
  }),
  command("register", registerArguments(dir), {
    brief: message`Keep a node registered while a command runs.`,
    description:
      message`Runs COMMAND and keeps ADDRESS registered in CLUSTER until it ends; SIGTERM, SIGINT and SIGHUP \
are forwarded. Then deregisters the node and returns the status of COMMAND, 128 + n after signal n. While the registry is unreachable, COMMAND runs on and \
the registration is retried. Exit codes of its own: 2 wrong usage, 125 the node cannot be registered as requested and COMMAND \
was not started, 126 COMMAND cannot be run, 127 no such COMMAND.`,
  }),
  command("bridge", bridgeArguments(dir), {
    brief: message`Make one registry have the nodes of another.`,
    description:
      message`Compares two clusters by address and prints + for a node that the target lacks, - for one that \
--remove-others removes, = for one of others that stays. Changes nothing without --write. The guards of the source's cluster apply, an empty source \
changes nothing, and the target is never emptied. Exit codes: 0 printed, or ended by a signal; 1 a registry did not answer, or the source has no nodes; 2 wrong usage.`,
  }),
  operatorArguments(dir),
  command("import", importArguments, {
    brief: message`Convert the config of another tool to a config directory.`,
    description:
      message`Prints what became of each key, with file, line and column: converted, replaced by something else, or not supported and why. What is imported is only read. Exit codes: 0 converted, 1 the input cannot be read or the output not be written, 2 wrong usage.`,
  }),
  command("history", historyArguments(dir), {
    brief: message`Print what changed on this host, and why.`,
    description:
      message`Prints the history that writer and reporter keep: config taken with the lines that differ, members that joined and left with their source, holds, reloads with reason and the lines of the file that differ, drift, overrides with author, workers, registrations. A restart that changed nothing is one line. Times are UTC. Exit codes: 0 printed, 1 there is no history, 2 wrong usage.`,
  }),
  command("plugin", pluginArguments, {
    brief: message`Add plugins that do not ship, list, show, update and verify them.`,
    description: message`Plugins that do not ship stand in plugins.yaml of the config directory, with the hash of what \
was approved. Nothing of them ever runs in Lighthouse's own process.`,
  }),
  command("store", or(storeCommandArguments, merge(storeArguments, logging)), {
    brief: message`Serve a configuration store over HTTP, or speak to one.`,
    description:
      message`Without a command of its own, serves one JSON document, read by path and changed in transactions, and \
keeps every version on the disk. Ends on SIGTERM or SIGINT; SIGHUP reads tokens and certificates again. Exit codes: 0 \
was asked to end, 1 cannot start, 2 wrong usage.`,
  }),
);

/** What a command line says. */
export type Arguments = InferValue<typeof parser>;

/** Reads a command line; `undefined` if it is not one as it stands: it asks for help, or has a mistake (see `help.ts`). */
export function readArguments(args: readonly string[]): Arguments | undefined {
  const result = parse(parser, args);
  return result.success ? result.value : undefined;
}
