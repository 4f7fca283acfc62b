import assert from "node:assert/strict";
import { trends } from "./gauge.ts";
import { soak } from "./soak.ts";

/** By how much a figure may be higher at the end than after the warm-up: a leak in each reconnect is far more. */
const GROWTH_MOST = { rssKb: 0.35, handles: 0.2, threads: 0.1 };
/** Never do more calls block at once, whatever happens; a slow leak of such is for the long form to show. */
const POOL_MOST = 64;

Deno.test("memory, handles and threads stay constant through reconnects and member changes (short form)", async () => {
  const { reconnects, changes, samples } = await soak({ reconnects: 40, changes: 800, mostMs: 18_000 });
  const found = trends(samples);
  const told = `${reconnects} reconnects, ${changes} changes: ` +
    found.map(({ figure, first, last, perHour }) => `${figure} ${first} to ${last} (${perHour.toFixed(0)} an hour)`)
      .join(", ");
  // deno-lint-ignore no-console -- the slope is to be read
  console.log(told);
  assert.ok(reconnects >= 10 && changes >= 200, told);
  for (const { figure, first, last } of found) {
    assert.ok(last <= first * (1 + GROWTH_MOST[figure]) + 1, `${figure}: ${told}`);
  }
  const pool = Math.max(...samples.map((sample) => sample.pool));
  assert.ok(pool <= POOL_MOST, `${pool} threads of the pool: ${told}`);
});

Deno.test("the soak bites: a figure that grows is seen to grow", () => {
  const samples = Array.from(
    { length: 50 },
    (_, i) => ({ atMs: i * 1_000, rssKb: 100_000, handles: 20 + i, threads: 9, pool: 9 }),
  );
  const [rss, handles, threads] = trends(samples);
  assert.deepEqual([rss?.perHour, threads?.perHour], [0, 0]);
  assert.equal(Math.round(handles?.perHour ?? 0), 3_600);
  assert.ok((handles?.last ?? 0) > (handles?.first ?? 0) * 1.5);
});
