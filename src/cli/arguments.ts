import { group, merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, withDefault } from "@optique/core/modifiers";
import { type InferValue, parse } from "@optique/core/parser";
import { command, constant, option } from "@optique/core/primitives";
import { bridgeArguments } from "./bridge_arguments.ts";
import { announced, daemons, dir, logging, named } from "./daemon_arguments.ts";
import { historyArguments } from "./history_arguments.ts";
import { importArguments } from "./import_arguments.ts";
import { notifyArguments } from "./notify_arguments.ts";
import { nodesArguments } from "./nodes_arguments.ts";
import { observerArguments, operatorArguments } from "./operator_arguments.ts";
import { pluginArguments } from "./plugin_arguments.ts";
import { registerArguments } from "./register_arguments.ts";
import { doctorArguments, statusArguments } from "./status_arguments.ts";
import { storeArguments } from "./store_arguments.ts";
import { storeCommandArguments } from "./store_command_arguments.ts";
import { converted, duration } from "./value_parsers.ts";

/** A file of the config directory, and what is read in its place. */
const candidate = converted((text) => {
  const [, name, path] = /^((?:(?:balancers|discovery|clusters|services)\/)?[^/=]+\.ya?ml)=(.+)$/s.exec(text) ?? [];
  return name === undefined || path === undefined ? undefined : { name, path };
}, {
  metavar: "NAME=PATH",
  wanted: "a config file and its replacement, such as services/web.yaml=/tmp/new",
  placeholder: { name: "", path: "" },
  format: ({ name, path }) => `${name}=${path}`,
});

/** The command line: every command with its help, in the groups that `--help` lists. */
export const parser = or(
  group("Run", daemons),
  group(
    "Validate",
    or(
      command(
        "check",
        merge(
          object({
            command: constant("check" as const),
            dir,
            strict: withDefault(
              option("--strict", {
                description:
                  message`Also fail on warnings, such as unknown keys, and if HAProxy is unavailable for validation.`,
              }),
              false,
            ),
            ignoresNames: withDefault(
              option("--no-resolve", {
                description: message`Ignore host names that do not resolve on this host, for example in CI.`,
              }),
              false,
            ),
            candidates: withDefault(
              multiple(option("--file", candidate, {
                description:
                  message`Validate DIR with the file NAME replaced by PATH, such as services/web.yaml=/tmp/new. Repeatable.`,
              })),
              [],
            ),
            json: withDefault(
              option("--json", { description: message`Print one JSON object per finding.` }),
              false,
            ),
          }),
          object("Host identity", named),
        ),
        {
          brief: message`Validate a config directory and report every problem.`,
          description:
            message`Reads DIR, has each plugin validate its own section, and prints every finding with file, line \
and column. HAProxy validates a temporary copy of its file; a missing HAProxy is reported. Changes nothing. Exit status: 0 valid, 1 problems found, 2 usage error.`,
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
                description: message`Timeout for the first response from each registry.`,
              }),
              5_000,
            ),
          }),
          logging,
          announced,
        ),
        {
          brief: message`Print the balancer's config and the steps that the writer would take.`,
          description:
            message`Reads DIR, the registries and the running balancer as the writer does, then prints the steps \
as comments, followed by the file. Changes nothing. Exit status: 0 DIR is valid and every registry responded, 1 a problem was found or a registry did not respond, 2 usage error.`,
        },
      ),
    ),
  ),
  group(
    "Observe",
    or(
      command("status", statusArguments(dir), {
        brief: message`Print the state of this host, problems first.`,
        description:
          message`Queries the writer and the reporter over their admin interfaces, or over --status addresses, and prints the whole host on one screen. Exit status: 0 ok, 1 degraded, 2 failing, no response or a usage error.`,
      }),
      command("doctor", doctorArguments(dir), {
        brief: message`Find common problems on this host and print their fixes.`,
        description:
          message`Checks the config, HAProxy, paths and permissions, ports, descriptors, the host's name, registries, the clock, locks, orphan processes, systemd units and the tools that list processes. Prints each finding with the command that fixes it. Changes nothing. Run this command as the user of the process. Exit status: 0 nothing found, 1 warnings, 2 errors or a usage error.`,
      }),
      observerArguments(dir),
      command("history", historyArguments(dir), {
        brief: message`Print what changed on this host, and why.`,
        description:
          message`Prints the history recorded by the writer and the reporter: config changes, members that joined or left, holds, reloads, drift, overrides, workers and registrations. Records include sources, reasons, authors and changed lines. A restart without changes is printed as one line. Times are UTC. Exit status: 0 printed, 1 no history, 2 usage error.`,
      }),
      command("nodes", merge(nodesArguments(dir), object("Host identity (for --others)", named)), {
        brief: message`Print the nodes that the registry lists for a cluster.`,
        description:
          message`Reads CLUSTER from the registry as the writer does, and prints one line per node. Invalid entries are printed to standard error with the reasons. No guard applies: the output is the current content of the registry. Exit status: 0 printed, 1 no response, no nodes, or fewer nodes than --wait, 2 usage error.`,
      }),
    ),
  ),
  group(
    "Operate",
    or(
      operatorArguments(dir),
      command("notify", notifyArguments(dir), {
        brief: message`Test a notifier: send one event.`,
        description:
          message`Delivers one notifier.test event with the notifier NAME of DIR, in a worker with the same permissions as in the daemon. Exit status: 0 delivered, 1 the file is invalid or the event was not delivered, 2 usage error.`,
      }),
    ),
  ),
  group(
    "Registries",
    or(
      command("register", registerArguments(dir), {
        brief: message`Keep a node registered while a command runs.`,
        description:
          message`Runs COMMAND, and keeps ADDRESS registered in CLUSTER until COMMAND exits. Forwards SIGTERM, SIGINT and SIGHUP. \
Then deregisters the node and returns the exit status of COMMAND, 128 + n after signal n. While the registry is unreachable, COMMAND keeps running and \
the registration is retried. Exit status: 2 usage error, 125 the node cannot be registered as requested and COMMAND \
was not started, 126 COMMAND is not executable, 127 COMMAND does not exist.`,
      }),
      command("bridge", bridgeArguments(dir), {
        brief: message`Copy the nodes of a cluster from one registry to another.`,
        description:
          message`Compares two clusters by address. Prints + for a node missing in the target, - for a node that --remove-others removes, and = for another client's node, which stays. Changes nothing without --write. The guards of the source cluster apply, an empty source \
changes nothing, and the target is never emptied. Exit status: 0 printed, or ended by a signal; 1 a registry did not respond, or the source has no nodes; 2 usage error.`,
      }),
      command("store", or(storeCommandArguments, merge(storeArguments, logging)), {
        brief: message`Serve the configuration store over HTTP, or read and change it.`,
        description:
          message`Without a subcommand, serves one JSON document that is read by path and changed in transactions, and \
keeps every version on disk. SIGTERM or SIGINT stops the server; SIGHUP reloads tokens and certificates. Exit status: 0 \
stopped by a signal, 1 cannot start, 2 usage error.`,
      }),
    ),
  ),
  group(
    "Extend and migrate",
    or(
      command("plugin", pluginArguments, {
        brief: message`Add, list, show, update, verify, create and test plugins.`,
        description:
          message`Third-party plugins are listed in plugins.yaml of the config directory, with the hash of the \
approved code. Plugin code never runs in the main process.`,
      }),
      command("import", importArguments, {
        brief: message`Convert the config of another tool to a Lighthouse config directory.`,
        description:
          message`Prints the result for each key, with file, line and column: converted, replaced, or not supported, with the reason. The input is not changed. Exit status: 0 converted, 1 cannot read the input or write the output, 2 usage error.`,
      }),
    ),
  ),
);

/** A parsed command line. */
export type Arguments = InferValue<typeof parser>;

/** Reads a command line; `undefined` if it is not one as it stands: it requests help, or has a mistake (see `help.ts`). */
export function readArguments(args: readonly string[]): Arguments | undefined {
  const result = parse(parser, args);
  return result.success ? result.value : undefined;
}
