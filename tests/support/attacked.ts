/**
 * Runs a plugin module, given as a `data:` URL in the first line of standard
 * input, as Lighthouse would, with the address and programs that it is permitted;
 * writes its last log record to standard output. A process of its own, so that a
 * test sees what the module does to its process.
 *
 * @module
 */
import { systemClock } from "../../src/kernel/clock.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { PluginHost } from "../../src/supervisor/plugin_host.ts";

const module = (await new Response(Deno.stdin.readable).text()).trim();
const [target = "", ...run] = Deno.args;
let said = "nothing";
const died = Promise.withResolvers<string>();
await using host = new PluginHost({
  name: "attacker",
  kind: "check",
  module,
  permissions: toDenoPermissions({ net: [target], run }),
  clock: systemClock,
  heartbeat: { everyMs: 5_000, missesMax: 30 },
  onEvent: (event) => {
    if (event.type === "log" && event.message.startsWith("DONE")) said = event.message;
  },
  onDeath: died.resolve,
});
const work = async () => {
  await host.loaded();
  const scope = { instance: "attacker", target };
  await host.call({ type: "start", instance: "attacker", config: {}, scope }, { deadlineMs: 10_000 });
  await host.call({ type: "probe", instance: "attacker", timeoutMs: 300_000 }, { deadlineMs: 300_000 });
  return "ended in order";
};
const end = await Promise.race([
  work().catch((error) => `failed: ${error.message}`),
  died.promise.then((reason) => `died: ${reason}`),
]);
await Deno.stdout.write(new TextEncoder().encode(`${said}; ${end}\n`));
