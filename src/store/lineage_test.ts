import assert from "node:assert/strict";
import { descend, fateOf, type Lineage } from "./lineage.ts";
import { formatVersion, type Version } from "./version.ts";

const version = (sequence: number, digit = "0"): Version => ({ sequence, checksum: digit.repeat(32) });

/** The lineage of the newest of `count` successive versions. */
function lineageOf(count: number): Lineage {
  let lineage: Lineage = [];
  for (let sequence = 0; sequence < count; sequence++) lineage = descend(lineage, version(sequence));
  return lineage;
}

Deno.test("fateOf() distinguishes kept, lost and unknown versions", () => {
  assert.equal(fateOf(version(3), lineageOf(5)), "kept");
  assert.equal(fateOf(version(3, "a"), lineageOf(5)), "lost");
  assert.equal(fateOf(version(7), lineageOf(5)), "lost", "a sequence raised elsewhere");
  assert.equal(fateOf(version(0), []), "kept", "always empty");
  assert.equal(fateOf(version(3), lineageOf(1_000)), "unknown");
  assert.equal(fateOf(version(900, "a"), lineageOf(1_000)), "lost");
});

Deno.test("descend() keeps the newest 256 versions", () => {
  const lineage = lineageOf(1_000);
  assert.equal(lineage.length, 256);
  assert.equal(lineage[0], formatVersion(version(999)));
});
