import { eventually as poll } from "../../src/conformance/eventually.ts";

/** The default deadline of a wait: long enough for a machine with ten times the load it can handle. */
const DEADLINE_MS = 60_000;

/** Polls as a plugin's rules do, with a longer deadline. */
export function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, everyMs }: { deadlineMs?: number; everyMs?: number | undefined } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  return poll(what, probe, { deadlineMs, everyMs });
}
