import { type Lineage, lineageFromJson } from "./lineage.ts";
import { type Leases, leasesFromJson, leasesToJson } from "./leases.ts";
import { type Tree, treeOf } from "./tree.ts";
import { readVersion, type Version } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

/** One whole state of a store. */
export interface Copy {
  readonly version: Version;
  readonly data: Tree;
  readonly leases: Leases;
  /** The versions that it came from. */
  readonly lineage: Lineage;
}

/** What a snapshot holds. */
export interface Snapshot {
  readonly copy: Copy;
  /** The addresses of the instances that were known. */
  readonly cluster: readonly string[];
}

/** Answers the hash of bytes that follow one another, in hexadecimal. */
export type Hash = (...parts: readonly Uint8Array<ArrayBuffer>[]) => string;

/** The hashes that a store needs; parameters, so that what decides stays free of effects. */
export interface Hashes {
  /** Names versions. */
  readonly md5: Hash;
  /** Guards snapshots. */
  readonly sha256: Hash;
}

/** What a snapshot is when it is not what was written. */
export class CorruptSnapshotError extends Error {
  override name = "CorruptSnapshotError";
}

const HEAD = /^\{"sha256":"([0-9a-f]{64})",/;
const HEAD_LENGTH = `{"sha256":"${"0".repeat(64)}",`.length;

/**
 * Writes a snapshot as the parts of a file: JSON whose first key is the hash of
 * all bytes behind it.
 *
 * @param data the canonical JSON of the document
 */
export function encodeSnapshot(
  { copy, cluster }: Snapshot,
  data: Uint8Array<ArrayBuffer>,
  { sha256 }: Hashes,
): readonly Uint8Array<ArrayBuffer>[] {
  const body = [
    utf8(`"cluster":${JSON.stringify(cluster.map((address) => ({ address })))},"copy":{"data":`),
    data,
    utf8(
      `,"version":${JSON.stringify(copy.version)}},"leases":${JSON.stringify(leasesToJson(copy.leases))},"lineage":${
        JSON.stringify(copy.lineage)
      }}\n`,
    ),
  ];
  return [utf8(`{"sha256":"${sha256(...body)}",`), ...body];
}

/** How a snapshot is read. */
export interface DecodeOptions {
  readonly hashes: Hashes;
  /** A document with more levels was not written by a store. */
  readonly depthMax: number;
  /** Answers the checksum of a document. */
  readonly checksumOf: (data: Tree) => string;
}

/**
 * Reads a snapshot. One without a hash is 1.0's: its document is
 * taken and named anew, since its checksum was made of another spelling.
 * Throws {@linkcode CorruptSnapshotError}.
 */
export function decodeSnapshot(
  bytes: Uint8Array<ArrayBuffer>,
  { hashes, depthMax, checksumOf }: DecodeOptions,
): Snapshot {
  const wanted = HEAD.exec(new TextDecoder().decode(bytes.subarray(0, HEAD_LENGTH)))?.[1];
  if (wanted !== undefined && hashes.sha256(bytes.subarray(HEAD_LENGTH)) !== wanted) {
    throw new CorruptSnapshotError("its bytes are not those that were written: the hash differs");
  }
  let json: unknown;
  try {
    // What has the right hash is what was encoded, and need not be looked at byte by byte.
    json = JSON.parse(new TextDecoder("utf-8", { fatal: wanted === undefined, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new CorruptSnapshotError(`it is no JSON: ${error instanceof Error ? error.message : error}`);
  }
  const odd = wanted === undefined && Object.keys(json ?? {}).some((key) => key !== "copy" && key !== "cluster");
  if (odd) throw new CorruptSnapshotError("it has no hash, though it is not of the kind that had none");
  const { copy, cluster, leases, lineage } = (json ?? {}) as {
    readonly copy?: { readonly data?: unknown; readonly version?: unknown };
    readonly cluster?: unknown;
    readonly leases?: unknown;
    readonly lineage?: unknown;
  };
  const version = readVersion(copy?.version);
  if (version === undefined || copy?.data === undefined) throw new CorruptSnapshotError("it holds no copy");
  let data: Tree;
  try {
    data = treeOf(copy.data, depthMax);
  } catch {
    throw new CorruptSnapshotError(`its document is more than ${depthMax} levels deep`);
  }
  const named = wanted === undefined ? { ...version, checksum: checksumOf(data) } : version;
  return {
    copy: { version: named, data, leases: leasesFromJson(leases), lineage: lineageFromJson(lineage) },
    cluster: addressesOf(cluster),
  };
}

/** Reads the addresses of instances, as a snapshot or a peer lists them; what is none is left out. */
export function addressesOf(json: unknown): readonly string[] {
  return (Array.isArray(json) ? json : []).flatMap((item) => {
    const address = (item as { readonly address?: unknown } | null)?.address;
    return typeof address === "string" ? [address] : [];
  });
}
