import { V8_FLAGS } from "../support/lighthouse.ts";
import { print } from "./figures.ts";

/** What one run of `worker_boot.ts` measured. */
interface Boot {
  readonly eachMb: number;
  readonly eachMs: number;
}

/** What a worker costs, beside one that does nothing; and what all checks of a plugin cost that share one. */
export async function workers(): Promise<void> {
  const floor = await boot("empty");
  const checks = await boot("worker");
  const shared = await boot("shared");
  print("100 http checks, each started and probed once (floor: 100 empty workers)", [
    { what: "memory of a worker", value: checks.eachMb, unit: "MB", floor: floor.eachMb, most: 8 },
    { what: "time of a boot", value: checks.eachMs, unit: "ms", floor: floor.eachMs, most: 15 },
    {
      what: "isolation: shared, memory of all 100",
      value: shared.eachMb * 100,
      unit: "MB",
      floor: floor.eachMb,
      most: 60,
    },
    { what: "isolation: shared, time of all 100", value: shared.eachMs * 100, unit: "ms", floor: floor.eachMs },
  ]);
}

async function boot(mode: string): Promise<Boot> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    // With the engine's flags that the tasks use.
    args: ["run", "-A", ...V8_FLAGS, new URL("./worker_boot.ts", import.meta.url).pathname, mode],
  }).output();
  if (!success) throw new Error(`The measurement of ${mode} failed: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
