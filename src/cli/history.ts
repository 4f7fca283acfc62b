import { settingsOf } from "./settings_of.ts";
import { formatEntry, type HistoryEntry } from "../history/entry.ts";
import { HistoryReader } from "../history/read.ts";
import { type HistoryFilter, isShown, storyLines, storyOf } from "../history/story.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { EXIT } from "./exit_codes.ts";
import type { Moment } from "./history_arguments.ts";

/** What `history` gets from its command line. */
export interface HistoryArguments extends Omit<HistoryFilter, "sinceMs" | "untilMs"> {
  readonly since?: Moment | undefined;
  readonly until?: Moment | undefined;
  readonly follow: boolean;
  readonly journal?: string | undefined;
  readonly json: boolean;
}

export interface HistoryOptions {
  /** The config directory. */
  readonly dir: string;
  /** What a supervisor calls the directory for state. */
  readonly stateDirectory: string | undefined;
  readonly clock: Clock;
  /** The time of day in milliseconds. */
  readonly wallNow: () => number;
  readonly signal: AbortSignal;
  readonly color: boolean;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

const DAY_MS = 86_400_000;
/** Where the shipped units keep it. */
const STANDARD_DIR = "/var/lib/lighthouse/history";
const POLL_MS = 250;

/** Prints what changed and why; answers the exit code. */
export async function printHistory(given: HistoryArguments, options: HistoryOptions): Promise<number> {
  const { clock, signal, print, complain, color } = options;
  const dir = await historyDirOf(given, options);
  const nowMs = options.wallNow();
  const filter: HistoryFilter = {
    ...given,
    sinceMs: given.since && timeOf(given.since, nowMs),
    untilMs: given.until && timeOf(given.until, nowMs),
  };
  const reader = new HistoryReader(dir);
  let entries: readonly HistoryEntry[];
  try {
    // A restart is known by what came before it.
    entries = await reader.next();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) throw error;
    const why = error instanceof Deno.errors.NotFound
      ? "no such directory; set history_dir in lighthouse.yaml, or pass --journal DIR"
      : "permission denied; run this command as the user of the process";
    complain(`Cannot read the history in ${dir}: ${why}`);
    return EXIT.failed;
  }
  const show = (news: readonly HistoryEntry[], isWhole: boolean) => {
    if (given.json) {
      for (const entry of news) if (isShown(entry, filter)) print(formatEntry(entry).trimEnd());
      return;
    }
    const items = isWhole ? storyOf(news) : news.map((entry) => ({ kind: "entry", entry } as const));
    for (const line of storyLines(items.filter(({ entry }) => isShown(entry, filter)), { color })) print(line);
  };
  show(entries, true);
  while (given.follow && !signal.aborted) {
    await delay(POLL_MS, { clock, signal }).catch(() => {});
    show(await reader.next(), false);
  }
  return EXIT.ok;
}

/** Where the history of a config directory is kept. */
export async function historyDirOf(
  { journal }: { readonly journal?: string | undefined },
  { dir, stateDirectory }: Pick<HistoryOptions, "dir" | "stateDirectory">,
): Promise<string> {
  if (journal !== undefined) return journal;
  const { historyDir } = await settingsOf(dir);
  return historyDir ?? (stateDirectory === undefined ? STANDARD_DIR : `${stateDirectory}/history`);
}

/** The time that is meant; a time of day is the last one that is over. */
function timeOf(moment: Moment, nowMs: number): number {
  if ("agoMs" in moment) return nowMs - moment.agoMs;
  if ("atMs" in moment) return moment.atMs;
  const today = Date.parse(`${new Date(nowMs).toISOString().slice(0, 10)}T${moment.clock}Z`);
  return today > nowMs ? today - DAY_MS : today;
}
