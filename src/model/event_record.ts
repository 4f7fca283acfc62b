/** A record of the log that names its event, as history and notifiers take it: whatever the log's level and form. */
export interface EventRecord {
  /** Its id, for example `registry.unreachable`. */
  readonly event: string;
  readonly level: "info" | "warn" | "error";
  /** The headline, without secrets. */
  readonly message: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly atMs: number;
  /** The fields of its record, without secrets. */
  readonly fields: { readonly [key: string]: string | number | boolean };
}

/** Whether an event is meant by a pattern: an id such as `registry.unreachable`, or `registry.*`, or `*`. Pure. */
export function isEventMeant(pattern: string, event: string): boolean {
  if (pattern === "*" || pattern === event) return true;
  return pattern.endsWith(".*") && event.startsWith(pattern.slice(0, -1));
}

/** What {@linkcode isEventPattern} takes, in words. */
export const EVENT_PATTERN_WANTED = "the id of an event such as registry.unreachable, or a group such as registry.*";

/** Whether a string can be a pattern of events. */
export function isEventPattern(text: unknown): text is string {
  return typeof text === "string" && /^(?:\*|[a-z_]+\.(?:\*|[a-z_]+))$/.test(text);
}
