import assert from "node:assert/strict";
import { metricsPage } from "../support/metrics_page.ts";
import { METRICS } from "../../src/metrics/table.ts";

const ROOT = new URL("../../", import.meta.url);

/** The product's sources. */
function* walk(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
    if (isDirectory) yield* walk(`${folder}${name}/`);
    else if (name.endsWith(".ts") && !name.endsWith("_test.ts")) yield `${folder}${name}`;
  }
}

Deno.test("docs/metrics.md is made from the table", () => {
  const page = Deno.readTextFileSync(new URL("docs/metrics.md", ROOT));
  assert.equal(page, metricsPage(), "run: deno run --allow-write=docs tests/support/metrics_page.ts");
});

Deno.test("every metric of the table is counted or exposed somewhere", () => {
  const sources = [...walk("src/")].filter((path) => path !== "src/metrics/table.ts");
  const text = sources.map((path) => Deno.readTextFileSync(new URL(path, ROOT))).join("\n");
  assert.deepEqual(Object.keys(METRICS).filter((name) => !text.includes(`"${name}"`)), []);
});
