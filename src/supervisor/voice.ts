import type { WorkerEvent } from "./plugin_host.ts";

/** So much of what a worker says while it does not serve is kept: one state, and a snapshot of each cluster. */
const HELD_MAX = 2_000;

/** What a worker says on its way to the fleet's owner: held back while it is not in service. Records of its log pass. */
export class Voice {
  readonly #tell: (event: WorkerEvent) => void;
  #state: "held" | "heard" | "ended" = "held";
  #held: WorkerEvent[] = [];

  /** Held back at first; `tell` hears what is let through, in order. */
  constructor(tell: (event: WorkerEvent) => void) {
    this.#tell = tell;
  }

  /** Takes what it says. */
  say(event: WorkerEvent): void {
    if (event.type === "log" || this.#state === "heard") return this.#tell(event);
    if (this.#state === "ended") return;
    // Of the connection only the newest state is of interest.
    if (event.type === "connection") this.#held = this.#held.filter(({ type }) => type !== "connection");
    if (this.#held.length < HELD_MAX) this.#held.push(event);
  }

  /** From now on it is heard, and what it said before is told. */
  speak(): void {
    this.#state = "heard";
    for (const event of this.#held.splice(0)) this.#tell(event);
  }

  /** From now on what it says is kept for later. */
  hold(): void {
    this.#state = "held";
  }

  /** From now on what it says is of no interest. */
  end(): void {
    this.#state = "ended";
    this.#held = [];
  }
}
