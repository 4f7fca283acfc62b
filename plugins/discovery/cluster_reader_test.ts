import assert from "node:assert/strict";
import fc from "fast-check";
import { SILENT } from "../../src/kernel/logger.ts";
import { composeNodes, readChild } from "./children.ts";
import { ClusterReader } from "./cluster_reader.ts";
import { own } from "./formats/own.ts";
import { encodeNode } from "./node_json.ts";

/** An entry: which one, and the last byte of its node's address; 0 stands for invalid data. */
const entry = fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 3 }));

function dataOf(name: string, kind: number): Uint8Array {
  return kind === 0 ? new Uint8Array(1) : encodeNode({ host: name, ip: `10.0.0.${kind}`, port: 80, metadata: {} });
}

Deno.test("ClusterReader returns the nodes of all current entries, whatever was added, changed and removed before", () => {
  fc.assert(
    fc.property(fc.array(fc.array(entry, { maxLength: 8 }), { maxLength: 12 }), (rounds) => {
      const reader = new ClusterReader({ path: "/web", format: own, log: SILENT });
      for (const round of rounds) {
        const kinds = new Map(round.map(([at, kind]) => [`entry${at}`, kind]));
        const entries = [...kinds].map(([name, kind]) => [name, { data: dataOf(name, kind), version: kind }] as const);
        const all = composeNodes(new Map(entries.map(([name, { data }]) => [name, readChild(data)])));
        assert.deepEqual(reader.read(entries), all.nodes);
      }
    }),
    { numRuns: 300 },
  );
});
