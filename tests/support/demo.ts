import assert from "node:assert/strict";

const ROOT = new URL("../..", import.meta.url).pathname;

/** Runs the demo as a reader of README would. */
export async function demo(...flags: string[]): Promise<{ readonly code: number; readonly output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "demo", ...flags],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Runs the demo to completion, and fails the test if a request failed or HAProxy was reloaded. */
export async function checkDemo(...flags: string[]): Promise<void> {
  const { code, output } = await demo("--once", ...flags);
  assert.equal(code, 0, output);
  assert.match(output, /curl http:\/\/127\.0\.0\.1:\d+\//);
  for (const change of ["health check fails", "check passes again", "joins as fourth instance", "killed"]) {
    assert.match(output, new RegExp(`${change}.*\\d+ ms +0 +0$`, "m"), output);
  }
  assert.match(output, /requests sent +[1-9]\d+/);
  assert.match(output, /requests failed +0$/m);
  assert.match(output, /reloads +0$/m);
}
