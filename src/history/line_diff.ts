/**
 * What differs between two texts, line by line, as the history keeps it. Pure.
 *
 * @module
 */

/** What of a difference is kept. */
export interface DiffLimits {
  /** So many lines are listed. */
  readonly linesMax: number;
}

/** So many pairs of lines are compared; of more only the outermost that differ are known. */
const PAIRS_MAX = 1_000_000;
/** A longer line is cut. */
const LINE_LENGTH_MAX = 300;

/**
 * Answers the lines that differ, `-` before one that is gone and `+` before one
 * that is new, in their order; empty if there are none. `shown` is what a line
 * of either text is written as: without its secrets.
 */
export function diffLines(
  before: string,
  after: string,
  { linesMax }: DiffLimits,
  shown: { readonly before: (index: number) => string; readonly after: (index: number) => string },
): readonly string[] {
  if (before === after) return [];
  const [was, is] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < was.length && start < is.length && was[start] === is[start]) start++;
  let [wasEnd, isEnd] = [was.length, is.length];
  while (wasEnd > start && isEnd > start && was[wasEnd - 1] === is[isEnd - 1]) {
    [wasEnd, isEnd] = [wasEnd - 1, isEnd - 1];
  }
  const edits = (wasEnd - start) * (isEnd - start) > PAIRS_MAX
    ? [...range(start, wasEnd).map((i) => ["-", i] as const), ...range(start, isEnd).map((i) => ["+", i] as const)]
    : editsOf(was.slice(start, wasEnd), is.slice(start, isEnd)).map(([sign, i]) => [sign, i + start] as const);
  const lines = edits.slice(0, linesMax).map(([sign, i]) =>
    `${sign}${(sign === "-" ? shown.before(i) : shown.after(i)).slice(0, LINE_LENGTH_MAX)}`
  );
  return edits.length > linesMax ? [...lines, `… ${edits.length - linesMax} more lines`] : lines;
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** The shortest way from one list of lines to another, by their longest common subsequence. */
function editsOf(was: readonly string[], is: readonly string[]): readonly (readonly ["-" | "+", number])[] {
  const width = is.length + 1;
  const common = new Uint32Array((was.length + 1) * width);
  const at = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = was.length - 1; i >= 0; i--) {
    for (let j = is.length - 1; j >= 0; j--) {
      common[i * width + j] = was[i] === is[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const edits: (readonly ["-" | "+", number])[] = [];
  let [i, j] = [0, 0];
  while (i < was.length || j < is.length) {
    if (i < was.length && j < is.length && was[i] === is[j]) [i, j] = [i + 1, j + 1];
    else if (j >= is.length || (i < was.length && at(i + 1, j) >= at(i, j + 1))) edits.push(["-", i++]);
    else edits.push(["+", j++]);
  }
  return edits;
}
