import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { type AskStatus, askStatus } from "./ask_status.ts";
import { type Level, levelOf, problemsOf, statusText } from "./status_text.ts";

/** What `status` gets from its command line. */
export interface StatusArguments extends AskStatus {
  readonly watch: boolean;
  readonly json: boolean;
}

export interface StatusOptions {
  readonly dir: string;
  readonly fromHere: (path: string) => string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly color: boolean;
  readonly print: (line: string) => void;
  readonly complain: (line: string) => void;
}

const EXIT_OF: Readonly<Record<Level, number>> = { ok: 0, degraded: 1, failing: 2 };
const EVERY_MS = 2_000;
/** Clears the screen of a terminal. */
const CLEAR = "\x1b[H\x1b[2J";

/** Prints how this host stands; answers the exit code, the last one of `--watch`. */
export async function printStatus(
  given: StatusArguments,
  { dir, fromHere, clock, signal, color, print }: StatusOptions,
): Promise<number> {
  const asked = {
    ...given,
    tokenFile: given.tokenFile && fromHere(given.tokenFile),
    ca: given.ca && fromHere(given.ca),
  };
  for (;;) {
    const all = await askStatus(asked, { dir, signal });
    const problems = problemsOf(all);
    const level = levelOf(problems);
    if (given.json) print(JSON.stringify({ level, problems, processes: all.answered, silent: all.silent }));
    else print(`${given.watch && color ? CLEAR : ""}${[...statusText(all, { color })].join("\n")}`);
    if (!given.watch || signal.aborted) return EXIT_OF[level];
    await delay(EVERY_MS, { clock, signal }).catch(() => {});
    if (signal.aborted) return EXIT_OF[level];
  }
}
