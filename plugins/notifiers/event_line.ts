import type { NotifiedEvent } from "../../mod.ts";

/** So many characters of one event are written. */
const LENGTH_MAX = 600;

/** Writes an event as a line for people: `registry.unreachable: Registry unreachable (worker=discovery zookeeper)`. */
export function eventLine({ event, message, fields }: NotifiedEvent): string {
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${value}`).join(" ");
  return `${event}: ${message}${rest === "" ? "" : ` (${rest})`}`.replaceAll(/\s+/g, " ").slice(0, LENGTH_MAX);
}
