/**
 * The history as a person reads it: filtered, and a restart as one line with
 * what it changed.
 *
 * @module
 */
import { formatDuration } from "../kernel/duration.ts";
import { escapeUnprintable } from "../kernel/quote.ts";
import { isEventMeant } from "../model/event_record.ts";
import type { HistoryEntry } from "./entry.ts";

/** Which entries are shown; all if it says nothing. */
export interface HistoryFilter {
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
  /** Entries about this cluster. */
  readonly cluster?: string | undefined;
  /** Entries about this node, by its name, its host or its address. */
  readonly node?: string | undefined;
  /** Entries of this event, or of a group such as `registry.*`. */
  readonly event?: string | undefined;
}

/** Whether an entry is shown. */
export function isShown(entry: HistoryEntry, { sinceMs, untilMs, cluster, node, event }: HistoryFilter): boolean {
  if (sinceMs !== undefined && entry.atMs < sinceMs) return false;
  if (untilMs !== undefined && entry.atMs > untilMs) return false;
  if (event !== undefined && !isEventMeant(event, entry.event)) return false;
  if (cluster !== undefined && !isAboutCluster(entry, cluster)) return false;
  return node === undefined || isAboutNode(entry, node);
}

function isAboutCluster({ fields, files = [], diff = [] }: HistoryEntry, cluster: string): boolean {
  const named = [fields.cluster, ...String(fields.clusters ?? "").split(", ")];
  if (named.includes(cluster)) return true;
  if (files.some(({ file }) => file.replace(/\.ya?ml$/, "") === `clusters/${cluster}`)) return true;
  return diff.some((line) => wordsOf(line).includes(cluster)) || wordsOf(String(fields.reason ?? "")).includes(cluster);
}

/** The fields that name nodes. */
const NODE_FIELDS = ["node", "target", "joined", "left", "altered", "commands"] as const;

function isAboutNode({ fields }: HistoryEntry, node: string): boolean {
  const words = NODE_FIELDS.flatMap((key) => wordsOf(String(fields[key] ?? "")));
  return words.some((word) => word === node || word.startsWith(`${node}:`) || word.endsWith(`/${node}`));
}

function wordsOf(text: string): readonly string[] {
  return text.split(/[\s,()";]+/);
}

/** A line of the story: an entry, or a restart that stands for several. */
export type StoryItem =
  | { readonly kind: "entry"; readonly entry: HistoryEntry }
  | {
    readonly kind: "restart";
    readonly entry: HistoryEntry;
    readonly downMs: number | undefined;
    readonly isQuiet: boolean;
  };

/** So long after its start a process still comes up. */
const COMES_UP_MS = 30_000;

/** What every start and every end says, whatever it changes. */
const ROUTINE: ReadonlySet<string> = new Set([
  "admin.listening",
  "balancer.serving",
  "cluster.last_known",
  "host.identity",
  "override.read",
  "plugin.loaded",
  "process.stopped",
  "process.stopping",
  "process.tools",
  "registration.draining",
  "registration.kept",
  "registry.connected",
  "status.listening",
  "worker.started",
  "writer.active",
]);

/** Whether an entry of a process that starts or ends says that something is as it was. */
function isRoutine({ event, files, fields }: HistoryEntry): boolean {
  if (event === "config.applied") return files?.length === 0;
  if (event === "cluster.changed") return !("joined" in fields || "left" in fields || "altered" in fields);
  return ROUTINE.has(event);
}

/** Makes a story of entries in their order; the routine of a restart becomes one line. */
export function storyOf(entries: readonly HistoryEntry[]): readonly StoryItem[] {
  const items: (StoryItem | undefined)[] = [];
  /** The start of each process that still comes up, by its role and pid, and where it stands in the story. */
  const coming = new Map<string, { readonly entry: HistoryEntry; readonly at: number }>();
  /** Where the ends of each role stand, and when the last process of it said its last. */
  const ends = new Map<string, number[]>();
  /** The processes of each role so far, and what those said that have not said yet that they start. */
  const known = new Map<string, Set<number>>();
  const early = new Map<string, number[]>();
  const stoppedMs = new Map<string, number>();
  for (const entry of entries) {
    const process = `${entry.role} ${entry.pid}`;
    if (entry.event === "process.starting") {
      const isRestart = known.get(entry.role)?.values().some((pid) => pid !== entry.pid) === true;
      if (isRestart) {
        for (const at of [...ends.get(entry.role) ?? [], ...early.get(process) ?? []]) items[at] = undefined;
        const stopped = stoppedMs.get(entry.role);
        coming.set(process, { entry, at: items.length });
        items.push({
          kind: "restart",
          entry,
          downMs: stopped === undefined ? undefined : entry.atMs - stopped,
          isQuiet: true,
        });
      } else items.push({ kind: "entry", entry });
      ends.delete(entry.role);
      early.delete(process);
      stoppedMs.delete(entry.role);
    } else {
      const start = coming.get(process);
      const isUp = start === undefined || entry.atMs - start.entry.atMs > COMES_UP_MS;
      const isEnd = entry.event === "process.stopping" || entry.event === "process.stopped" ||
        entry.event === "registration.kept";
      if (isEnd) ends.set(entry.role, [...ends.get(entry.role) ?? [], items.length]);
      const isEarly = start === undefined && !known.get(entry.role)?.has(entry.pid);
      if ((isEarly || early.has(process)) && isRoutine(entry)) {
        early.set(process, [...early.get(process) ?? [], items.length]);
      }
      if (isEnd || isUp || !isRoutine(entry)) items.push({ kind: "entry", entry });
      if (!isEnd && !isUp && !isRoutine(entry)) {
        const restart = items[start.at];
        if (restart?.kind === "restart") items[start.at] = { ...restart, isQuiet: false };
      }
      if (entry.event === "process.stopped") stoppedMs.set(entry.role, entry.atMs);
    }
    known.set(entry.role, (known.get(entry.role) ?? new Set()).add(entry.pid));
  }
  return items.filter((each) => each !== undefined);
}

/** How lines look. */
export interface StoryForm {
  readonly color: boolean;
}

const COLORS = { info: 34, warn: 33, error: 31 } as const;

/** Writes the story as lines. */
export function* storyLines(items: readonly StoryItem[], { color }: StoryForm): Generator<string> {
  const paint = (text: string, code: number) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  for (const each of items) {
    const { entry } = each;
    const time = paint(new Date(entry.atMs).toISOString().replace("T", " "), 90);
    const event = paint(entry.event.padEnd(24), COLORS[entry.level]);
    if (each.kind === "restart") {
      const how = each.downMs === undefined
        ? "Restarted after an unlogged exit (killed?)"
        : `Restarted after ${formatDuration(Math.round(each.downMs))}`;
      yield `${time} ${entry.role.padEnd(8)} ${event} ${how}${
        each.isQuiet ? "; nothing changed" : ""
      } (pid ${entry.pid})`;
      continue;
    }
    const { role, message, fields, files = [], diff = [] } = entry;
    const rest = Object.entries(fields).map(([key, value]) => `${key}=${shown(value)}`).join(" ");
    const text = escapeUnprintable(message.replaceAll("\n", " "));
    yield `${time} ${role.padEnd(8)} ${event} ${text}${rest === "" ? "" : ` ${paint(`(${rest})`, 90)}`}`;
    for (const { file, change, diff: lines = [] } of files) {
      yield `    ${change} ${escapeUnprintable(file)}`;
      for (const line of lines) yield `      ${painted(line, paint)}`;
    }
    for (const line of diff) yield `      ${painted(line, paint)}`;
  }
}

function painted(line: string, paint: (text: string, code: number) => string): string {
  const text = escapeUnprintable(line.replaceAll("\t", "    "));
  return line.startsWith("+") ? paint(text, 32) : line.startsWith("-") ? paint(text, 31) : text;
}

function shown(value: string | number | boolean): string {
  const text = escapeUnprintable(String(value));
  return /^[\w./:@%+-]+$/.test(text) ? text : JSON.stringify(text);
}
