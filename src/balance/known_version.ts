import type { BalancerEffects, ProgramVersion } from "./effects.ts";

/** How often a program is asked for its version before that counts as unknown. */
const ATTEMPTS_MAX = 3;

/**
 * The version of the balancer's program, as it last reported it: asked again when its file is replaced, as by
 * an upgrade, and after each start and reload, since the file may be a script that runs another program. A
 * program that does not answer is asked a few more times before its version counts as unknown, as fewer of
 * its features are used then.
 */
export interface KnownVersion {
  readonly version: ProgramVersion | undefined;
  /** The program's file when its version was last asked for. */
  readonly file: string | undefined;
  /** Whether the program may be another one now. */
  readonly isDoubted: boolean;
  readonly attempts: number;
}

/** The version of a program that was never asked. */
export const NO_VERSION: KnownVersion = { version: undefined, file: undefined, isDoubted: true, attempts: 0 };

/**
 * Asks a program for its version, if necessary. `isKnown`: whether it has answered, or counts as unknown;
 * otherwise it is to be asked again before anything else is done.
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
    faults.push(`Cannot read the version of ${program}: ${error instanceof Error ? error.message : error}`);
    return undefined;
  });
  const version = answer ?? known.version;
  const attempts = known.attempts + 1;
  const isKnown = version !== undefined || attempts >= ATTEMPTS_MAX;
  // If it is to be asked again at once, the doubt remains.
  const isDoubted = answer === undefined;
  return { known: { version, file, isDoubted, attempts }, isKnown, faults };
}
