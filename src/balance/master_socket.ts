import { delay } from "../kernel/delay.ts";
import type { Clock } from "../kernel/clock.ts";
import { NobodyListensError, SocketSilentError } from "./runtime_socket.ts";

/** How often the master is asked whether its reload is done. */
const POLL_MS = 20;

/** What `show proc` tells of a master and its workers. */
export interface MasterStatus {
  /** How many reloads have failed since the last that went well. */
  readonly failed: number;
  /** The pids of the workers that serve now. */
  readonly workers: readonly number[];
  /** The pids of the old workers, which are draining. */
  readonly oldWorkers: readonly number[];
}

/** The master refused to reload, or could not; the message is what it wrote. */
export class ReloadFailedError extends Error {
  override name = "ReloadFailedError";
}

/**
 * Has a master reload, and waits until it is known how that went. From HAProxy
 * 2.7 on the master answers when it is done, with its words; 2.6 answers
 * nothing, so it is asked for its workers and its failures until either has
 * changed. Throws {@linkcode ReloadFailedError}, or {@linkcode SocketSilentError}
 * if it takes too long; answers what the master said.
 */
export async function reloadByMaster(
  path: string,
  { clock, deadlineMs, signal }: { readonly clock: Clock; readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<string> {
  const late = new SocketSilentError(`the master at ${path} did not reload within ${deadlineMs} ms`);
  const overdue = new AbortController();
  const cancel = clock.after(deadlineMs, () => overdue.abort(late));
  try {
    return await reload(path, { clock, until: AbortSignal.any([signal, overdue.signal]) });
  } finally {
    cancel();
  }
}

async function reload(
  path: string,
  { clock, until }: { readonly clock: Clock; readonly until: AbortSignal },
): Promise<string> {
  const before = readStatus(await askMaster(path, "show proc", until));
  const answer = await askMaster(path, "reload", until).catch((error) => {
    if (isStartingAnew(error)) return "";
    throw error;
  });
  const success = /^Success=([01])\s*(?:--\s*)?([^]*)$/.exec(answer.trim());
  if (success?.[1] === "0") throw new ReloadFailedError(success[2]?.trim() || "the master wrote nothing");
  if (success !== null) return success[2]?.trim() ?? "";
  for (;;) {
    const now = await askMaster(path, "show proc", until).then(readStatus).catch((error) => {
      until.throwIfAborted();
      if (isStartingAnew(error)) return undefined;
      throw error;
    });
    if (now !== undefined && now.failed > before.failed) {
      throw new ReloadFailedError("the new worker did not start: HAProxy's own log says why");
    }
    if (now?.workers.some((pid) => !before.workers.includes(pid))) return "";
    await delay(POLL_MS, { clock, signal: until });
  }
}

/** A master that reloads starts itself anew, in the middle of an answer too. */
function isStartingAnew(error: unknown): boolean {
  return error instanceof NobodyListensError || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe;
}

/** Reads `show proc`: workers that serve, and below a heading of their own the old ones. Pure. */
export function readStatus(answer: string): MasterStatus {
  const workers: number[] = [], oldWorkers: number[] = [];
  let list = workers;
  for (const line of answer.split("\n")) {
    if (/^# old workers/.test(line)) list = oldWorkers;
    else if (/^# programs/.test(line)) list = [];
    const pid = /^([0-9]+)\s+worker\s/.exec(line)?.[1];
    if (pid !== undefined) list.push(Number(pid));
  }
  return { failed: Number(/\[failed: ([0-9]+)\]/.exec(answer)?.[1] ?? 0), workers, oldWorkers };
}

/** Asks a master one thing; it answers, and ends the connection once we have ended our half. */
async function askMaster(path: string, command: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const connection = await Deno.connect({ transport: "unix", path }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused)) throw error;
    throw new NobodyListensError(`no master of HAProxy listens at ${path}: it is started with -W -S ${path}`);
  });
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    await connection.write(new TextEncoder().encode(`${command}\n`));
    await connection.closeWrite();
    return await new Response(connection.readable).text();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
    // Reading to the end has closed it; what was broken off is closed here.
    try {
      connection.close();
    } catch {
      // It is closed.
    }
  }
}
