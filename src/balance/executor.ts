import type {
  AskedReload,
  BalancerSources,
  CommandStep,
  Dialect,
  FileAttributes,
  ProcessSources,
  Seen,
  Signal,
  Step,
} from "../plugin/contract.ts";
import type { Awaitable } from "../plugin/decider.ts";
import { assert } from "../kernel/assert.ts";
import { systemClock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { formatDuration } from "../kernel/duration.ts";
import { type LookOptions, readOpenFilesLimit, SlowLookError } from "../system/processes.ts";
import { findOwner, readOwnerNames } from "../system/owner.ts";
import { resolveTrusted } from "../system/trusted_file.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { askOverHttp, isListening } from "./http_socket.ts";
import type { BalancerEffects, ProgramVersion, StepFailure, StepOutcome } from "./effects.ts";
import {
  findByPidFile,
  findOrphans,
  type Placement,
  placeProcess,
  placeWorker,
  type Told,
  verifyProgram,
  type WorkerPlacement,
} from "./placing.ts";
import { identifyProgram, LateProgramError, type ProgramResult, runProgram } from "./program.ts";
import { reloadByMaster, ReloadFailedError } from "./master_socket.ts";
import { NobodyListensError, RuntimeSocket, SocketSilentError } from "./runtime_socket.ts";
import { outputOf } from "./outputs.ts";
import { filesOf, programName, socketOf } from "./sources.ts";
import { Supervision } from "./supervision.ts";
import { removeDeadSocket, verifyWrittenPaths } from "./written_paths.ts";
import { OtherWriterError, SoleWriter } from "./sole_writer.ts";
import { findTakenAddress, type TakenAddress } from "./taken_address.ts";

/** How long a program may take to check a file, to start or to take over. */
const PROGRAM_DEADLINE_MS = 10_000;

/** How often old processes are looked for while there are some. */
const OLD_WORKERS_LOOK_MS = 5_000;

/**
 * How often processes that do not answer are looked for while nobody answers: that reads the command lines of
 * all processes.
 */
const STRAYS_LOOK_MS = 250;

/** How many workers are remembered. */
const WORKERS_MAX = 1_000;

/** How long orphans may take to close their sockets, and how often that is checked. */
const RELIEVE_DEADLINE_MS = 5_000, RELIEVE_POLL_MS = 10;

/** A directory with more matching files than this is not a balancer's. */
const DIRECTORY_FILES_MAX = 20_000;

/** What a process answers, with its pid and children where it is known by its pid alone. */
type Answered = { readonly answers: readonly string[] } & Pick<Seen, "pid" | "children">;

export interface ExecutorOptions {
  /** How long a program may take. */
  readonly programDeadlineMs?: number;
  /** How long the socket may take to answer. */
  readonly socketDeadlineMs?: number;
  /** Whether it locks other writers out, and carries nothing out while another one holds the lock. */
  readonly isSole?: boolean;
  /** Receives the lines that supervised children print. */
  readonly onLine?: ((child: string, line: string) => void) | undefined;
}

/** Carries steps out for real. */
export class Executor implements BalancerEffects, Disposable {
  readonly #programDeadlineMs: number;
  readonly #socketDeadlineMs: number | undefined;
  readonly #soleWriter: SoleWriter | undefined;
  readonly #supervision: Supervision;
  /** Processes found while nobody answered, by the file that they were started from. */
  readonly #orphans = new Map<string, { readonly pids: readonly number[]; readonly atMs: number }>();
  /** The connection that is held to the serving process. */
  #held: { readonly socket: string; readonly connection: RuntimeSocket } | undefined;
  /** The masters of the workers that have answered, by pid. */
  readonly #workers = new Map<number, { readonly place: WorkerPlacement; readonly atMs: number }>();
  #placed: { readonly pid: number; readonly place: Placement; readonly atMs: number } | undefined;

  constructor(
    { programDeadlineMs = PROGRAM_DEADLINE_MS, socketDeadlineMs, isSole = false, onLine }: ExecutorOptions = {},
  ) {
    this.#supervision = new Supervision(onLine);
    this.#programDeadlineMs = programDeadlineMs;
    this.#socketDeadlineMs = socketDeadlineMs;
    this.#soleWriter = isSole ? new SoleWriter() : undefined;
  }

  /** Releases the balancer for other writers, and ends the children that are to end with this process. */
  [Symbol.dispose](): void {
    this.#supervision[Symbol.dispose]();
    this.#soleWriter?.[Symbol.dispose]();
  }

  /** Looks at the process and the files, concurrently. */
  async observe(
    sources: BalancerSources,
    pidOf: (answers: readonly string[]) => Awaitable<number | undefined>,
    signal: AbortSignal,
  ): Promise<Seen> {
    const [said, texts, supervised] = await Promise.all([
      this.#ask(sources, signal),
      readFiles(sources),
      sources.children === undefined ? undefined : this.#supervision.find(sources.children),
    ]);
    const files = new Map(texts.flatMap(([path, text]) => text === undefined ? [] : [[path, text] as const]));
    const seen: Seen = { files, ...supervised !== undefined && { supervised } };
    if (sources.kind === "files") return { ...seen, attributes: await readAttributes([...files.keys()]) };
    if (said === undefined) return { ...seen, orphans: await this.#findOrphans(sources) };
    this.#orphans.delete(sources.file);
    const { answers } = said;
    const pid = said.pid ?? await pidOf(answers);
    if (pid === undefined) return { ...seen, ...said };
    if (sources.contact.by === "http" && sources.contact.answeredBy === "workers") {
      const place = await this.#placeWorker(pid, sources.contact.socket, sources);
      // Nobody answers who could be asked for a reload.
      return "orphans" in place ? { ...seen, ...place } : { ...seen, ...said, ...place };
    }
    // The owner of a process does not change while it lives, and finding it costs more than the rest of a
    // look.
    const { oldWorkers = [] } = this.#placed?.place ?? {};
    const isToldYet = this.#placed?.pid === pid &&
      (oldWorkers.length === 0 || performance.now() < this.#placed.atMs + OLD_WORKERS_LOOK_MS);
    if (!isToldYet) {
      this.#placed = {
        pid,
        place: await placeProcess(pid, toldOf(sources)),
        atMs: performance.now(),
      };
    }
    return { ...seen, ...said, ...this.#placed?.place };
  }

  /** Holds a connection to the socket: the connection ends with the process, however that ends. */
  async watchSocket(sources: BalancerSources, signal: AbortSignal): Promise<void> {
    // An HTTP server closes an idle connection, and may wait for it before it exits.
    if (sources.kind === "files" || sources.contact.by !== "commands") {
      return await new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    const { contact } = sources;
    using connection = await this.#connect(contact, signal).catch(() => undefined);
    if (connection === undefined) return;
    const held = this.#held = { socket: contact.socket, connection };
    const close = () => connection[Symbol.dispose]();
    signal.addEventListener("abort", close, { once: true });
    await connection.ended;
    signal.removeEventListener("abort", close);
    if (this.#held === held) this.#held = undefined;
  }

  async executeHeld(
    steps: readonly CommandStep[],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[]> {
    const other = await this.claim(sources);
    if (other !== undefined) return isTaken(steps, other);
    const began = performance.now();
    try {
      const held = this.#held;
      if (held === undefined || held.socket !== socketOf(sources)) {
        throw new NobodyListensError("no connection is open");
      }
      return outcomesOf(steps, await held.connection.ask(steps.map(({ command }) => command)), began);
    } catch (error) {
      signal.throwIfAborted();
      return steps.slice(0, 1).map((step) => ({ ok: false, step, failure: failureOf(step, error) }));
    }
  }

  async childEnd(signal: AbortSignal): Promise<void> {
    await this.#supervision.nextEnd(signal);
  }

  async claim(sources: BalancerSources): Promise<string | undefined> {
    const socket = socketOf(sources);
    try {
      await this.#soleWriter?.claim([sources.file, ...socket === undefined ? [] : [socket]]);
      this.#supervision.isSole = this.#soleWriter !== undefined;
      return undefined;
    } catch (error) {
      this.#supervision.isSole = false;
      if (!(error instanceof OtherWriterError)) throw error;
      return error.message;
    }
  }

  async softStop(pid: number, sources: BalancerSources): Promise<boolean> {
    if (sources.kind === "files" || sources.leavesOn === undefined) return false;
    // A standby writer changes nothing, and a signal is a change.
    if (await this.claim(sources) !== undefined) return false;
    if (!(await findOrphans(toldOf(sources))).includes(pid)) return false;
    try {
      Deno.kill(pid, sources.leavesOn);
      return true;
    } catch {
      // It has ended meanwhile, or this user may not stop it.
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

  rest(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 0));
  }

  programFile(program: string): string | undefined {
    return identifyProgram(program);
  }

  async execute(
    steps: readonly Step[],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[]> {
    if (steps.length === 0) return [];
    const other = await this.claim(sources);
    if (other !== undefined) return isTaken(steps, other);
    // Before anything is written: a reload that cannot succeed would only have to be undone.
    for (const step of steps) {
      const isBirth = step.do === "reload" || step.do === "start";
      const failure = isBirth ? await this.#refuseTaken(step, sources, signal) : undefined;
      if (failure !== undefined) return [{ ok: false, step, failure }];
    }
    const outcomes: StepOutcome[] = [];
    const failed = new Set<string>();
    for (const group of groups(steps)) {
      const [first] = group;
      const output = first && outputOf(first);
      if (output !== undefined && failed.has(output)) continue;
      const done = group.every(isCommand)
        ? await this.#command(group, sources, signal)
        : [await this.#perform(group[0] as Step, sources, signal)];
      outcomes.push(...done);
      if (done.every((outcome) => outcome.ok)) continue;
      if (output === undefined) break;
      failed.add(output);
    }
    return outcomes;
  }

  /** Asks the process for its state; `undefined` if it does not run, or there is none. */
  async #ask(sources: BalancerSources, signal: AbortSignal): Promise<Answered | undefined> {
    if (sources.kind === "files") return undefined;
    const { contact } = sources;
    try {
      switch (contact.by) {
        case "http": {
          const { socket, queries } = contact;
          return { answers: await askOverHttp(socket, queries, { signal, deadlineMs: this.#socketDeadlineMs }) };
        }
        case "commands": {
          using connection = await this.#connect(contact, signal);
          return { answers: await connection.ask(contact.queries) };
        }
        case "pid": {
          const found = await findByPidFile(contact, toldOf(sources));
          return found && { answers: [], ...found };
        }
      }
    } catch (error) {
      if (error instanceof NobodyListensError) return undefined;
      throw error;
    }
  }

  /** Finds the master of a worker, which does not change while both live. */
  async #placeWorker(pid: number, socket: string, sources: ProcessSources): Promise<WorkerPlacement> {
    const known = this.#workers.get(pid);
    if (known !== undefined && performance.now() < known.atMs + OLD_WORKERS_LOOK_MS) return known.place;
    const place = await placeWorker(pid, socket, toldOf(sources));
    if (this.#workers.size >= WORKERS_MAX) this.#workers.clear();
    // Orphans are about to be replaced.
    if ("pid" in place) {
      this.#workers.set(pid, { place, atMs: performance.now() });
      this.#placed = { pid: place.pid, place, atMs: performance.now() };
    }
    return place;
  }

  /**
   * Looks for processes that do not answer, once for many consecutive looks: a start is awaited by polling
   * every few milliseconds.
   */
  async #findOrphans(sources: ProcessSources): Promise<readonly number[]> {
    const { file } = sources;
    const known = this.#orphans.get(file);
    if (known !== undefined && performance.now() < known.atMs + STRAYS_LOOK_MS) return known.pids;
    const pids = await findOrphans(toldOf(sources));
    this.#orphans.set(file, { pids, atMs: performance.now() });
    return pids;
  }

  #connect(
    { socket, dialect }: { readonly socket: string; readonly dialect: Dialect },
    signal: AbortSignal,
  ): Promise<RuntimeSocket> {
    return RuntimeSocket.connect(socket, {
      signal,
      dialect,
      ...this.#socketDeadlineMs === undefined ? {} : { deadlineMs: this.#socketDeadlineMs },
    });
  }

  async #command(
    steps: readonly CommandStep[],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[]> {
    const began = performance.now();
    try {
      if (sources.kind === "files" || sources.contact.by !== "commands") {
        throw new Error("the balancer does not accept commands");
      }
      using connection = await this.#connect(sources.contact, signal);
      return outcomesOf(steps, await connection.ask(steps.map((step) => step.command)), began);
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
    switch (step.do) {
      case "install":
        return await this.#install(step, signal);
      case "remove":
        await Deno.remove(await resolveTrusted(step.path)).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
        return "";
      case "start":
        await verifyWrittenPaths(sources);
        if (step.master !== undefined) {
          try {
            return await this.#reloadByMaster(step.master, signal);
          } catch (error) {
            if (!(error instanceof NobodyListensError)) throw error;
          }
        }
        await this.#relieve(step.relieves ?? [], sources, signal);
        await removeDeadSocket(sources);
        return await this.#runOrFail(step.run, signal, step.deadlineMs);
      case "reload":
        await verifyWrittenPaths(sources);
        if ("run" in step.how) return await this.#runOrFail(step.how.run, signal, step.how.deadlineMs);
        if ("ask" in step.how) return await this.#reloadByMaster(step.how, signal);
        await this.#signal(step.how, sources);
        return "";
      case "notify":
        return await this.#notify(step, signal);
      case "supervise":
        await this.#supervision.have(step, sources, signal);
        return "";
      case "command":
        assert(false, "commands are sent as a group");
    }
  }

  /** Finds out whether the addresses that a process would newly bind are free. */
  async #refuseTaken(
    step: Step & { do: "reload" | "start" },
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<StepFailure | undefined> {
    const own = async (options: LookOptions) => {
      const { pid, place: { masterPid, oldWorkers = [] } = {} } = this.#placed ?? {};
      const run = step.do === "start" ? step.run : "run" in step.how ? step.how.run : [];
      // A program that is passed pids replaces those processes.
      const relieved = run.filter((argument) => /^[0-9]+$/.test(argument)).map(Number);
      const left = step.do === "start" ? step.relieves ?? [] : [];
      const known = [pid, masterPid, ...oldWorkers, ...relieved, ...left, ...await orphans(options)];
      return new Set(known.filter((pid) => pid !== undefined));
    };
    const orphans = (options: LookOptions) => sources.kind === "files" ? [] : findOrphans(toldOf(sources), options);
    const isStart = step.do === "start";
    const what = isStart ? "Start" : "Reload";
    let taken: TakenAddress | undefined;
    try {
      taken = await findTakenAddress(step.listens ?? [], { own, isStart, clock: systemClock, signal });
    } catch (error) {
      if (!(error instanceof SlowLookError)) throw error;
      // An unknown holder may share the port with the balancer, and receive its requests.
      return {
        kind: "system",
        message: `${what} aborted: cannot determine which process holds the balancer's addresses: ${error.message}`,
      };
    }
    if (taken === undefined) return undefined;
    return { kind: "address", message: `${what} aborted: cannot bind ${taken.endpoint}: ${taken.why}` };
  }

  async #install(step: Step & { do: "install" }, signal: AbortSignal): Promise<string> {
    const { path, contents, mode, setsMode, owner, check, checkDeadlineMs } = step;
    let output = "";
    await refuseTooManyFiles(step);
    await writeAtomically(path, contents, {
      mode,
      setsMode,
      owner: owner === undefined ? undefined : await findOwner(owner),
      check: async (candidate) => {
        if (check.length === 0) return;
        const argv = check.map((argument) => argument === "%" ? candidate : argument);
        const result = await this.#run(argv, signal, checkDeadlineMs);
        // The program means the final file, not the candidate, which is gone by now.
        output = result.output.replaceAll(candidate, path);
        if (!result.success) throw new RefusedError(output || `${check[0]}: exit status ${result.code}, no output`);
      },
    });
    return output;
  }

  /** Has the readers of files load them, or the previous version if they fail. */
  async #notify({ run, deadlineMs, rollback = [] }: Step & { do: "notify" }, signal: AbortSignal): Promise<string> {
    try {
      return await this.#runOrFail(run, signal, deadlineMs);
    } catch (error) {
      signal.throwIfAborted();
      if (rollback.length === 0 || !(error instanceof ProgramError || error instanceof LateProgramError)) throw error;
      for (const { path, contents, mode, owner } of rollback) {
        await writeAtomically(path, contents, {
          mode,
          owner: owner === undefined ? undefined : await findOwner(owner),
        });
      }
      const again = await this.#runOrFail(run, signal, deadlineMs).then(() => "loaded", (fault) => {
        signal.throwIfAborted();
        return `not loaded: ${fault.message}`;
      });
      const files = rollback.map(({ path }) => path).join(", ");
      error.message += `; previous version of ${files} restored and ${again}`;
      throw error;
    }
  }

  /** Sends a signal to a process of the balancer's program, and to no other. */
  async #signal({ signal, pid }: { readonly signal: Signal; readonly pid: number }, sources: BalancerSources) {
    if (sources.kind === "files") throw new Error(`process ${pid} does not belong to the balancer`);
    await verifyProgram(pid, sources.program);
    Deno.kill(pid, signal);
  }

  /** Asks orphans to stop, and waits until none of them listens. */
  async #relieve(pids: readonly number[], sources: BalancerSources, signal: AbortSignal): Promise<void> {
    if (pids.length === 0 || sources.kind === "files" || sources.leavesOn === undefined) return;
    this.#workers.clear();
    for (const pid of pids) await this.#signal({ signal: sources.leavesOn, pid }, sources);
    const socket = socketOf(sources);
    const deadline = performance.now() + RELIEVE_DEADLINE_MS;
    while (socket !== undefined && await isListening(socket)) {
      if (performance.now() > deadline) {
        const who = pids.length === 1 ? `process ${pids[0]} is` : `processes ${pids.join(", ")} are`;
        throw new Error(`${who} still listening ${formatDuration(RELIEVE_DEADLINE_MS)} after ${sources.leavesOn}`);
      }
      await delay(RELIEVE_POLL_MS, { clock: systemClock, signal });
    }
  }

  #reloadByMaster(reload: AskedReload, signal: AbortSignal): Promise<string> {
    return reloadByMaster(reload, { clock: systemClock, deadlineMs: this.#programDeadlineMs, signal });
  }

  #run(argv: readonly string[], signal: AbortSignal, deadlineMs = this.#programDeadlineMs): Promise<ProgramResult> {
    return runProgram(argv, { signal, deadlineMs });
  }

  async #runOrFail(argv: readonly string[], signal: AbortSignal, deadlineMs?: number): Promise<string> {
    const { success, code, output } = await this.#run(argv, signal, deadlineMs);
    if (!success) {
      throw new ProgramError(output === "" ? `exit status ${code}, no output` : `exit status ${code}: ${output}`);
    }
    return output;
  }
}

/** What the steps are called in a message. */
const WHAT = {
  command: "send a command",
  install: "install the file",
  remove: "remove the file",
  start: "start the balancer",
  reload: "reload the balancer",
  notify: "run the notify command",
  supervise: "start the child process",
} as const;

/** The check command rejected a file; the message is its output. */
class RefusedError extends Error {
  override name = "RefusedError";
}

/** A program exited with an error. */
class ProgramError extends Error {
  override name = "ProgramError";
}

/** Consecutive commands make a group, of whatever size; each other step is a group by itself. */
function groups(steps: readonly Step[]): readonly (readonly Step[])[] {
  const found: Step[][] = [];
  let commands: Step[] | undefined;
  for (const step of steps) {
    if (commands !== undefined && isCommand(step)) commands.push(step);
    else {
      const group = [step];
      found.push(group);
      commands = isCommand(step) ? group : undefined;
    }
  }
  return found;
}

function isCommand(step: Step): step is CommandStep {
  return step.do === "command";
}

/** Reports that another writer manages the balancer, so that nothing was tried. */
function isTaken([first]: readonly Step[], other: string): readonly StepOutcome[] {
  if (first === undefined) return [];
  const message = `Cannot ${WHAT[first.do]}: ${other}`;
  return [{ ok: false, step: first, failure: { kind: "taken", message } }];
}

function outcomesOf(steps: readonly CommandStep[], answers: readonly string[], began: number): readonly StepOutcome[] {
  const tookMs = performance.now() - began;
  return steps.map((step, index) => outcomeOf(step, answers[index] ?? "", tookMs));
}

function outcomeOf(step: CommandStep, answer: string, tookMs: number): StepOutcome {
  if (step.expect.some((expected) => new RegExp(`^(?:${expected})$`).test(answer))) {
    return { ok: true, step, tookMs, output: step.isRead === true ? answer : "" };
  }
  const message = `Command ${JSON.stringify(step.command)} failed: unexpected response ${
    JSON.stringify(answer.slice(0, 200))
  }`;
  return { ok: false, step, failure: { kind: "answer", message, answer } };
}

function failureOf(step: Step, error: unknown): StepFailure {
  const what = WHAT[step.do];
  const at = step.do === "install" || step.do === "remove" ? ` ${step.path}` : "";
  // The candidate's name is random, and the file is gone by now.
  const why = String(error instanceof Error ? error.message : error).replaceAll(/\.lighthouse-[0-9a-f-]{36}/g, "");
  const message = error instanceof Deno.errors.NotFound && /^Failed to spawn/.test(why)
    ? `Cannot ${what}${at}: program ${
      /'([^']*)'/.exec(why)?.[1] ?? ""
    } not found; install it, or set its path in the program key`
    : `Cannot ${what}${at}: ${why}`;
  if (error instanceof RefusedError) return { kind: "refused", message: error.message };
  if (error instanceof ProgramError || error instanceof ReloadFailedError) return { kind: "program", message };
  if (error instanceof LateProgramError) return { kind: "late", message };
  if (error instanceof NobodyListensError || error instanceof SocketSilentError) {
    return { kind: "unreachable", message };
  }
  return { kind: "system", message };
}

/** A program's own check may not consider limits, and a process with too few open files may fail to start. */
async function refuseTooManyFiles({ openFiles }: Step & { do: "install" }): Promise<void> {
  const limit = openFiles === undefined ? undefined : await readOpenFilesLimit(openFiles.of);
  if (openFiles === undefined || limit === undefined || limit >= openFiles.needed) return;
  throw new RefusedError(openFiles.refusal.replaceAll("{limit}", String(limit)));
}

/** How a balancer's processes are recognized. */
function toldOf(sources: ProcessSources): Told {
  return { program: programName(sources), file: sources.file, otherRuns: sources.otherRuns ?? [] };
}

/** Reads the config files, and those of the balancer's directory. */
export async function readFiles(
  sources: BalancerSources,
  read: (path: string) => Promise<string> = Deno.readTextFile,
): Promise<readonly (readonly [string, string | undefined])[]> {
  const own = new Set(filesOf(sources));
  const paths = new Set([...own, ...await listDirectory(sources)]);
  return await Promise.all([...paths].map(async (path) => {
    const text = await read(path).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      // A file that somebody else keeps in the directory must not stop the balancer's.
      if (error instanceof Deno.errors.PermissionDenied && !own.has(path)) return undefined;
      throw error;
    });
    return [path, text] as const;
  }));
}

async function listDirectory({ directory }: BalancerSources): Promise<readonly string[]> {
  if (directory === undefined) return [];
  const { path, suffix } = directory;
  const found: string[] = [];
  try {
    for await (const { name, isFile } of Deno.readDir(path)) {
      if (isFile && name.endsWith(suffix) && !name.startsWith(".")) found.push(`${path}/${name}`);
      if (found.length > DIRECTORY_FILES_MAX) {
        throw new Error(`directory ${path} contains more than ${DIRECTORY_FILES_MAX} files that end in ${suffix}`);
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found;
}

/** Reads mode and owner of files. */
async function readAttributes(paths: readonly string[]): Promise<ReadonlyMap<string, FileAttributes>> {
  const { users, groups } = await readOwnerNames();
  const named = (id: number | null, names: ReadonlyMap<number, string>) => {
    const name = id === null ? undefined : names.get(id);
    return [...id === null ? [] : [String(id)], ...name === undefined ? [] : [name]];
  };
  const all = await Promise.all(paths.map(async (path) => {
    const stat = await Deno.stat(path).catch(() => undefined);
    if (stat === undefined) return [];
    return [
      [path, {
        mode: (stat.mode ?? 0) & 0o777,
        user: named(stat.uid, users),
        group: named(stat.gid, groups),
      }] as const,
    ];
  }));
  return new Map(all.flat());
}
