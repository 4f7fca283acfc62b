import assert from "node:assert/strict";
import { isName } from "./schema_words.ts";

Deno.test("isName() accepts what can be a path component and the name of a section, and nothing else", () => {
  for (const name of ["a", "web-1.x", "api_v2", "a:b", "..a", "x".repeat(255)]) assert.ok(isName(name), name);
  for (const name of ["", ".", "..", "a/b", "a b", "a\n", "é", "a\0", "x".repeat(256), "$(id)", "*"]) {
    assert.ok(!isName(name), name);
  }
});
