import { quote } from "../kernel/quote.ts";
import { type Tree, treeOf } from "./tree.ts";

const [QUOTE, BACKSLASH, MINUS, ZERO, NINE] = [0x22, 0x5c, 0x2d, 0x30, 0x39] as const;
/** A number without an exponent and with fewer characters is always stored exactly. */
const EXACT_LENGTH_MAX = 16;

/** JSON that cannot be stored; the message says why, and what is wanted. */
export class JsonError extends Error {
  override name = "JsonError";
}

/**
 * Parses JSON from outside. Throws {@linkcode JsonError} for invalid JSON, more than `depthMax`
 * levels, or a number that would lose precision.
 */
export function parseJson(text: string, { depthMax }: { readonly depthMax: number }): Tree {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new JsonError(`Cannot parse the body as JSON: ${error instanceof Error ? error.message : error}`);
  }
  // Only numbers with many digits, or with a large exponent, can exceed a double.
  if (/[0-9][eE][+-]?[0-9]{3}|[0-9.]{16}/.test(text)) refuseLostNumbers(text);
  try {
    return treeOf(json, depthMax);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new JsonError(`Cannot store the value: must have at most ${depthMax} levels of nesting`);
  }
}

/** Checks each number of a JSON string. */
function refuseLostNumbers(text: string): void {
  const number = /-?[0-9][0-9.eE+-]*/y;
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      number.lastIndex = at;
      const source = number.exec(text)?.[0] ?? "";
      refuseIfLost(source);
      at += source.length;
    } else {
      at++;
    }
  }
}

/** Returns the end of the string that begins at an index: behind the first unescaped quote. */
function endOfString(text: string, start: number): number {
  for (let quoteAt = text.indexOf('"', start + 1);; quoteAt = text.indexOf('"', quoteAt + 1)) {
    let before = quoteAt;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((quoteAt - before) % 2 === 0) return quoteAt + 1;
  }
}

/** Normalizes a number: its digits without surrounding zeros, and the power of ten. */
function decimal(source: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(source) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const shortened = digits.replace(/0+$/, "");
  if (shortened === "") return "0";
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - shortened.length);
  return `${sign}${shortened}e${power}`;
}

function refuseIfLost(source: string): void {
  if (source.length < EXACT_LENGTH_MAX && !/[eE]/.test(source)) return;
  const value = Number(source);
  // A double needs at most 17 digits; programs write as many as needed, or all of them.
  const wanted = decimal(source);
  if (Number.isFinite(value) && [String(value), value.toPrecision(17)].some((text) => decimal(text) === wanted)) return;
  throw new JsonError(
    `Cannot store the number ${quote(source)}: a 64-bit float would lose digits; store the number as a string`,
  );
}
