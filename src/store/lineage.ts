import { formatVersion, parseVersion, type Version } from "./version.ts";

/** Maximum number of earlier versions that a copy names. */
const LINEAGE_MAX = 256;

/** The versions that a version descends from, newest first, as {@linkcode formatVersion} writes them. */
export type Lineage = readonly string[];

/** Returns the lineage of the next version. */
export function descend(lineage: Lineage, from: Version): Lineage {
  return [formatVersion(from), ...lineage].slice(0, LINEAGE_MAX);
}

/** Decides the fate of a version when a newer one replaces it: contained in it, lost, or too old to know. */
export function fateOf(version: Version, lineage: Lineage): "kept" | "lost" | "unknown" {
  // The initial version of every store is empty.
  if (version.sequence === 0 || lineage.includes(formatVersion(version))) return "kept";
  const oldest = parseVersion(lineage.at(-1) ?? "");
  return lineage.length === LINEAGE_MAX && oldest !== undefined && oldest.sequence > version.sequence
    ? "unknown"
    : "lost";
}

/** Reads a lineage from a file or a peer. */
export function lineageFromJson(json: unknown): Lineage {
  return (Array.isArray(json) ? json : []).filter((item) =>
    typeof item === "string" && parseVersion(item) !== undefined
  )
    .slice(0, LINEAGE_MAX);
}
