import { formatVersion, parseVersion, type Version } from "./version.ts";

/** So many versions before its own a copy can name. */
const LINEAGE_MAX = 256;

/** The versions that a version came from, newest first, as {@linkcode formatVersion} writes them. */
export type Lineage = readonly string[];

/** Answers the lineage of what follows a version. */
export function descend(lineage: Lineage, from: Version): Lineage {
  return [formatVersion(from), ...lineage].slice(0, LINEAGE_MAX);
}

/**
 * Tells what becomes of a version when a newer one takes its place: it lives
 * on in it, or is lost, or is so old that nobody can tell.
 */
export function fateOf(version: Version, lineage: Lineage): "kept" | "lost" | "unknown" {
  // Nothing was ever written in the version that every store begins with.
  if (version.sequence === 0 || lineage.includes(formatVersion(version))) return "kept";
  const oldest = parseVersion(lineage.at(-1) ?? "");
  return lineage.length === LINEAGE_MAX && oldest !== undefined && oldest.sequence > version.sequence
    ? "unknown"
    : "lost";
}

/** Reads a lineage from what a file or another instance says. */
export function lineageFromJson(json: unknown): Lineage {
  return (Array.isArray(json) ? json : []).filter((item) =>
    typeof item === "string" && parseVersion(item) !== undefined
  )
    .slice(0, LINEAGE_MAX);
}
