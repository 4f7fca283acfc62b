import { createHash } from "node:crypto";
import type { Path } from "../kernel/findings.ts";

/** One registry that a cluster's members come from, or that a service registers in: an item of `discovery:`. */
export interface RegistrySource {
  /** Unique in its file: the name of the discovery, and `etcd#2` for the second item of the discovery `etcd`. */
  readonly name: string;
  /** The discovery: the name of a file of `discovery/`. */
  readonly discovery: string;
  /** What the file says to the discovery; validated by the discovery's plugin. Absent if it says nothing. */
  readonly options?: { readonly [key: string]: unknown } | undefined;
  /** Where the file names the discovery, and where its options stand: for diagnostics. */
  readonly at: { readonly name: Path; readonly options: Path };
}

/** How the members of several sources become those of one cluster. */
export type Combine =
  /** A node of any source is a member. */
  | { readonly policy: "union" }
  /** A node of every source is a member; `host`: one that shares its host with a node of each other source. */
  | { readonly policy: "all"; readonly match: "host" | "address" }
  /** The nodes of the first source that has ready ones are the members. */
  | {
    readonly policy: "first";
    /** How long a source must lack ready nodes before the next one takes over. */
    readonly waitMs: number;
    /** How long an earlier source must have ready nodes before it takes over again. */
    readonly returnAfterMs: number;
  };

/** How sources are combined where a file says nothing of it. */
export const UNION: Combine = Object.freeze({ policy: "union" });

/** The only source of a file that names one discovery. */
export function onlySource(discovery: string, options?: RegistrySource["options"]): RegistrySource {
  return Object.freeze({
    name: discovery,
    discovery,
    ...options !== undefined && { options },
    at: Object.freeze({ name: ["discovery"], options: [discovery] }),
  });
}

/**
 * Names what a source says, whatever its place in the file: two sources of one key report the same, today and after a
 * restart. A hash stands for the options, as they may hold secrets. Pure.
 */
export function sourceKey({ discovery, options }: Pick<RegistrySource, "discovery" | "options">): string {
  if (options === undefined || Object.keys(options).length === 0) return discovery;
  const hash = createHash("sha256").update(canonical(options)).digest("hex").slice(0, 16);
  return `${discovery}@${hash}`;
}

/** Writes a value as JSON whose keys are sorted: their order in a file means nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}
