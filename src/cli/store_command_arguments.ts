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
  description: message`Where in the document, escaped as in a URL: /services/web.`,
});
const anyPath = withDefault(path, []);

const store = object("The store", {
  at: withDefault(option("--at", address, { description: message`Where it listens.` }), LOCAL),
  tokenFile: optional(option("--token-file", file, { description: message`The token to show, alone in a file.` })),
  ca: optional(option("--ca", file, { description: message`Speak TLS, and believe this authority (PEM).` })),
});
const writing = merge(
  store,
  object({
    waitMs: withDefault(
      option("--wait", duration({ minMs: 0, maxMs: 600_000 }), {
        description: message`How long to wait for the lock, and to retry after a conflict.`,
      }),
      30_000,
    ),
  }),
);

const raw = (what: "read" | "written") =>
  withDefault(
    option("--raw", {
      description: what === "read"
        ? message`Print a text as it is, and anything else as JSON on one line.`
        : message`The value is a text as it stands, and no JSON.`,
    }),
    false,
  );
const yes = withDefault(option("--yes", { description: message`Commit without asking.` }), false);

function action<const Name extends string>(name: Name) {
  return object({ command: constant("store" as const), action: constant(name) });
}

const EXITS = message`Exit codes: 0 done, 1 not done, 2 wrong usage.`;

/** What the commands that speak to a store are told. */
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
          description: message`The value, as JSON; standard input if there is none, or if it is -.`,
        })),
        raw: raw("written"),
        parents: withDefault(
          option("--parents", "-p", { description: message`Make the objects that should hold it, too.` }),
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
    brief: message`Take away the value at a path.`,
    description: message`Takes away the value at PATH in a transaction. ${EXITS}`,
  }),
  command("edit", merge(action("edit"), object({ path: anyPath }), writing), {
    brief: message`Change the value at a path in an editor.`,
    description: message`Opens the value at PATH, as JSON, in $VISUAL or $EDITOR, shows what was changed, asks at a \
terminal, and commits just that: what others change elsewhere in the meantime stays. ${EXITS}`,
  }),
  command("watch", merge(action("watch"), object({ path: anyPath, raw: raw("read") }), store), {
    brief: message`Print the value at a path now and after each change, a line each.`,
    description: message`Prints the value at PATH, as JSON on one line, and again after each change, until it is \
asked to end. ${EXITS}`,
  }),
  command("export", merge(action("export"), object({ path: anyPath }), store), {
    brief: message`Print the value at a path without what leases hold.`,
    description:
      message`Prints the value at PATH, as JSON, for a file that is kept; what leases hold is left out, as it \
goes with them. ${EXITS}`,
  }),
  command(
    "import",
    merge(
      action("import"),
      object({
        file: argument(file, { description: message`A file with JSON; - is the standard input.` }),
        path: anyPath,
        yes,
      }),
      writing,
    ),
    {
      brief: message`Make the value at a path that of a file.`,
      description: message`Shows what would change at PATH, asks at a terminal, and makes it what FILE says; what \
leases hold stays. ${EXITS}`,
    },
  ),
);
