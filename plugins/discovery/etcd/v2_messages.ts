/**
 * The messages of etcd's API 2, validated: a tree of directories and keys, each with the index of its last
 * change. Pure.
 *
 * @module
 */
import { isRecord, quote } from "../../../src/model/node.ts";
import { MalformedAnswerError } from "./messages.ts";

/** A key, and its value. */
export interface Leaf {
  readonly key: string;
  readonly value: string;
  readonly modifiedIndex: number;
}

/** The error codes that matter here. */
export const V2_CODE = { notFound: 100, compareFailed: 101, exists: 105, indexCleared: 401 } as const;

/** How deep directories are nested at most. */
const DEPTH_MAX = 32;

/** Reads all keys of an answer, at any depth. */
export function readLeaves(answer: unknown): readonly Leaf[] {
  const leaves: Leaf[] = [];
  let level: readonly unknown[] = [recordOf(answer).node];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEPTH_MAX) throw malformed(`directories must be nested at most ${DEPTH_MAX} levels deep`, "too deep");
    level = level.flatMap((each) => {
      const node = recordOf(each);
      if (node.dir === true) return Array.isArray(node.nodes) ? node.nodes : [];
      leaves.push(leafOf(node));
      return [];
    });
  }
  return leaves;
}

/** Reads a change: the key that was written, and its previous value. */
export function readChange(
  answer: unknown,
): { readonly key: string; readonly index: number; readonly before?: Leaf | undefined } {
  const { node, prevNode } = recordOf(answer);
  const { key, modifiedIndex } = recordOf(node);
  if (typeof key !== "string") throw malformed("a change must contain a key", key);
  const before = isRecord(prevNode) && prevNode.dir !== true ? leafOf(prevNode) : undefined;
  return { key, index: indexOf(modifiedIndex), before };
}

/** Reads an error; `undefined` if it is not etcd's. */
export function readV2Error(answer: unknown): { readonly code: number; readonly message: string } | undefined {
  if (!isRecord(answer) || typeof answer.message !== "string") return undefined;
  const { errorCode, message, cause } = answer;
  const text = typeof cause === "string" && cause !== "" ? `${message} (${cause})` : message;
  return { code: typeof errorCode === "number" ? errorCode : 0, message: text.slice(0, 300) };
}

/** Encodes a key as the path of a request. */
export function v2Path(key: string): string {
  return `/v2/keys${key.split("/").map((part) => encodeURIComponent(part.toWellFormed())).join("/")}`;
}

function leafOf({ key, value = "", modifiedIndex }: Record<string, unknown>): Leaf {
  if (typeof key !== "string" || typeof value !== "string") {
    throw malformed("a key and its value must be strings", value);
  }
  return { key, value, modifiedIndex: indexOf(modifiedIndex) };
}

function indexOf(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  throw malformed("modifiedIndex must be an integer", value);
}

function recordOf(value: unknown): Record<string, unknown> {
  if (!isRecord(value)) throw malformed("must contain an object", value);
  return value;
}

function malformed(wanted: string, value: unknown): MalformedAnswerError {
  return new MalformedAnswerError(
    `Invalid response from etcd (API 2): ${wanted}; received ${quote(value)}`,
  );
}
