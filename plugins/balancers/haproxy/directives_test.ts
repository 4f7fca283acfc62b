import assert from "node:assert/strict";
import { reachesBeyond } from "./directives.ts";

Deno.test.each([
  { line: "healthcheck foo", beyond: true },
  { line: "  listen more", beyond: true },
  { line: '"backend" more', beyond: true },
  { line: "crt-store more", beyond: true },
  { line: ".if defined(X)", beyond: true },
  { line: "option httpchk GET /healthcheck", beyond: false },
  { line: "default_backend more", beyond: false },
  { line: "# healthcheck foo", beyond: false },
])("reachesBeyond() returns $beyond for $line", ({ line, beyond }) => {
  assert.equal(reachesBeyond(line), beyond);
});
