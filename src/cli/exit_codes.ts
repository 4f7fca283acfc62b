import type { Ending } from "../app/app.ts";

/** Exit codes of the process; 70 is `EX_SOFTWARE` and 75 `EX_TEMPFAIL` of sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, broken: 70, restartMe: 75 } as const;

/** The exit code of each end of a run, for the service manager. */
export const EXIT_OF: Readonly<Record<Ending, number>> = {
  stopped: EXIT.ok,
  applied: EXIT.ok,
  unapplied: EXIT.failed,
  unconfigured: EXIT.failed,
  stuck: EXIT.restartMe,
  broken: EXIT.broken,
};
