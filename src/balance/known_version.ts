import type { BalancerEffects, ProgramVersion } from "./effects.ts";

/** How often a program is asked for its version before it is taken as unknown. */
const ATTEMPTS_MAX = 3;

/**
 * The version of the balancer's program, as it last answered: asked again when its
 * file was exchanged, as an upgrade does, and after each start and reload, since
 * the file may be a script that runs another one. A program that does not answer
 * is asked some times more before its version is taken as unknown, for then
 * less of what it can do is used.
 */
export interface KnownVersion {
  readonly version: ProgramVersion | undefined;
  /** The program's file when its version was last asked for. */
  readonly file: string | undefined;
  /** Whether the program may be another one now. */
  readonly isDoubted: boolean;
  readonly attempts: number;
}

/** Of a program that was never asked. */
export const NO_VERSION: KnownVersion = { version: undefined, file: undefined, isDoubted: true, attempts: 0 };

/**
 * Asks a program for its version, if need be. `isKnown`: whether it has answered, or is
 * taken as unknown; otherwise it is to be asked again before anything is done.
 */
export async function askVersion(
  known: KnownVersion,
  program: string,
  { effects, signal }: {
    readonly effects: Pick<BalancerEffects, "version" | "programFile">;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly known: KnownVersion; readonly isKnown: boolean; readonly faults: readonly string[] }> {
  const file = effects.programFile(program);
  if (!known.isDoubted && file === known.file) return { known, isKnown: true, faults: [] };
  const faults: string[] = [];
  const answer = await effects.version(program, signal).catch((error) => {
    signal.throwIfAborted();
    faults.push(`Cannot ask ${program} for its version: ${error instanceof Error ? error.message : error}`);
    return undefined;
  });
  const version = answer ?? known.version;
  const attempts = known.attempts + 1;
  const isKnown = version !== undefined || attempts >= ATTEMPTS_MAX;
  // One that is to be asked again at once is as doubtful as before.
  const isDoubted = answer === undefined;
  return { known: { version, file, isDoubted, attempts }, isKnown, faults };
}
