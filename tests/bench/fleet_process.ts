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

/** One host, until it is stopped or its session is over. */
async function live(number: number): Promise<void> {
  await using session = await plugin.open(config, new RecordingContext());
  const over = new AbortController();
  const signal = AbortSignal.any([stop.signal, over.signal]);
  const watch = async (cluster: string) => {
    for await (const _facts of session.watch?.(cluster, signal) ?? []);
    if (!stop.signal.aborted) throw new Error("The watch is over");
  };
  const node = { ...testNode(number), host: `h${number}.test` };
  const register = () => session.register?.(names[number % names.length] ?? "", { node, state: "up" }, signal);
  try {
    await Promise.all([...names.map(watch), register()]);
  } finally {
    over.abort();
  }
}

await Promise.all(Array.from({ length: Number(count) }, async (_, i) => {
  while (!stop.signal.aborted) {
    await live(Number(first) + i).catch(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
  }
}));
Deno.exit(0);
