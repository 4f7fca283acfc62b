/**
 * Boots empty workers, and workers that render a template, and prints what one of each costs as JSON.
 *
 * @module
 */
import { loadBalancer } from "../../src/app/plugins.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { ForeignBalancer } from "../../src/supervisor/foreign_balancer.ts";
import { usageOf } from "./figures.ts";

const COUNT = 20;
const source = { module: "builtin:balancer/template", origin: "builtin" } as const;

async function measured(
  boot: () => Promise<unknown>,
  count: number,
): Promise<{ readonly mb: number; readonly ms: number }> {
  const before = usageOf(Deno.pid).rssMb;
  const began = performance.now();
  for (let i = 0; i < count; i++) await boot();
  return { ms: (performance.now() - began) / count, mb: (usageOf(Deno.pid).rssMb - before) / count };
}

const empty = await measured(async () => {
  const code = "data:text/javascript,self.onmessage = () => {}; self.postMessage(0);";
  const worker = new Worker(code, { type: "module", deno: { permissions: "none" } });
  const { promise, resolve } = Promise.withResolvers<void>();
  worker.onmessage = () => resolve();
  await promise;
}, COUNT);
const { config } = await import("../../plugins/balancers/template/config.ts").then(({ balancerSchema }) => {
  const result = balancerSchema["~standard"].validate({ files: [{ text: "{{ clusters | size }}", dest: "/tmp/x" }] });
  if ("issues" in result) throw new Error(JSON.stringify(result.issues));
  return { config: result.value };
});
const host = await measured(() => loadBalancer("template"), 1);
const worker = await measured(async () => {
  const balancer = new ForeignBalancer({
    name: "bench",
    source,
    clock: systemClock,
    random: systemRandom,
    log: SILENT,
    answerDeadlineMs: 30_000,
  });
  await balancer.render({ config, host: { fqdn: "x", ip: "127.0.0.1" }, clusters: [] });
}, COUNT);
// deno-lint-ignore no-console -- the figures are this program's purpose.
console.log(JSON.stringify({
  emptyMb: empty.mb,
  emptyMs: empty.ms,
  workerMb: worker.mb,
  workerMs: worker.ms,
  hostMb: host.mb,
  hostMs: host.ms,
}));
Deno.exit(0);
