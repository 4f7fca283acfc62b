/**
 * Starts workers until one is rejected, and writes the reason. A process of its
 * own, so that a test can limit its open files.
 *
 * @module
 */
import { systemClock } from "../../src/kernel/clock.ts";
import { PluginHost } from "../../src/supervisor/plugin_host.ts";
import { ownRoom } from "../../src/supervisor/room.ts";

await using stack = new AsyncDisposableStack();
const options = { module: "builtin:check/tcp", permissions: "none", clock: systemClock } as const;
let said = "";
let started = 0;
while (said === "") {
  try {
    await ownRoom.prepare({ isForeign: false, isDiscovery: false });
    await stack.use(new PluginHost({ name: `worker ${started}`, ...options })).loaded();
    started++;
  } catch (error) {
    said = String(error);
  }
}
await Deno.stdout.write(new TextEncoder().encode(`${started} workers; ${said}\n`));
