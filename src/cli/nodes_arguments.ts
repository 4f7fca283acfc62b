import { message } from "@optique/core/message";
import { object } from "@optique/core/constructs";
import type { Parser } from "@optique/core/parser";
import { optional, withDefault } from "@optique/core/modifiers";
import { argument, constant, option } from "@optique/core/primitives";
import { integer, string } from "@optique/core/valueparser";
import { isName, NAME_WANTED } from "../config/schema_words.ts";
import { parseTemplate, type Template, TEMPLATE_FIELDS } from "./node_listing.ts";
import { converted, duration } from "./value_parsers.ts";

/** A template, with how it was written. */
interface WrittenTemplate {
  readonly text: string;
  readonly template: Template;
}

const template = converted<WrittenTemplate>((text) => {
  const parsed = parseTemplate(text);
  return parsed && { text, template: parsed };
}, {
  metavar: "TEMPLATE",
  wanted: `a template with fields from ${TEMPLATE_FIELDS}`,
  placeholder: { text: "", template: [] },
  format: ({ text }) => text,
});

/** How long a registry may take to answer. */
export const answerTimeout = withDefault(
  option("--timeout", duration({ minMs: 100, maxMs: 3_600_000 }), {
    description: message`Timeout for the first response from the registry, and for --wait.`,
  }),
  10_000,
);

/** The name of a cluster: it becomes a component of paths. */
export const cluster = converted((text) => isName(text) ? text : undefined, {
  metavar: "CLUSTER",
  wanted: NAME_WANTED,
  placeholder: "",
  format: (text) => text,
});

/** What `nodes` takes beside this host's name. */
export const nodesArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  object({
    command: constant("nodes" as const),
    dir,
    cluster: argument(cluster, { description: message`Name of the cluster in the registry.` }),
    source: optional(option("--source", string({ metavar: "DISCOVERY" }), {
      description:
        message`Discovery to read: a file in discovery/, or an item in the cluster's list, such as etcd#2. Default: all discoveries in the cluster's or service's file, else the only file in discovery/.`,
    })),
    watch: withDefault(
      option("--watch", {
        description: message`Follow changes: + for a new node, - for a removed node, ~ for a changed node.`,
      }),
      false,
    ),
    json: withDefault(
      option("--json", {
        description:
          message`Print one JSON object per line: cluster, discovery, exists, nodes, and invalid (entries rejected since the last line, with reasons).`,
      }),
      false,
    ),
    format: optional(option("--format", template, {
      description: message`Format of a node's line, such as '{ip}:{port}'.`,
    })),
    others: withDefault(
      option("--others", { description: message`Omit this host's nodes, matched by host name and address.` }),
      false,
    ),
    one: withDefault(
      option("--one", {
        description: message`Print one node: the first ready node by name, else the first draining node.`,
      }),
      false,
    ),
    wait: optional(option("--wait", integer({ min: 1, max: 100_000, metavar: "N" }), {
      description: message`Wait up to --timeout for at least N nodes.`,
    })),
    timeoutMs: answerTimeout,
  });
