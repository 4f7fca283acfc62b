/**
 * The daemon with a test's own check plugins: `app_with_plugins.ts DIR [--status=ADDRESS] NAME=MODULE…`,
 * where a module is a `data:` URL. Exits with the code of the real daemon.
 *
 * @module
 */
import { App } from "../../src/app/app.ts";
import { HEALTH_LIMITS } from "../../src/status/health.ts";
import { CATALOG, loadBalancer } from "../../src/app/plugins.ts";
import { serveStatus } from "../../src/status/serve_status.ts";
import { EXIT_OF } from "../../src/cli/exit_codes.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { parseStatusAddress } from "../../src/model/status_address.ts";
import { Log } from "../../src/logging/log.ts";
import { Tally } from "../../src/metrics/tally.ts";

const [dir = "", ...given] = Deno.args;
const modules = new Map(given.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());
const encoder = new TextEncoder();
using log = new Log({
  level: "debug",
  format: "logfmt",
  terminal: false,
  write: (line) => void Deno.stderr.writeSync(encoder.encode(line)),
});
const tally = new Tally();
const app = new App({
  dir,
  role: "run",
  identify: () => Promise.resolve({ facts: { fqdn: "test.host", ip: "127.0.0.1" }, isProvisional: false }),
  catalog: {
    find(kind, name) {
      const module = kind === "check" ? modules.get(name) : undefined;
      return module === undefined ? CATALOG.find(kind, name) : { module, origin: "foreign" };
    },
    names: (kind) => CATALOG.names(kind),
  },
  loadBalancer,
  clock: systemClock,
  random: systemRandom,
  log,
  meter: tally,
  // A worker that a busy machine holds up for half a second is not hung.
  heartbeat: { everyMs: 500, missesMax: 3 },
});
const address = parseStatusAddress(modules.get("--status") ?? "");
if (address !== undefined) {
  const limits = { ...HEALTH_LIMITS, worker: 2 };
  await serveStatus(address, {
    openFilesMax: undefined,
    app,
    version: "0.0.0",
    pid: Deno.pid,
    clock: systemClock,
    log: log.part("status"),
    tally,
    limits,
  });
}
Deno.exit(EXIT_OF[await app.run(stop.signal)]);
