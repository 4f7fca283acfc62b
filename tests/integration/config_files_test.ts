import assert from "node:assert/strict";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { loadDirectory } from "../../src/config/load.ts";
import { SOURCE_BYTES_MAX } from "../../src/config/source.ts";
import { TempDir } from "../support/temp_dir.ts";

Deno.test("loadDirectory() never waits for a pipe, and reads no special or oversized file", async () => {
  await using temp = new TempDir();
  await temp.write(
    "conf/services/web.yaml",
    "discovery: zookeeper\nport: 80\nchecks: {interval: 1, tcp: {rise: 1, fall: 1}}\n",
  );
  await temp.write("conf/discovery/zookeeper.yaml", "hosts: [a]\n");
  const { success } = await new Deno.Command("mkfifo", { args: [temp.file("conf/services/pipe.yaml")] }).output();
  assert.ok(success);
  await Deno.symlink("/dev/zero", temp.file("conf/services/zero.yaml"));
  await Deno.symlink("nowhere", temp.file("conf/services/nowhere.yaml"));
  await Deno.symlink("loop.yaml", temp.file("conf/services/loop.yaml"));
  await temp.write("conf/services/large.yaml", `# ${"x".repeat(SOURCE_BYTES_MAX)}`);
  const loaded = await loadDirectory(temp.file("conf"), { role: "run", signal: AbortSignal.timeout(60_000) });
  assert.ok(loaded.ok);
  assert.deepEqual([...loaded.desired.services.keys()], ["web"]);
  assert.equal(
    loaded.diagnostics.map((each) => formatDiagnostic(each).replaceAll(`${temp.path}/`, "")).join("\n"),
    [
      "conf/services/large.yaml: error: Cannot read the file: must be at most 1048576 bytes; current size is 1048578",
      "conf/services/loop.yaml: error: Cannot read the file: operating system error ELOOP",
      "conf/services/nowhere.yaml: error: Cannot read the file: no such file: dangling symlink, or just removed",
      "conf/services/pipe.yaml: error: Cannot read the file: must be a regular file",
      "conf/services/zero.yaml: error: Cannot read the file: must be a regular file",
    ].join("\n"),
  );
});
