import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { expose } from "../metrics/exposition.ts";
import type { Tally } from "../metrics/tally.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";
import { StatusServer } from "./status_server.ts";
import { collectMetrics } from "./collected.ts";
import type { HealthLimits } from "./health.ts";
import { StatusReport } from "./report.ts";
import type { Parts } from "./status.ts";

/** What is to be known of an app to serve its status. */
export interface ServeStatusOptions {
  readonly app: { readonly parts: Parts };
  readonly version: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** What the parts of the app have counted. */
  readonly tally: Tally;
  /** How many files the process may have open, if known. */
  readonly openFilesMax: number | undefined;
  /** How late is too late, if not as usual. */
  readonly limits?: HealthLimits | undefined;
}

/** Serves the status of an app until it is disposed of. Throws an error that names the address if it is unavailable. */
export async function serveStatus(
  address: StatusAddress,
  { app, version, pid, clock, log, tally, openFilesMax, limits }: ServeStatusOptions,
): Promise<AsyncDisposable> {
  await using parts = new AsyncDisposableStack();
  const report = parts.use(new StatusReport({ app, version, pid, clock, meter: tally, limits }));
  const server = parts.use(
    await StatusServer.start({
      address,
      log,
      openFilesMax,
      answers: {
        status: () => report.status,
        health() {
          const said = report.judge(report.status);
          return { isFailing: said.status === "failing", said };
        },
        metrics: (accept) => expose(collectMetrics({ app, report, tally, version }), accept),
      },
    }),
  );
  log.info("Serving status", { event: "status.listening", at: formatStatusAddress(server.address) });
  return parts.move();
}
