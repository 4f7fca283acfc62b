import assert from "node:assert/strict";
import { TestStore } from "./stage.ts";

/** The samples of a store, by all that stands before the value. */
async function samplesOf(store: TestStore): Promise<Readonly<Record<string, number>>> {
  const { status, text, headers } = await store.ask("GET /metrics");
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

Deno.test("GET /metrics counts what a store has done, and says what it is", async () => {
  await using store = await TestStore.start({}, { n: 0 });
  await store.ask("GET /data/n");
  await store.ask("GET /data/n");
  await store.ask("GET /data/nothing");
  await store.ask("PUT /lease/l", { ttl: 60, keys: { "/a": 1, "/b": 2 } });
  await store.ask("PUT /lock", "x");
  await store.ask("PUT /update/x/a", 2);
  await store.ask("PUT /lease/l", { ttl: 60, keys: { "/a": 3, "/b": 2 } });
  assert.equal((await store.ask("PUT /lock/x")).status, 409);
  const waiting = store.ask(`GET /data/n?watch=${store.server.store.copy.version.sequence}&timeout=5`);
  let samples = await samplesOf(store);
  while (samples.lighthouse_store_watchers !== 1) samples = await samplesOf(store);
  const { lighthouse_store_snapshot_bytes: bytes = 0, lighthouse_store_snapshot_write_seconds_sum: seconds = 0 } =
    samples;
  assert.ok(bytes > 20 && seconds > 0);
  assert.deepEqual({ ...samples, lighthouse_store_snapshot_bytes: 0, lighthouse_store_snapshot_write_seconds_sum: 0 }, {
    lighthouse_store_version_sequence: 3,
    lighthouse_store_available: 1,
    lighthouse_store_lock_held: 1,
    lighthouse_store_watchers: 1,
    lighthouse_store_leases: 1,
    lighthouse_store_leased_keys: 2,
    lighthouse_store_peers: 0,
    lighthouse_store_peers_reachable: 0,
    lighthouse_store_lost_versions: 0,
    lighthouse_store_reads_total: 2,
    'lighthouse_store_commits_total{result="done"}': 1,
    'lighthouse_store_commits_total{result="conflict"}': 1,
    'lighthouse_store_commits_total{result="refused"}': 0,
    lighthouse_store_versions_total: 3,
    lighthouse_store_snapshot_bytes: 0,
    lighthouse_store_snapshot_write_seconds_sum: 0,
    lighthouse_store_snapshot_write_seconds_count: 3,
  });
  await store.ask("DELETE /lock/x");
  await store.commit([["PUT", "/n", 1]]);
  await waiting;
});

Deno.test("GET /metrics is in the text format: each name has its help and type once, and follows the conventions", async () => {
  await using store = await TestStore.start();
  const { text } = await store.ask("GET /metrics");
  assert.ok(text.endsWith("\n"));
  const blocks = text.split(/^(?=# HELP )/m);
  const names = new Set<string>();
  for (const block of blocks) {
    const [, name = "", type = "", samples = ""] =
      /^# HELP (\S+) [^\n]+\.\n# TYPE \1 (counter|gauge|summary)\n([\s\S]+)$/.exec(block) ?? assert.fail(block);
    assert.ok(!names.has(name), name);
    names.add(name);
    assert.match(name, /^lighthouse_store_[a-z_]+$/);
    assert.equal(type === "counter", name.endsWith("_total"), name);
    for (const line of samples.trimEnd().split("\n")) {
      assert.match(line, new RegExp(`^${name}(?:_sum|_count|\\{[a-z]+="[a-z]+"\\})? [0-9.e+-]+$`));
    }
  }
  assert.ok(names.size > 10);
});
