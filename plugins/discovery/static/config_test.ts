import assert from "node:assert/strict";
import type { SchemaIssue } from "../../../mod.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { clusterSchema } from "./config.ts";

async function faultsOf(nodes: readonly unknown[]): Promise<readonly SchemaIssue[]> {
  const result = await clusterSchema["~standard"].validate({ nodes });
  return "issues" in result ? result.issues : [];
}

Deno.test.each([
  { what: "a line break in its host", node: { address: "10.0.0.1", port: 1, host: "a\nserver b 10.0.0.2:1" } },
  { what: "marks that turn text round", node: { address: "10.0.0.1", port: 1, host: "a\u202eb" } },
  { what: "a command in its address", node: "10.0.0.1;shutdown sessions:80" },
  { what: "a zone with a space", node: { address: "10.0.0.1", port: 1, zone: "a b" } },
  { what: "a weight beyond HAProxy's", node: { address: "10.0.0.1", port: 1, weight: 1e9 } },
  { what: "a key of its prototype", node: JSON.parse('{"address":"10.0.0.1","port":1,"__proto__":{"host":"x"}}') },
  { what: "metadata that is a list", node: { address: "10.0.0.1", port: 1, metadata: [1] } },
])("static rejects a node with $what, and quotes it harmlessly", async ({ node }) => {
  const issues = await faultsOf([node]);
  assert.ok(issues.length > 0);
  for (const { message } of issues) assert.doesNotMatch(message, /[\p{Cc}\p{Cf}]/u);
});

Deno.test("static reports the second of two equal nodes, in time proportional to the number of nodes", async () => {
  const fleet = (length: number) =>
    Array.from({ length }, (_, i) => `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}:80`);
  const took = async (length: number) => {
    const nodes = [...fleet(length), "10.0.0.0:80"];
    const beganMs = performance.now();
    const issues = await faultsOf(nodes);
    assert.deepEqual(issues.map(({ path }) => path), [["nodes", length]]);
    return performance.now() - beganMs;
  };
  // In quadratic time the long one would take two hundred and fifty times as long; the quickest runs count.
  let [short, long] = [Infinity, Infinity];
  await eventually("sixteen times the nodes take about as many times as long", async () => {
    [short, long] = [Math.min(short, await took(500)), Math.min(long, await took(8_000))];
    return long < 64 * short;
  });
});
