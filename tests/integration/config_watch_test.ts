import assert from "node:assert/strict";
import type { Accepted } from "../../src/config/accepted.ts";
import type { TakenConfig } from "../../src/config/pipeline.ts";
import { watchDirectory, type WatchOptions } from "../../src/config/watch.ts";
import { eventually } from "../support/eventually.ts";
import { takeWithAnyPlugin } from "../support/taken_config.ts";
import { TempDir } from "../support/temp_dir.ts";

/** The rescan is delayed, so that only the system's notifications are tested. */
const NEVER_MS = 600_000;

const service = (port: number) => `discovery: zookeeper\nport: ${port}\nchecks: {interval: 2}\n`;

/** A process that follows the directory: it loads at each hint. */
class Follower implements AsyncDisposable {
  loads = 0;
  taken: TakenConfig | undefined;
  readonly #watch;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(dir: string, options: WatchOptions = { rescanMs: NEVER_MS }) {
    this.#watch = watchDirectory(dir, { ...options, signal: this.#stop.signal });
    this.#done = this.#follow(dir);
  }

  async #follow(dir: string): Promise<void> {
    for await (const _hint of this.#watch) {
      const { signal } = this.#stop;
      const result = await takeWithAnyPlugin(dir, { role: "run", signal }, this.taken).catch(() => undefined);
      if (result?.ok) this.taken = result;
      this.loads++;
    }
  }

  get accepted(): Accepted | undefined {
    return this.taken?.accepted;
  }

  ports(): string {
    return [...this.accepted?.services ?? []].map(([name, { service }]) => `${name}:${service.ports.join("+")}`).join(
      " ",
    );
  }

  poke(): void {
    this.#watch.poke();
  }

  /** Waits until the services are these, as `name:port name:port`; returns the time taken. */
  async sees(wanted: string, what: string): Promise<void> {
    const start = performance.now();
    await eventually(`${what}: ${wanted}`, () => {
      assert.equal(this.ports(), wanted);
      return true;
    }, { everyMs: 2 });
    times.push([what, Math.round(performance.now() - start)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.#watch[Symbol.asyncDispose]();
  }
}

/** The time until each kind of change was seen, in milliseconds. */
const times: [what: string, ms: number][] = [];

Deno.test.afterAll(() => {
  const byKind = Map.groupBy(times, ([what]) => what);
  for (const [what, all] of byKind) {
    const ms = all.map(([, each]) => each).toSorted((a, b) => a - b);
    Deno.stdout.writeSync(new TextEncoder().encode(
      `  ${what.padEnd(46)} ${String(ms.length).padStart(3)} times, at most ${String(ms.at(-1)).padStart(4)} ms\n`,
    ));
  }
});

async function configDir(): Promise<TempDir> {
  const temp = new TempDir();
  await temp.write("conf/services/web.yaml", service(1));
  return temp;
}

Deno.test("watchDirectory() triggers a load after each kind of file change", async () => {
  await using temp = await configDir();
  await using follower = new Follower(temp.file("conf"));
  await follower.sees("web:1", "start");

  await temp.write("conf/services/api.yaml", service(2));
  await follower.sees("api:2 web:1", "create");
  await temp.write("conf/services/api.yaml", service(3));
  await follower.sees("api:3 web:1", "edit in place");
  await Deno.rename(temp.file("conf/services/api.yaml"), temp.file("conf/services/app.yaml"));
  await follower.sees("app:3 web:1", "rename");
  await temp.write("conf/services/.app.tmp", service(4));
  await Deno.rename(temp.file("conf/services/.app.tmp"), temp.file("conf/services/app.yaml"));
  await follower.sees("app:4 web:1", "atomic replace");
  await Deno.rename(temp.file("conf/services/app.yaml"), temp.file("conf/services/app.yaml.disabled"));
  await follower.sees("web:1", "rename to .disabled");
  await Deno.remove(temp.file("conf/services/web.yaml"));
  await follower.sees("", "delete");
});

Deno.test("watchDirectory() sees a folder that is created, filled and moved later", async () => {
  await using temp = new TempDir();
  await Deno.mkdir(temp.file("conf"));
  await using follower = new Follower(temp.file("conf"));
  for (let round = 1; round <= 3; round++) {
    await temp.write("conf/services/web.yaml", service(round));
    await follower.sees(`web:${round}`, "folder made");
    await temp.write("conf/services/web.yaml", service(100 + round));
    await follower.sees(`web:${100 + round}`, "edit in a folder made later");
    await temp.write("staged/web.yaml", service(200 + round));
    await Deno.rename(temp.file("conf/services"), temp.file("old"));
    await Deno.rename(temp.file("staged"), temp.file("conf/services"));
    await follower.sees(`web:${200 + round}`, "folder replaced");
    await temp.write("conf/services/web.yaml", service(300 + round));
    await follower.sees(`web:${300 + round}`, "edit in a replaced folder");
    await Deno.remove(temp.file("old"), { recursive: true });
    await Deno.remove(temp.file("conf/services/web.yaml"));
    await follower.sees("", "delete");
  }
});

Deno.test("watchDirectory() follows the whole directory through removals and re-creations", async () => {
  await using temp = await configDir();
  await using follower = new Follower(temp.file("conf"));
  await follower.sees("web:1", "start");
  for (let round = 2; round <= 6; round++) {
    await Deno.remove(temp.file("conf"), { recursive: true });
    await eventually(
      "the loader reports that the directory is missing",
      () => follower.taken?.diagnostics.some(({ message }) => message.includes("no such directory")),
    );
    assert.equal(follower.ports(), `web:${round - 1}`, "the last valid config stays active");
    await temp.write("conf/services/web.yaml", service(0 + round));
    await follower.sees(`web:${round}`, "directory removed and recreated");
    await temp.write("conf/services/two.yaml", service(1000 + round));
    await follower.sees(`two:${1000 + round} web:${round}`, "create in a recreated directory");
    await Deno.remove(temp.file("conf/services/two.yaml"));
    await follower.sees(`web:${round}`, "delete in a recreated directory");
  }
});

Deno.test("watchDirectory() follows a directory that is replaced by renaming", async () => {
  await using temp = await configDir();
  await using follower = new Follower(temp.file("conf"));
  await follower.sees("web:1", "start");
  for (let round = 2; round <= 5; round++) {
    await temp.write("next/services/web.yaml", service(round));
    await Deno.rename(temp.file("conf"), temp.file("last"));
    await Deno.rename(temp.file("next"), temp.file("conf"));
    await follower.sees(`web:${round}`, "directory exchanged by renaming");
    await temp.write("conf/services/web.yaml", service(50 + round));
    await follower.sees(`web:${50 + round}`, "edit in an exchanged directory");
    await Deno.remove(temp.file("last"), { recursive: true });
  }
});

Deno.test("watchDirectory() detects the swap of ..data in a mounted directory", async () => {
  await using temp = new TempDir();
  const mount = temp.file("conf/services");
  const publish = async (version: number) => {
    await temp.write(`conf/services/..v${version}/web.yaml`, service(version));
    await Deno.symlink(`..v${version}`, `${mount}/..data_tmp`);
    await Deno.rename(`${mount}/..data_tmp`, `${mount}/..data`);
    if (version > 1) await Deno.remove(`${mount}/..v${version - 1}`, { recursive: true });
  };
  await publish(1);
  await Deno.symlink("..data/web.yaml", `${mount}/web.yaml`);
  await using follower = new Follower(temp.file("conf"));
  await follower.sees("web:1", "start");
  for (let version = 2; version <= 6; version++) {
    await publish(version);
    await follower.sees(`web:${version}`, "swap of ..data");
  }
});

Deno.test("watchDirectory() sees the swap of ..data in a directory that is a mount itself", async () => {
  await using temp = new TempDir();
  const publish = async (version: number) => {
    await temp.write(`conf/..v${version}/services/web.yaml`, service(version));
    await Deno.symlink(`..v${version}`, temp.file("conf/..data_tmp"));
    await Deno.rename(temp.file("conf/..data_tmp"), temp.file("conf/..data"));
    if (version > 1) await Deno.remove(temp.file(`conf/..v${version - 1}`), { recursive: true });
  };
  await publish(1);
  await Deno.symlink("..data/services", temp.file("conf/services"));
  await using follower = new Follower(temp.file("conf"));
  await follower.sees("web:1", "start");
  for (let version = 2; version <= 6; version++) {
    await publish(version);
    await follower.sees(`web:${version}`, "swap of ..data");
  }
});

Deno.test("watchDirectory() follows links: to the directory, on the way to it, to a folder and to a file", async () => {
  await using temp = new TempDir();
  for (const release of [1, 2, 3]) await temp.write(`releases/${release}/conf/services/web.yaml`, service(release));
  const swap = async (link: string, target: string) => {
    await Deno.symlink(target, temp.file(`${link}.new`));
    await Deno.rename(temp.file(`${link}.new`), temp.file(link));
  };
  await swap("current", "releases/1");
  await swap("direct", "releases/1/conf");
  await temp.write("shared/web.yaml", service(10));
  await temp.write("other/lone.yaml", service(11));
  await Deno.mkdir(temp.file("linked"));
  await swap("linked/services", "../shared");
  await Deno.symlink("../other/lone.yaml", temp.file("shared/lone.yaml"));

  await using onTheWay = new Follower(temp.file("current/conf"));
  await using direct = new Follower(temp.file("direct"));
  await using linked = new Follower(temp.file("linked"));
  await onTheWay.sees("web:1", "start");
  await direct.sees("web:1", "start");
  await linked.sees("lone:11 web:10", "start");

  for (const release of [2, 3, 1]) {
    await swap("current", `releases/${release}`);
    await onTheWay.sees(`web:${release}`, "swap of a link on the way");
    await swap("direct", `releases/${release}/conf`);
    await direct.sees(`web:${release}`, "swap of a link to the directory");
  }
  await temp.write("releases/1/conf/services/web.yaml", service(7));
  await onTheWay.sees("web:7", "edit behind a link on the way");
  await direct.sees("web:7", "edit behind a link to the directory");
  await temp.write("shared/web.yaml", service(12));
  await linked.sees("lone:11 web:12", "edit behind a link to a folder");
  await temp.write("other/lone.yaml", service(13));
  await linked.sees("lone:13 web:12", "edit behind a link to a file");
});

Deno.test("watchDirectory() sees a thousand files at once", async () => {
  await using temp = await configDir();
  await using follower = new Follower(temp.file("conf"));
  await follower.sees("web:1", "start");
  const files = Array.from({ length: 1_000 }, (_, i) => temp.file(`conf/services/s${i}.yaml`));
  await Promise.all(files.map((file, i) => Deno.writeTextFile(file, service(1_000 + i))));
  const start = performance.now();
  await eventually("all are there", () => follower.accepted?.services.size === 1_001);
  times.push(["a thousand files", Math.round(performance.now() - start)]);
  const before = follower.accepted;
  await temp.write("conf/services/web.yaml", service(2));
  await eventually("one more change is there", () => follower.accepted?.services.get("web")?.service.ports[0] === 2);
  const s7 = (config: Accepted | undefined) => config?.services.get("s7")?.service;
  assert.equal(s7(follower.accepted), s7(before), "the others are the same objects");
  await Promise.all(files.map((file) => Deno.remove(file)));
  await follower.sees("web:2", "a thousand files removed");
});

Deno.test("watchDirectory() waits for a directory whose parents do not exist yet", async () => {
  await using temp = new TempDir();
  await using follower = new Follower(temp.file("a/b/conf"));
  await temp.write("a/b/conf/services/web.yaml", service(1));
  await follower.sees("web:1", "directory and its parents made");
  await Deno.remove(temp.file("a"), { recursive: true });
  await temp.write("a/b/conf/services/web.yaml", service(2));
  await follower.sees("web:2", "parents removed and recreated");
});

Deno.test("watchDirectory() gives a hint periodically, and when poked", async () => {
  await using temp = await configDir();
  await using rescanning = new Follower(temp.file("conf"), { rescanMs: 20 });
  await eventually("it looks again and again", () => rescanning.loads > 5);
  await using poked = new Follower(temp.file("conf"), { rescanMs: NEVER_MS });
  await poked.sees("web:1", "start");
  const { loads } = poked;
  poked.poke();
  await eventually("it looked", () => poked.loads > loads);
});

Deno.test("watchDirectory() gives no hint for irrelevant changes", async () => {
  await using temp = await configDir();
  await using follower = new Follower(temp.file("conf"), { rescanMs: NEVER_MS });
  await follower.sees("web:1", "start");
  await temp.write("elsewhere/web.yaml", service(9));
  await temp.write("conf/services/notes.txt", "nothing");
  await temp.write("conf/haproxy.cfg", "nothing");
  const { loads } = follower;
  // A relevant change follows the irrelevant ones: when it is seen, those have been skipped.
  await temp.write("conf/services/web.yaml", service(2));
  await follower.sees("web:2", "edit in place");
  assert.ok(follower.loads - loads <= 3, `${follower.loads - loads} loads`);
});

Deno.test("watchDirectory() gives no hint for changes in a folder that its role does not read", async () => {
  await using temp = await configDir();
  await temp.write("conf/clusters/web.yaml", "discovery: zookeeper\n");
  const folders = ["discovery", "services"] as const;
  await using follower = new Follower(temp.file("conf"), { rescanMs: NEVER_MS, folders });
  await follower.sees("web:1", "start");
  const { loads } = follower;
  let edits = 0;
  await eventually("another folder is edited, with pauses", async () => {
    await temp.write("conf/clusters/web.yaml", `discovery: zookeeper\n# ${edits}\n`);
    return ++edits === 10;
  }, { everyMs: 50 });
  await temp.write("conf/services/web.yaml", service(2));
  await follower.sees("web:2", "edit in place");
  assert.ok(follower.loads - loads <= 4, `${follower.loads - loads} loads after ${edits} edits elsewhere`);
});

Deno.test("watchDirectory() rescans while the system cannot watch, and stops once it can", async () => {
  await using temp = await configDir();
  const said: string[] = [];
  const log = {
    debug() {},
    error() {},
    info: (message: string) => said.push(message),
    warn: (message: string) => said.push(message),
  };
  const watchFs = Deno.watchFs;
  try {
    Deno.watchFs = () => {
      throw new Error("No space left on device (os error 28)");
    };
    await using follower = new Follower(temp.file("conf"), { rescanMs: NEVER_MS, unwatchedRescanMs: 50, log });
    await follower.sees("web:1", "start without watchers");
    await temp.write("conf/services/web.yaml", service(2));
    await follower.sees("web:2", "edit without watchers");
    assert.deepEqual(said, ["Cannot watch the config directory; polling instead"]);
    Deno.watchFs = watchFs;
    await eventually("it watches again", () => said.length === 2);
    assert.equal(said[1], "Watching the config directory again");
    await temp.write("conf/services/web.yaml", service(3));
    await follower.sees("web:3", "edit in place");
  } finally {
    Deno.watchFs = watchFs;
  }
});

Deno.test("watchDirectory() ends with its signal or when disposed of", async () => {
  await using temp = await configDir();
  const stop = new AbortController();
  const watch = watchDirectory(temp.file("conf"), { signal: stop.signal });
  const hints = watch[Symbol.asyncIterator]();
  assert.equal((await hints.next()).done, false);
  const next = hints.next();
  stop.abort();
  assert.equal((await next).done, true);
  watch.poke();
  await watch[Symbol.asyncDispose]();
  const disposed = watchDirectory(temp.file("conf"));
  await disposed[Symbol.asyncDispose]();
  await disposed[Symbol.asyncDispose]();
  for await (const _hint of disposed) assert.fail("a watch that has ended gives no hint");
  await using dead = watchDirectory(temp.file("conf"), { signal: AbortSignal.abort() });
  for await (const _hint of dead) assert.fail("nor one that never began");
});
