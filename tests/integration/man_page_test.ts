import assert from "node:assert/strict";
import { manPage } from "../../src/cli/man_page.ts";

Deno.test("groff formats the manual page without a warning", async () => {
  const path = await Deno.makeTempFile({ suffix: ".1" });
  try {
    await Deno.writeTextFile(path, manPage("2.0.0"));
    const args = ["-man", "-ww", "-Tascii", "-P-c", path];
    const { success, stdout, stderr } = await new Deno.Command("groff", { args }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    assert.ok(success);
    const text = new TextDecoder().decode(stdout).replaceAll(/.[\b]/g, "");
    assert.match(text, /lighthouse store get/);
    assert.match(text, /--no-resolve\n/);
  } finally {
    await Deno.remove(path);
  }
});
