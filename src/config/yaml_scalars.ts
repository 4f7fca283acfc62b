import type { ScalarTag } from "yaml";

const NUMBERS: readonly (readonly [RegExp, (text: string) => number | bigint])[] = [
  [/^[-+]?0b[0-1_]+$/, (text) => wholeNumber(text, 2)],
  [/^[-+]?0x[0-9a-fA-F_]+$/, (text) => wholeNumber(text, 16)],
  [/^[-+]?0[0-7_]+$/, (text) => wholeNumber(text, 8)],
  [/^[-+]?(?:0|[1-9][0-9_]*)$/, (text) => wholeNumber(text, 10)],
  [/^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+$/, sexagesimal],
  [/^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*$/, sexagesimal],
  [/^(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$/, (text) => Number(text.replaceAll("_", ""))],
  [/^[-+]?\.(?:inf|Inf|INF)$/, (text) => text.startsWith("-") ? -Infinity : Infinity],
  [/^\.(?:nan|NaN|NAN)$/, () => NaN],
];

/**
 * What a text without quotes may mean besides itself: exactly 1.0's
 * rules (PyYAML 6, resolver.py), so that the metadata of a fleet that changes
 * over stays byte for byte the same: `y` is a text, `010` is 8, `1e3` is a text.
 */
export const SCALAR_TAGS: readonly ScalarTag[] = [
  { tag: "tag:yaml.org,2002:null", default: true, test: /^(?:~|null|Null|NULL)?$/, resolve: () => null },
  {
    tag: "tag:yaml.org,2002:bool",
    default: true,
    test: /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/,
    resolve: () => true,
  },
  {
    tag: "tag:yaml.org,2002:bool",
    default: true,
    test: /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/,
    resolve: () => false,
  },
  ...NUMBERS.map(([test, resolve]): ScalarTag => ({
    tag: `tag:yaml.org,2002:${/\\\./.test(test.source) ? "float" : "int"}`,
    default: true,
    test,
    resolve,
  })),
];

function wholeNumber(text: string, radix: number): number | bigint {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replaceAll("_", "").replace(/^[-+]/, "").replace(
    radix === 2 || radix === 16 ? /^0[bx]/ : /^$/,
    "",
  );
  const value = sign * Number.parseInt(digits, radix);
  // A number that cannot be represented exactly has a type of its own, and Tree rejects it.
  return Number.isSafeInteger(value) || Number.isNaN(value) ? value : 0n;
}

function sexagesimal(text: string): number {
  const parts = text.replaceAll("_", "").replace(/^[-+]/, "").split(":");
  const value = parts.reduce((sum, part) => sum * 60 + Number(part), 0);
  return text.startsWith("-") ? -value : value;
}
