import assert from "node:assert/strict";
import type { Checked } from "../../src/kernel/known_keys.ts";

/** The value of a result without findings. */
export function good<T>({ value, findings }: Checked<T>): T {
  assert.deepEqual(findings, []);
  assert.ok(value !== undefined);
  return value;
}

/** The errors of a result without a value, one per line: `path: message`. */
export function bad(checked: Checked<unknown>): string {
  assert.equal(checked.value, undefined);
  return checked.findings.filter(({ severity }) => severity === "error")
    .map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n");
}
