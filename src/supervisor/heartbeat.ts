/** What the pings to a worker have shown so far. Pure: the host owns the clock. */
export interface Heartbeat {
  /** Pings in a row that went unanswered. */
  readonly missed: number;
}

/** How a worker's life is watched. */
export interface HeartbeatOptions {
  /** The time from one ping to the next, and the deadline of each. */
  readonly everyMs: number;
  /** Misses in a row after which a worker counts as dead. */
  readonly missesMax: number;
}

/** Five seconds, three misses: a worker is dead 15 s after the first ping that it did not answer. */
export const HEARTBEAT_OPTIONS: HeartbeatOptions = { everyMs: 5_000, missesMax: 3 };

/** A worker that was just made. */
export const INITIAL_HEARTBEAT: Heartbeat = { missed: 0 };

/** Adds one ping's result. */
export function beat(before: Heartbeat, answered: boolean): Heartbeat {
  return { missed: answered ? 0 : before.missed + 1 };
}

/** Whether so much silence means death. */
export function isDead({ missed }: Heartbeat, { missesMax }: HeartbeatOptions): boolean {
  return missed >= missesMax;
}
