import type { BalancerSources, CommandStep, Seen, Step } from "../plugin/contract.ts";
import type { Awaitable } from "../plugin/decider.ts";
import { assert } from "../kernel/assert.ts";
import { systemClock } from "../kernel/clock.ts";
import { readOpenFilesLimit, SlowLookError } from "../system/processes.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { askOverHttp } from "./http_socket.ts";
import type { BalancerEffects, ProgramVersion, StepFailure, StepOutcome } from "./effects.ts";
import { findOrphans, type Placement, placeProcess, verifyProgram } from "./placing.ts";
import { identifyProgram, LateProgramError, type ProgramResult, runProgram } from "./program.ts";
import { reloadByMaster, ReloadFailedError } from "./master_socket.ts";
import { NobodyListensError, RuntimeSocket, SocketSilentError } from "./runtime_socket.ts";
import { verifyWrittenPaths } from "./written_paths.ts";
import { OtherWriterError, SoleWriter } from "./sole_writer.ts";
import { findTakenAddress } from "./taken_address.ts";

/** How long a program may take to check a file, to start or to take over. */
const PROGRAM_DEADLINE_MS = 10_000;

/** How often processes of before are looked for, as long as there are some. */
const OLD_WORKERS_LOOK_MS = 5_000;

/** How often processes that do not answer are looked for while nobody does: that reads what all processes are. */
const STRAYS_LOOK_MS = 250;

export interface ExecutorOptions {
  /** How long a program may take. */
  readonly programDeadlineMs?: number;
  /** How long the socket may take to answer. */
  readonly socketDeadlineMs?: number;
  /** Whether it keeps other writers off, and carries nothing out while there is one. */
  readonly isSole?: boolean;
}

/** Carries steps out for real. */
export class Executor implements BalancerEffects, Disposable {
  readonly #programDeadlineMs: number;
  readonly #socketDeadlineMs: number | undefined;
  readonly #soleWriter: SoleWriter | undefined;
  /** Who was found while nobody answered, by the file that was started from. */
  readonly #orphans = new Map<string, { readonly pids: readonly number[]; readonly atMs: number }>();
  #placed: { readonly pid: number; readonly place: Placement; readonly atMs: number } | undefined;

  constructor({ programDeadlineMs = PROGRAM_DEADLINE_MS, socketDeadlineMs, isSole = false }: ExecutorOptions = {}) {
    this.#programDeadlineMs = programDeadlineMs;
    this.#socketDeadlineMs = socketDeadlineMs;
    this.#soleWriter = isSole ? new SoleWriter() : undefined;
  }

  /** Lets other writers have the balancer. */
  [Symbol.dispose](): void {
    this.#soleWriter?.[Symbol.dispose]();
  }

  /** Looks at the socket and the file, at the same time. */
  async observe(
    sources: BalancerSources,
    pidOf: (answers: readonly string[]) => Awaitable<number | undefined>,
    signal: AbortSignal,
  ): Promise<Seen> {
    const [answers, file] = await Promise.all([this.#ask(sources, signal), readIfThere(sources.file)]);
    const program = sources.program.slice(sources.program.lastIndexOf("/") + 1);
    if (answers === undefined) return { file, orphans: await this.#findOrphans(program, sources.file) };
    this.#orphans.delete(sources.file);
    const pid = await pidOf(answers);
    if (pid === undefined) return { answers, file };
    // Who owns a process does not change while it lives, and asking costs more than all the rest of a look.
    const { oldWorkers = [] } = this.#placed?.place ?? {};
    const isToldYet = this.#placed?.pid === pid &&
      (oldWorkers.length === 0 || performance.now() < this.#placed.atMs + OLD_WORKERS_LOOK_MS);
    if (!isToldYet) {
      this.#placed = {
        pid,
        place: await placeProcess(pid, { program, file: sources.file }),
        atMs: performance.now(),
      };
    }
    return { answers, file, ...this.#placed?.place };
  }

  /** Holds a connection to the socket and says nothing: a process that ends, however it does, ends that too. */
  async watchSocket({ socket, speaks }: BalancerSources, signal: AbortSignal): Promise<void> {
    // What speaks HTTP ends a connection on which nothing is said, and may wait for it before it leaves.
    if (speaks === "http") {
      return await new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    const connection = await Deno.connect({ transport: "unix", path: socket }).catch(() => undefined);
    if (connection === undefined) return;
    const close = () => connection.close();
    if (signal.aborted) return close();
    signal.addEventListener("abort", close, { once: true });
    // Whatever it says or fails with, it is time to look.
    await connection.read(new Uint8Array(1)).catch(() => {});
    signal.removeEventListener("abort", close);
    if (!signal.aborted) close();
  }

  async claim({ file, socket }: BalancerSources): Promise<string | undefined> {
    try {
      await this.#soleWriter?.claim([file, socket]);
      return undefined;
    } catch (error) {
      if (!(error instanceof OtherWriterError)) throw error;
      return error.message;
    }
  }

  async softStop(pid: number, sources: BalancerSources): Promise<boolean> {
    // A spare changes nothing, and a signal is a change.
    if (await this.claim(sources) !== undefined) return false;
    const { program, file } = sources;
    const name = program.slice(program.lastIndexOf("/") + 1);
    if (!(await findOrphans(name, file)).includes(pid)) return false;
    try {
      Deno.kill(pid, "SIGUSR1");
      return true;
    } catch {
      // It has ended meanwhile, or is not ours to stop.
      return false;
    }
  }

  /** Runs `PROGRAM -v` and reads the first version in its output. */
  async version(program: string, signal: AbortSignal): Promise<ProgramVersion | undefined> {
    try {
      const { success, output } = await this.#run([program, "-v"], signal);
      const match = success ? /([0-9]{1,4})\.([0-9]{1,4})(?:\.([0-9]{1,4}))?/.exec(output) : null;
      return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof LateProgramError || error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  programFile(program: string): string | undefined {
    return identifyProgram(program);
  }

  async execute(
    steps: readonly Step[],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[]> {
    const [first] = steps;
    if (first === undefined) return [];
    const other = await this.claim(sources);
    if (other !== undefined) {
      const message = `Cannot ${WHAT[first.do]}: ${other}`;
      return [{ ok: false, step: first, failure: { kind: "taken", message } }];
    }
    // Before anything is written: a reload that cannot be would only have to be taken back.
    for (const step of steps) {
      const isBirth = step.do === "reload" || step.do === "start";
      const failure = isBirth ? await this.#refuseTaken(step, sources, signal) : undefined;
      if (failure !== undefined) return [{ ok: false, step, failure }];
    }
    const outcomes: StepOutcome[] = [];
    for (const group of groups(steps)) {
      const done = group.every(isCommand)
        ? await this.#command(group, sources.socket, signal)
        : [await this.#perform(group[0] as Step, sources, signal)];
      outcomes.push(...done);
      if (done.some((outcome) => !outcome.ok)) break;
    }
    return outcomes;
  }

  async #ask(
    { socket, speaks, queries }: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined> {
    try {
      if (speaks === "http") {
        return await askOverHttp(socket, queries, { signal, deadlineMs: this.#socketDeadlineMs });
      }
      using connection = await this.#connect(socket, signal);
      return await connection.ask(queries);
    } catch (error) {
      if (error instanceof NobodyListensError) return undefined;
      throw error;
    }
  }

  /** Looks for processes that do not answer, once for many looks in a row: a start is awaited by looking every few milliseconds. */
  async #findOrphans(program: string, file: string): Promise<readonly number[]> {
    const known = this.#orphans.get(file);
    if (known !== undefined && performance.now() < known.atMs + STRAYS_LOOK_MS) return known.pids;
    const pids = await findOrphans(program, file);
    this.#orphans.set(file, { pids, atMs: performance.now() });
    return pids;
  }

  #connect(path: string, signal: AbortSignal): Promise<RuntimeSocket> {
    return RuntimeSocket.connect(path, {
      signal,
      ...this.#socketDeadlineMs === undefined ? {} : { deadlineMs: this.#socketDeadlineMs },
    });
  }

  async #command(steps: readonly CommandStep[], socket: string, signal: AbortSignal): Promise<readonly StepOutcome[]> {
    const began = performance.now();
    try {
      using connection = await this.#connect(socket, signal);
      const answers = await connection.ask(steps.map((step) => step.command));
      const tookMs = performance.now() - began;
      return steps.map((step, index) => outcomeOf(step, answers[index] ?? "", tookMs));
    } catch (error) {
      signal.throwIfAborted();
      return steps.slice(0, 1).map((step) => ({ ok: false, step, failure: failureOf(step, error) }));
    }
  }

  async #perform(step: Step, sources: BalancerSources, signal: AbortSignal): Promise<StepOutcome> {
    const began = performance.now();
    try {
      const output = await this.#effect(step, sources, signal);
      return { ok: true, step, tookMs: performance.now() - began, output };
    } catch (error) {
      signal.throwIfAborted();
      return { ok: false, step, failure: failureOf(step, error) };
    }
  }

  async #effect(step: Step, sources: BalancerSources, signal: AbortSignal): Promise<string> {
    const { program } = sources;
    switch (step.do) {
      case "install":
        return await this.#install(step, signal);
      case "start":
        await verifyWrittenPaths(sources);
        if (step.master !== undefined) {
          try {
            return await this.#reloadByMaster(step.master, signal);
          } catch (error) {
            if (!(error instanceof NobodyListensError)) throw error;
          }
        }
        return await this.#runOrFail(step.run, signal, step.deadlineMs);
      case "reload":
        await verifyWrittenPaths(sources);
        if ("run" in step.how) return await this.#runOrFail(step.how.run, signal, step.how.deadlineMs);
        if ("master" in step.how) return await this.#reloadByMaster(step.how.master, signal);
        await verifyProgram(step.how.pid, program);
        Deno.kill(step.how.pid, step.how.signal);
        return "";
      case "command":
        assert(false, "commands go together");
    }
  }

  /** Finds out whether the addresses that a process would newly listen on can be had. */
  async #refuseTaken(
    step: Step & { do: "reload" | "start" },
    { program, file }: BalancerSources,
    signal: AbortSignal,
  ): Promise<StepFailure | undefined> {
    const own = async () => {
      const name = program.slice(program.lastIndexOf("/") + 1);
      const { pid, place: { masterPid, oldWorkers = [] } = {} } = this.#placed ?? {};
      const run = step.do === "start" ? step.run : "run" in step.how ? step.how.run : [];
      // A program that is told pids relieves those processes.
      const relieved = run.filter((argument) => /^[0-9]+$/.test(argument)).map(Number);
      const known = [pid, masterPid, ...oldWorkers, ...relieved, ...await findOrphans(name, file)];
      return new Set(known.filter((pid) => pid !== undefined));
    };
    const isStart = step.do === "start";
    // Who could not look in time cannot tell: the balancer itself says then whether it can bind.
    const taken = await findTakenAddress(step.listens ?? [], { own, isStart, clock: systemClock, signal })
      .catch((error) => {
        if (error instanceof SlowLookError) return undefined;
        throw error;
      });
    if (taken === undefined) return undefined;
    const what = isStart ? "Start" : "Reload";
    return { kind: "address", message: `${what} aborted: cannot bind ${taken.endpoint}: ${taken.why}` };
  }

  async #install(step: Step & { do: "install" }, signal: AbortSignal): Promise<string> {
    const { path, contents, mode, check } = step;
    let output = "";
    await refuseTooManyFiles(step);
    await writeAtomically(path, contents, {
      mode,
      check: async (candidate) => {
        if (check.length === 0) return;
        const result = await this.#run(check.map((argument) => argument === "%" ? candidate : argument), signal);
        // What the program says is of the file to be, not of the candidate that is gone by now.
        output = result.output.replaceAll(candidate, path);
        if (!result.success) throw new RefusedError(output);
      },
    });
    return output;
  }

  #reloadByMaster(path: string, signal: AbortSignal): Promise<string> {
    return reloadByMaster(path, { clock: systemClock, deadlineMs: this.#programDeadlineMs, signal });
  }

  #run(argv: readonly string[], signal: AbortSignal, deadlineMs = this.#programDeadlineMs): Promise<ProgramResult> {
    return runProgram(argv, { signal, deadlineMs });
  }

  async #runOrFail(argv: readonly string[], signal: AbortSignal, deadlineMs?: number): Promise<string> {
    const { success, code, output } = await this.#run(argv, signal, deadlineMs);
    if (!success) throw new ProgramError(`it left with ${code}: ${output || "it wrote nothing"}`);
    return output;
  }
}

/** What the steps are called in a message. */
const WHAT = {
  command: "send a command",
  install: "install the file",
  start: "start it",
  reload: "reload it",
} as const;

/** The check command refused a file; the message is what it wrote. */
class RefusedError extends Error {
  override name = "RefusedError";
}

/** A program left with an error. */
class ProgramError extends Error {
  override name = "ProgramError";
}

/** Commands that follow one another make a group; each other step is one by itself. */
function groups(steps: readonly Step[]): readonly (readonly Step[])[] {
  return steps.reduce<Step[][]>((found, step) => {
    const last = found.at(-1);
    if (last !== undefined && isCommand(step) && last.every(isCommand)) last.push(step);
    else found.push([step]);
    return found;
  }, []);
}

function isCommand(step: Step): step is CommandStep {
  return step.do === "command";
}

function outcomeOf(step: CommandStep, answer: string, tookMs: number): StepOutcome {
  if (step.expect.some((expected) => new RegExp(`^(?:${expected})$`).test(answer))) {
    return { ok: true, step, tookMs, output: "" };
  }
  const message = `Cannot ${JSON.stringify(step.command)} as the answer is not the one expected: ${
    JSON.stringify(answer.slice(0, 200))
  }`;
  return { ok: false, step, failure: { kind: "answer", message, answer } };
}

function failureOf(step: Step, error: unknown): StepFailure {
  const what = WHAT[step.do];
  const at = step.do === "install" ? ` ${step.path}` : "";
  // The candidate's name is made up anew each time, and is gone by now.
  const why = String(error instanceof Error ? error.message : error).replaceAll(/\.lighthouse-[0-9a-f-]{36}/g, "");
  const message = error instanceof Deno.errors.NotFound && /^Failed to spawn/.test(why)
    ? `Cannot ${what}${at}: there is no program ${
      /'([^']*)'/.exec(why)?.[1] ?? ""
    }: install it, or say where it is with the key program`
    : `Cannot ${what}${at}: ${why}`;
  if (error instanceof RefusedError) return { kind: "refused", message: error.message };
  if (error instanceof ProgramError || error instanceof ReloadFailedError) return { kind: "program", message };
  if (error instanceof LateProgramError) return { kind: "late", message };
  if (error instanceof NobodyListensError || error instanceof SocketSilentError) {
    return { kind: "unreachable", message };
  }
  return { kind: "system", message };
}

/** HAProxy's own check does not look at limits, and a process that may not have enough files does not start. */
async function refuseTooManyFiles({ path, openFiles }: Step & { do: "install" }): Promise<void> {
  const limit = openFiles === undefined ? undefined : await readOpenFilesLimit(openFiles.of);
  if (openFiles === undefined || limit === undefined || limit >= openFiles.needed) return;
  throw new RefusedError(
    `[ALERT] (${Deno.pid}) : config : parsing [${path}:${openFiles.line}] : it takes at least ${openFiles.needed} ` +
      `open files, two for each connection, and the process would get ${limit}: ` +
      "raise its limit (LimitNOFILE, ulimit -n), or lower maxconn",
  );
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
