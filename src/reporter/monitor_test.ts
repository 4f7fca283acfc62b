import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { Monitor, type MonitoredPort } from "./monitor.ts";
import type { Status } from "./status.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";

const CHECK = {
  id: "check web:80/http",
  name: "http",
  rise: 2,
  fall: 2,
  timeoutMs: 1_000,
  unknownGraceMs: 60_000,
  question: "is it well?",
};
const PORT: MonitoredPort = { key: "web:80", intervalMs: 1_000, checks: [CHECK] };

/** A monitor on a fake clock whose probes answer `passes`, and what it said. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly said: string[] = [];
  readonly warned: string[] = [];
  readonly probes: string[] = [];
  passes = true;
  /** Why no probe can be made. */
  blind: string | undefined;
  /** How long the process does not run during the next probe. */
  suspendedMs = 0;
  /** Set to keep probes from settling. */
  hangs = false;
  atOnceMax = 0;
  readonly tally = new Tally();
  #running = 0;
  readonly monitor = new Monitor({
    clock: this.clock,
    random: () => 0,
    log: { ...SILENT, warn: (message) => void this.warned.push(message) },
    meter: this.tally,
    probe: async (id, _timeoutMs, signal) => {
      this.probes.push(id);
      this.atOnceMax = Math.max(this.atOnceMax, ++this.#running);
      try {
        if (this.hangs) await new Promise((_resolve, reject) => signal.addEventListener("abort", reject));
        const suspendedMs = this.suspendedMs;
        this.suspendedMs = 0;
        if (suspendedMs > 0) this.clock.advance(suspendedMs);
        if (this.blind !== undefined) return { status: "unknown", reason: this.blind };
        return this.passes ? { status: "pass" } : { status: "fail", reason: "no" };
      } finally {
        this.#running--;
      }
    },
    onStatus: (key: string, status: Status) => void this.said.push(`${key} ${status}`),
  });

  /** Lets `seconds` rounds pass. */
  async rounds(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      await settle();
      this.clock.advance(1_000);
    }
    await settle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.monitor[Symbol.asyncDispose]();
  }
}

/** Lets all promises that can settle do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

Deno.test("Monitor reports up after rise passes and down after fall failures", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(2);
  assert.deepEqual(bench.said, ["web:80 up"]);
  bench.passes = false;
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up"]);
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"]);
});

Deno.test("Monitor.ports reports since when a port is up or down, when each check was probed, and why it failed", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  const seen = () => bench.monitor.ports.get("web:80");
  assert.deepEqual([seen()?.status, seen()?.checks[0]?.verdict.up], ["unknown", undefined]);
  await bench.rounds(2);
  assert.deepEqual([seen()?.status, seen()?.sinceMs, seen()?.checks[0]?.failure], ["up", 2_000, undefined]);
  bench.passes = false;
  await bench.rounds(2);
  assert.deepEqual([seen()?.status, seen()?.sinceMs, seen()?.checks[0]?.failure], ["down", 4_000, "no"]);
  bench.hangs = true;
  await bench.rounds(1);
  const { probedMs } = seen()?.checks[0] ?? {};
  await bench.rounds(90);
  assert.equal(seen()?.checks[0]?.probedMs, probedMs, "a probe that does not end counts for nothing");
});

Deno.test("Monitor keeps the last result for unknown_grace while no probe can run, and then counts the check as down", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  const seen = () => bench.monitor.ports.get("web:80")?.checks[0];
  await bench.rounds(2);
  bench.blind = "no worker";
  await bench.rounds(60);
  assert.deepEqual(bench.said, ["web:80 up"]);
  assert.deepEqual([seen()?.verdict.up, seen()?.unknown], [true, { sinceMs: 3_000, reason: "no worker" }]);
  await bench.rounds(2);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"]);
  bench.blind = undefined;
  await bench.rounds(2);
  assert.deepEqual([bench.said.at(-1), seen()?.unknown], ["web:80 up", undefined]);
});

Deno.test("Monitor counts nothing while no probe can be made: passes and failures neither advance nor are lost", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(2);
  bench.passes = false;
  await bench.rounds(1);
  bench.blind = "no open file is left";
  await bench.rounds(20);
  assert.deepEqual(bench.said, ["web:80 up"]);
  bench.blind = undefined;
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"]);
});

Deno.test("Monitor keeps the last result if the process was suspended during a probe", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(2);
  bench.passes = false;
  bench.suspendedMs = 60_000;
  bench.clock.advance(1_000);
  await settle();
  const [check] = bench.monitor.ports.get(PORT.key)?.checks ?? [];
  assert.match(check?.unknown?.reason ?? "", /suspended during the probe, which took 1m instead of at most 1s/);
  assert.deepEqual(bench.said, ["web:80 up"]);
  await bench.rounds(2);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"], "later failures count");
});

Deno.test("Monitor counts a service as neither up nor down if its checks could never run", async () => {
  await using bench = new Bench();
  bench.blind = "no worker";
  bench.monitor.apply([PORT]);
  await bench.rounds(200);
  assert.deepEqual([bench.said, bench.monitor.statuses.get("web:80")], [[], "unknown"]);
  bench.blind = undefined;
  await bench.rounds(2);
  assert.deepEqual(bench.said, ["web:80 up"]);
});

Deno.test("Monitor retries a check that could not be made long before its interval ends", async () => {
  await using bench = new Bench();
  bench.monitor.apply([{ ...PORT, intervalMs: 300_000, checks: [{ ...CHECK, rise: 1 }] }]);
  await bench.rounds(2);
  bench.blind = "no worker";
  await bench.rounds(300);
  const before = bench.probes.length;
  await bench.rounds(50);
  assert.ok(bench.probes.length >= before + 9, `${bench.probes.length - before} tries in 50 s`);
  assert.deepEqual(bench.said, ["web:80 up"]);
});

Deno.test("Monitor counts a check as down at once if unknown_grace is 0", async () => {
  await using bench = new Bench();
  bench.monitor.apply([{ ...PORT, checks: [{ ...CHECK, unknownGraceMs: 0 }] }]);
  await bench.rounds(2);
  bench.blind = "no worker";
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"]);
});

Deno.test("Monitor counts a service without checks as up", async () => {
  await using bench = new Bench();
  bench.monitor.apply([{ ...PORT, checks: [] }]);
  assert.deepEqual(bench.said, ["web:80 up"]);
});

Deno.test("Monitor warns of a service without checks once, and again after it had one or was gone", async () => {
  await using bench = new Bench();
  const rounds = async () => {
    bench.warned.length = 0;
    await bench.rounds(2);
    return bench.warned.filter((message) => message.includes("no checks")).length;
  };
  const applied = async (ports: readonly MonitoredPort[]) => {
    bench.warned.length = 0;
    bench.monitor.apply(ports);
    return bench.warned.filter((message) => message.includes("no checks")).length + await rounds();
  };
  assert.equal(await applied([{ ...PORT, checks: [] }]), 1);
  assert.equal(await applied([{ ...PORT, intervalMs: 2_000, checks: [] }]), 0, "an edit does not repeat it");
  assert.equal(await applied([PORT]), 0);
  assert.equal(await applied([{ ...PORT, checks: [] }]), 1);
  assert.equal(await applied([]), 0);
  assert.equal(await applied([{ ...PORT, checks: [] }]), 1);
});

Deno.test("Monitor resets a check's counts when its config changes, but not its verdict", async () => {
  await using bench = new Bench();
  const asking = (question: string): MonitoredPort => ({ ...PORT, checks: [{ ...CHECK, rise: 3, fall: 3, question }] });
  bench.monitor.apply([asking("a")]);
  await bench.rounds(2);
  bench.monitor.apply([asking("b")]);
  await bench.rounds(2);
  assert.deepEqual(bench.said, [], "two passes of each are not three of one");
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up"]);
  bench.passes = false;
  await bench.rounds(2);
  bench.monitor.apply([asking("c")]);
  await bench.rounds(2);
  assert.deepEqual(bench.said, ["web:80 up"], "nor are two failures of each");
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"]);
});

Deno.test("Monitor keeps a check's counts when the same config is written again", async () => {
  await using bench = new Bench();
  bench.monitor.apply([{ ...PORT, checks: [{ ...CHECK, rise: 4 }] }]);
  await bench.rounds(2);
  bench.monitor.apply([{ ...PORT, checks: [{ ...CHECK, rise: 4, fall: 7 }] }]);
  await bench.rounds(2);
  assert.deepEqual(bench.said, ["web:80 up"]);
});

Deno.test("Monitor counts a check with rise 0 as up at once", async () => {
  await using bench = new Bench();
  bench.monitor.apply([{ ...PORT, checks: [{ ...CHECK, rise: 0 }] }]);
  assert.deepEqual(bench.said, ["web:80 up"]);
});

Deno.test("Monitor keeps a service up when its config is edited", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(3);
  bench.monitor.apply([{ ...PORT, intervalMs: 2_000, checks: [{ ...CHECK, rise: 5 }] }]);
  bench.monitor.apply([{ ...PORT, checks: [CHECK, { ...CHECK, id: "check web:80/tcp", name: "tcp" }] }]);
  await bench.rounds(4);
  assert.deepEqual(bench.said, ["web:80 up"]);
});

Deno.test("Monitor keeps a verdict when a check's fall changes, and then falls by the new one", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(3);
  bench.monitor.apply([{ ...PORT, checks: [{ ...CHECK, fall: 1 }] }]);
  bench.passes = false;
  await bench.rounds(1);
  assert.deepEqual(bench.said, ["web:80 up", "web:80 down"]);
});

Deno.test("Monitor never has two probes of one check in flight", async () => {
  await using bench = new Bench();
  bench.hangs = true;
  bench.monitor.apply([PORT]);
  await bench.rounds(5);
  assert.equal(bench.probes.length, 1);
  assert.equal(bench.atOnceMax, 1);
});

Deno.test("Monitor stops probing a port that is gone", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(2);
  bench.monitor.apply([]);
  const seen = bench.probes.length;
  await bench.rounds(3);
  assert.equal(bench.probes.length, seen);
  assert.equal(bench.monitor.statuses.size, 0);
});

Deno.test("Monitor counts probes by result, and how long they took", async () => {
  await using bench = new Bench();
  bench.monitor.apply([PORT]);
  await bench.rounds(2);
  bench.passes = false;
  await bench.rounds(1);
  bench.blind = "no worker";
  await bench.rounds(1);
  assert.deepEqual(samplesOf(bench.tally.collect()), {
    'lighthouse_probes_total{service="web:80",check="http",result="pass"}': 2,
    'lighthouse_probes_total{service="web:80",check="http",result="fail"}': 1,
    'lighthouse_probes_total{service="web:80",check="http",result="unknown"}': 1,
    'lighthouse_probe_duration_seconds_sum{check="http"}': 0,
    'lighthouse_probe_duration_seconds_count{check="http"}': 4,
  });
});
