import assert from "node:assert/strict";
import { bad, good } from "../../tests/support/checked.ts";
import { readPluginFile } from "./plugin_file_schema.ts";

Deno.test("readPluginFile() reads the type from the file, else from its name", () => {
  const read = (raw: unknown) => good(readPluginFile(raw, { fileName: "east" }));
  assert.deepEqual(read({ type: "zookeeper", hosts: ["a"] }), {
    name: "east",
    type: "zookeeper",
    config: { hosts: ["a"] },
  });
  assert.deepEqual(read({ hosts: [] }), { name: "east", type: "east", config: { hosts: [] } });
  assert.deepEqual(read(null), { name: "east", type: "east", config: {} });
  assert.match(bad(readPluginFile(["a"], { fileName: "x" })), /must be a map/);
  assert.match(bad(readPluginFile({ type: "a b" }, { fileName: "x" })), /^type: Cannot use type/);
});
