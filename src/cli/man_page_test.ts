import assert from "node:assert/strict";
import { escape, manPage } from "./man_page.ts";

Deno.test("escape() keeps hyphens, backslashes and leading dots literal", () => {
  assert.equal(escape("--log-level"), "\\-\\-log\\-level");
  assert.equal(escape("a\\nb"), "a\\enb");
  assert.equal(escape(".TH\n'x\ny."), "\\&.TH\n\\&'x\ny.");
});

Deno.test("manPage() has a section for every command and subcommand, and every option of it", () => {
  const page = manPage("2.0.0");
  for (const command of ["writer", "check", "drain", "plugin add", "store get"]) {
    assert.match(page, new RegExp(`^\\.SS lighthouse ${command}$`, "m"));
  }
  assert.match(page, /^\.B \\-\\-no\\-resolve$/m);
  assert.match(page, /^\.TH LIGHTHOUSE 1 "" "Lighthouse 2\.0\.0"/);
});

Deno.test("manPage() prints no usage of a command that has subcommands", () => {
  assert.doesNotMatch(manPage("2.0.0"), /^\.B lighthouse plugin \(/m);
});
