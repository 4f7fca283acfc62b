/**
 * The filters that templates have besides Liquid's own.
 *
 * @module
 */
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { quote } from "../../../src/model/node.ts";
import { KeyTree } from "./key_tree.ts";

/** A filter: the value, and its arguments. */
type Filter = (value: unknown, ...given: readonly unknown[]) => unknown;

/** All of them, by name. */
export const FILTERS: { readonly [name: string]: Filter } = {
  // Keys of a registry, in confd's terms.
  get: (tree, key, standard) => treeOf(tree).get(textOf(key), standard),
  gets: (tree, pattern) => treeOf(tree).gets(textOf(pattern)),
  getvs: (tree, pattern) => treeOf(tree).gets(textOf(pattern)).map(({ value }) => value),
  ls: (tree, key = "/") => treeOf(tree).ls(textOf(key)),
  lsdir: (tree, key = "/") => treeOf(tree).lsdir(textOf(key)),
  exists: (tree, key) => treeOf(tree).exists(textOf(key)),
  // Quoting that nothing in the value can break out of.
  haproxy: (value) => haproxyWord(textOf(value)),
  nginx: (value) => nginxString(textOf(value)),
  shell: (value) => shellWord(textOf(value)),
  // Parts of addresses and paths.
  address_host: (value) => partsOf(value).host,
  address_port: (value) => partsOf(value).port,
  bracketed: (value) => textOf(value).includes(":") ? `[${textOf(value)}]` : textOf(value),
  basename: (value) => textOf(value).split("/").filter((name) => name !== "").at(-1) ?? "/",
  dirname: (value) => textOf(value).replace(/\/+[^/]*\/*$/, "") || "/",
  // Data.
  parse_json: (value) => parsed(textOf(value)),
  integer: (value) => integerOf(value),
  sort_by_length: (value) => sortByLength(value),
  sequence: (first, last) => sequence(integerOf(first), integerOf(last)),
};

/** A text that is written with one of these cannot end a line, nor hide a part of it. */
function refuseControls(text: string, where: string): string {
  if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(text)) {
    throw new Error(`cannot write ${quote(text)} into ${where}: control characters found`);
  }
  return text;
}

/** A word of HAProxy's config: only strong quotes need escaping inside strong quotes. */
export function haproxyWord(text: string): string {
  return `'${refuseControls(text, "HAProxy config").replaceAll("'", "'\\''")}'`;
}

/** A string of nginx' config. A dollar sign starts a variable there, and cannot be escaped. */
export function nginxString(text: string): string {
  if (text.includes("$")) throw new Error(`cannot write ${quote(text)} into nginx config: $ starts a variable`);
  return `"${refuseControls(text, "nginx config").replace(/["\\]/g, "\\$&")}"`;
}

/** A word of a shell's command line. */
export function shellWord(text: string): string {
  if (text.includes("\0")) throw new Error(`cannot write ${quote(text)} into a command line: NUL character found`);
  if (/\p{Cs}/u.test(text)) throw new Error(`cannot write ${quote(text)} into a command line: invalid Unicode found`);
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function treeOf(value: unknown): KeyTree {
  if (value instanceof KeyTree) return value;
  throw new Error(`cannot read keys from ${quote(value)}: must be the keys of a registry`);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value === null || value === undefined) return "";
  throw new Error(`cannot use ${quote(value)} as a string`);
}

function partsOf(value: unknown): { readonly host: string; readonly port: number } {
  const parts = parseEndpoint(textOf(value));
  if (parts === undefined) throw new Error(`cannot split ${quote(value)}: must be ADDRESS:PORT`);
  return parts;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`cannot read ${quote(text)} as JSON: ${error instanceof Error ? error.message : error}`);
  }
}

function integerOf(value: unknown): number {
  const number = typeof value === "string" && /^[+-]?[0-9]{1,15}$/.test(value.trim()) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number)) {
    throw new Error(`cannot use ${quote(value)} as an integer`);
  }
  return number;
}

/** The longest sequence. */
const SEQUENCE_MAX = 10_000;

function sequence(first: number, last: number): readonly number[] {
  const length = Math.max(0, last - first + 1);
  if (length > SEQUENCE_MAX) {
    throw new Error(`cannot count from ${first} to ${last}: at most ${SEQUENCE_MAX} numbers are allowed`);
  }
  return Array.from({ length }, (_, i) => first + i);
}

/** The shortest first: strings, or keys with their values. */
function sortByLength(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`cannot sort ${quote(value)} by length: must be a list`);
  const lengthOf = (each: unknown) =>
    textOf(typeof each === "object" && each !== null && "key" in each ? each.key : each).length;
  return value.toSorted((a, b) => lengthOf(a) - lengthOf(b));
}
