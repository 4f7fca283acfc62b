import assert from "node:assert/strict";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { Tally } from "../metrics/tally.ts";
import { Propagation } from "./propagation.ts";

class Stage {
  readonly clock = new FakeClock();
  readonly tally = new Tally();
  readonly propagation = new Propagation({ clock: this.clock, meter: this.tally });

  /** What was measured, by balancer and cluster: how often, and the sum in seconds. */
  get measured(): Readonly<Record<string, readonly [count: number, seconds: number]>> {
    const samples = samplesOf(this.tally.collect());
    return Object.fromEntries(
      Object.entries(samples).flatMap(([key, sum]) => {
        const labels = /_sum\{balancer="(.+)",cluster="(.+)"\}/.exec(key);
        return labels === null
          ? []
          : [[`${labels[1]} ${labels[2]}`, [samples[key.replace("_sum", "_count")] ?? 0, sum]]];
      }),
    );
  }
}

const [WEB, API] = [{ name: "web" }, { name: "api" }];

Deno.test("Propagation measures each change from its arrival to each balancer seen serving it", () => {
  const stage = new Stage();
  const { clock, propagation } = stage;
  propagation.begin("haproxy");
  propagation.begin("edge");
  propagation.arrived("web", 1, clock.now());
  clock.advance(1_000);
  propagation.arrived("web", 2, clock.now());
  clock.advance(1_000);
  propagation.served("haproxy", 2, [WEB, API]);
  assert.deepEqual(stage.measured, { "haproxy web": [2, 3] });
  propagation.served("haproxy", 2, [WEB, API]);
  assert.deepEqual(stage.measured, { "haproxy web": [2, 3] }, "once each");
  clock.advance(1_000);
  propagation.served("edge", 1, [WEB]);
  assert.deepEqual(stage.measured["edge web"], [1, 3]);
});

Deno.test("Propagation waits for what is not served yet, and not for clusters that a balancer does not serve", () => {
  const stage = new Stage();
  const { clock, propagation } = stage;
  propagation.begin("haproxy");
  propagation.arrived("web", 1, clock.now());
  propagation.arrived("api", 2, clock.now());
  propagation.served("haproxy", 0, [WEB]);
  propagation.served("haproxy", undefined, [WEB]);
  assert.deepEqual(stage.measured, {});
  clock.advance(2_000);
  propagation.served("haproxy", 2, [WEB]);
  // It serves it only from now on, whenever its members had changed.
  propagation.served("haproxy", 2, [WEB, API]);
  assert.deepEqual(stage.measured, { "haproxy web": [1, 2] });
});

Deno.test("Propagation remembers a bounded number of changes while a balancer is down, and none of one that ended", () => {
  const stage = new Stage();
  const { clock, propagation } = stage;
  propagation.begin("haproxy");
  propagation.begin("gone");
  for (let generation = 1; generation <= 1_000; generation++) propagation.arrived("web", generation, clock.now());
  propagation.end("gone");
  propagation.served("gone", 1_000, [WEB]);
  propagation.served("haproxy", 1_000, [WEB]);
  assert.deepEqual(stage.measured, { "haproxy web": [100, 0] });
});
