/**
 * Boots 100 instances in this process and prints what each cost as JSON:
 * `empty` workers without a plugin, http checks in a `worker` each, or `shared`.
 *
 * @module
 */
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { Describer } from "../../src/supervisor/describer.ts";
import { Fleet } from "../../src/supervisor/fleet.ts";
import type { PluginInstance } from "../../src/plugin/instance.ts";
import { groupInstances } from "../../src/supervisor/reconcile.ts";
import { eventually } from "../support/eventually.ts";
import { usageOf } from "./figures.ts";

const COUNT = 100;
const mode = Deno.args[0];

await using answers = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("ok"));
const target = `127.0.0.1:${answers.addr.port}`;

const before = usageOf(Deno.pid).rssMb;
const began = performance.now();
let tookMs: number;
if (mode === "empty") {
  const booted = Array.from({ length: COUNT }, () => {
    const code = "data:text/javascript,self.onmessage = () => {}; self.postMessage(0);";
    const worker = new Worker(code, { type: "module", deno: { permissions: "none" } });
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.onmessage = () => resolve();
    return promise;
  });
  await Promise.all(booted);
  tookMs = performance.now() - began;
} else {
  await using describer = new Describer({ clock: systemClock });
  const described = await describer.describe("builtin:check/http", { uri: "/" }, { instance: "bench", target });
  if (!described.ok) throw new Error(JSON.stringify(described));
  const { config } = described;
  const instances = Array.from({ length: COUNT }, (_, i): PluginInstance => ({
    id: `check web:${i}/http`,
    kind: "check",
    module: "builtin:check/http",
    config,
    scope: { instance: `check web:${i}/http`, target },
    granted: { net: [target] },
  }));
  let ready = 0;
  const wanted = groupInstances(instances, mode === "shared" ? "shared" : "worker");
  const fleet = new Fleet({
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    events: { onEvent() {}, onReady: () => void ready++, onDown() {}, onStuck() {} },
  });
  fleet.apply(wanted);
  await eventually("all are ready", () => ready === wanted.length, { everyMs: 1 });
  tookMs = performance.now() - began;
  for (const { id } of instances) {
    const answer = await fleet.call(id, { type: "probe", instance: id, timeoutMs: 5_000 }, { deadlineMs: 6_000 });
    if (answer.type !== "outcome" || answer.outcome.status !== "pass") throw new Error(JSON.stringify(answer));
  }
}
const after = usageOf(Deno.pid).rssMb;
// deno-lint-ignore no-console -- the figures are this program's purpose.
console.log(JSON.stringify({ eachMb: (after - before) / COUNT, eachMs: tookMs / COUNT }));
Deno.exit(0);
