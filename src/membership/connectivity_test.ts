import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../kernel/fake_clock.ts";
import { SILENT } from "../kernel/logger.ts";
import { Connectivity } from "./connectivity.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";

const WORKER = "discovery zookeeper";

/** Connectivity of one registry, and what is logged at a daemon's levels. */
class Stage {
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly tally = new Tally();
  readonly connectivity = new Connectivity({
    clock: this.clock,
    meter: this.tally,
    log: {
      ...SILENT,
      info: (_text, properties) => void this.log.push(`info ${properties?.event}`),
      warn: (_text, properties) => void this.log.push(`warn ${properties?.event}`),
    },
  });

  /** Sets the state of the registry, and advances the clock. */
  hear(state: "connected" | "disconnected", forMs: number): void {
    this.connectivity.hear(WORKER, state, "sim");
    this.clock.advance(forMs);
  }
}

Deno.test("Connectivity logs an outage at once, and its end", () => {
  const stage = new Stage();
  stage.hear("connected", 0);
  stage.hear("disconnected", 0);
  assert.deepEqual(stage.log, ["info registry.connected", "warn registry.unreachable"]);
  stage.hear("connected", 0);
  assert.equal(stage.log.at(-1), "info registry.connected");
});

Deno.test("Connectivity logs an outage that lasts, although another ended a moment before", () => {
  const stage = new Stage();
  stage.hear("connected", 100_000);
  stage.hear("disconnected", 1_000);
  stage.hear("connected", 1_000);
  stage.hear("disconnected", 3_600_000);
  assert.deepEqual(stage.log.slice(-2), ["info registry.connected", "warn registry.unreachable"]);
});

Deno.test("Connectivity logs an outage of five seconds, even if it is reported repeatedly meanwhile", () => {
  const stage = new Stage();
  stage.hear("disconnected", 1_000);
  stage.hear("connected", 1_000);
  for (let i = 0; i < 5; i++) stage.hear("disconnected", 1_000);
  assert.equal(stage.log.at(-1), "warn registry.unreachable");
});

Deno.test("Connectivity logs a registry that comes and goes each second once a minute", () => {
  const stage = new Stage();
  for (let i = 0; i < 60; i++) {
    stage.hear("connected", 1_000);
    stage.hear("disconnected", 1_000);
  }
  const warnings = stage.log.filter((line) => line.startsWith("warn"));
  assert.ok(warnings.length >= 2 && warnings.length <= 3, stage.log.join("\n"));
});

Deno.test("Connectivity logs the connection of a worker that replaces one that ended", () => {
  const stage = new Stage();
  stage.hear("connected", 1_000);
  stage.connectivity.lose(WORKER, "it crashed");
  assert.equal(stage.connectivity.of(WORKER)?.state, "unknown");
  stage.hear("connected", 0);
  assert.deepEqual(stage.log, ["info registry.connected", "info registry.connected"]);
});

Deno.test("Connectivity logs nothing about a registry that was removed before its outage had lasted", () => {
  const stage = new Stage();
  stage.hear("disconnected", 1_000);
  stage.hear("connected", 1_000);
  stage.hear("disconnected", 1_000);
  const before = [...stage.log];
  stage.connectivity.apply(new Set());
  stage.clock.advance(60_000);
  assert.deepEqual(stage.log, before);
  assert.equal(stage.connectivity.of(WORKER), undefined);
});

Deno.test("Connectivity: the last logged state is the state of the last five seconds, regardless of earlier flapping", () => {
  const spell = fc.tuple(fc.constantFrom("connected" as const, "disconnected" as const), fc.nat(90_000));
  fc.assert(fc.property(fc.array(spell), fc.constantFrom("connected", "disconnected"), (spells, last) => {
    const stage = new Stage();
    for (const [state, forMs] of spells) stage.hear(state, forMs);
    stage.hear(last as "connected" | "disconnected", 5_000);
    const word = last === "connected" ? "info registry.connected" : "warn registry.unreachable";
    assert.equal(stage.log.at(-1), word, stage.log.join("\n"));
  }));
});

Deno.test("Connectivity counts connections that are established and lost, by an outage or the end of a worker", () => {
  const stage = new Stage();
  for (const state of ["connected", "connected", "disconnected", "disconnected", "connected"] as const) {
    stage.hear(state, 1_000);
  }
  stage.connectivity.lose(WORKER, "it crashed");
  stage.hear("connected", 1_000);
  assert.deepEqual(samplesOf(stage.tally.collect()), {
    'lighthouse_registry_connects_total{discovery="zookeeper"}': 3,
    'lighthouse_registry_disconnects_total{discovery="zookeeper"}': 2,
  });
});

Deno.test("Connectivity logs no empty detail of a registry that gives none", () => {
  const fields: unknown[] = [];
  const connectivity = new Connectivity({
    clock: new FakeClock(),
    meter: new Tally(),
    log: { ...SILENT, info: (_text, properties) => void fields.push(properties) },
  });
  connectivity.hear("discovery static", "connected", "");
  assert.deepEqual(fields, [{ event: "registry.connected", worker: "discovery static" }]);
});
