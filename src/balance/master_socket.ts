import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { AskedReload } from "../plugin/contract.ts";
import { readToEnd } from "./read_to_end.ts";
import { NobodyListensError, SocketSilentError } from "./runtime_socket.ts";

/** The size limit of a master's answer. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** How often the master is asked whether its reload is done. */
const POLL_MS = 20;

/** A master's answer to a query is short: anything longer is truncated. */
const ANSWER_LENGTH_MAX = 65_536;

/** The master rejected the reload, or could not reload; the message is its output. */
export class ReloadFailedError extends Error {
  override name = "ReloadFailedError";
}

/**
 * Has a master reload, and waits for the result: by its answer, or by asking it repeatedly until something
 * new is shown. Throws {@linkcode ReloadFailedError}, or {@linkcode SocketSilentError} if it takes too long;
 * returns the master's answer.
 */
export async function reloadByMaster(
  how: AskedReload,
  { clock, deadlineMs, signal }: { readonly clock: Clock; readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<string> {
  const late = new SocketSilentError(`master at ${how.ask} did not reload within ${formatDuration(deadlineMs)}`);
  const overdue = new AbortController();
  const cancel = clock.after(deadlineMs, () => overdue.abort(late));
  try {
    return await reload(how, { clock, until: AbortSignal.any([signal, overdue.signal]) });
  } finally {
    cancel();
  }
}

async function reload(
  how: AskedReload,
  { clock, until }: { readonly clock: Clock; readonly until: AbortSignal },
): Promise<string> {
  const { command, watch } = how;
  const before = watch === undefined ? "" : await askMaster(how, watch.query, until);
  const answer = await askMaster(how, command, until).catch((error) => {
    if (isStartingAnew(error)) return "";
    throw error;
  });
  const failure = wordsBehind(how.failed, answer);
  if (failure !== undefined) throw new ReloadFailedError(failure || "no output from the master");
  const success = wordsBehind(how.took, answer);
  if (success !== undefined) return success;
  if (watch === undefined) {
    throw new ReloadFailedError(`unexpected response from the master: ${JSON.stringify(answer.slice(0, 200))}`);
  }
  for (;;) {
    const now = await askMaster(how, watch.query, until).catch((error) => {
      until.throwIfAborted();
      if (isStartingAnew(error)) return undefined;
      throw error;
    });
    if (now !== undefined && hasNew(watch.failed, { before, now })) {
      throw new ReloadFailedError("new process did not start; see the balancer's log");
    }
    if (now !== undefined && hasNew(watch.took, { before, now })) return "";
    await delay(POLL_MS, { clock, signal: until });
  }
}

/** A master that reloads executes itself again, even in the middle of an answer. */
function isStartingAnew(error: unknown): boolean {
  return error instanceof NobodyListensError || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe;
}

/** What follows in an answer that starts with a pattern, trimmed; `undefined` if it does not. Pure. */
export function wordsBehind(pattern: string, answer: string): string | undefined {
  const said = answer.trim();
  const begin = new RegExp(`^(?:${pattern})`).exec(said)?.[0];
  return begin === undefined ? undefined : said.slice(begin.length).trim();
}

/** Whether a pattern matches something now that it did not match before. Pure. */
export function hasNew(
  pattern: string,
  { before, now }: { readonly before: string; readonly now: string },
): boolean {
  const matches = (text: string) => [...text.matchAll(new RegExp(pattern, "gm"))].map(([match]) => match);
  const known = new Set(matches(before));
  return matches(now).some((match) => !known.has(match));
}

/** Asks a master one thing; it answers, and closes the connection once this side has closed its half. */
async function askMaster(
  { ask: path, hint }: Pick<AskedReload, "ask" | "hint">,
  command: string,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  const connection = await Deno.connect({ transport: "unix", path }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused)) throw error;
    throw new NobodyListensError(`no master process listens on ${path}${hint === undefined ? "" : `: ${hint}`}`);
  });
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    await connection.write(new TextEncoder().encode(`${command}\n`));
    await connection.closeWrite();
    return (await readToEnd(connection, ANSWER_BYTES_MAX)).slice(0, ANSWER_LENGTH_MAX);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
    // Closes an aborted connection.
    try {
      connection.close();
    } catch {
      // It is closed already.
    }
  }
}
