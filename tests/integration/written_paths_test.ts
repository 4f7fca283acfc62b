import assert from "node:assert/strict";
import { Mount, WHY_NO_MOUNT } from "../support/mount.ts";
import { TempDir } from "../support/temp_dir.ts";
import type { BalancerSources } from "../../src/plugin/contract.ts";
import { findSharedPaths, findWritingObstacles, verifyWrittenPaths } from "../../src/balance/written_paths.ts";

/** A balancer whose files are at a test's paths. */
function sourcesAt(file: string, socket: string, ...alsoWrites: string[]): BalancerSources {
  return {
    kind: "process",
    contact: { by: "http", socket, queries: [] },
    file,
    alsoWrites,
    program: "haproxy",
    reloadIntervalMs: 1_000,
  };
}

Deno.test("a missing directory is named before the balancer starts, and by check", async () => {
  await using dir = new TempDir();
  const sources = sourcesAt(dir.file("file"), dir.file("none/socket"), dir.file("none/pid"));
  await assert.rejects(
    verifyWrittenPaths(sources),
    new Error(`the directory of ${dir.file("none/socket")} does not exist`),
  );
  assert.deepEqual(await findWritingObstacles(sources), [{
    severity: "notice",
    message: `Directory ${dir.file("none")} does not exist: ` +
      `${dir.file("none/socket")}, ${dir.file("none/pid")} are written there; create the directory`,
  }]);
  await Deno.mkdir(dir.file("none"));
  await verifyWrittenPaths(sources);
  assert.deepEqual(await findWritingObstacles(sources), []);
});

Deno.test("a path that two balancers write is found under each of its names", async () => {
  await using dir = new TempDir();
  await Deno.mkdir(dir.file("run"));
  await Deno.symlink(dir.file("run"), dir.file("other"));
  const one = sourcesAt(dir.file("one"), dir.file("run/socket"), dir.file("run/one.pid"));
  const two = sourcesAt(dir.file("two"), dir.file("other/socket"), dir.file("run/../run/one.pid"));
  const three = sourcesAt(dir.file("three"), dir.file("run/three"), dir.file("run/three.pid"));
  assert.deepEqual(await findSharedPaths(new Map([["one", one], ["two", two], ["three", three]])), [
    { balancer: "two", message: `Cannot use ${dir.file("other/socket")}: already used by balancer one` },
    { balancer: "two", message: `Cannot use ${dir.file("run/../run/one.pid")}: already used by balancer one` },
  ]);
});

Deno.test(
  "a balancer is not started if its pid file is a symlink that another user created in a shared directory",
  { ignore: Deno.uid() !== 0 },
  async () => {
    await using dir = new TempDir();
    await Deno.chmod(dir.path, 0o1777);
    await dir.write("victim", "");
    await Deno.symlink(dir.file("victim"), dir.file("pid"));
    await new Deno.Command("chown", { args: ["--no-dereference", "65534", dir.file("pid")] }).output();
    const sources = sourcesAt(dir.file("file"), dir.file("socket"), dir.file("pid"));
    await assert.rejects(verifyWrittenPaths(sources), /pid is a symlink created by user 65534/);
    const [obstacle, ...others] = await findWritingObstacles(sources);
    assert.deepEqual([obstacle?.severity, others], ["warning", []]);
  },
);

Deno.test(
  "a config file that is a single-file mount is reported as written in place",
  { ignore: WHY_NO_MOUNT !== undefined },
  async () => {
    await using dir = new TempDir();
    await dir.write("a file", "");
    const sources = sourcesAt(dir.file("a file"), dir.file("socket"));
    assert.deepEqual(await findWritingObstacles(sources), []);
    await using _mount = await Mount.alone(dir.file("a file"));
    const [{ severity, message } = { severity: "", message: "" }] = await findWritingObstacles(sources);
    assert.equal(severity, "notice");
    assert.match(message, /a file is a mount point: the file is written in place.*; mount the directory instead$/);
  },
);
