import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { constant, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { isName } from "../config/schema_words.ts";
import type { BridgeEnd } from "./bridge.ts";
import { answerTimeout } from "./nodes_arguments.ts";
import { converted } from "./value_parsers.ts";

const end = converted<BridgeEnd>((text) => {
  const [discovery = "", cluster = "", ...rest] = text.split("/");
  return isName(discovery) && isName(cluster) && rest.length === 0 ? { discovery, cluster } : undefined;
}, {
  metavar: "DISCOVERY/CLUSTER",
  wanted: "the name of a discovery and of a cluster, such as zookeeper/web",
  placeholder: { discovery: "", cluster: "" },
  format: ({ discovery, cluster }) => `${discovery}/${cluster}`,
});

/** What `bridge` takes. */
export const bridgeArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  object({
    command: constant("bridge" as const),
    dir,
    from: option("--from", end, { description: message`Cluster to read.` }),
    to: option("--to", end, { description: message`Cluster that receives the nodes.` }),
    write: withDefault(
      option("--write", { description: message`Apply the changes instead of only printing them. Requires --watch.` }),
      false,
    ),
    watch: withDefault(
      option("--watch", { description: message`Follow changes until SIGTERM or SIGINT.` }),
      false,
    ),
    removeOthers: withDefault(
      option("--remove-others", {
        description: message`Remove nodes that are missing from the source, even if another process registered them.`,
      }),
      false,
    ),
    timeoutMs: answerTimeout,
    logLevel: withDefault(
      option("--log-level", choice(["debug", "info", "warning", "error"], { metavar: "LEVEL" }), {
        description: message`Log level. Records are written to standard error.`,
      }),
      "info" as const,
    ),
  });
