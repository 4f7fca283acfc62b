import process from "node:process";

/** Usage of this process: resident memory, and the CPU time of all its threads since its start. */
export function ownUsage(): { readonly residentBytes: number; readonly cpuSeconds: number } {
  const { user, system } = process.cpuUsage();
  return { residentBytes: Deno.memoryUsage().rss, cpuSeconds: (user + system) / 1_000_000 };
}
