import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import type { Parser } from "@optique/core/parser";
import { argument, command, constant } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";

/** What `notify` takes. */
export const notifyArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  command(
    "test",
    object({
      command: constant("notify" as const),
      action: constant("test" as const),
      dir,
      notifier: argument(string({ metavar: "NAME" }), {
        description: message`Name of a file in notifiers/, without its extension.`,
      }),
    }),
    { brief: message`Send a test event.`, description: message`Sends the notifier.test event.` },
  );
