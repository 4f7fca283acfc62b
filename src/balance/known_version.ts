import type { Wanted } from "../plugin/contract.ts";
import type { BalancerEffects, ProgramVersion } from "./effects.ts";
import type { OperatorLog } from "./operator_log.ts";

/** How often a program is asked for its version before it is taken as unknown. */
const ATTEMPTS_MAX = 3;

/**
 * The version of the balancer's program, as last told: asked again when its
 * file was exchanged, as an upgrade does, and after each start and reload, since
 * the file may be a script that runs another one. A program that does not tell it
 * is asked some times more before its version is taken as unknown, for then
 * less of what it can do is used.
 */
export class KnownVersion<Config, ClusterConfig> {
  readonly #effects: Pick<BalancerEffects, "version" | "programFile">;
  readonly #told: OperatorLog;
  #version: ProgramVersion | undefined;
  /** The program's file when its version was last asked for. */
  #file: string | undefined;
  #doubted = true;
  #attempts = 0;
  /** The last wish that was filled in: the same wish stays one value, so that it is not rendered anew. */
  #filled: { readonly of: Wanted<Config, ClusterConfig>; readonly is: Wanted<Config, ClusterConfig> } | undefined;

  /** Asks by `effects`, and tells `told` of a program that cannot be asked. */
  constructor(effects: Pick<BalancerEffects, "version" | "programFile">, told: OperatorLog) {
    [this.#effects, this.#told] = [effects, told];
  }

  /** Notes that the program may be another one now. */
  doubt(): void {
    this.#doubted = true;
  }

  /**
   * Fills in the version of the program, unless the wish has one; `undefined`
   * if it is to be asked again before anything is done. Where there is no program the wish stays as it is.
   */
  async fillIn(
    wanted: Wanted<Config, ClusterConfig>,
    program: string | undefined,
    signal: AbortSignal,
  ): Promise<Wanted<Config, ClusterConfig> | undefined> {
    if (wanted.version !== undefined || program === undefined) return wanted;
    const file = this.#effects.programFile(program);
    if (this.#doubted || file !== this.#file) {
      this.#file = file;
      const told = await this.#effects.version(program, signal).catch((error) => {
        signal.throwIfAborted();
        const why = error instanceof Error ? error.message : error;
        this.#told.tellFault(`Cannot ask ${program} for its version: ${why}`);
        return undefined;
      });
      this.#attempts++;
      if (told === undefined && this.#version === undefined && this.#attempts < ATTEMPTS_MAX) return undefined;
      this.#version = told ?? this.#version;
      this.#doubted = told === undefined;
      this.#filled = undefined;
    }
    if (this.#filled?.of !== wanted) this.#filled = { of: wanted, is: { ...wanted, version: this.#version } };
    return this.#filled.is;
  }
}
