/**
 * What all hosts of a fleet do at the same moment is spread over time, so that
 * the registry is spared the peak.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RENEW_JITTER_MS } from "../../src/app/app.ts";
import { Monitor } from "../../src/reporter/monitor.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { seededRandom } from "../../src/kernel/random.ts";
import { Registrar } from "../../src/reporter/registrar.ts";

/** The hosts of the fleet. */
const HOSTS = 200;
/** No tenth of the time may have more than this share of the events. */
const SHARE_MOST = 0.25;

/** Fails if too many events fall into one tenth of the time. */
function assertSpread(times: readonly number[], overMs: number): void {
  const began = Math.min(...times);
  const parts = Map.groupBy(times, (at) => Math.floor((at - began) / (overMs / 10)));
  const most = Math.max(...[...parts.values()].map(({ length }) => length));
  assert.ok(most <= times.length * SHARE_MOST, `${most} of ${times.length} fall into one tenth of ${overMs} ms`);
}

async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (const end = clock.now() + ms; clock.now() < end;) {
    clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

Deno.test("after a mass expiry, a fleet registers again, spread over the configured time", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  await using fleet = new AsyncDisposableStack();
  const signal = new AbortController().signal;
  const registrars = Array.from({ length: HOSTS }, (_, i) =>
    fleet.use(
      new Registrar({
        clock,
        random: seededRandom(i),
        log: SILENT,
        change: () => Promise.resolve(void times.push(clock.now())),
      }),
    ));
  for (const [i, registrar] of registrars.entries()) {
    const node = { host: `h${i}.test`, ip: "10.0.0.1", port: 80, metadata: {} };
    registrar.apply([{ discovery: "sim", cluster: "web", node, wanted: "present" }]);
  }
  await pass(clock, 100);
  times.length = 0;
  for (const registrar of registrars) void registrar.renew("sim", { jitterMs: RENEW_JITTER_MS, signal });
  await pass(clock, RENEW_JITTER_MS + 20);
  assert.equal(times.length, HOSTS);
  assertSpread(times, RENEW_JITTER_MS);
});

Deno.test("hosts renew their registrations at different times", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  await using fleet = new AsyncDisposableStack();
  for (let i = 0; i < HOSTS; i++) {
    const registrar = fleet.use(
      new Registrar({
        clock,
        random: seededRandom(i),
        log: SILENT,
        change: () => Promise.resolve(void times.push(clock.now())),
      }),
    );
    const node = { host: `h${i}.test`, ip: "10.0.0.1", port: 80, metadata: {} };
    registrar.apply([{ discovery: "sim", cluster: "web", node, wanted: "present" }]);
  }
  await pass(clock, 100);
  times.length = 0;
  await pass(clock, 36_100);
  assert.equal(times.length, HOSTS);
  assertSpread(times, 12_000);
});

Deno.test("a fleet that starts at the same time spreads its first probes over one interval", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  await using fleet = new AsyncDisposableStack();
  for (let i = 0; i < HOSTS; i++) {
    const monitor = fleet.use(
      new Monitor({
        clock,
        random: seededRandom(i),
        log: SILENT,
        probe: () => Promise.resolve({ status: "pass" }),
        onStatus: () => times.push(clock.now()),
      }),
    );
    const check = {
      id: "check web:80/http",
      name: "http",
      rise: 2,
      fall: 2,
      timeoutMs: 500,
      unknownGraceMs: 0,
      question: "is it well?",
    };
    monitor.apply([{ key: "web:80", intervalMs: 1_000, checks: [check] }]);
  }
  await pass(clock, 2_100);
  assert.equal(times.length, HOSTS);
  assertSpread(times, 1_000);
});
