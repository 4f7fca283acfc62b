import type { Ending } from "../app.ts";

/** What the process says when it ends; 75 is `EX_TEMPFAIL` of sysexits.h: try again. */
export const EXIT = { ok: 0, failed: 1, usage: 2, restartMe: 75 } as const;

/** How each end of a run is told to the service manager. */
export const EXIT_OF: Readonly<Record<Ending, number>> = {
  stopped: EXIT.ok,
  unconfigured: EXIT.failed,
  stuck: EXIT.restartMe,
};
