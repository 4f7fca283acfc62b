import { eventually as poll } from "../../src/conformance/eventually.ts";

/** How long a test waits unless told: so long that a machine with ten times the work that it can do is no failure. */
const DEADLINE_MS = 60_000;

/** Polls as a plugin's rules do, with more patience. */
export function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { deadlineMs = DEADLINE_MS, everyMs }: { deadlineMs?: number; everyMs?: number | undefined } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  return poll(what, probe, { deadlineMs, everyMs });
}
