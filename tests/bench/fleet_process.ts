/**
 * Many hosts in one process: each a whole `lighthouse run` with workers of its
 * own, but for HAProxy, which none of them has: `fleet_process.ts DIR FIRST COUNT`.
 * Host 7 has the config directory `DIR/7`. Ends at SIGTERM in good order.
 *
 * @module
 */
import { App } from "../../src/app/app.ts";
import { CATALOG, loadBalancer } from "../../src/app/plugins.ts";
import type { BalancerEffects } from "../../src/balance/effects.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";

const [dir = "", first, count] = Deno.args;
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

/** A HAProxy that is never there: what a registry costs does not depend on it. */
const NO_BALANCER: BalancerEffects = {
  observe: () => Promise.reject(new Error("there is no balancer here")),
  watchSocket: (_sources, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
  softStop: () => Promise.resolve(false),
  version: () => Promise.resolve(undefined),
  programFile: () => undefined,
  execute: () => Promise.resolve([]),
};

await Promise.all(Array.from({ length: Number(count) }, async (_, i) => {
  const host = Number(first) + i;
  const app = new App({
    dir: `${dir}/${host}`,
    role: "run",
    identify: () => Promise.resolve({ facts: { fqdn: `h${host}.test`, ip: "127.0.0.1" }, isProvisional: false }),
    catalog: CATALOG,
    loadBalancer,
    clock: systemClock,
    random: systemRandom,
    log: { part: () => SILENT },
    machine: { effects: () => NO_BALANCER },
  });
  await app.run(stop.signal);
}));
Deno.exit(0);
