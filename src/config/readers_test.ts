import assert from "node:assert/strict";
import fc from "fast-check";
import { readCluster } from "./cluster_schema.ts";
import { readLogging } from "../logging/schema.ts";
import { readPluginFile } from "./plugin_file_schema.ts";
import { readService } from "./service_schema.ts";
import { readHost, readSettings } from "./settings_schema.ts";

Deno.test("the readers never throw, and return either a value or an error, for any file", () => {
  const keys = [
    "discovery",
    "port",
    "ports",
    "checks",
    "interval",
    "rise",
    "name",
    "haproxy",
    "type",
    "version",
    "root",
    "__proto__",
  ];
  const anything = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, 1, "a", "1", true, "zookeeper", NaN, Infinity),
      tie("map"),
      tie("list"),
    ),
    map: fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string({ maxLength: 3 })), tie("value"), { maxKeys: 5 }),
    list: fc.array(tie("value"), { maxLength: 3 }),
  })).value;
  fc.assert(
    fc.property(anything, (raw) => {
      const all = [
        readService(raw, { fileName: "web" }),
        readCluster(raw, { fileName: "x", balancers: ["a"] }),
        readPluginFile(raw, { fileName: "x" }),
        readHost(raw),
        readSettings(raw),
        readLogging(raw),
      ];
      for (const { value, findings } of all) {
        assert.equal(value === undefined, findings.some(({ severity }) => severity === "error"));
      }
    }),
    { numRuns: 1_000 },
  );
});
