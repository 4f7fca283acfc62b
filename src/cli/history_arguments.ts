import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { constant, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { formatDuration, parseDuration } from "../kernel/duration.ts";
import { EVENT_PATTERN_WANTED, isEventPattern } from "../model/event_record.ts";
import { cluster } from "./nodes_arguments.ts";
import { converted, file } from "./value_parsers.ts";

/** A time: so long ago, or one of the wall clock in UTC. */
export type Moment = { readonly agoMs: number } | { readonly atMs: number } | { readonly clock: string };

const moment = converted<Moment>((text) => {
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return { agoMs };
  if (/^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?$/.test(text)) return { clock: text };
  const atMs = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z?)?$/.test(text)
    ? Date.parse(`${text.replace(" ", "T").replace("Z", "")}${text.length > 10 ? "Z" : ""}`)
    : NaN;
  return Number.isNaN(atMs) ? undefined : { atMs };
}, {
  metavar: "TIME",
  wanted: "a duration such as 1h, or a time in UTC such as 03:12 or 2026-11-30T03:12:00Z",
  placeholder: { agoMs: 0 },
  format: (value) =>
    "agoMs" in value
      ? formatDuration(value.agoMs)
      : "clock" in value
      ? value.clock
      : new Date(value.atMs).toISOString(),
});

const pattern = converted((text) => isEventPattern(text) ? text : undefined, {
  metavar: "EVENT",
  wanted: EVENT_PATTERN_WANTED,
  placeholder: "",
  format: (text) => text,
});

/** What `history` takes. */
export const historyArguments = <Dir>(dir: Parser<"sync", Dir, unknown>) =>
  object({
    command: constant("history" as const),
    dir,
    since: optional(option("--since", moment, {
      description:
        message`Only records after this time: a duration ago (1h), or a time in UTC (03:12, 2026-11-30T03:12).`,
    })),
    until: optional(
      option("--until", moment, { description: message`Only records before this time, in the same form.` }),
    ),
    cluster: optional(option("--cluster", cluster, { description: message`Only records about this cluster.` })),
    node: optional(option("--node", string({ metavar: "NODE" }), {
      description: message`Only records about this node: its name with or without port, or its address.`,
    })),
    event: optional(option("--event", pattern, {
      description: message`Only this event, or a group such as registry.*. Events are listed in docs/events.md.`,
    })),
    follow: withDefault(option("--follow", { description: message`Keep running and print new records.` }), false),
    journal: optional(option("--journal", file, {
      description:
        message`History directory. Default: history_dir in lighthouse.yaml, else history in $STATE_DIRECTORY, else /var/lib/lighthouse/history.`,
    })),
    json: withDefault(
      option("--json", { description: message`Print the records unchanged, one JSON object per line.` }),
      false,
    ),
  });
