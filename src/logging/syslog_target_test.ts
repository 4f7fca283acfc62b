import assert from "node:assert/strict";
import { syslogMessage } from "./syslog_target.ts";

function message(text: string, level: number, facility = 1): string {
  return new TextDecoder().decode(syslogMessage(text, level, facility));
}

Deno.test("syslogMessage() writes priority, text and NUL as Python does", () => {
  assert.equal(message("hello", 20), "<14>hello\0");
  assert.equal(message("hé", 40, 16), "<131>hé\0");
  assert.deepEqual([10, 20, 30, 40, 50, 5].map((level) => message("", level)), [
    "<15>\0",
    "<14>\0",
    "<12>\0",
    "<11>\0",
    "<10>\0",
    "<12>\0",
  ]);
});

Deno.test("syslogMessage() truncates messages beyond what servers accept", () => {
  const bytes = syslogMessage("é".repeat(10_000), 20, 1);
  assert.ok(bytes.length <= 8_193);
  assert.match(new TextDecoder("utf-8", { fatal: true }).decode(bytes), /é\.\.\.\0$/);
});
