import { projectProcess } from "../metrics/process.ts";
import type { MetricFamily, Tally } from "../metrics/tally.ts";
import { ownUsage } from "../system/own_usage.ts";
import { projectStatus } from "./metrics.ts";
import type { StatusReport } from "./report.ts";
import type { Parts } from "./status.ts";

/** Collects all metrics of an app: what its parts have counted, and how they stand now. */
export function collectMetrics(
  { app, report, tally, version }: {
    readonly app: { readonly parts: Parts };
    readonly report: StatusReport;
    readonly tally: Tally;
    readonly version: string;
  },
): readonly MetricFamily[] {
  return tally.collect((to) => {
    const { parts } = app;
    const now = report.status;
    const { openFiles: files } = parts.fleet;
    const usage = ownUsage();
    projectProcess(to, { version, role: now.role, startedMs: performance.timeOrigin, usage, files });
    projectStatus(to, { status: now, health: report.judge(now), parts });
  });
}
