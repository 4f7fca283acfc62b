import type { CommandStep } from "../../../mod.ts";
import type { RunningHaproxy } from "./observe.ts";

/** What is to be done about frontends that take no connections. */
export interface FrontendPlan {
  /** What is done over the socket. */
  readonly steps: readonly CommandStep[];
  /** What takes a new process, a sentence for each frontend. */
  readonly reloadReasons: readonly string[];
}

/** What HAProxy answers: nothing, or that somebody was quicker. */
const ENABLED = ["", "All sockets are already enabled\\."];

/**
 * Opens the frontends that somebody has closed by hand. One that was disabled is
 * enabled; one that was shut down HAProxy never opens again, its next process
 * does (Management Guide, 9.3, `disable frontend`, `shutdown frontend`).
 */
export function planFrontends({ frontends }: RunningHaproxy): FrontendPlan {
  const steps: CommandStep[] = [];
  const reloadReasons: string[] = [];
  for (const [name, state] of frontends) {
    if (state === "shut") reloadReasons.push(`frontend ${name} was shut down`);
    if (state !== "paused") continue;
    const found = `frontend ${name} is disabled`;
    steps.push({ do: "command", command: `enable frontend ${name}`, expect: ENABLED, found });
  }
  return { steps, reloadReasons };
}
