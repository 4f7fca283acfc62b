import assert from "node:assert/strict";
import { SILENT } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { Archive } from "../../src/store/archive.ts";
import { HASHES } from "../../src/store/hashes.ts";
import { retire } from "../../src/store/retention.ts";
import { DataDirectory } from "../../src/store/snapshot_files.ts";
import { formatSnapshotName, nextSnapshotTime, parseSnapshotName } from "../../src/store/snapshot_name.ts";
import { StoreServer } from "../../src/store/server.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";
import { StoreProcess } from "./process.ts";
import { AT_ONCE, TestStore } from "./stage.ts";

/** Returns the names of all files in a directory. */
function namesIn(dir: string): readonly string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).toSorted();
}

const WRITER = new URL("./endless_writer.ts", import.meta.url).pathname;
/** Number of kills in each of the two directories. */
const KILLS = 125;

/** Starts a process that commits without end and kills it; returns what it found and what it acknowledged. */
async function commitUntilKilled(dir: string, afterMs: number): Promise<{ found: number; acknowledged: number }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", WRITER, dir],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  let kill: Promise<void> | undefined;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (kill === undefined && said.includes("\n")) {
      kill = new Promise((resolve) => setTimeout(resolve, afterMs)).then(() => child.kill("SIGKILL"));
    }
  }
  await child.status;
  await kill;
  // The last line may be incomplete: a number counts once its line is complete.
  const numbers = said.slice(0, said.lastIndexOf("\n") + 1).trim().split("\n").map(Number);
  return { found: numbers[0] ?? -1, acknowledged: numbers.at(-1) ?? -1 };
}

for (const lane of ["first", "second"]) {
  Deno.test(`no acknowledged commit is lost to kill -9 at any moment, ${KILLS} times (${lane} half)`, async () => {
    await using dir = new TempDir("lighthouse-kill-");
    let acknowledged = 0;
    for (let round = 0; round < KILLS; round++) {
      const seen = await commitUntilKilled(dir.path, systemRandom() * 20);
      assert.ok(seen.found >= acknowledged, `round ${round}: ${seen.found} was found, ${acknowledged} acknowledged`);
      // One more may be on disk: written, but not acknowledged before the kill.
      assert.ok(
        seen.found <= acknowledged + 1,
        `round ${round}: ${seen.found} was found, ${acknowledged} acknowledged`,
      );
      acknowledged = seen.acknowledged;
    }
    assert.ok(acknowledged > 20, `${acknowledged} commits were acknowledged`);
    const odd = namesIn(dir.path).filter((name) => name.endsWith(".corrupt"));
    assert.deepEqual(odd, [], "a crash leaves no snapshot torn");
  });
}

Deno.test("lighthouse store survives kill -9 with every acknowledged commit, over HTTP", async () => {
  await using dir = new TempDir("lighthouse-kill-");
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  let acknowledged = -1;
  for (let round = 0; round < 5; round++) {
    await using store = new StoreProcess(["--data.d", dir.path, "--bind", `127.0.0.1:${port}`, "--bootstrap"]);
    await store.event("store.listening");
    // On a busy machine the first kill may come before the first commit.
    const read = await fetch(`${url}/data/n`);
    const answer = await read.json();
    const found = read.ok ? answer as number : -1;
    assert.ok(found === acknowledged || found === acknowledged + 1, `${found} of ${acknowledged}`);
    const killed = new Promise((resolve) => setTimeout(resolve, 20 + systemRandom() * 200)).then(() =>
      store.kill("SIGKILL")
    );
    const put = async (path: string, body = "") => {
      const response = await fetch(`${url}${path}`, { method: "PUT", body });
      await response.text();
      return response.ok;
    };
    try {
      for (let n = found + 1;; n++) {
        const isDone = await put("/lock", "w") && await put("/update/w/n", String(n)) && await put("/lock/w");
        assert.ok(isDone);
        acknowledged = n;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    await killed;
  }
});

Deno.test("a truncated or modified snapshot is set aside and logged, and the previous one is loaded", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  await store.commit([["PUT", "/n", 2]]);
  const newest = namesIn(store.dir.path).findLast((name) => name.endsWith(".json")) ?? "";
  const good = await Deno.readFile(store.dir.file(newest));
  await store.server[Symbol.asyncDispose]();
  const damages: Uint8Array[] = [];
  for (let length = 0; length < good.length; length += 7) damages.push(good.slice(0, length));
  for (let at = 0; at < good.length; at += 5) damages.push(good.with(at, (good[at] ?? 0) ^ 1));
  damages.push(new Uint8Array([...good, 32]), new Uint8Array(good.length), new TextEncoder().encode("{}"));
  for (const damaged of damages) {
    await Deno.writeFile(store.dir.file(newest), damaged);
    const said: unknown[] = [];
    const log = { ...SILENT, error: (message: string, about?: unknown) => said.push([message, about]) };
    {
      await using again = await StoreServer.start({ ...AT_ONCE, log, dataDir: store.dir.path });
      assert.equal(again.store.copy.version.sequence, 1, new TextDecoder().decode(damaged));
    }
    assert.equal(said.length, 1);
    await Deno.remove(store.dir.file(`${newest}.corrupt`));
  }
  await Deno.writeFile(store.dir.file(newest), good);
  await store.restart();
  assert.equal(store.server.store.copy.version.sequence, 2);
});

Deno.test("a snapshot of store 0.1 is loaded with a new checksum", async () => {
  await using dir = new TempDir("lighthouse-store-");
  const old = {
    copy: { version: { sequence: 41, checksum: "0".repeat(32) }, data: { a: [1, null] } },
    cluster: [{ address: "10.0.0.1:8001" }],
  };
  await dir.write("20260101T000000.000001.json", JSON.stringify(old));
  await using server = await StoreServer.start({ ...AT_ONCE, dataDir: dir.path });
  const { version } = server.store.copy;
  assert.deepEqual(version, { sequence: 41, checksum: HASHES.md5(new TextEncoder().encode('{"a":[1,null]}')) });
  assert.deepEqual(server.store.members.addresses, ["10.0.0.1:8001"]);
});

Deno.test("a data directory belongs to one process at a time", async () => {
  await using store = await TestStore.start();
  await assert.rejects(StoreServer.start({ ...AT_ONCE, dataDir: store.dir.path }), /another process/);
});

Deno.test("a failing disk rejects the commit, changes nothing, and keeps lock and transaction for a retry", async () => {
  await using store = await TestStore.start({}, { n: 1 });
  await store.ask("PUT /lock", "me");
  await store.ask("PUT /update/me/n", 2);
  const away = `${store.dir.path}.away`;
  await Deno.rename(store.dir.path, away);
  const { status, text } = await store.ask("PUT /lock/me");
  assert.deepEqual([status, JSON.parse(text).error], [500, "Internal Server Error"]);
  assert.equal((await store.ask("GET /data/n")).text, "1");
  await Deno.rename(away, store.dir.path);
  assert.equal((await store.ask("PUT /lock/me")).status, 200);
  assert.equal((await store.ask("GET /data/n")).text, "2");
});

const US = 1_000_000;
const DAY = 86_400 * US;

Deno.test("retire() never removes the last valid snapshot, however old", () => {
  const names = [1, 2, 3].map((day) => formatSnapshotName(day * DAY));
  const options = { nowUs: 1_000 * DAY, limitUs: 990 * DAY };
  assert.deepEqual(retire(names, { ...options, good: names[2] ?? "" }), [names[1], names[0]]);
  assert.deepEqual(retire(names, { ...options, good: names[1] ?? "" }), [names[0]], "the newer one is not known");
  assert.deepEqual(retire(names, { ...options, good: names[0] ?? "" }), []);
});

Deno.test("retire() keeps the newest twenty, then one an hour, then one a day", () => {
  const nowUs = 1_000 * DAY;
  // One per minute, for three days.
  const names = Array.from({ length: 3 * 24 * 60 }, (_, i) => formatSnapshotName(nowUs - i * 60 * US)).toReversed();
  const gone = new Set(retire(names, { good: names.at(-1) ?? "", nowUs, limitUs: nowUs - 7 * DAY }));
  const kept = names.filter((name) => !gone.has(name));
  assert.deepEqual(kept.slice(-20), names.slice(-20));
  assert.ok(kept.length >= 20 + 23 + 2 && kept.length <= 20 + 25 + 3, `${kept.length} are kept`);
  assert.deepEqual(retire(kept, { good: kept.at(-1) ?? "", nowUs, limitUs: nowUs - 7 * DAY }), [], "what stays, stays");
});

Deno.test("names of snapshots sort by time, to the microsecond, even when the clock was set back", () => {
  const name = formatSnapshotName(Date.UTC(2026, 0, 31, 12, 0, 1) * 1_000 + 42);
  assert.equal(name, "20260131T120001.000042.json");
  assert.equal(formatSnapshotName(parseSnapshotName(name) ?? 0), name);
  assert.equal(nextSnapshotTime(1, 5_000), 5_001);
  assert.equal(nextSnapshotTime(6, 5_000), 6_000);
  for (const other of ["x", "20260131T120001.json", `${name}.corrupt`, `.${name}`, "20261331T120001.000042.json"]) {
    assert.equal(parseSnapshotName(other), undefined, other);
  }
});

Deno.test("incomplete files of a crash are removed at the next start", async () => {
  await using dir = new TempDir("lighthouse-store-");
  await dir.write("20260101T000000.000001.json.tmp", "torn");
  using files = await DataDirectory.open(dir.path);
  const archive = new Archive({
    files,
    wallNow: Date.now,
    removeLimit: { fromNowMs: -DAY },
    log: SILENT,
    hashes: HASHES,
    depthMax: 10,
    checksumOf: () => "",
  });
  assert.equal(await archive.load(), undefined);
  assert.deepEqual(namesIn(dir.path), [".lock"]);
});
