import assert from "node:assert/strict";
import { parse } from "yaml";
import { balancerSchema, clusterSchema } from "./config.ts";

/** The keys that a schema knows, as it lists them when it meets another. */
function known(schema: typeof balancerSchema | typeof clusterSchema): readonly string[] {
  const result = schema["~standard"].validate({ nobody: 1 });
  assert("issues" in result);
  return result.issues.find((issue) => issue.unknownKey !== undefined)?.unknownKey?.known ?? [];
}

Deno.test("README of haproxy: its examples are valid and its tables have every key", async () => {
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
  const documented = [...readme.matchAll(/^\| `([a-z_]+)`/gm)].map(([, key]) => key);
  assert.deepEqual(documented.toSorted(), [...known(balancerSchema), ...known(clusterSchema)].toSorted());
  for (const heading of ["Keys", "Permissions", "Examples"]) assert.match(readme, new RegExp(`^## ${heading}$`, "m"));
});
