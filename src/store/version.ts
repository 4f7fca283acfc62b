/** A state of the document: each commit has the next sequence. */
export interface Version {
  readonly sequence: number;
  /** The MD5 of the document's canonical JSON, in hexadecimal. */
  readonly checksum: string;
}

/** Larger sequences are rejected: their successors must also be exact numbers of 15 digits. */
export const SEQUENCE_MAX = 99_999_999_999_999;

/** Orders versions: the larger sequence is newer; of equal ones, the larger checksum. 0 means the same version. */
export function compareVersions(a: Version, b: Version): number {
  if (a.sequence !== b.sequence) return a.sequence - b.sequence;
  return a.checksum === b.checksum ? 0 : a.checksum < b.checksum ? -1 : 1;
}

/** Formats a version for an `ETag` or a query: `12-900150983cd24fb0d6963f7d28e17f72`. */
export function formatVersion({ sequence, checksum }: Version): string {
  return `${sequence}-${checksum}`;
}

/**
 * Parses what {@linkcode formatVersion} wrote, with or without the quotes of an `ETag`, also weak as
 * compressing proxies make it; the checksum may be omitted. `undefined` if invalid.
 */
export function parseVersion(text: string): { readonly sequence: number; readonly checksum?: string } | undefined {
  const [, digits, checksum] = /^(?:W\/)?"?([0-9]{1,15})(?:-([0-9a-f]{32}))?"?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return checksum === undefined ? { sequence: Number(digits) } : { sequence: Number(digits), checksum };
}

/** Reads a version from a peer or a file; `undefined` if invalid. */
export function readVersion(json: unknown): Version | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const { sequence, checksum } = json as { readonly sequence?: unknown; readonly checksum?: unknown };
  if (typeof sequence !== "number" || !Number.isSafeInteger(sequence) || sequence < 0) return undefined;
  return typeof checksum === "string" && /^[0-9a-f]{32}$/.test(checksum) ? { sequence, checksum } : undefined;
}
