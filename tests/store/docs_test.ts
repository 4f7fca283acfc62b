/** Runs the examples of `docs/store.md` with curl: what is shown is what comes. */
import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { StoreProcess } from "./process.ts";

const DOCUMENT = new URL("../../docs/store.md", import.meta.url);

Deno.test("docs/store.md shows what a store answers to curl", async () => {
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
  await using store = new StoreProcess(["--data.d", dir.path, "--bootstrap", "--bind", address]);
  await store.logged(/The store listens/);
  assert.ok(requests.length > 10);
  for (const { command, output } of requests) {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", command.replace("localhost:8001", address)],
      stdin: "null",
    }).output();
    assert.equal(new TextDecoder().decode(stdout).trimEnd(), output, command);
  }
});
