/**
 * Many hosts in one process, as far as a registry meets them: each is a session
 * of the method that watches all clusters and registers one node:
 * `fleet_process.ts METHOD FILE CLUSTERS FIRST COUNT`, where FILE is the
 * discovery's file as JSON. Ends at SIGTERM in good order.
 *
 * @module
 */
import type { DiscoveryPlugin } from "../../mod.ts";
import { RecordingContext, testNode } from "../support/discovery.ts";

const [method = "", file = "{}", clusters, first, count] = Deno.args;
const names = Array.from({ length: Number(clusters) }, (_, i) => `c${i}`);
const module: { default: DiscoveryPlugin } = await import(`../../plugins/discovery/${method}/mod.ts`);
const { default: plugin } = module;
const result = await plugin.config["~standard"].validate(JSON.parse(file));
if (result.issues !== undefined) throw new Error(`Cannot use the config of ${method}`);
const config = result.value;
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

await Promise.all(Array.from({ length: Number(count) }, async (_, i) => {
  const number = Number(first) + i;
  await using session = await plugin.open(config, new RecordingContext());
  const watches = names.map(async (cluster) => {
    for await (const _facts of session.watch?.(cluster, stop.signal) ?? []);
  });
  const node = { ...testNode(number), host: `h${number}.test` };
  await session.register?.(names[number % names.length] ?? "", { node, state: "up" }, stop.signal);
  await Promise.allSettled(watches);
}));
Deno.exit(0);
