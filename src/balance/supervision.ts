import { systemClock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { BalancerSources, Step, Supervised } from "../plugin/contract.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { readArguments } from "../system/processes.ts";
import { readTrusted } from "../system/trusted_file.ts";
import { programEnvironment } from "./program.ts";

/** How long a child may take to end before it is killed, and how often it is looked for. */
const END_MS = 10_000, END_POLL_MS = 20;

/** The mode of a pid file: the command line in it is nobody else's business. */
const PID_FILE_MODE = 0o600;

type Children = NonNullable<BalancerSources["children"]>;

type Supervise = Step & { readonly do: "supervise" };

/**
 * Finds the children that run: each whose pid file names a process that has the
 * command line that it was started with. A pid that means another process by
 * now is none.
 */
export async function findSupervised(children: Children): Promise<readonly Supervised[]> {
  const found = await Promise.all(children.map(async ({ name, pidFile }) => {
    const noted = parseNote(await readTrusted(pidFile).catch(() => ""));
    if (noted === undefined) return undefined;
    return isSame(await readArguments(noted.pid), noted.run) ? { name, ...noted } : undefined;
  }));
  return found.filter((child) => child !== undefined);
}

/** Starts and ends the child processes of a balancer. */
export class Supervision implements Disposable {
  /** Those that this process has started, by pid; what ends with it is marked. */
  readonly #started = new Map<number, { readonly endsWithWriter: boolean }>();
  readonly #waiting = new Set<() => void>();

  /** Has a child run as a step says, if it does not. Throws if its program cannot be started. */
  async have(step: Supervise, { children = [] }: BalancerSources, signal: AbortSignal): Promise<void> {
    const { name, run, endsWithWriter = false } = step;
    const child = children.find((child) => child.name === name);
    if (child === undefined) throw new Error(`no child process ${JSON.stringify(name)} in its sources`);
    const [there] = await findSupervised([child]);
    if (there !== undefined && isSame(there.run, run)) return;
    if (there !== undefined) await end(there, signal);
    if (run.length > 0) await this.#start(run, { pidFile: child.pidFile, endsWithWriter });
  }

  /** Resolves when a child has ended that this process started, or the signal is aborted. */
  async nextEnd(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = () => resolve();
    signal.addEventListener("abort", end, { once: true });
    this.#waiting.add(end);
    await promise;
    this.#waiting.delete(end);
    // The signal lasts as long as the writer, which may see children end for years.
    signal.removeEventListener("abort", end);
  }

  /** Asks those to end that are to end with the writer. */
  [Symbol.dispose](): void {
    for (const [pid, { endsWithWriter }] of this.#started) if (endsWithWriter) signalIfThere(pid, "SIGTERM");
  }

  async #start(
    [program = "", ...args]: readonly string[],
    { pidFile, endsWithWriter }: { readonly pidFile: string; readonly endsWithWriter: boolean },
  ): Promise<void> {
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
      // A terminal's Ctrl-C is for the writer, and one that outlives it leads a session of its own.
      detached: true,
      ...programEnvironment(),
    }).spawn();
    const { pid } = child;
    this.#started.set(pid, { endsWithWriter });
    child.unref();
    void child.status.then(() => {
      this.#started.delete(pid);
      for (const resolve of this.#waiting) resolve();
    });
    try {
      const run = JSON.stringify([program, ...args]);
      await writeAtomically(pidFile, `${pid}\n${run}\n`, { mode: PID_FILE_MODE });
    } catch (error) {
      // Nobody would find it again.
      signalIfThere(pid, "SIGKILL");
      throw error;
    }
  }
}

/** Ends a child, by force if it takes too long. */
async function end({ pid, run }: Supervised, signal: AbortSignal): Promise<void> {
  const isThere = async () => isSame(await readArguments(pid), run);
  signalIfThere(pid, "SIGTERM");
  const killAt = systemClock.now() + END_MS;
  let isKilled = false;
  while (await isThere()) {
    if (!isKilled && systemClock.now() >= killAt) {
      signalIfThere(pid, "SIGKILL");
      isKilled = true;
    }
    await delay(END_POLL_MS, { clock: systemClock, signal });
  }
}

function signalIfThere(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function parseNote(text: string): Pick<Supervised, "pid" | "run"> | undefined {
  const [, pid, line] = /^([1-9][0-9]{0,9})\n(\[.*\])\n$/.exec(text) ?? [];
  if (pid === undefined || line === undefined || Number(pid) < 2) return undefined;
  try {
    const run: unknown = JSON.parse(line);
    const isRun = Array.isArray(run) && run.every((word) => typeof word === "string");
    return isRun ? { pid: Number(pid), run } : undefined;
  } catch {
    return undefined;
  }
}

function isSame(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return one !== undefined && JSON.stringify(one) === JSON.stringify(other);
}
