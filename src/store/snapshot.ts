import { type Lineage, lineageFromJson } from "./lineage.ts";
import { type Leases, leasesFromJson, leasesToJson } from "./leases.ts";
import { type Tree, treeOf } from "./tree.ts";
import { readVersion, type Version } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

/** A complete state of a store. */
export interface Copy {
  readonly version: Version;
  readonly data: Tree;
  readonly leases: Leases;
  /** The versions that it descends from. */
  readonly lineage: Lineage;
}

/** Contents of a snapshot. */
export interface Snapshot {
  readonly copy: Copy;
  /** The addresses of the known instances. */
  readonly cluster: readonly string[];
}

/** Returns the hash of successive bytes, in hexadecimal. */
export type Hash = (...parts: readonly Uint8Array<ArrayBuffer>[]) => string;

/** The hash functions of a store; parameters, so that decisions stay pure. */
export interface Hashes {
  /** For versions. */
  readonly md5: Hash;
  /** For snapshots. */
  readonly sha256: Hash;
}

/** A snapshot that differs from what was written. */
export class CorruptSnapshotError extends Error {
  override name = "CorruptSnapshotError";
}

const HEAD = /^\{"sha256":"([0-9a-f]{64})",/;
const HEAD_LENGTH = `{"sha256":"${"0".repeat(64)}",`.length;

/**
 * Encodes a snapshot as the parts of a file: JSON whose first key is the hash of all bytes behind it.
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

/** How to decode a snapshot. */
export interface DecodeOptions {
  readonly hashes: Hashes;
  /** Maximum depth of a document that a store writes. */
  readonly depthMax: number;
  /** Returns the checksum of a document. */
  readonly checksumOf: (data: Tree) => string;
}

/**
 * Decodes a snapshot. One without a hash is from store 0.1: its checksum was made of another encoding, so its
 * version is renamed. Throws {@linkcode CorruptSnapshotError}.
 */
export function decodeSnapshot(
  bytes: Uint8Array<ArrayBuffer>,
  { hashes, depthMax, checksumOf }: DecodeOptions,
): Snapshot {
  const wanted = HEAD.exec(new TextDecoder().decode(bytes.subarray(0, HEAD_LENGTH)))?.[1];
  if (wanted !== undefined && hashes.sha256(bytes.subarray(HEAD_LENGTH)) !== wanted) {
    throw new CorruptSnapshotError("hash mismatch");
  }
  let json: unknown;
  try {
    // Bytes with the right hash were encoded by a store; their encoding need not be checked.
    json = JSON.parse(new TextDecoder("utf-8", { fatal: wanted === undefined, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    throw new CorruptSnapshotError(`invalid JSON: ${error instanceof Error ? error.message : error}`);
  }
  const odd = wanted === undefined && Object.keys(json ?? {}).some((key) => key !== "copy" && key !== "cluster");
  if (odd) throw new CorruptSnapshotError("the hash is missing, and the file is not in the format of store 0.1");
  const { copy, cluster, leases, lineage } = (json ?? {}) as {
    readonly copy?: { readonly data?: unknown; readonly version?: unknown };
    readonly cluster?: unknown;
    readonly leases?: unknown;
    readonly lineage?: unknown;
  };
  const version = readVersion(copy?.version);
  if (version === undefined || copy?.data === undefined) throw new CorruptSnapshotError("document missing");
  let data: Tree;
  try {
    data = treeOf(copy.data, depthMax);
  } catch {
    throw new CorruptSnapshotError(`the document is nested deeper than ${depthMax} levels`);
  }
  const named = wanted === undefined ? { ...version, checksum: checksumOf(data) } : version;
  return {
    copy: { version: named, data, leases: leasesFromJson(leases), lineage: lineageFromJson(lineage) },
    cluster: addressesOf(cluster),
  };
}

/** Reads the addresses of instances, as listed by a snapshot or a peer; invalid ones are left out. */
export function addressesOf(json: unknown): readonly string[] {
  return (Array.isArray(json) ? json : []).flatMap((item) => {
    const address = (item as { readonly address?: unknown } | null)?.address;
    return typeof address === "string" ? [address] : [];
  });
}
