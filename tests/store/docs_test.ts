/** Runs the examples of `docs/store.md`, with curl and with the store commands, and compares the output. */
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { StoreProcess } from "./process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const DOCUMENT = new URL("../../docs/store.md", import.meta.url);

Deno.test("docs/store.md shows the real output of curl and of the commands", async () => {
  const text = await Deno.readTextFile(DOCUMENT);
  const blocks = [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block = ""]) => block);
  const steps = blocks.flatMap((block) => block.split(/^\$ /m).slice(1)).map((step) => {
    const [command = "", ...output] = step.trimEnd().split("\n");
    return { command, output: output.join("\n") };
  });
  const [start, ...requests] = steps;
  assert.equal(start?.command, "lighthouse store --data.d data.d --bootstrap");
  await using dir = new TempDir("lighthouse-store-");
  const address = `localhost:${freePort()}`;
  await using store = new StoreProcess(["--data.d", dir.file("data.d"), "--bootstrap", "--bind", address]);
  await store.event("store.listening");
  assert.ok(requests.length > 20);
  // The command `lighthouse`, with the address of this store.
  const run = config.tasks.lighthouse.command.replace(/^deno run/, `'${Deno.execPath()}' run`)
    .replace("src/main.ts", `${ROOT}src/main.ts`);
  await dir.write("bin/lighthouse", `#!/bin/sh\nexec ${run} "$@" --at ${address}\n`);
  await Deno.chmod(dir.file("bin/lighthouse"), 0o755);
  const PATH = `${dir.file("bin")}:${Deno.env.get("PATH")}`;
  for (const { command, output } of requests) {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", `{ ${command.replace("localhost:8001", address)}\n} 2>&1`],
      cwd: dir.path,
      // The shell that runs a task sets this variable.
      env: { PATH, INIT_CWD: dir.path },
      stdin: "null",
    }).output();
    assert.equal(new TextDecoder().decode(stdout).trimEnd(), output, command);
  }
});
