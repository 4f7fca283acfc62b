/**
 * Many hosts in one process: each is an app of its own with its own config
 * directory, as `lighthouse run` has it, with all its workers, and a model in
 * the place of HAProxy: `fleet_process.ts DIR...`, where each DIR is named like
 * its host. Ends at SIGTERM in good order.
 *
 * @module
 */
import { App } from "../../src/app/app.ts";
import { CATALOG, loadBalancer } from "../../src/app/plugins.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";

const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

await Promise.all(Deno.args.map(async (dir) => {
  const haproxy = new HaproxyModel();
  const app = new App({
    dir,
    role: "run",
    identify: () =>
      Promise.resolve({
        facts: { fqdn: `${dir.slice(dir.lastIndexOf("/") + 1)}.test`, ip: "127.0.0.1" },
        isProvisional: false,
      }),
    catalog: CATALOG,
    loadBalancer,
    clock: systemClock,
    random: systemRandom,
    log: { part: () => SILENT },
    machine: { effects: () => haproxy },
  });
  await app.run(stop.signal);
}));
Deno.exit(0);
