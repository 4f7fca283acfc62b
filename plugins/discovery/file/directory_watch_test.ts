import assert from "node:assert/strict";
import type { Node } from "../../../mod.ts";
import { systemClock } from "../../../src/kernel/clock.ts";
import { nodeName } from "../../../src/model/node.ts";
import { TempDir } from "../../../tests/support/temp_dir.ts";
import { DirectoryWatch } from "./directory_watch.ts";
import { formatNodeFile } from "./lease.ts";

const TTL_MS = 3_600_000;
const SILENT = { debug: () => {}, info: () => {}, warn: () => {} };

/** A cluster with so many nodes that is watched: only the test gives hints. */
class Stage implements AsyncDisposable {
  readonly dir = new TempDir("lighthouse-directory-");
  readonly #stop = new AbortController();
  readonly watch = new DirectoryWatch({
    cluster: "web",
    path: this.dir.path,
    pollMs: TTL_MS,
    ttlMs: TTL_MS,
    clock: systemClock,
    wallMs: Date.now,
    log: SILENT,
    onReach: (fault) => assert.equal(fault, undefined),
  });
  readonly #answers = this.watch.snapshots(this.#stop.signal);

  async put(port: number, ip = "10.0.0.1"): Promise<string> {
    const node = { host: "web.test", ip, port, metadata: {} };
    const name = `${nodeName(node)}.json`;
    await this.dir.write(name, formatNodeFile(node, { owner: "test", ttlMs: TTL_MS }));
    return name;
  }

  async next(): Promise<readonly string[]> {
    const { value } = await this.#answers.next();
    const nodes: readonly Node[] = value?.nodes ?? [];
    return nodes.map(({ port, ip }) => `${ip}:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#answers.return(undefined);
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Which files are looked at meanwhile. */
async function lookedAt<T>(
  act: () => Promise<T>,
  onLook: (count: number) => void = () => {},
): Promise<{ readonly result: T; readonly files: readonly string[] }> {
  const { lstat } = Deno;
  const files: string[] = [];
  Deno.lstat = (path) => {
    files.push(String(path).slice(String(path).lastIndexOf("/") + 1));
    onLook(files.length);
    return lstat(path);
  };
  try {
    return { result: await act(), files };
  } finally {
    Deno.lstat = lstat;
  }
}

Deno.test("DirectoryWatch reports nothing before it has looked at all files, however many", async () => {
  await using stage = new Stage();
  for (let port = 1_000; port < 1_300; port++) await stage.put(port);
  assert.equal((await stage.next()).length, 300);
});

Deno.test("DirectoryWatch looks at the file that a hint names, and at no other", async () => {
  await using stage = new Stage();
  for (let port = 1_000; port < 1_100; port++) await stage.put(port);
  await stage.next();
  const name = await stage.put(2_000);
  const joined = await lookedAt(() => {
    stage.watch.onHint(name);
    return stage.next();
  });
  assert.deepEqual([joined.result.length, joined.files], [101, [name]]);
  await Deno.remove(stage.dir.file(name));
  const left = await lookedAt(() => {
    stage.watch.onHint(name);
    return stage.next();
  });
  assert.deepEqual([left.result.length, left.files], [100, [name]]);
});

Deno.test("DirectoryWatch reads all files after an event without a name, and finds changes that no event named", async () => {
  await using stage = new Stage();
  const [first] = [await stage.put(1_000), await stage.put(1_001)];
  await stage.next();
  await Deno.remove(stage.dir.file(first));
  await stage.put(1_001, "10.0.0.2");
  await stage.put(1_002);
  stage.watch.onHint();
  assert.deepEqual(await stage.next(), ["10.0.0.2:1001", "10.0.0.1:1002"]);
});

Deno.test("DirectoryWatch reads a file again that was changed within the clock tick in which it was read", async () => {
  await using stage = new Stage();
  const path = stage.dir.file(await stage.put(1_000));
  // However long the machine takes to read, the tick of the change is not over.
  const time = new Date(Date.now() + 600_000);
  await Deno.utime(path, time, time);
  assert.deepEqual(await stage.next(), ["10.0.0.1:1000"]);
  await stage.put(1_000, "10.0.0.2");
  await Deno.utime(path, time, time);
  stage.watch.onHint();
  assert.deepEqual(await stage.next(), ["10.0.0.2:1000"]);
});

Deno.test("DirectoryWatch looks at all files of a directory that replaced the first, whatever a hint names", async () => {
  await using stage = new Stage();
  const name = await stage.put(1_000);
  await stage.put(1_001);
  await stage.next();
  await using other = new TempDir("lighthouse-directory-");
  await Deno.rename(stage.dir.path, other.file("old"));
  await Deno.mkdir(stage.dir.path);
  await stage.put(1_002);
  stage.watch.onHint(name);
  assert.deepEqual(await stage.next(), ["10.0.0.1:1002"]);
});

Deno.test("DirectoryWatch ends a sweep that hints without a name interrupt, then starts the next", async () => {
  await using stage = new Stage();
  for (let port = 1_000; port < 1_300; port++) await stage.put(port);
  const whole = await lookedAt(() => stage.next(), (count) => count < 1_000 && stage.watch.onHint());
  assert.deepEqual([whole.result.length, whole.files.length], [300, 300]);
  await stage.put(2_000);
  assert.equal((await stage.next()).length, 301, "no further hint is needed");
});

Deno.test("DirectoryWatch looks at a file that a hint names before the rest of a sweep", async () => {
  await using stage = new Stage();
  const [first] = [await stage.put(1_000)];
  await stage.next();
  for (let port = 1_001; port < 1_200; port++) await stage.put(port);
  stage.watch.onHint();
  await stage.next();
  await stage.put(1_000, "10.0.0.2");
  const altered = await lookedAt(() => {
    stage.watch.onHint(first);
    stage.watch.onHint();
    return stage.next();
  });
  assert.equal(altered.files[0], first);
  assert.ok(altered.result.includes("10.0.0.2:1000"));
});
