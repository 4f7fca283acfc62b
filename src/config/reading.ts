import type { Accepted } from "./accepted.ts";
import type { Diagnostic } from "./diagnostics.ts";
import type { Desired } from "./desired.ts";

/** A config that is to be applied. */
export interface Taken {
  readonly accepted: Accepted;
  /** The files that it was read from. */
  readonly sources: Desired["sources"];
}

/** How the reading of the config stands. Times are those of the clock; `undefined` before the first. */
export interface Reading {
  /** When the reading that came to its end last had begun. */
  readonly begunMs: number | undefined;
  /** When it was last read to the end. */
  readonly readMs: number | undefined;
  /** When one that differs from the previous one was last taken. */
  readonly takenMs: number | undefined;
  /** Why it could not be read the last time; `undefined` if it could. */
  readonly unread: string | undefined;
  /** All that is wrong with it now. */
  readonly diagnostics: readonly Diagnostic[];
  /** The plugins that are kept out as they hung. */
  readonly hung: readonly HungPlugin[];
}

/** A plugin that is kept out, across restarts, as its thread could not be stopped. */
export interface HungPlugin {
  /** What `plugins.yaml` calls it: `check/replication`. */
  readonly plugin: string;
  readonly sha256: string;
  /** How it hung. */
  readonly reason: string;
  /** What says so: once it is removed, the plugin runs again. */
  readonly file: string;
}

/** What there is to say before anything was read. */
export const UNREAD: Reading = {
  begunMs: undefined,
  readMs: undefined,
  takenMs: undefined,
  unread: undefined,
  diagnostics: [],
  hung: [],
};

/** Where configs come from. */
export interface ConfigSource {
  /** How far it was read. */
  readonly reading: Reading;
  /**
   * Answers each config that is to be active, whole. Ends when the signal is
   * aborted, or when there is none to start from.
   */
  configs(signal: AbortSignal): AsyncIterable<Taken>;
  /** Looks at it again, though nothing seems to have changed. */
  lookAgain(): void;
}
