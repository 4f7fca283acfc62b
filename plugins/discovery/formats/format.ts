import type { Node } from "../../../mod.ts";
import { quote } from "../../../src/model/node.ts";
import type { Child, ReadChildOptions } from "../children.ts";

/** How the entries of one cluster are read and written: each format reads what its own clients write, and writes what they read. */
export interface Format {
  /** The entries that stand for nodes, of the names of all that there are; the others are none of the format's. */
  readonly select?: ((names: readonly string[]) => readonly string[]) | undefined;
  /** Reads an entry; what it cannot be used for is its fault. Never throws. */
  readonly read: (name: string, data: Uint8Array, options?: ReadChildOptions) => Child;
  /** The entry of a node; `undefined` if the format has no place for one that drains, which is removed then. */
  readonly write: (node: Node) => WrittenEntry | undefined;
  /** The name of a node's entry in a registry that does not number its entries. */
  readonly nameOf: (node: Node) => string;
  /** What comes before the number of a node's entry, if its clients expect entries that the registry has numbered. */
  readonly sequenceOf?: ((node: Node) => string) | undefined;
  /** Whether other tools list the entries, so that there must be none but nodes. */
  readonly isForeign: boolean;
  /** Whether an entry may stand one level lower, in a directory of its own. */
  readonly isNested?: boolean | undefined;
}

/** What is written of a node. */
export interface WrittenEntry {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The bytes of what is written as JSON. */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A refusal of an entry. */
export function unusable(wanted: string, value: unknown): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason: `Invalid entry: ${wanted}; current value is ${quote(value)}` };
}

/** A number that may be written as digits; what is neither stays as it is, and is refused as what it stands for. */
export function numberOf(value: unknown): unknown {
  return typeof value === "string" && /^[0-9]{1,15}$/.test(value) ? Number(value) : value;
}
