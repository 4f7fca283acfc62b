import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { eventually } from "../support/eventually.ts";

/** What the task runs the demo with. */
const TASK_FLAGS = config.tasks.demo.command.split(" ").slice(2, -1);

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

Deno.test("the demo takes another port than one in use, and its logs grow while it lives", async () => {
  // HAProxy listens as this does: another that asks for the same gets a share of the port. It may be in use already.
  using _taken = listenShared(18_080);
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...TASK_FLAGS, "examples/demo.ts"],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let output = "";
  const read = (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) output += chunk;
  })();
  const log = await eventually("it says where its logs are", () => /Logs: +(\S+writer\.log)/.exec(output)?.[1]);
  assert.match(output, /^Port 18080 is in use; using \d+ instead\.$/m);
  assert.doesNotMatch(output, /curl \S+:18080\//);
  for (const path of [log, log.replace("writer.log", "reporter.log")]) {
    await eventually(`${path} has something in it`, async () => (await Deno.stat(path)).size > 0);
  }
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await read;
});

function listenShared(port: number): Disposable {
  try {
    const listener = Deno.listen({ hostname: "127.0.0.1", port, reusePort: true });
    return { [Symbol.dispose]: () => listener.close() };
  } catch {
    return { [Symbol.dispose]: () => {} };
  }
}

Deno.test("the demo says which arguments there are", async () => {
  const { code, output } = await demo("--twice");
  assert.equal(code, 2);
  assert.match(output, /Unknown argument --twice: there are --once .*, --zookeeper .*, --store .* and --program/);
});
