import assert from "node:assert/strict";
import { parse } from "yaml";
import { balancerSchema, clusterSchema } from "./config.ts";

Deno.test("README of haproxy: its examples are valid, and it leads to the tables of its keys", async () => {
  const readme = await Deno.readTextFile(new URL("README.md", import.meta.url));
  const examples = [...readme.matchAll(/^```yaml\n# (\w+)\/\w+\.yaml\n([\s\S]*?)^```$/gm)];
  assert.equal(examples.length, readme.match(/^```yaml$/gm)?.length);
  for (const [, folder, yaml = ""] of examples) {
    const file = parse(yaml);
    const result = folder === "balancers"
      ? balancerSchema["~standard"].validate(file)
      : clusterSchema["~standard"].validate(file.haproxy);
    assert("value" in result, JSON.stringify(result));
  }
  // Their keys, types and defaults are compared with the schemas where the tables are.
  for (const page of ["balancers", "clusters"]) assert(readme.includes(`docs/config/${page}.md#haproxy`));
  for (const heading of ["Keys", "Permissions", "Examples"]) assert.match(readme, new RegExp(`^## ${heading}$`, "m"));
});
