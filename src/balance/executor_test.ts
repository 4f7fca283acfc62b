import assert from "node:assert/strict";
import { readFiles } from "./executor.ts";

Deno.test("an unreadable foreign file of the directory does not stop others, and an own one does", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const [own, foreign] = [`${directory}/own.yaml`, `${directory}/foreign.yaml`];
    for (const path of [own, foreign]) await Deno.writeTextFile(path, path);
    const sources = {
      kind: "files" as const,
      file: own,
      directory: { path: directory, suffix: ".yaml" },
      reloadIntervalMs: 0,
    };
    // A test that runs as root may read all files.
    const denying = (denied: string) => (path: string) =>
      path === denied ? Promise.reject(new Deno.errors.PermissionDenied()) : Deno.readTextFile(path);
    assert.deepEqual(new Map(await readFiles(sources, denying(foreign))), new Map([[own, own], [foreign, undefined]]));
    await assert.rejects(readFiles(sources, denying(own)), Deno.errors.PermissionDenied);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
