/**
 * Valibot with the project's messages: a schema's message is a phrase for
 * what is wanted ("an integer >= 1"), and issues become
 * `Cannot use KEY: must be PHRASE; current value is VALUE`.
 *
 * @module
 */
import * as v from "valibot";
import { formatDuration, parseDuration, parsePercentage } from "./duration.ts";
import { quote } from "./quote.ts";
import { isSecretKey, MASK } from "./secret.ts";

/** A fault of a value; fits the plugin contract's `SchemaIssue`. */
export interface Issue {
  readonly message: string;
  /** Keys from the root of the value to the fault. */
  readonly path: readonly (string | number)[];
  /** Present on an unknown key. */
  readonly unknownKey?: { readonly known: readonly string[] } | undefined;
}

/** A validator in the shape of https://standardschema.dev that names all issues at once. */
export interface HouseSchema<Output> {
  /** The Standard Schema properties. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => { readonly value: Output } | Refusal;
  };
}

/** Why a value is invalid. */
export interface Refusal {
  /** All faults. */
  readonly issues: readonly Issue[];
  /** The valid part of a map, and its invalid keys; for rules that relate several keys. */
  readonly rest?: { readonly value: unknown; readonly broken: ReadonlySet<string> } | undefined;
}

/** Gives a valibot schema the project's messages. */
export function houseSchema<const S extends v.GenericSchema>(schema: S): HouseSchema<v.InferOutput<S>> {
  return within(schema, {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate(value) {
        const result = v.safeParse(schema, value);
        if (result.success) return { value: result.output };
        return { issues: result.issues.map((issue) => toIssue(schema, issue)), rest: restOf(schema, result) };
      },
    },
  });
}

function restOf(schema: v.GenericSchema, { output, issues }: v.SafeParseResult<v.GenericSchema>): Refusal["rest"] {
  const keys = issues?.map(({ path }) => path?.[0]?.key);
  // Beyond a map's own schema the value may have been transformed, and only if it is valid.
  if (schema.type !== "strict_object" || "pipe" in schema || keys?.includes(undefined)) return undefined;
  return { value: output, broken: new Set(keys?.map(String)) };
}

/** The valibot schema behind one of these. */
const INSIDE = new WeakMap<object, v.GenericSchema>();

function within<Output>(inside: v.GenericSchema | undefined, schema: HouseSchema<Output>): HouseSchema<Output> {
  if (inside !== undefined) INSIDE.set(schema, inside);
  return schema;
}

/** A key in the tables of the docs. */
export interface KeyFacts {
  /** Whether the key is required. */
  readonly isNeeded: boolean;
  /** The default. */
  readonly default: unknown;
  /** Its type: valibot's name of the first schema, or the project's. */
  readonly type: string;
}

/** Lists all keys of a schema for the docs, by path: `updates.quiet`; `*` stands for any key or index. */
export function keyFactsOf(schema: HouseSchema<unknown>): ReadonlyMap<string, KeyFacts> {
  const found = new Map<string, KeyFacts>();
  const walk = (part: unknown, path: readonly string[]) => {
    const at = unwrap(part);
    for (const [key, inner] of Object.entries(at?.entries ?? {})) {
      const { type, default: standard } = inner as SchemaParts;
      const own = unwrap(inner);
      found.set([...path, key].join("."), {
        isNeeded: type !== "optional",
        default: standard,
        type: (own && KEY_TYPES.get(own)) ?? own?.type ?? "",
      });
      walk(inner, [...path, key]);
    }
    for (const inner of [at?.item, at?.type === "record" ? at.value : undefined]) {
      if (inner !== undefined) walk(inner, [...path, "*"]);
    }
  };
  walk(INSIDE.get(schema), []);
  return found;
}

/**
 * Lists the keys of a schema that are durations or percentages, by path: `updates.quiet`; `*` stands
 * for any key or index.
 */
export function keyTypesOf(schema: HouseSchema<unknown>): ReadonlyMap<string, KeyType> {
  const found = new Map<string, KeyType>();
  const walk = (part: unknown, path: readonly string[]) => {
    const at = unwrap(part);
    const type = at === undefined ? undefined : KEY_TYPES.get(at);
    if (type !== undefined) found.set(path.join("."), type);
    for (const [key, inner] of Object.entries(at?.entries ?? {})) walk(inner, [...path, key]);
    for (const inner of [at?.item, at?.type === "record" ? at.value : undefined]) {
      if (inner !== undefined) walk(inner, [...path, "*"]);
    }
  };
  walk(INSIDE.get(schema), []);
  return found;
}

/**
 * Adds rules to a schema that relate several keys: `faults` checks the keys `of`, and runs if these
 * are valid, whatever other keys are: one finding hides no other. Without `of` it checks all.
 */
export function refined<Output, const Key extends keyof Output & string = keyof Output & string>(
  schema: HouseSchema<Output>,
  faults: (value: Pick<Output, Key>) => readonly Issue[],
  of?: readonly Key[],
): HouseSchema<Output> {
  return within(INSIDE.get(schema), {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate(value) {
        const result = schema["~standard"].validate(value);
        if (!("issues" in result)) {
          const issues = faults(result.value);
          return issues.length === 0 ? result : { issues, rest: { value: result.value, broken: new Set() } };
        }
        const { rest } = result;
        if (of === undefined || rest === undefined || of.some((key) => rest.broken.has(key))) return result;
        return { issues: [...result.issues, ...faults(rest.value as Pick<Output, Key>)], rest };
      },
    },
  });
}

/** Transforms the valid value of a schema. */
export function mapped<Output, const Mapped>(
  schema: HouseSchema<Output>,
  convert: (value: Output) => Mapped,
): HouseSchema<Mapped> {
  return within(INSIDE.get(schema), {
    "~standard": {
      version: 1,
      vendor: "lighthouse",
      validate(value) {
        const result = schema["~standard"].validate(value);
        return "issues" in result ? { issues: result.issues } : { value: convert(result.value) };
      },
    },
  });
}

/** Reports the value at a path as wrong; for {@linkcode refined}. */
export function unwanted(path: readonly (string | number)[], wanted: string, value: unknown): Issue {
  const isSecret = path.some((part) => typeof part === "string" && isSecretKey(part));
  const shown = isSecret ? MASK : quote(value, { isHidden: isSecretKey });
  return { message: `Cannot use ${formatPath(path)}: must be ${wanted}; current value is ${shown}`, path };
}

/** A string. */
export const text = (wanted = "a string") => v.string(wanted);

/** A non-empty string. */
export const word = (wanted = "a non-empty string") => v.pipe(v.string(wanted), v.minLength(1, wanted));

/** A string that matches a pattern. */
export const matching = (form: RegExp, wanted: string) => v.pipe(v.string(wanted), v.regex(form, wanted));

/** Anything that `convert` accepts: it returns `undefined` for invalid values. */
export const converted = <const T>(convert: (value: unknown) => T | undefined, wanted: string) =>
  v.pipe(
    v.custom<unknown>((value) => convert(value) !== undefined, wanted),
    v.transform((value) => convert(value) as T),
  );

/** `true` or `false`. */
export const flag = (wanted = "true or false") => v.boolean(wanted);

/** An integer in a range; a string of digits is accepted, as in 1.0. */
export function integer({ min, max = Number.MAX_SAFE_INTEGER }: { readonly min: number; readonly max?: number }) {
  const wanted = max === Number.MAX_SAFE_INTEGER ? `an integer >= ${min}` : `an integer from ${min} to ${max}`;
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^-?[0-9]{1,15}$/, wanted))], wanted),
    v.transform(Number),
    v.integer(wanted),
    v.minValue(min, wanted),
    v.maxValue(max, wanted),
  );
}

/** Names of types in the tables of the docs, where several keys share one. */
export type KeyType = "duration" | "percentage";

const KEY_TYPES = new WeakMap<object, KeyType>();

function keyed<const S extends v.GenericSchema>(type: KeyType, schema: S): S {
  KEY_TYPES.set(schema, type);
  return schema;
}

/** A duration in seconds: a number, or a string with a unit (`500ms`, `2s`, `5m`, `1h`, `1d`). */
export function seconds({ min, max }: { readonly min: number; readonly max: number }) {
  const range = `from ${formatDuration(min * 1_000)} to ${formatDuration(max * 1_000)}`;
  const wanted = `a duration ${range}, such as 2s or 500ms, or a number of seconds`;
  const read = (text: string) => parseDuration(text, { bareUnit: "s" }) ?? NaN;
  return keyed(
    "duration",
    v.pipe(numberOr((text) => read(text) / 1_000, wanted), v.minValue(min, wanted), v.maxValue(max, wanted)),
  );
}

/** A duration in whole milliseconds, for keys whose bare numbers have always been milliseconds. */
export function milliseconds({ min, max }: { readonly min: number; readonly max: number }) {
  const range = `from ${formatDuration(min)} to ${formatDuration(max)}`;
  const wanted = `a duration ${range}, such as 2s or 500ms, or a number of milliseconds`;
  const read = (text: string) => parseDuration(text, { bareUnit: "ms" }) ?? NaN;
  return keyed(
    "duration",
    v.pipe(numberOr(read, wanted), v.integer(wanted), v.minValue(min, wanted), v.maxValue(max, wanted)),
  );
}

/** A number, or a string that `read` converts; it returns `NaN` for invalid ones. */
function numberOr(read: (text: string) => number, wanted: string) {
  return v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.check((text) => !Number.isNaN(read(text)), wanted))], wanted),
    v.transform((given) => typeof given === "string" ? read(given) : given),
  );
}

/** A percentage as a whole number: the number, or a string with or without `%` (`80%`). */
export function percentage({ min = 0, max = 100 }: { readonly min?: number; readonly max?: number } = {}) {
  const wanted = `a whole percentage from ${min} to ${max}, with or without %`;
  return keyed(
    "percentage",
    v.pipe(
      numberOr((text) => parsePercentage(text) ?? NaN, wanted),
      v.integer(wanted),
      v.minValue(min, wanted),
      v.maxValue(max, wanted),
    ),
  );
}

/** A list. */
export const list = <const S extends v.GenericSchema>(item: S, wanted = "a list") => v.array(item, wanted);

/** A map with any keys, all values alike. */
export const mapOf = <const S extends v.GenericSchema>(value: S, wanted = "a map") =>
  notList(v.record(v.string(), value, wanted));

/** A map with known keys; any other is an issue with `unknownKey`. */
export const keys = <const E extends v.ObjectEntries>(entries: E) => notList(v.strictObject(entries, "a map"));

/** A value with several forms: `choose` returns the schema for it. */
export const chosen = <const S extends v.GenericSchema>(choose: (value: unknown) => S) => v.lazy(choose);

/** An optional key. */
export const optional: typeof v.optional = v.optional;

/** Valibot accepts a list as an object whose keys are its indexes; operators do not expect that. */
function notList<const S extends v.GenericSchema>(schema: S): S {
  return {
    ...schema,
    "~run"(dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) {
      if (!Array.isArray(dataset.value)) return schema["~run"](dataset, config);
      v._addIssue(schema, "type", dataset, config);
      return dataset;
    },
  };
}

function toIssue(schema: v.GenericSchema, issue: v.BaseIssue<unknown>): Issue {
  const path = (issue.path ?? []).map((item) => typeof item.key === "number" ? item.key : String(item.key));
  const key = path.length === 0 ? "the file" : formatPath(path);
  if (issue.type === "strict_object" && path.length > 0) {
    const entries = entriesAt(schema, issue.path ?? []);
    if (issue.expected === "never") {
      return { message: `Unknown key ${key}`, path, unknownKey: { known: Object.keys(entries) } };
    }
    if (issue.received === "undefined") {
      const last = path.at(-1);
      const wanted = last === undefined ? "" : wantedOf(entries[last]);
      // A missing key has no position, so the fault is at its parent.
      return { message: `Missing key ${key}${wanted === "" ? "" : `: must be ${wanted}`}`, path: path.slice(0, -1) };
    }
  }
  if (path.length > 0) return unwanted(path, issue.message, issue.input);
  const value = quote(issue.input, { isHidden: isSecretKey });
  return { message: `Cannot use ${key}: must be ${issue.message}; current value is ${value}`, path };
}

/** Formats a path for messages: `checks.http.rise`, `hosts[0]`. */
export function formatPath(path: readonly (string | number)[]): string {
  return path.map((part, i) => typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`).join("");
}

/** The entries of the map that contains the last key of an issue's path. */
function entriesAt(schema: unknown, path: readonly v.IssuePathItem[]): Record<string, unknown> {
  let at = unwrap(schema, path[0]?.input);
  for (const { key, value } of path.slice(0, -1)) {
    if (typeof key === "number") at = unwrap(at?.item, value);
    else at = unwrap(at?.entries === undefined ? at?.value : at.entries[String(key)], value);
  }
  return at?.entries ?? {};
}

interface SchemaParts {
  readonly type?: string;
  readonly message?: unknown;
  readonly entries?: Record<string, unknown>;
  readonly item?: unknown;
  readonly value?: unknown;
  readonly wrapped?: unknown;
  /** Of an optional key. */
  readonly default?: unknown;
  /** Of a schema that depends on the value. */
  readonly getter?: (input: unknown) => unknown;
}

function unwrap(schema: unknown, input?: unknown): SchemaParts | undefined {
  const parts = schema as SchemaParts | undefined;
  if (parts?.getter !== undefined) return unwrap(parts.getter(input), input);
  return parts?.wrapped === undefined ? parts : unwrap(parts.wrapped, input);
}

function wantedOf(schema: unknown): string {
  const message = unwrap(schema)?.message;
  return typeof message === "string" ? message : "";
}
