/**
 * Lists of lines, which balancers pass on to their programs as they are.
 *
 * @module
 */
import * as v from "valibot";
import { list } from "../../src/kernel/schema.ts";

/** What ends a line or hides in it. A line may contain a tab. */
// deno-lint-ignore no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f\u0085\u2028\u2029]/;

/** Whether a string can be a line of its own: none of its characters ends a line. */
export function isOneLine(text: string): boolean {
  return !CONTROL.test(text);
}

/** What a line is, for messages. */
export const ONE_LINE = "one line without control characters";

/** One line; the line feed at its end, which YAML leaves after a block (`>`, `|`), is ignored. */
export const line = v.pipe(
  v.string(ONE_LINE),
  v.transform((text) => text.replace(/[\r\n]+$/, "")),
  v.check(isOneLine, ONE_LINE),
);

const LINES = "a list of lines, each a string without control characters";

/** Lists of a kind of line; a single string is one line, and a key without a value is no line. */
export function linesOf(one: v.GenericSchema<unknown, string>, wanted: string = LINES) {
  const notList = v.union(
    [v.pipe(one, v.transform((only) => [only])), v.pipe(v.null(), v.transform((): readonly string[] => []))],
    wanted,
  );
  return v.pipe(
    // Each item of a list is checked by itself, so that the invalid one is reported.
    v.lazy((input): v.GenericSchema<unknown, readonly string[]> => Array.isArray(input) ? list(one, wanted) : notList),
    v.readonly(),
  );
}

/** A list of lines. */
export const lines = linesOf(line);
