import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import type { InferValue } from "@optique/core/parser";
import { argument, command, constant, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";

const config = withDefault(
  option("--config", string({ metavar: "DIR" }), { description: message`Config directory.` }),
  ".",
);
const entry = string({ metavar: "NAME" });

/** The arguments of `lighthouse plugin`. */
export const pluginArguments = or(
  command(
    "add",
    object({
      command: constant("plugin" as const),
      action: constant("add" as const),
      source: argument(string({ metavar: "SOURCE" }), { description: message`URL or file path.` }),
      name: optional(option("--name", entry, {
        description: message`Name in the config. Default: the plugin's own name.`,
      })),
      allow: withDefault(
        option("--allow", { description: message`Grant every permission that the plugin's example config requests.` }),
        false,
      ),
      pin: withDefault(
        option("--pin", {
          description:
            message`Pin a local file to its hash: a changed file is rejected until you run lighthouse plugin update.`,
        }),
        false,
      ),
      insecure: withDefault(
        option("--insecure", { description: message`Allow http: URLs to other hosts.` }),
        false,
      ),
      config,
    }),
    {
      brief: message`Inspect a plugin and add it with its hash to plugins.yaml.`,
      description:
        message`Fetches SOURCE and its imports, and inspects the plugin in a worker without permissions. Prints its description, hash and requested permissions, and adds an entry to plugins.yaml. Without --allow, grants a check only its own target, and prints the entry that grants all requested permissions. Exit status: 0 added, 1 not added, 2 usage error.`,
    },
  ),
  command("list", object({ command: constant("plugin" as const), action: constant("list" as const), config }), {
    brief: message`List built-in plugins and the plugins in plugins.yaml.`,
    description: message`Reads only local files and the cache, without network access. Exit status: 0 all available, 1 \
some unavailable, 2 usage error.`,
  }),
  command(
    "show",
    object({
      command: constant("plugin" as const),
      action: constant("show" as const),
      name: argument(entry, { description: message`Name, or kind/name.` }),
      config,
    }),
    {
      brief: message`Show a plugin's description, modules and requested permissions.`,
      description: message`Exit status: 0 shown, 1 unavailable, 2 usage error.`,
    },
  ),
  command(
    "update",
    object({
      command: constant("plugin" as const),
      action: constant("update" as const),
      name: optional(argument(entry, { description: message`Plugin name, or kind/name. Default: all.` })),
      url: optional(option("--url", string({ metavar: "URL" }), {
        description: message`New URL of the plugin.`,
      })),
      config,
    }),
    {
      brief: message`Fetch plugins again and record their new hashes.`,
      description: message`Prints what changed: modules, hash, and permissions that are requested but not granted. \
Updates the hash, never the granted permissions. Exit status: 0 all up to date, 1 some could not be updated, 2 wrong \
usage.`,
    },
  ),
  command(
    "new",
    object({
      command: constant("plugin" as const),
      action: constant("new" as const),
      kind: argument(choice(["check", "discovery", "balancer", "notifier"], { metavar: "KIND" }), {
        description: message`Kind of plugin.`,
      }),
      name: argument(entry, { description: message`Name of the plugin: lower-case letters, digits and _.` }),
      dir: optional(option("--dir", string({ metavar: "DIR" }), {
        description: message`Directory to create. Default: the name of the plugin.`,
      })),
    }),
    {
      brief: message`Create a working plugin with tests and a README.`,
      description:
        message`Creates a directory and never overwrites a file. The directory contains all required types, so nothing is fetched. Exit status: 0 created, 1 not created, 2 usage error.`,
    },
  ),
  command(
    "test",
    object({
      command: constant("plugin" as const),
      action: constant("test" as const),
      source: argument(string({ metavar: "SOURCE" }), { description: message`URL or file path.` }),
      example: optional(option("--example", string({ metavar: "FILE" }), {
        description: message`YAML file with the config to test. Default: the plugin's own example.`,
      })),
      target: optional(option("--target", string({ metavar: "ADDRESS" }), {
        description: message`For a check: a healthy server, as host:port.`,
      })),
      cluster: optional(option("--cluster", string({ metavar: "FILE" }), {
        description:
          message`For a balancer or a discovery: YAML file with the plugin's section of a cluster's file. Default: empty.`,
      })),
      live: withDefault(
        option("--live", {
          description:
            message`For a discovery or a notifier: also test against the running server in the config, including writes.`,
        }),
        false,
      ),
    }),
    {
      brief: message`Run the conformance suite on a plugin.`,
      description:
        message`Runs the plugin in workers with its requested permissions only, and prints one line per rule: ok, skip, or FAIL with the reason. Exit status: 0 all passed, 1 some failed, 2 usage error.`,
    },
  ),
  command("verify", object({ command: constant("plugin" as const), action: constant("verify" as const), config }), {
    brief: message`Verify every plugin against its approved hash, without network access.`,
    description:
      message`Reads only local files and the cache. Exit status: 0 all match, 1 some do not match, 2 usage error.`,
  }),
);

/** Parsed arguments of `lighthouse plugin`. */
export type PluginArguments = InferValue<typeof pluginArguments>;
