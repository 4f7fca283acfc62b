import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import type { InferValue } from "@optique/core/parser";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";

const config = withDefault(
  option("--config", string({ metavar: "DIR" }), { description: message`The config directory.` }),
  ".",
);
const entry = string({ metavar: "NAME" });

/** What `lighthouse plugin` is told. */
export const pluginArguments = or(
  command(
    "add",
    object({
      command: constant("plugin" as const),
      action: constant("add" as const),
      source: argument(string({ metavar: "SOURCE" }), { description: message`A URL, or the path of a file.` }),
      name: optional(option("--name", entry, {
        description: message`What the config calls it; else the name it gives itself.`,
      })),
      allow: withDefault(
        option("--allow", { description: message`Grant all that it asks for with its example config.` }),
        false,
      ),
      pin: withDefault(
        option("--pin", { description: message`Hold a file to its hash too: changes are refused until updated.` }),
        false,
      ),
      insecure: withDefault(
        option("--insecure", { description: message`Allow http: beyond this machine.` }),
        false,
      ),
      config,
    }),
    {
      brief: message`Look at a plugin, and write it with its hash into plugins.yaml.`,
      description: message`Fetches SOURCE and all that it imports, asks it in a worker without any permission what it \
is, shows that, its hash and what it would ask for, and writes an entry into plugins.yaml. It grants a check its own \
target and nothing else, unless --allow is given; what to write for more is shown. Exit codes: 0 written, 1 not, 2 wrong usage.`,
    },
  ),
  command("list", object({ command: constant("plugin" as const), action: constant("list" as const), config }), {
    brief: message`List the plugins that ship and those of plugins.yaml.`,
    description: message`Reads files and the cache alone, nothing over the network. Exit codes: 0 all can be had, 1 \
some cannot, 2 wrong usage.`,
  }),
  command(
    "show",
    object({
      command: constant("plugin" as const),
      action: constant("show" as const),
      name: argument(entry, { description: message`A name, or kind/name.` }),
      config,
    }),
    {
      brief: message`Show what a plugin is, its modules, and what it asks for.`,
      description: message`Exit codes: 0 shown, 1 it cannot be had, 2 wrong usage.`,
    },
  ),
  command(
    "update",
    object({
      command: constant("plugin" as const),
      action: constant("update" as const),
      name: optional(argument(entry, { description: message`A name, or kind/name; all if it is left out.` })),
      url: optional(option("--url", string({ metavar: "URL" }), {
        description: message`Take it from here from now on.`,
      })),
      config,
    }),
    {
      brief: message`Fetch plugins anew and write their new hashes.`,
      description: message`Shows what has changed: modules, hash, and what is asked for now and is not granted. It \
changes the hash, never what is allowed. Exit codes: 0 all are as their sources, 1 some could not be updated, 2 wrong \
usage.`,
    },
  ),
  command(
    "new",
    object({
      command: constant("plugin" as const),
      action: constant("new" as const),
      kind: argument(choice(["check", "discovery", "balancer", "notifier"], { metavar: "KIND" }), {
        description: message`What it is to be.`,
      }),
      name: argument(entry, { description: message`What it calls itself: lower case letters, digits and _.` }),
      dir: optional(option("--dir", string({ metavar: "DIR" }), {
        description: message`The folder to write; else one of its name.`,
      })),
    }),
    {
      brief: message`Write a new plugin that works, with tests and a README.`,
      description:
        message`Writes into a folder of its own, never over a file; what it needs of types is in it, so nothing is fetched. Exit codes: 0 written, 1 not, 2 wrong usage.`,
    },
  ),
  command(
    "test",
    object({
      command: constant("plugin" as const),
      action: constant("test" as const),
      source: argument(string({ metavar: "SOURCE" }), { description: message`A URL, or the path of a file.` }),
      example: optional(option("--example", string({ metavar: "FILE" }), {
        description: message`A YAML file with the config to test with; else it is the plugin's own example.`,
      })),
      target: optional(option("--target", string({ metavar: "ADDRESS" }), {
        description: message`For a check: a server that is well, as host:port.`,
      })),
      cluster: optional(option("--cluster", string({ metavar: "FILE" }), {
        description:
          message`For a balancer or a discovery: a YAML file with its section of a cluster's file; else it is empty.`,
      })),
      live: withDefault(
        option("--live", {
          description:
            message`For a discovery or a notifier: a server answers where the config says, and may be written to.`,
        }),
        false,
      ),
    }),
    {
      brief: message`Hold a plugin against the conformance suite.`,
      description:
        message`Runs the plugin as Lighthouse would, in workers with what it asks for and nothing else, and prints a line for each rule: ok, skip, or FAIL and why. Exit codes: 0 none failed, 1 some did, 2 wrong usage.`,
    },
  ),
  command("verify", object({ command: constant("plugin" as const), action: constant("verify" as const), config }), {
    brief: message`Say whether every plugin can be had as it was approved, without the network.`,
    description: message`Reads files and the cache alone. Exit codes: 0 all match, 1 some do not, 2 wrong usage.`,
  }),
);

/** What one of the commands is told. */
export type PluginArguments = InferValue<typeof pluginArguments>;
