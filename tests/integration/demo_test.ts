import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { checkDemo, demo } from "../support/demo.ts";
import { eventually } from "../support/eventually.ts";

/** The demo's arguments in the task. */
const TASK_FLAGS = config.tasks.demo.command.split(" ").slice(2, -1);

const ROOT = new URL("../..", import.meta.url).pathname;

Deno.test("the demo over ZooKeeper ends by itself without a failed request or a reload", () =>
  checkDemo("--zookeeper"));

Deno.test("the demo over a Lighthouse store ends by itself without a failed request or a reload", () =>
  checkDemo("--store"));

Deno.test("the demo avoids a port in use, and its logs grow while it runs", async () => {
  // HAProxy listens like this: another process that asks for the same shares the port. It may be in use already.
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

Deno.test("the demo lists its arguments", async () => {
  const { code, output } = await demo("--twice");
  assert.equal(code, 2);
  assert.match(output, /Unknown argument --twice: there are --once .*, --zookeeper .*, --store .* and --program/);
});
