import { leasesFromJson, leasesToJson } from "./leases.ts";
import { lineageFromJson } from "./lineage.ts";
import { Refusal } from "./refusal.ts";
import type { Copy } from "./snapshot.ts";
import { compactText, treeOf } from "./tree.ts";
import { readVersion, SEQUENCE_MAX } from "./version.ts";

/** Upper bound of what a copy adds to its document, in bytes. */
export const COPY_ENVELOPE_BYTES: number = 16 * 1024 * 1024;

/** Encodes a copy for a peer. */
export function formatCopy({ data, leases, lineage, version: { checksum, sequence } }: Copy): string {
  return `{"data":${compactText(data)},"leases":${JSON.stringify(leasesToJson(leases))},"lineage":${
    JSON.stringify(lineage)
  },"version":${JSON.stringify({ checksum, sequence })}}`;
}

/** Decodes what {@linkcode formatCopy} wrote; optional parts may be missing. */
export function parseCopy(text: string, { depthMax }: { readonly depthMax: number }): Copy | Refusal {
  try {
    const { data, version, leases, lineage } = JSON.parse(text) ?? {};
    const named = readVersion(version);
    if (named !== undefined && named.sequence <= SEQUENCE_MAX && data !== undefined) {
      return {
        version: named,
        data: treeOf(data, depthMax),
        leases: leasesFromJson(leases),
        lineage: lineageFromJson(lineage),
      };
    }
  } catch {
    // Every fault gets the message below.
  }
  return new Refusal("Bad Request", 'Cannot accept the copy: expected {"version": {"sequence", "checksum"}, "data"}');
}
