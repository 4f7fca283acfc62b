import assert from "node:assert/strict";
import { parse } from "yaml";
import { configured } from "../../tests/support/probe.ts";
import etcd from "./etcd/mod.ts";
import file from "./file/mod.ts";
import { readNodeFile } from "./file/lease.ts";
import lighthouse from "./lighthouse/mod.ts";
import serf from "./serf/mod.ts";
import { clusterSchema } from "./static/config.ts";
import zookeeper from "./zookeeper/mod.ts";

Deno.test.each([etcd, file, lighthouse, serf, zookeeper].map((discovery) => ({ name: discovery.name, discovery })))(
  "README of $name: its examples are valid",
  async ({ name, discovery }) => {
    const readme = await Deno.readTextFile(new URL(`${name}/README.md`, import.meta.url));

    const examples = [...readme.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = ""]) => parse(yaml));
    assert.ok(examples.length >= 2);
    for (const example of examples) await configured<unknown>(discovery, example);

    for (const heading of ["Keys", "Permissions", "What is written", "What is read", "Examples"]) {
      assert.match(readme, new RegExp(`^## ${heading}$`, "m"));
    }
  },
);

Deno.test("README of static: its cluster is valid", async () => {
  const readme = await Deno.readTextFile(new URL("static/README.md", import.meta.url));
  const [, yaml = ""] = /^```yaml\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  const result = clusterSchema["~standard"].validate(parse(yaml).static);
  assert.ok("value" in result, JSON.stringify(result));
  assert.deepEqual(result.value.map(({ host, weight }) => [host, weight]), [["10.0.0.5", undefined], [
    "db2.internal",
    50,
  ]]);
});

Deno.test("README of file: its file is one", async () => {
  const readme = await Deno.readTextFile(new URL("file/README.md", import.meta.url));
  const [, json = ""] = /^```json\n([\s\S]*?)^```$/m.exec(readme) ?? [];
  const { node, lease } = readNodeFile(new TextEncoder().encode(json));
  assert.equal(node?.host, "web1.example.com");
  assert.equal(lease?.ttlMs, 5_000);
});
