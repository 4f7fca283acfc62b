/**
 * Which events a notifier gets, and when: the keys of its file that are not its
 * plugin's. Pure.
 *
 * @module
 */
import {
  converted,
  flag,
  type HouseSchema,
  houseSchema,
  integer,
  keys,
  list,
  matching,
  optional,
  seconds,
} from "../kernel/schema.ts";
import { EVENT_PATTERN_WANTED, type EventRecord, isEventPattern } from "../model/event_record.ts";

/** The rules of one notifier. */
export interface NotificationRules {
  /** Ids, and groups such as `registry.*`. */
  readonly events: readonly string[];
  /** Events below it are left out. */
  readonly level: EventRecord["level"];
  /** Events with the same values of these go together: `event`, or a field of the record. */
  readonly groupBy: readonly string[];
  /** The first events of a group wait so long for others. */
  readonly groupWaitMs: number;
  /** What comes to a group is delivered once in so long. */
  readonly groupIntervalMs: number;
  /** A state that lasts is announced again after so long; `undefined`: never. */
  readonly repeatMs: number | undefined;
  /** Whether the end of a state is announced. */
  readonly sendResolved: boolean;
  /** So many events wait. */
  readonly queueMax: number;
}

const DAY = 86_400;

/** The keys as they are written. */
interface RuleKeys {
  readonly events: readonly string[];
  readonly level: EventRecord["level"];
  readonly group_by: readonly string[];
  readonly group_wait: number;
  readonly group_interval: number;
  readonly repeat: number;
  readonly send_resolved: boolean;
  readonly queue: number;
}

/** The keys of a file of `notifiers/` that the host reads. */
export const rulesSchema: HouseSchema<RuleKeys> = houseSchema(keys({
  events: optional(list(converted((value) => isEventPattern(value) ? value : undefined, EVENT_PATTERN_WANTED)), ["*"]),
  level: optional(
    converted(
      (value) => value === "info" || value === "warn" || value === "error" ? value : undefined,
      "info, warn or error",
    ),
    "warn",
  ),
  group_by: optional(list(matching(/^[A-Za-z_]{1,40}$/, "event, or a field name")), ["event", "cluster"]),
  group_wait: optional(seconds({ min: 0, max: 3_600 }), 30),
  group_interval: optional(seconds({ min: 0, max: DAY }), 300),
  repeat: optional(seconds({ min: 0, max: 30 * DAY }), 14_400),
  send_resolved: optional(flag(), true),
  queue: optional(integer({ min: 1, max: 100_000 }), 1_000),
}));

/** The names of these keys. */
export const RULE_KEYS: readonly string[] = [
  "events",
  "level",
  "group_by",
  "group_wait",
  "group_interval",
  "repeat",
  "send_resolved",
  "queue",
];

/** Makes rules of validated keys. */
export function rulesOf(read: RuleKeys): NotificationRules {
  return {
    events: read.events,
    level: read.level,
    groupBy: read.group_by,
    groupWaitMs: read.group_wait * 1_000,
    groupIntervalMs: read.group_interval * 1_000,
    repeatMs: read.repeat === 0 ? undefined : read.repeat * 1_000,
    sendResolved: read.send_resolved,
    queueMax: read.queue,
  };
}
