/**
 * A fleet with two checks whose threads are stuck: one in a loop, one in a loop
 * of microtasks, which is no better. Prints how many were counted, and whether
 * another check still works; exits with status 75. A program, since a process
 * with such threads does not end by itself.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- the output is the result.
import { type Clock, systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { Fleet } from "../../src/supervisor/fleet.ts";
import type { PluginInstance } from "../../src/plugin/instance.ts";
import { groupInstances } from "../../src/supervisor/reconcile.ts";
import { eventually } from "./eventually.ts";
import { checkModule } from "./plugin_source.ts";

/** One second of the product is 200 ms here. */
const QUICK: Clock = {
  now: () => systemClock.now() * 5,
  after: (ms, callback) => systemClock.after(ms / 5, callback),
};

function instance(id: string, module: string): PluginInstance {
  return { id, kind: "check", module, config: {}, scope: { instance: id }, granted: {} };
}

let stuck = 0;
const fleet = new Fleet({
  clock: QUICK,
  random: systemRandom,
  log: SILENT,
  heartbeat: { everyMs: 1_000, missesMax: 3 },
  events: { onEvent() {}, onReady() {}, onDown() {}, onStuck: (threads) => stuck = threads },
});
const good = instance("check good", checkModule(`return { status: "pass", detail: "yes" };`));
const probe = (id: string) => fleet.call(id, { type: "probe", instance: id, timeoutMs: 5_000 }, { deadlineMs: 10_000 });

fleet.apply(groupInstances([
  good,
  instance("check loop", checkModule(`for (;;);`)),
  instance("check microtasks", checkModule(`for (;;) await 0;`)),
], "worker"));
await Promise.all([probe("check loop").catch(() => {}), probe("check microtasks").catch(() => {})]);
fleet.apply(groupInstances([good], "worker"));
await eventually("both are counted", () => stuck === 2);
console.log(`stuck: ${fleet.stuckThreads}`);
// The two stuck threads use a core each, which may delay a heartbeat.
const goesOn = await eventually("the other check works", async () => {
  const answer = await probe("check good").catch(() => undefined);
  return answer?.type === "outcome" && answer.outcome.status === "pass" && answer.outcome.detail;
});
console.log(`it goes on: ${goesOn}`);
Deno.exit(75);
