import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { formatPath, parsePath, type Path } from "../store/path.ts";
import { address, LOCAL } from "./store_arguments.ts";
import { converted, duration, file } from "./value_parsers.ts";

const pathParser = converted<Path>(parsePath, {
  metavar: "PATH",
  wanted: "a path such as /services/web, escaped as in a URL",
  placeholder: [],
  format: formatPath,
});
const path = argument(pathParser, {
  description: message`Path in the document, escaped as in a URL: /services/web.`,
});
const anyPath = withDefault(path, []);

const store = object("Connection", {
  at: withDefault(option("--at", address, { description: message`Address of the store.` }), LOCAL),
  tokenFile: optional(option("--token-file", file, { description: message`File that contains the bearer token.` })),
  ca: optional(option("--ca", file, { description: message`Use TLS and trust this CA (PEM).` })),
});
const writing = merge(
  store,
  object({
    waitMs: withDefault(
      option("--wait", duration({ minMs: 0, maxMs: 600_000 }), {
        description: message`Maximum time to wait for the lock and to retry after a conflict.`,
      }),
      30_000,
    ),
  }),
);

const raw = (what: "read" | "written") =>
  withDefault(
    option("--raw", {
      description: what === "read"
        ? message`Print a string without quotes, and other values as JSON on one line.`
        : message`Store VALUE as a string instead of parsing it as JSON.`,
    }),
    false,
  );
const yes = withDefault(option("--yes", { description: message`Commit without confirmation.` }), false);

function action<const Name extends string>(name: Name) {
  return object({ command: constant("store" as const), action: constant(name) });
}

const EXITS = message`Exit status: 0 success, 1 failure, 2 usage error.`;

/** The commands for a store. */
export const storeCommandArguments = or(
  command("get", merge(action("get"), object({ path: anyPath, raw: raw("read") }), store), {
    brief: message`Print the value at a path.`,
    description: message`Prints the value at PATH, as JSON. ${EXITS}`,
  }),
  command(
    "put",
    merge(
      action("put"),
      object({
        path,
        value: optional(argument(string({ metavar: "VALUE" }), {
          description: message`Value as JSON. If omitted or -, the value is read from standard input.`,
        })),
        raw: raw("written"),
        parents: withDefault(
          option("--parents", "-p", { description: message`Create missing parent objects.` }),
          false,
        ),
      }),
      writing,
    ),
    {
      brief: message`Set the value at a path.`,
      description: message`Sets the value at PATH in a transaction. ${EXITS}`,
    },
  ),
  command("delete", merge(action("delete"), object({ path }), writing), {
    brief: message`Delete the value at a path.`,
    description: message`Deletes the value at PATH in a transaction. ${EXITS}`,
  }),
  command("edit", merge(action("edit"), object({ path: anyPath }), writing), {
    brief: message`Edit the value at a path in an editor.`,
    description:
      message`Opens the value at PATH as JSON in $VISUAL or $EDITOR, prints the changes, asks for confirmation on a \
terminal, and commits only those changes. ${EXITS}`,
  }),
  command("watch", merge(action("watch"), object({ path: anyPath, raw: raw("read") }), store), {
    brief: message`Print the value at a path, and again after each change.`,
    description: message`Prints the value at PATH as JSON on one line, and again after each change, until SIGTERM \
or SIGINT. ${EXITS}`,
  }),
  command("export", merge(action("export"), object({ path: anyPath }), store), {
    brief: message`Print the value at a path without leased values.`,
    description:
      message`Prints the value at PATH as JSON for a backup. Omits leased values, which expire with their leases. ${EXITS}`,
  }),
  command(
    "import",
    merge(
      action("import"),
      object({
        file: argument(file, { description: message`JSON file; - reads standard input.` }),
        path: anyPath,
        yes,
      }),
      writing,
    ),
    {
      brief: message`Replace the value at a path with the contents of a file.`,
      description:
        message`Prints what would change at PATH, asks for confirmation on a terminal, and replaces the value. \
Leased values are kept. ${EXITS}`,
    },
  ),
);
