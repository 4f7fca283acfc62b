import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { readSamples } from "../support/metric_samples.ts";
import { TestStore } from "./stage.ts";

/** The samples of a store, by name and labels. */
async function samplesOf(store: TestStore): Promise<Readonly<Record<string, number>>> {
  const { status, text, headers } = await store.ask("GET /metrics");
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return Object.fromEntries(
    Object.entries(readSamples(text)).filter(([name]) => name.startsWith("lighthouse_store_") && !/_bucket/.test(name)),
  );
}

Deno.test("GET /metrics exposes the counters and the gauges of a store", async () => {
  await using store = await TestStore.start({}, { n: 0 });
  await store.ask("GET /data/n");
  await store.ask("GET /data/n");
  await store.ask("GET /data/nothing");
  await store.ask("PUT /lease/l", { ttl: 60, keys: { "/a": 1, "/b": 2 } });
  await store.ask("PUT /lock", "x");
  await store.ask("PUT /update/x/a", 2);
  await store.ask("PUT /lease/l", { ttl: 60, keys: { "/a": 3, "/b": 2 } });
  assert.equal((await store.ask("PUT /lock/x")).status, 409);
  const waiting = store.ask(`GET /data/n?watch=${store.server.store.copy.version.sequence}&timeout=60`);
  let samples: Awaited<ReturnType<typeof samplesOf>> = {};
  await eventually("a watch waits", async () => {
    samples = await samplesOf(store);
    return samples.lighthouse_store_watchers === 1;
  });
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

Deno.test("GET /metrics exposes process metrics, and OpenMetrics on request", async () => {
  await using store = await TestStore.start();
  const samples = readSamples((await store.ask("GET /metrics")).text);
  assert.equal(samples['lighthouse_build_info{version="2.0.0",role="store"}'], 1);
  assert.ok((samples["process_resident_memory_bytes"] ?? 0) > 1_000_000);
  const { text, headers } = await store.ask("GET /metrics", undefined, { accept: "application/openmetrics-text" });
  assert.equal(headers.get("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  assert.equal(headers.get("vary"), "accept");
  assert.match(text, /\n# EOF\n$/);
});
