import { systemClock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { BalancerSources, EndSignal, Step, Supervised } from "../plugin/contract.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { readArguments } from "../system/processes.ts";
import { readTrusted } from "../system/trusted_file.ts";
import { programEnvironment } from "./program.ts";

/** How long a child may take to end before it is killed, unless its step says, and how often it is looked for. */
const END_MS = 10_000, END_POLL_MS = 20;

/** What is logged of a line that a child writes. */
const LINE_LENGTH_MAX = 4_096;

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
  readonly #started = new Map<number, { readonly endsWithWriter: boolean; readonly signal: EndSignal }>();
  readonly #waiting = new Set<() => void>();
  readonly #onLine: ((child: string, line: string) => void) | undefined;

  /** `onLine` hears the lines that children write that end with the writer. */
  constructor(onLine?: (child: string, line: string) => void) {
    this.#onLine = onLine;
  }

  /** Has a child run as a step says, if it does not. Throws if its program cannot be started. */
  async have(step: Supervise, { children = [] }: BalancerSources, signal: AbortSignal): Promise<void> {
    const { name, run } = step;
    const child = children.find((child) => child.name === name);
    if (child === undefined) throw new Error(`no child process ${JSON.stringify(name)} in its sources`);
    const [there] = await findSupervised([child]);
    if (there !== undefined && isSame(there.run, run)) return;
    if (there !== undefined) await end(there, step, signal);
    if (run.length > 0) await this.#start(step, child.pidFile);
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
    for (const [pid, { endsWithWriter, signal }] of this.#started) if (endsWithWriter) signalIfThere(pid, signal);
  }

  async #start(step: Supervise, pidFile: string): Promise<void> {
    const { name, run: [program = "", ...args], endsWithWriter = false, signal = "SIGTERM", writesTo } = step;
    // A pipe would end with the writer, and with it a child that outlives the writer; whoever reads the writer's own
    // output would wait for that child.
    const output = writesTo === "log" && endsWithWriter ? "piped" : "null";
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: output,
      stderr: output,
      // A terminal's Ctrl-C is for the writer, and one that outlives it leads a session of its own.
      detached: true,
      ...programEnvironment(),
    }).spawn();
    const { pid } = child;
    this.#started.set(pid, { endsWithWriter, signal });
    child.unref();
    if (output === "piped") {
      for (const stream of [child.stdout, child.stderr]) void this.#pass(name, stream);
    }
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

  /** Passes on what a child writes, line by line; a line without an end is cut. */
  async #pass(name: string, stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    try {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        const lines = `${rest}${text}`.split("\n");
        rest = (lines.pop() ?? "").slice(0, LINE_LENGTH_MAX);
        for (const line of lines) this.#onLine?.(name, line.slice(0, LINE_LENGTH_MAX));
      }
    } catch {
      // What a child wrote last may be lost with its pipe.
    }
    if (rest !== "") this.#onLine?.(name, rest);
  }
}

/** Ends a child, by force if it takes too long. */
async function end(
  { pid, run }: Supervised,
  { signal: asks = "SIGTERM", graceMs = END_MS }: Pick<Supervise, "signal" | "graceMs">,
  signal: AbortSignal,
): Promise<void> {
  const isThere = async () => isSame(await readArguments(pid), run);
  signalIfThere(pid, asks);
  const killAt = systemClock.now() + graceMs;
  let isKilled = false;
  while (await isThere()) {
    if (!isKilled && systemClock.now() >= killAt) {
      signalIfThere(pid, "SIGKILL");
      isKilled = true;
    }
    await delay(END_POLL_MS, { clock: systemClock, signal });
  }
}

function signalIfThere(pid: number, signal: EndSignal | "SIGKILL"): void {
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
