import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { constant, option } from "@optique/core/primitives";
import { adminAddress } from "./daemon_arguments.ts";
import { duration, file } from "./value_parsers.ts";

const asking = {
  addresses: withDefault(
    multiple(option("--admin", adminAddress, {
      description:
        message`Address of an admin interface, or a --status address. Repeatable. Default: unix:/run/lighthouse/writer.sock and unix:/run/lighthouse/reporter.sock.`,
    })),
    [],
  ),
  tokenFile: optional(option("--token-file", file, { description: message`File that contains the bearer token.` })),
  ca: optional(option("--ca", file, {
    description: message`With HOST:PORT: CA of the server certificate (PEM). Default: the CAs of the system.`,
  })),
  timeoutMs: withDefault(
    option("--timeout", duration({ minMs: 100, maxMs: 600_000 }), {
      description: message`Timeout for each response.`,
    }),
    5_000,
  ),
  json: withDefault(option("--json", { description: message`Print JSON.` }), false),
};

/** What `status` takes. */
export const statusArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  object({
    command: constant("status" as const),
    dir,
    watch: withDefault(
      option("--watch", { description: message`Print the status again every 2s until interrupted.` }),
      false,
    ),
    ...asking,
  });

/** What `doctor` takes. */
export const doctorArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  object({ command: constant("doctor" as const), dir, ...asking });
