/**
 * Validators in the shape of https://standardschema.dev, as small as this
 * plugin needs them.
 *
 * @module
 */
import type { Schema, SchemaIssue } from "../../../mod.ts";

/** One key of a map. */
export interface Key<T> {
  /** The wanted value, for messages. */
  readonly wanted: string;
  /** The default; the key is required if there is none. */
  readonly fallback?: T | undefined;
  /** Whether a value is valid. */
  readonly is: (value: unknown) => boolean;
}

/** An absolute path. */
export function path(fallback?: string): Key<string> {
  return {
    wanted: "an absolute path without spaces",
    fallback,
    is: (value) => typeof value === "string" && /^\/[!-~]+$/.test(value) && !/[;{}"'#$]/.test(value),
  };
}

/** A port. */
export function port(): Key<number> {
  const is = (value: unknown) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535;
  return { wanted: "an integer from 1 to 65535", is };
}

/** An address. */
export function text(fallback: string): Key<string> {
  return {
    wanted: "an address",
    fallback,
    is: (value) => typeof value === "string" && /^[0-9A-Za-z.:[\]*-]+$/.test(value),
  };
}

/** A list of lines. */
export function listOfTexts(): Key<readonly string[]> {
  const isLine = (line: unknown) => typeof line === "string" && !/[\n\r]/.test(line);
  return { wanted: "a list of lines", fallback: [], is: (value) => Array.isArray(value) && value.every(isLine) };
}

/** A map of keys; all faults are reported at once. */
export function mapSchema<T extends object>(keys: { readonly [name in keyof T]: Key<T[name]> }): Schema<T> {
  const all = Object.entries(keys) as readonly (readonly [string, Key<unknown>])[];
  const validate = (value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return { issues: [{ message: "Cannot use it: must be a map" }] };
    }
    const given = new Map(Object.entries(value));
    const issues: SchemaIssue[] = [];
    for (const key of given.keys()) {
      if (!Object.hasOwn(keys, key)) {
        issues.push({ message: `Unknown key ${key}`, path: [key], unknownKey: { known: Object.keys(keys) } });
      }
    }
    const entries = all.map(([name, { wanted, fallback, is }]) => {
      const found = given.get(name) ?? fallback;
      if (found === undefined) issues.push({ message: `Missing key ${name}: want ${wanted}`, path: [name] });
      else if (!is(found)) {
        const message = `Cannot use ${name}: must be ${wanted}; current value is ${JSON.stringify(found)}`;
        issues.push({ message, path: [name] });
      }
      return [name, found];
    });
    return issues.length > 0 ? { issues } : { value: Object.fromEntries(entries) as T };
  };
  return { "~standard": { version: 1, vendor: "edge", validate } };
}
