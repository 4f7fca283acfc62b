import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { sha256 } from "./sha256.ts";

Deno.test("sha256() is what everybody else computes, for texts of any length", () => {
  const theirs = (text: string) => createHash("sha256").update(text).digest("hex");
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  for (let length = 0; length < 130; length++) assert.equal(sha256("x".repeat(length)), theirs("x".repeat(length)));
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
    assert.equal(sha256(text), theirs(text));
  }));
  const long = "server web:80 10.0.0.1:80 check\n".repeat(3_000);
  assert.equal(sha256(long), theirs(long));
});
