/**
 * What is added to a cluster over the admin interface: nodes, and sources. It
 * holds until it is removed or ends by itself. Pure.
 *
 * @module
 */
import { isRecord, type Json } from "./node.ts";

/** What a cluster's file lets others add: `api`. */
export interface AdditionsAllowed {
  /** Whether nodes may be added. */
  readonly nodes: boolean;
  /** The discoveries of sources that may be added: names of files of `discovery/`. */
  readonly sources: readonly string[];
}

/** One node or source that was added. */
export interface Addition {
  readonly cluster: string;
  readonly kind: "nodes" | "sources";
  /** Its name among those of its kind and cluster. */
  readonly name: string;
  /** A node of a static source, or an item of `discovery:`. */
  readonly value: { readonly [key: string]: Json };
  /** The time of day in milliseconds at which it ends; absent: it does not. */
  readonly untilMs?: number | undefined;
}

/** No cluster gets more from others. */
export const ADDITIONS_MAX = 1_000;

/** Whether two are about the same thing: the newer takes the place of the other. */
export function isSameAddition(
  a: Pick<Addition, "cluster" | "kind" | "name">,
  b: Pick<Addition, "cluster" | "kind" | "name">,
): boolean {
  return a.cluster === b.cluster && a.kind === b.kind && a.name === b.name;
}

/** Those that hold at a time, sorted, so that the order in which they came does not matter. */
export function additionsAt(all: readonly Addition[], nowMs: number): readonly Addition[] {
  const text = ({ cluster, kind, name }: Addition) => `${cluster}\0${kind}\0${name}`;
  return all.filter(({ untilMs = Infinity }) => untilMs > nowMs).toSorted((a, b) => text(a) < text(b) ? -1 : 1);
}

/** Reads what {@linkcode JSON} made of additions; `undefined` if it is none. */
export function parseAdditions(value: unknown): readonly Addition[] | undefined {
  return Array.isArray(value) && value.every(isAddition) ? value : undefined;
}

function isAddition(value: unknown): value is Addition {
  if (!isRecord(value) || !isRecord(value.value)) return false;
  const { cluster, kind, name, untilMs } = value;
  return typeof cluster === "string" && typeof name === "string" && (kind === "nodes" || kind === "sources") &&
    (untilMs === undefined || typeof untilMs === "number");
}
