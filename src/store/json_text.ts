import { quote } from "../kernel/quote.ts";
import { type Tree, treeOf } from "./tree.ts";

/** What cannot be stored; the message says why, and what is wanted. */
export class JsonError extends Error {
  override name = "JsonError";
}

/**
 * Reads JSON that came from outside. Throws {@linkcode JsonError} for what is
 * no JSON, is more than `depthMax` levels deep, or holds a number that would
 * be stored as another one.
 */
export function parseJson(text: string, { depthMax }: { readonly depthMax: number }): Tree {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new JsonError(`Cannot read the body as it must be JSON: ${error instanceof Error ? error.message : error}`);
  }
  // Only a number of many digits, or with an exponent, can be one that a double does not hold.
  if (/[0-9][eE][+-]?[0-9]{3}|[0-9]{16}/.test(text)) refuseLostNumbers(text);
  try {
    return treeOf(json, depthMax);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new JsonError(`Cannot store the value as it must be at most ${depthMax} levels deep`);
  }
}

function refuseLostNumbers(text: string): void {
  const check = (_key: string, value: unknown, context: { readonly source?: string }) => {
    const { source } = context;
    if (typeof value !== "number" || source === undefined) return value;
    const whole = /^-?[0-9]+$/.test(source);
    if (!Number.isFinite(value) || (whole && BigInt(source) !== BigInt(value))) {
      throw new JsonError(
        `Cannot store the number ${quote(source)} as it does not fit 64 bits without loss: write it as a string`,
      );
    }
    return value;
  };
  JSON.parse(text, check as (key: string, value: unknown) => unknown);
}
