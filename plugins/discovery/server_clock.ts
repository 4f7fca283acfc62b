import type { DiscoveryContext } from "../../mod.ts";

/** A smaller difference says nothing: dates have whole seconds, and an answer takes its time. */
const OFFSET_MIN_MS = 5_000;

/** Compares this host's clock with that of a registry that speaks HTTP, by the dates of its answers. */
export class ServerClock {
  readonly #log: DiscoveryContext["log"];
  readonly #wallNow: () => number;
  #differs = false;

  constructor({ log, wallNow = Date.now }: {
    readonly log: DiscoveryContext["log"];
    readonly wallNow?: (() => number) | undefined;
  }) {
    [this.#log, this.#wallNow] = [log, wallNow];
  }

  /** Takes the header `date` of an answer that has just come; logs when the clocks begin to differ, and when they agree again. */
  note(date: string | undefined): void {
    const serverMs = Date.parse(date ?? "");
    if (Number.isNaN(serverMs)) return;
    // A date stands for the whole second that begins with it.
    const offsetMs = serverMs + 500 - this.#wallNow();
    const differs = Math.abs(offsetMs) >= OFFSET_MIN_MS;
    if (differs === this.#differs) return;
    this.#differs = differs;
    const offsetSeconds = Math.round(offsetMs / 1_000);
    if (differs) {
      this.#log.warn("Registry clock differs from host clock", { event: "discovery.clock_differs", offsetSeconds });
    } else this.#log.info("Registry clock matches host clock again", { event: "discovery.clock_agrees" });
  }
}
