/**
 * Writers that decide correctly except for one mistake, which the tests of a
 * writer must find.
 *
 * @module
 */
import { decide, type Input, type WriterState } from "../../src/balance/decide.ts";

type State = WriterState<unknown, unknown>;

/** Decides correctly, but changes the state after each decision. */
function withMistake(
  change: (after: State, input: Input<unknown, unknown>, before: State) => Partial<State>,
): typeof decide {
  return (state, input, circumstances) => {
    const answer = decide(state, input, circumstances);
    return { ...answer, state: { ...answer.state, ...change(answer.state, input, state) as Partial<typeof state> } };
  };
}

/** Each by its mistake. */
export const MISTAKES = {
  "forgets the rate of reloads": withMistake(({ pace }) => ({ pace: { ...pace, reloadAllowedAt: -Infinity } })),
  "forgets what was rejected": withMistake(({ acceptance }) => ({
    acceptance: { ...acceptance, whole: undefined, clusters: new Map(), lines: new Map() },
  })),
  "never tries again what was rejected": withMistake(({ acceptance: { whole, ...acceptance } }) => ({
    acceptance: { ...acceptance, whole: whole && { ...whole, retryAt: Number.MAX_SAFE_INTEGER } },
  })),
  "forgets what was accepted": withMistake(({ acceptance }) => ({
    acceptance: { ...acceptance, accepted: undefined },
  })),
  "polls once": withMistake(({ turn }) => turn === undefined ? { lookAt: Infinity } : {}),
  "loses the pending file": withMistake(({ file }) => ({ file: { ...file, steps: [], dueAt: Infinity } })),
  "drops a desired state that arrives": withMistake((_, { type }, { next, desired }) =>
    type === "wanted" && desired !== undefined ? { next } : {}
  ),
  "treats sent commands as applied": (state, input, circumstances) => {
    if (input.type !== "changed") return decide(state, input, circumstances);
    const outcomes = input.outcomes.map(({ step }) => ({ ok: true, step, tookMs: 0, output: "" } as const));
    return decide(state, { ...input, outcomes }, circumstances);
  },
  "stops polling after a shortcut": withMistake(({ turn, file }, { type }) =>
    type === "changed" && turn === undefined ? { lookAt: Infinity, file: { ...file, dueAt: Infinity } } : {}
  ),
  "takes shortcuts forever": withMistake(({ base }, { type }) =>
    type === "changed" && base !== undefined ? { base: { ...base, lookedMs: Infinity }, lookAt: Infinity } : {}
  ),
  "counts an aborted poll as complete": (state, input, circumstances) => {
    const answer = decide(state, input, circumstances);
    const { base } = answer.state;
    if (input.type !== "stoodBack" || base === undefined) return answer;
    const { now } = circumstances;
    const lookAt = now + answer.state.reconcileMs;
    return { ...answer, state: { ...answer.state, lookAt, base: { ...base, lookedMs: now } } };
  },
  "acts in a pause": withMistake(() => ({ isPaused: false })),
  "does not notice which process serves": withMistake((_, __, { processes }) => ({ processes })),
} as const satisfies Readonly<Record<string, typeof decide>>;
