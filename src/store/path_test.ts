import assert from "node:assert/strict";
import fc from "fast-check";
import { formatPath, outerTexts, parsePath } from "./path.ts";

Deno.test("outerTexts() returns the parents as formatPath() writes them, with empty keys and slashes in keys", () => {
  const segment = fc.oneof(fc.constantFrom("", "a", "/", "%2F", "..", "__proto__"), fc.string());
  fc.assert(fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (path) => {
    const text = formatPath(path);
    assert.deepEqual(parsePath(text), path);
    assert.deepEqual(outerTexts(text), path.slice(1).map((_, i) => formatPath(path.slice(0, i + 1))));
  }));
});
