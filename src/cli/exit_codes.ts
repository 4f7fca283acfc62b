import type { Ending } from "../app/app.ts";

/** What the process says when it ends; 70 is `EX_SOFTWARE` and 75 `EX_TEMPFAIL` of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, broken: 70, restartMe: 75 } as const;

/** How each end of a run is told to the service manager. */
export const EXIT_OF: Readonly<Record<Ending, number>> = {
  stopped: EXIT.ok,
  unconfigured: EXIT.failed,
  stuck: EXIT.restartMe,
  broken: EXIT.broken,
};
