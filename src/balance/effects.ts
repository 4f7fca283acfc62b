import type { BalancerSources, CommandStep, Seen, Step } from "../plugin/contract.ts";
import type { Awaitable } from "../plugin/decider.ts";

/** A version as `[major, minor, patch]`. */
export type ProgramVersion = readonly [number, number, number];

/** What became of one step. */
export type StepOutcome =
  | {
    readonly ok: true;
    readonly step: Step;
    /** How long it took; commands that went together share one time. */
    readonly tookMs: number;
    /** What a program wrote, for the log, or what a read was answered; empty if nothing. */
    readonly output: string;
  }
  | { readonly ok: false; readonly step: Step; readonly failure: StepFailure };

/** Why a step failed. */
export interface StepFailure {
  /**
   * `answer`: the balancer answered something else than expected. `refused`:
   * the check command refused the file. `program`: a start or a reload left
   * with an error. `address`: an address that a new process would listen on
   * cannot be had, so none was started. `late`: a program did not end in time, which says nothing of
   * the config. `unreachable`: nobody answered in time. `system`: the operating
   * system refused, a file or a program is missing. `taken`: another writer
   * keeps the balancer, so nothing was tried.
   */
  readonly kind: "answer" | "refused" | "program" | "address" | "late" | "unreachable" | "system" | "taken";
  /** What was tried, with what, and what came of it. */
  readonly message: string;
  /** What the balancer answered, if it answered something else than expected. */
  readonly answer?: string | undefined;
}

/**
 * What a balancer's writer does to the world: the executor does it for real,
 * and a model stands in for both in simulations. A dry run needs no third: it
 * plans, and leaves it at that.
 */
export interface BalancerEffects extends Partial<Disposable> {
  /**
   * Looks at the process and the files. Nobody listening is an answer; a socket
   * that does not answer in time is an error, which is thrown.
   */
  observe(
    sources: BalancerSources,
    pidOf: (answers: readonly string[]) => Awaitable<number | undefined>,
    signal: AbortSignal,
  ): Promise<Seen>;
  /**
   * Resolves when the process that answers at the socket has ended, or has ended
   * the talk, which is a reason to look; at the latest when the signal is aborted.
   */
  watchSocket(sources: BalancerSources, signal: AbortSignal): Promise<void>;
  /** Resolves when a supervised child has ended that was started here; at the latest when the signal is aborted. */
  childEnd?(signal: AbortSignal): Promise<void>;
  /**
   * Asks a process to leave that served before another one was started beside
   * it: it serves what it has begun, and takes no new connections. Answers
   * whether it was there; a process that is not the program, run from the file,
   * is left alone.
   */
  softStop(pid: number, sources: BalancerSources): Promise<boolean>;
  /**
   * Makes this writer the one that acts on the balancer. Answers who is if
   * another one is, in words; then nothing of what is asked for is done.
   */
  claim?(sources: BalancerSources): Promise<string | undefined>;
  /** Asks the program for its version; `undefined` if it has none to tell. */
  version(program: string, signal: AbortSignal): Promise<ProgramVersion | undefined>;
  /**
   * Identifies the program's file without running it: another answer means that
   * it was upgraded. `undefined` if there is no such file.
   */
  programFile(program: string): string | undefined;
  /**
   * Carries steps out, in order. Commands that follow one another go together
   * and are all tried; after a failure nothing that comes later is begun. So
   * there is an outcome for each step up to the failure. Throws if it is broken
   * off by the signal: then it is not known what was carried out.
   */
  execute(steps: readonly Step[], sources: BalancerSources, signal: AbortSignal): Promise<readonly StepOutcome[]>;
  /**
   * The same for commands, over the connection that `watchSocket` holds: they reach the process that answered when it
   * was opened, and no other. Where none is held, nothing is carried out, and the first outcome says so.
   */
  executeHeld?(
    steps: readonly CommandStep[],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[]>;
}
