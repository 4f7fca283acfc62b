import assert from "node:assert/strict";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Runs the demo as a reader of README does. */
async function demo(...flags: string[]): Promise<{ readonly code: number; readonly output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo", ...flags],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test.each([
  { registry: "a directory", flags: ["--once"] },
  { registry: "ZooKeeper", flags: ["--once", "--zookeeper"] },
  { registry: "a Lighthouse store", flags: ["--once", "--store"] },
])("the demo over $registry ends by itself, with no request failed and no reload", async ({ flags }) => {
  const { code, output } = await demo(...flags);
  assert.equal(code, 0, output);
  assert.match(output, /curl http:\/\/127\.0\.0\.1:\d+\//);
  for (const change of ["health check fails", "well again", "fourth instance joins", "is killed"]) {
    assert.match(output, new RegExp(`${change}.*\\d+ ms +0 +0$`, "m"), output);
  }
  assert.match(output, /requests sent +[1-9]\d+/);
  assert.match(output, /requests failed +0$/m);
  assert.match(output, /reloads +0$/m);
});

Deno.test("the demo says which arguments there are", async () => {
  const { code, output } = await demo("--twice");
  assert.equal(code, 2);
  assert.match(output, /Unknown argument --twice: there are --once .*, --zookeeper .*, --store .* and --program/);
});
