import type { Logger } from "../kernel/logger.ts";

/** An entry of a registry that is not a member, and why. */
export interface LeftOutEntry {
  /** The reason; names the entry. */
  readonly reason: string;
  /** When it was last reported, in milliseconds of the clock. */
  readonly atMs: number;
}

/** The events that report such entries. */
const EVENTS: ReadonlySet<unknown> = new Set(["discovery.entry_skipped", "discovery.excess", "worker.rejected"]);

/** How many are remembered for each worker. */
const ENTRIES_MAX = 100;

/**
 * The entries that discovery workers have last left out. Each is reported once, so it may be fixed by now.
 */
export class LeftOut {
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, Map<string, number>>();

  /** Remembers nothing until a record is logged. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The entries that a worker has left out, the latest first. */
  of(worker: string): readonly LeftOutEntry[] {
    return [...this.#entries.get(worker) ?? []].map(([reason, atMs]) => ({ reason, atMs })).reverse();
  }

  /** Listens to the records of a logger. */
  listen(log: Logger): Logger {
    return {
      debug: (text, properties) => log.debug(text, properties),
      info: (text, properties) => log.info(text, properties),
      warn: (text, properties = {}) => {
        this.#hear(properties);
        log.warn(text, properties);
      },
      error: (text, properties) => log.error(text, properties),
    };
  }

  #hear({ event, worker, reason }: Readonly<Record<string, unknown>>): void {
    if (!EVENTS.has(event) || typeof worker !== "string" || typeof reason !== "string") return;
    const entries = this.#entries.get(worker) ?? new Map<string, number>();
    this.#entries.set(worker, entries);
    // The latest is the last.
    entries.delete(reason);
    entries.set(reason, this.#nowMs());
    const [oldest] = entries.keys();
    if (entries.size > ENTRIES_MAX && oldest !== undefined) entries.delete(oldest);
  }
}
