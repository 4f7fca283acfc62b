import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { sha256 } from "./sha256.ts";

Deno.test("sha256() answers what the platform's own does, whatever the text", () =>
  fc.assert(fc.property(
    fc.string({ unit: "binary", maxLength: 300 }),
    (text) => assert.equal(sha256(text), createHash("sha256").update(text, "utf8").digest("hex")),
  )));
