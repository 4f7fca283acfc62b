import type { Node } from "../../../mod.ts";
import { quote } from "../../../src/model/node.ts";
import type { Child, ReadChildOptions } from "../children.ts";

/**
 * How the entries of one cluster are read and written: each format reads what its own clients write, and
 * writes what they read.
 */
export interface Format {
  /** Selects the names of entries that stand for nodes; others do not belong to the format. */
  readonly select?: ((names: readonly string[]) => readonly string[]) | undefined;
  /** Reads an entry; what makes it unusable is its fault. Never throws. */
  readonly read: (name: string, data: Uint8Array, options?: ReadChildOptions) => Child;
  /** The entry of a node; `undefined` if the format cannot express a draining one, which is removed then. */
  readonly write: (node: Node) => WrittenEntry | undefined;
  /** The name of a node's entry in a registry that does not number its entries. */
  readonly nameOf: (node: Node) => string;
  /** The prefix of a node's numbered entry, if its clients expect entries that the registry has numbered. */
  readonly sequenceOf?: ((node: Node) => string) | undefined;
  /** Whether other tools list the entries, so that there must be no others but nodes. */
  readonly isForeign: boolean;
  /** Whether an entry may be one level lower, in a directory of its own. */
  readonly isNested?: boolean | undefined;
}

/** What is written of a node. */
export interface WrittenEntry {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The bytes of a value as JSON. */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The rejection of an entry. */
export function unusable(wanted: string, value: unknown): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason: `Invalid entry: ${wanted}; current value is ${quote(value)}` };
}

/** A number that may be written as digits; anything else stays as it is, and is rejected for what it is. */
export function numberOf(value: unknown): unknown {
  return typeof value === "string" && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
}
