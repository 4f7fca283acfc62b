import { systemClock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { BalancerSources, EndSignal, Step, Supervised } from "../plugin/contract.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { readBirth, readBirthSync } from "../system/processes.ts";
import { readTrusted } from "../system/trusted_file.ts";
import { programEnvironment } from "./program.ts";

/**
 * How long a child may take to stop before it is killed, unless its step sets that, and how often it is
 * looked for.
 */
const END_MS = 10_000, END_POLL_MS = 20;

/** How much of a line that a child prints is logged. */
const LINE_LENGTH_MAX = 4_096;

/** The mode of a pid file: the command line in it may hold secrets. */
const PID_FILE_MODE = 0o600;

type Children = NonNullable<BalancerSources["children"]>;
type Child = Children[number];

type Supervise = Step & { readonly do: "supervise" };

/** A running child, and what distinguishes it from another process with its pid; unknown for one that has just started. */
interface Running extends Supervised {
  readonly birth: string | undefined;
}

/**
 * Starts, finds and stops the child processes of a balancer. One that an earlier writer started is found by its pid
 * file, which names its pid and its start: another process that has the pid by now does not count.
 */
export class Supervision implements Disposable {
  /** Those that this process has started, by pid; those that end with it are marked. */
  readonly #started = new Map<number, { readonly endsWithWriter: boolean; readonly signal: EndSignal }>();
  /** Those that an earlier writer has started and that end with the writer, by name. */
  readonly #inherited = new Map<string, { readonly child: Child; readonly running: Running }>();
  readonly #waiting = new Set<() => void>();
  readonly #onLine: ((child: string, line: string) => void) | undefined;
  /** Whether no other writer manages the balancer, which would own the children. */
  isSole = false;

  /** `onLine` receives the lines printed by children that end with the writer. */
  constructor(onLine?: (child: string, line: string) => void) {
    this.#onLine = onLine;
  }

  /** Finds the running children. */
  async find(children: Children): Promise<readonly Supervised[]> {
    const all = await Promise.all(children.map((child) => this.#find(child)));
    return all.flatMap((running) => running === undefined ? [] : [publicOf(running)]);
  }

  async #find(child: Child): Promise<Running | undefined> {
    const { name, pidFile, endsWithWriter } = child;
    const noted = parseNote(await readTrusted(pidFile).catch(() => ""));
    const running = noted !== undefined && await this.#runs(noted) ? { name, ...noted } : undefined;
    if (running !== undefined && endsWithWriter === true && !this.#started.has(running.pid)) {
      this.#inherited.set(name, { child, running });
    } else this.#inherited.delete(name);
    return running;
  }

  /** Whether a child has not ended. No other process gets the pid of one that this process started before its end is noticed. */
  async #runs({ pid, birth }: Pick<Running, "pid" | "birth">): Promise<boolean> {
    return this.#started.has(pid) || birth !== undefined && await readBirth(pid) === birth;
  }

  /** Starts a child as a step says, if it does not run. Throws if its program cannot be started. */
  async have(step: Supervise, { children = [] }: BalancerSources, signal: AbortSignal): Promise<void> {
    const { name, run } = step;
    const child = children.find((child) => child.name === name);
    if (child === undefined) {
      throw new Error(`Cannot start child process ${JSON.stringify(name)}: the balancer plugin does not declare it`);
    }
    const there = await this.#find(child);
    if (there !== undefined && isSame(there.run, run)) return;
    if (there !== undefined) await this.#end(there, step, signal);
    if (run.length > 0) await this.#start(step, child.pidFile);
  }

  /** Resolves when a child that this process started has ended, or the signal is aborted. */
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

  /** Stops those that are to end with the writer. */
  [Symbol.dispose](): void {
    for (const [pid, { endsWithWriter, signal }] of this.#started) if (endsWithWriter) signalIfThere(pid, signal);
    if (!this.isSole) return;
    for (const { child: { signal = "SIGTERM" }, running: { pid, birth } } of this.#inherited.values()) {
      if (birth !== undefined && readBirthSync(pid) === birth) signalIfThere(pid, signal);
    }
  }

  async #start(step: Supervise, pidFile: string): Promise<void> {
    const { name, run: [program = "", ...args], endsWithWriter = false, signal = "SIGTERM", writesTo } = step;
    // A pipe would close with the writer, which would kill a child that outlives it; and a reader of the
    // writer's own output would wait for that child.
    const output = writesTo === "log" && endsWithWriter ? "piped" : "null";
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: output,
      stderr: output,
      // A terminal's Ctrl-C is meant for the writer, so a child that outlives it leads a session of its own.
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
      // One that has ended already is none's to find.
      const birth = await readBirth(pid) ?? "";
      await writeAtomically(pidFile, `${pid}\n${run}\n${birth}\n`, { mode: PID_FILE_MODE });
    } catch (error) {
      // Nobody would find it again.
      signalIfThere(pid, "SIGKILL");
      throw error;
    }
  }

  /** Stops a child, by SIGKILL if it takes too long. */
  async #end(
    child: Running,
    { signal: asks = "SIGTERM", graceMs = END_MS }: Pick<Supervise, "signal" | "graceMs">,
    signal: AbortSignal,
  ): Promise<void> {
    signalIfThere(child.pid, asks);
    const killAt = systemClock.now() + graceMs;
    let isKilled = false;
    while (await this.#runs(child)) {
      if (!isKilled && systemClock.now() >= killAt) {
        signalIfThere(child.pid, "SIGKILL");
        isKilled = true;
      }
      await delay(END_POLL_MS, { clock: systemClock, signal });
    }
  }

  /** Passes on the lines that a child prints; a line without an end is cut. */
  async #pass(name: string, stream: ReadableStream<Uint8Array>): Promise<void> {
    let rest = "";
    try {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        const lines = `${rest}${text}`.split("\n");
        rest = (lines.pop() ?? "").slice(0, LINE_LENGTH_MAX);
        for (const line of lines) this.#onLine?.(name, line.slice(0, LINE_LENGTH_MAX));
      }
    } catch {
      // The last lines of a child may be lost with its pipe.
    }
    if (rest !== "") this.#onLine?.(name, rest);
  }
}

function signalIfThere(pid: number, signal: EndSignal | "SIGKILL"): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function publicOf({ name, run, pid }: Supervised): Supervised {
  return { name, run, pid };
}

function parseNote(text: string): Omit<Running, "name"> | undefined {
  const [, pid, line, birth] = /^([1-9][0-9]{0,9})\n(\[.*\])\n(.*)\n$/.exec(text) ?? [];
  if (pid === undefined || line === undefined || Number(pid) < 2) return undefined;
  try {
    const run: unknown = JSON.parse(line);
    const isRun = Array.isArray(run) && run.every((word) => typeof word === "string");
    return isRun ? { pid: Number(pid), run, birth: birth === "" ? undefined : birth } : undefined;
  } catch {
    return undefined;
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
