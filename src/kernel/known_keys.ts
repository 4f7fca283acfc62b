/**
 * Files with unknown keys: these are reported and ignored,
 * and the rest is used. Pure: no files, no positions; `Source` turns a
 * `Finding` into a place.
 *
 * @module
 */
import { formatPath } from "./schema.ts";
import { suggest } from "./suggest.ts";
import type { Finding, Path } from "./findings.ts";

/** The result of a validator, like the plugin contract's `SchemaResult`. */
export type Validated<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly ValidationIssue[] };

/** A fault of a value, like the plugin contract's `SchemaIssue`. */
interface ValidationIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
  readonly unknownKey?: { readonly known: readonly string[] } | undefined;
}

/** The usable part of a value, and its findings. */
export interface Checked<T> {
  /** Absent if any finding is an error. */
  readonly value: T | undefined;
  /** Errors and warnings, in the order found. */
  readonly findings: readonly Finding[];
  /** Present if the value is absent and plugins have parts of the file: their parts, and a stand-in for the rest. */
  readonly draft?: T | undefined;
}

/** A valid value, boxed since it may be anything; or why it was invalid. */
type Round<T> =
  | { readonly done: Checked<T> }
  | { readonly again: unknown; readonly warnings: readonly Finding[] };

/** Maximum number of validations of a value: a validator that finds unknown keys for ever is broken. */
const ROUNDS_MAX = 1_000;

/**
 * Validates a value whose unknown keys are not errors: each becomes a warning, is removed, and the
 * rest is validated again, until no unknown key is left.
 */
export function validateKnown<T>(value: unknown, validate: (value: unknown) => Validated<T>): Checked<T> {
  let warnings: readonly Finding[] = [];
  for (let round = 1;; round++) {
    const next = judgeRound(value, validate(value), { warnings, round, alsoKnown: [], otherForms: () => [] });
    if ("done" in next) return next.done;
    [value, warnings] = [next.again, next.warnings];
  }
}

/** The asynchronous {@linkcode validateKnown}, for a plugin's validator in its worker. */
export async function validateKnownAsync<T>(
  value: unknown,
  validate: (value: unknown) => Validated<T> | Promise<Validated<T>>,
  { alsoKnown = [], otherForms = () => [] }: {
    /** Keys that were removed from the value beforehand: a mistyped key may mean one of them. */
    readonly alsoKnown?: readonly string[] | undefined;
    /** Keys that may be used instead of known ones and never reach the validator. */
    readonly otherForms?: ((known: readonly string[]) => readonly string[]) | undefined;
  } = {},
): Promise<Checked<T>> {
  let warnings: readonly Finding[] = [];
  for (let round = 1;; round++) {
    const next = judgeRound(value, await validate(value), { warnings, round, alsoKnown, otherForms });
    if ("done" in next) return next.done;
    [value, warnings] = [next.again, next.warnings];
  }
}

function judgeRound<T>(
  value: unknown,
  result: Validated<T>,
  { warnings: before, round, alsoKnown, otherForms }: {
    readonly warnings: readonly Finding[];
    readonly round: number;
    readonly alsoKnown: readonly string[];
    readonly otherForms: (known: readonly string[]) => readonly string[];
  },
): Round<T> {
  if (result.issues === undefined) return { done: { value: result.value, findings: before } };
  const warnings: Finding[] = [];
  let rest = value;
  if (round < ROUNDS_MAX) {
    for (const issue of result.issues) {
      if (issue.unknownKey === undefined) continue;
      const path = plainPath(issue.path);
      const next = withoutKey(rest, path);
      if (next === undefined) continue;
      rest = next.value;
      const { known: plain } = issue.unknownKey;
      const known = [...plain, ...otherForms(plain), ...path.length === 1 ? alsoKnown : []];
      warnings.push({ severity: "warning", path, at: "key", message: unknownKeyMessage(path, known) });
    }
  }
  if (warnings.length > 0) return { again: rest, warnings: [...before, ...warnings] };
  const errors = result.issues.map((issue) => errorOf(issue));
  return { done: { value: undefined, findings: [...before, ...errors] } };
}

function unknownKeyMessage(path: Path, known: readonly string[]): string {
  const meant = suggest(String(path.at(-1)), known);
  return `Unknown key ${formatPath(path)} is ignored: ${
    meant === undefined ? `known keys are ${known.toSorted().join(", ") || "none"}` : `did you mean ${meant}?`
  }`;
}

/**
 * Moves findings of a part of a file below the path of that part, in their messages too: `Cannot use
 * uri` becomes `Cannot use checks.http.uri`.
 */
export function under(path: Path, findings: readonly Finding[]): readonly Finding[] {
  if (path.length === 0) return findings;
  const part = formatPath(path);
  return findings.map((finding) => {
    const [whole, said = "", rest = ""] = /^((?:Cannot use|Missing key|Unknown key) )(.*)$/s.exec(finding.message) ??
      [];
    const named = formatPath(finding.path);
    const isNamed = named !== "" && rest.startsWith(named) && !/^[\w-]/.test(rest.slice(named.length));
    const message = whole === undefined
      ? finding.message
      : finding.path.length === 0 && /^the file[ :]/.test(rest)
      ? `${said}${part}${rest.slice("the file".length)}`
      : isNamed || said === "Missing key "
      ? `${said}${part}.${rest}`
      : finding.message;
    return { ...finding, path: [...path, ...finding.path], message };
  });
}

function errorOf(issue: ValidationIssue): Finding {
  return { severity: "error", path: plainPath(issue.path), at: "value", message: issue.message };
}

function plainPath(path: ValidationIssue["path"]): Path {
  return (path ?? []).map((part) => {
    const key = typeof part === "object" ? part.key : part;
    return typeof key === "number" ? key : String(key);
  });
}

/** Copies a value without one key of a map in it; `undefined` if there is no such key. */
function withoutKey(value: unknown, path: Path): { readonly value: unknown } | undefined {
  const [head, ...rest] = path;
  if (head === undefined || typeof value !== "object" || value === null || !Object.hasOwn(value, head)) {
    return undefined;
  }
  if (Array.isArray(value)) {
    const inner = rest.length === 0 ? undefined : withoutKey(value[Number(head)], rest);
    return inner === undefined ? undefined : { value: value.with(Number(head), inner.value) };
  }
  const entries = Object.entries(value);
  if (rest.length === 0) return { value: Object.fromEntries(entries.filter(([key]) => key !== String(head))) };
  const inner = withoutKey((value as Record<string, unknown>)[head], rest);
  return inner === undefined
    ? undefined
    : { value: Object.fromEntries(entries.map(([key, own]) => [key, key === String(head) ? inner.value : own])) };
}
