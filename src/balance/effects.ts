import type { BalancerSources, CommandStep, Seen, Step } from "../plugin/contract.ts";
import type { Awaitable } from "../plugin/decider.ts";

/** A version as `[major, minor, patch]`. */
export type ProgramVersion = readonly [number, number, number];

/** The outcome of one step. */
export type StepOutcome =
  | {
    readonly ok: true;
    readonly step: Step;
    /** How long it took; commands that were sent together share one time. */
    readonly tookMs: number;
    /** What a program printed, for the log, or the answer to a read; empty if nothing. */
    readonly output: string;
  }
  | { readonly ok: false; readonly step: Step; readonly failure: StepFailure };

/** Why a step failed. */
export interface StepFailure {
  /**
   * `answer`: the balancer's answer is not the expected one. `refused`: the check command rejected the file.
   * `program`: a start or a reload exited with an error. `address`: an address that a new process would bind
   * is unavailable, so none was started. `late`: a program did not end in time, which says nothing about the
   * config. `unreachable`: nobody answered in time. `system`: the operating system reports an error, or a
   * file or a program is missing. `taken`: another writer manages the balancer, so nothing was tried.
   */
  readonly kind: "answer" | "refused" | "program" | "address" | "late" | "unreachable" | "system" | "taken";
  /** What was attempted, with which value, and why it failed. */
  readonly message: string;
  /** The balancer's answer, if it is not the expected one. */
  readonly answer?: string | undefined;
}

/**
 * What a balancer's writer does to the world: the executor does it for real, and a model stands in for both
 * in simulations. A dry run needs no third implementation: it only plans.
 */
export interface BalancerEffects extends Partial<Disposable> {
  /**
   * Looks at the process and the files. "Nobody listens" is a result; a socket that does not answer in time
   * is an error, which is thrown.
   */
  observe(
    sources: BalancerSources,
    pidOf: (answers: readonly string[]) => Awaitable<number | undefined>,
    signal: AbortSignal,
  ): Promise<Seen>;
  /**
   * Resolves when the process that answers at the socket has ended or closed the connection, which is a
   * reason to look; at the latest when the signal is aborted.
   */
  watchSocket(sources: BalancerSources, signal: AbortSignal): Promise<void>;
  /**
   * Resolves when a supervised child that was started here has ended; at the latest when the signal is
   * aborted.
   */
  childEnd?(signal: AbortSignal): Promise<void>;
  /**
   * Soft-stops a process that served before another one was started beside it: it finishes its connections
   * and accepts no new ones. Returns whether it was there; a process that is not the program, run from the
   * file, is left alone.
   */
  softStop(pid: number, sources: BalancerSources): Promise<boolean>;
  /**
   * Makes this writer the active one of the balancer. Returns who is, as a phrase, if another writer is
   * active; then nothing that is asked for is carried out.
   */
  claim?(sources: BalancerSources): Promise<string | undefined>;
  /** Lets what has arrived meanwhile be handled: called between parts of a look that take milliseconds. */
  rest?(): Promise<void>;
  /** Asks the program for its version; `undefined` if it reports none. */
  version(program: string, signal: AbortSignal): Promise<ProgramVersion | undefined>;
  /**
   * Identifies the program's file without running it: a different result means that it was upgraded.
   * `undefined` if there is no such file.
   */
  programFile(program: string): string | undefined;
  /**
   * Carries steps out, in order. Consecutive commands are sent together and all tried; after any other
   * failure no later step is started. So there is an outcome for each step up to the failure. Throws if it is
   * aborted by the signal: then it is unknown what was carried out.
   */
  execute(steps: readonly Step[], sources: BalancerSources, signal: AbortSignal): Promise<readonly StepOutcome[]>;
  /**
   * The same for commands, over the connection that `watchSocket` holds: they reach the process that answered
   * when it was opened, and no other. Without such a connection nothing is carried out, and the first outcome
   * says so.
   */
  executeHeld?(
    steps: readonly CommandStep[],
    sources: BalancerSources,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[]>;
}
