/**
 * Secrets in files of their own, with a real Redis: read, replaced as by
 * Kubernetes, missing, and never printed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { validateDirectory } from "../../src/app/validate.ts";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { RedisServer } from "../support/redis.ts";
import { TempDir } from "../support/temp_dir.ts";

/** Writes a secret as Kubernetes mounts it: `redis` links to `..data/redis`, and `..data` to a directory that is replaced. */
async function mount(temp: TempDir, version: string, secret: string): Promise<void> {
  await temp.write(`mount/..${version}/redis`, secret);
  await Deno.symlink(`..${version}`, temp.file("mount/..data_tmp"));
  await Deno.rename(temp.file("mount/..data_tmp"), temp.file("mount/..data"));
}

/** The findings of a config directory, one per line. */
async function wrong(temp: TempDir): Promise<string> {
  const { diagnostics } = await validateDirectory(temp.file("config"), { role: "check" });
  return diagnostics.map((each) => formatDiagnostic(each).replaceAll(`${temp.path}/`, "")).join("\n");
}

Deno.test("a password in a file is used, and the new one once Kubernetes swaps the file", async () => {
  await using redis = await RedisServer.start(["requirepass hunter22"]);
  await using temp = new TempDir();
  await mount(temp, "1", "wrongone\n");
  await Deno.symlink("..data/redis", temp.file("mount/redis"));
  await temp.write("config/discovery/registry.yaml", `type: file\npath: ${temp.file("registry")}\n`);
  await temp.write(
    "config/services/cache.yaml",
    `discovery: registry\nport: ${redis.port}\nchecks:\n  interval: 100ms\n` +
      `  redis: {rise: 1, fall: 1, password_file: ${temp.file("mount/redis")}}\n`,
  );
  await using lighthouse = Lighthouse.start("reporter", temp.file("config"));
  await eventually("the wrong password is rejected", () => /WRONGPASS/.test(lighthouse.log));
  await mount(temp, "2", "hunter22\n");
  await eventually("the service is registered", async () => {
    const nodes = await Array.fromAsync(Deno.readDir(temp.file("registry/cache"))).catch(() => []);
    return nodes.length > 0;
  });
  assert.doesNotMatch(lighthouse.log, /hunter22|wrongone/);
});

Deno.test("a missing secret file is an error at the key's line", async () => {
  await using temp = new TempDir();
  await temp.write(
    "config/discovery/zookeeper.yaml",
    'hosts: ["127.0.0.1:1"]\npath: /x\nauth:\n  username: u\n  password_file: secrets/zk\n',
  );
  await temp.write(
    "config/services/cache.yaml",
    "discovery: zookeeper\nport: 1\nchecks:\n  interval: 1\n  redis:\n    rise: 1\n    fall: 1\n    password: x\n    password_file: secrets/zk\n",
  );
  assert.deepEqual((await wrong(temp)).split("\n").filter((line) => line.startsWith("config/")), [
    "config/discovery/zookeeper.yaml:5:18: error: Cannot use auth.password_file: no such file",
    "config/services/cache.yaml:9:20: error: Cannot use checks.redis.password_file: password is also set; remove one of them",
  ]);
  await temp.write("config/secrets/zk", "hunter22\n");
  await temp.write(
    "config/services/cache.yaml",
    "discovery: zookeeper\nport: 1\nchecks:\n  interval: 1\n  redis: {rise: 1, fall: 1, password_file: secrets/zk}\n",
  );
  assert.equal(await wrong(temp), "", "a relative path is seen from the config directory");
});

Deno.test("a secret file that disappears leaves the last good secret in use", async () => {
  await using redis = await RedisServer.start(["requirepass hunter22"]);
  await using temp = new TempDir();
  const secret = await temp.write("config/secrets/redis", "hunter22");
  await temp.write("config/discovery/registry.yaml", `type: file\npath: ${temp.file("registry")}\n`);
  await temp.write(
    "config/services/cache.yaml",
    `discovery: registry\nport: ${redis.port}\nchecks:\n  interval: 100ms\n` +
      `  redis: {rise: 1, fall: 1, password_file: secrets/redis}\n`,
  );
  await using lighthouse = Lighthouse.start("reporter", temp.file("config"));
  const registered = async () =>
    (await Array.fromAsync(Deno.readDir(temp.file("registry/cache"))).catch(() => [])).length > 0;
  await eventually("the service is registered", registered);
  await Deno.remove(secret);
  await eventually("the missing file is logged", () => /password_file: no such file/.test(lighthouse.log));
  await temp.write(
    "config/services/more.yaml",
    "discovery: registry\nport: 9\nchecks: {interval: 1, noop: {rise: 1, fall: 1}}\n",
  );
  await eventually(
    "the valid part is loaded",
    () => Deno.stat(temp.file("registry/more")).then(() => true, () => false),
  );
  assert.ok(await registered());
});
