import type { CommandStep } from "../../../mod.ts";
import type { RunningHaproxy } from "./observe.ts";

/** What to do about frontends that take no connections. */
export interface FrontendPlan {
  /** What is done over the socket. */
  readonly steps: readonly CommandStep[];
  /** What needs a new process, a sentence for each frontend. */
  readonly reloadReasons: readonly string[];
}

/** HAProxy's answer: nothing, or that it was enabled already. */
const ENABLED = ["", "All sockets are already enabled\\."];

/**
 * Opens the frontends that somebody has closed by hand. One that was disabled is enabled; one that was shut
 * down can only be opened by HAProxy's next process (Management Guide, 9.3, `disable frontend`, `shutdown
 * frontend`).
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
