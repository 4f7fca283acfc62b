/**
 * Which events go to a notifier together, and when. One value holds all that is
 * remembered; functions make the next one. Pure: time comes in.
 *
 * @module
 */
import { type EventRecord, isEventMeant } from "../model/event_record.ts";
import type { NotificationRules } from "./rules.ts";

/** Returns the events that end the state that an event begins; none if it begins none. */
export type ResolvedBy = (event: string) => readonly string[];

/** A state that was announced, or is about to be, and has not ended. */
interface Open {
  readonly record: EventRecord;
  /** When it was last delivered; `undefined` before the first time. */
  readonly sentMs: number | undefined;
}

/** Events that go together. */
interface Group {
  readonly pending: readonly EventRecord[];
  /** When something of it was last delivered. */
  readonly sentMs: number | undefined;
  /** When the first of `pending` came. */
  readonly sinceMs: number;
  /** By what each is about. */
  readonly open: ReadonlyMap<string, Open>;
}

/** All groups of one notifier, by the values that they have in common. */
export interface Grouping {
  readonly groups: ReadonlyMap<string, Group>;
  /** How many events wait. */
  readonly waiting: number;
}

/** Nothing came yet. */
export const NO_GROUPS: Grouping = { groups: new Map(), waiting: 0 };

/** So many groups are remembered, and so many states of each. */
const GROUPS_MAX = 1_000, OPEN_MAX = 1_000;
const RANK = { info: 0, warn: 1, error: 2 } as const;

/** The fields that say what an event is about: what ends a state has the same values of those that both have. */
const SUBJECT = [
  "worker",
  "cluster",
  "source",
  "discovery",
  "balancer",
  "service",
  "check",
  "node",
  "target",
  "path",
  "file",
];

/** Ends the states that the event `of` began, as what they are about is not in the config any more. */
const OBSOLETE = "config.obsolete";

/** The states that last, each with what began it. */
export function statesOf({ groups }: Grouping): readonly EventRecord[] {
  return [...groups.values()].flatMap(({ open }) => [...open.values()].map(({ record }) => record));
}

/** Takes an event; answers whether it was dropped, as too many wait. */
export function takeEvent(
  grouping: Grouping,
  record: EventRecord,
  { rules, resolvedBy, nowMs }: {
    readonly rules: NotificationRules;
    readonly resolvedBy: ResolvedBy;
    readonly nowMs: number;
  },
): { readonly grouping: Grouping; readonly isDropped: boolean } {
  const ended = endedBy(grouping, record, resolvedBy);
  const isMeant = RANK[record.level] >= RANK[rules.level] &&
    rules.events.some((pattern) => isEventMeant(pattern, record.event));
  const isAnnounced = isMeant || ended.length > 0 && rules.sendResolved;
  const isDropped = isAnnounced && grouping.waiting >= rules.queueMax;
  const groups = new Map(grouping.groups);
  for (const { group, subject } of ended) {
    const before = groups.get(group);
    if (before === undefined) continue;
    const open = new Map(before.open);
    open.delete(subject);
    groups.set(group, { ...before, open });
  }
  if (!isAnnounced || isDropped) return { grouping: { ...grouping, groups }, isDropped };
  // The end of a state goes where its beginning went.
  const key = ended[0]?.group ?? groupKey(record, rules);
  const before = groups.get(key) ?? { pending: [], sentMs: undefined, sinceMs: nowMs, open: new Map() };
  if (!groups.has(key) && groups.size >= GROUPS_MAX) dropIdle(groups);
  const begins = isMeant && ended.length === 0 && resolvedBy(record.event).length > 0 && before.open.size < OPEN_MAX;
  groups.set(key, {
    ...before,
    pending: [...before.pending, record],
    sinceMs: before.pending.length === 0 ? nowMs : before.sinceMs,
    open: begins
      ? new Map(before.open).set(subjectOf(record), { record, sentMs: before.open.get(subjectOf(record))?.sentMs })
      : before.open,
  });
  return { grouping: { groups, waiting: grouping.waiting + 1 }, isDropped: false };
}

/** What is due: the events of one group at a time, and what is remembered then. */
export function takeDue(
  grouping: Grouping,
  { rules, nowMs, isEnding = false }: {
    readonly rules: NotificationRules;
    readonly nowMs: number;
    /** Whether the process ends: nothing waits for others any more. */
    readonly isEnding?: boolean;
  },
): { readonly grouping: Grouping; readonly events: readonly EventRecord[] } {
  for (const [key, group] of grouping.groups) {
    const repeated = isEnding ? [] : repeatsOf(group, rules, nowMs);
    const isDue = group.pending.length > 0 && (isEnding || dueMs(group, rules) <= nowMs);
    if (!isDue && repeated.length === 0) continue;
    const events = [...repeated, ...isDue ? group.pending : []];
    const sent = new Set(events.map(subjectOf));
    const open = new Map(
      [...group.open].map(([subject, each]) => [subject, sent.has(subject) ? { ...each, sentMs: nowMs } : each]),
    );
    const groups = new Map(grouping.groups);
    const left = isDue ? [] : group.pending;
    groups.set(key, { ...group, pending: left, sentMs: nowMs, open });
    return { grouping: { groups, waiting: grouping.waiting - (group.pending.length - left.length) }, events };
  }
  return { grouping: forgetOld(grouping, rules, nowMs), events: [] };
}

/** When something is due next; `Infinity` if nothing waits. */
export function nextDueMs(grouping: Grouping, rules: NotificationRules): number {
  let next = Infinity;
  for (const group of grouping.groups.values()) {
    if (group.pending.length > 0) next = Math.min(next, dueMs(group, rules));
    if (rules.repeatMs === undefined) continue;
    for (const { sentMs } of group.open.values()) {
      if (sentMs !== undefined) next = Math.min(next, sentMs + rules.repeatMs);
    }
  }
  return next;
}

function dueMs({ sinceMs, sentMs }: Group, { groupWaitMs, groupIntervalMs }: NotificationRules): number {
  const waited = sinceMs + groupWaitMs;
  return sentMs === undefined ? waited : Math.max(waited, sentMs + groupIntervalMs);
}

function repeatsOf({ open }: Group, { repeatMs }: NotificationRules, nowMs: number): readonly EventRecord[] {
  if (repeatMs === undefined) return [];
  return [...open.values()].filter(({ sentMs }) => sentMs !== undefined && sentMs + repeatMs <= nowMs)
    .map(({ record }) => record);
}

/** The states that an event ends. */
function endedBy(
  { groups }: Grouping,
  record: EventRecord,
  resolvedBy: ResolvedBy,
): readonly { readonly group: string; readonly subject: string }[] {
  const ended: { readonly group: string; readonly subject: string }[] = [];
  for (const [group, { open }] of groups) {
    for (const [subject, each] of open) {
      const isEnd = record.event === OBSOLETE
        ? record.fields.of === each.record.event
        : resolvedBy(each.record.event).includes(record.event);
      if (isEnd && isAbout(each.record, record)) {
        ended.push({ group, subject });
      }
    }
  }
  return ended;
}

function isAbout({ fields: a }: EventRecord, { fields: b }: EventRecord): boolean {
  return SUBJECT.every((key) => a[key] === undefined || b[key] === undefined || a[key] === b[key]);
}

function groupKey(record: EventRecord, { groupBy }: NotificationRules): string {
  return JSON.stringify(groupBy.map((key) => key === "event" ? record.event : record.fields[key] ?? null));
}

function subjectOf({ event, fields }: EventRecord): string {
  return JSON.stringify([event, ...SUBJECT.map((key) => fields[key] ?? null)]);
}

/** Groups of which nothing waits and no state lasts are forgotten once their interval is over. */
function forgetOld(grouping: Grouping, { groupIntervalMs }: NotificationRules, nowMs: number): Grouping {
  const groups = new Map(
    [...grouping.groups].filter(([, { pending, open, sentMs = -Infinity }]) =>
      pending.length > 0 || open.size > 0 || sentMs + groupIntervalMs > nowMs
    ),
  );
  return groups.size === grouping.groups.size ? grouping : { ...grouping, groups };
}

function dropIdle(groups: Map<string, Group>): void {
  for (const [key, { pending }] of groups) if (pending.length === 0) return void groups.delete(key);
}
