import assert from "node:assert/strict";
import { EVENTS } from "../../src/logging/events.ts";
import { eventually } from "./eventually.ts";

/** A log record: its event and its other fields, all as strings; `msg` and `level` are among them. */
export type LoggedEvent = Readonly<Record<string, string>>;

/** Conditions for fields of a record: equality with a value, or a pattern. */
export type Fields = Readonly<Record<string, string | number | boolean | RegExp>>;

/** Reads a log of logfmt lines, all or those of some events; other lines are skipped. */
export function readEvents(log: string, events?: readonly string[]): readonly LoggedEvent[] {
  const isRead = (line: string) =>
    line.startsWith("time=") && (events === undefined || events.some((event) => line.includes(` event=${event}`)));
  return log.split("\n").filter(isRead).map((line) => {
    const pairs = line.matchAll(/(?<key>[^\s=]+)=(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<plain>\S*))/g);
    return Object.fromEntries([...pairs].map(({ groups }) => [groups?.key, groups?.plain ?? unquoted(groups?.quoted)]));
  });
}

function unquoted(text = ""): string {
  return text.replaceAll(/\\(.)/g, (_, char: string) => char === "n" ? "\n" : char);
}

/** Whether a record has an event, with such fields. */
export function isEvent(record: LoggedEvent, event: string, fields: Fields = {}): boolean {
  return record.event === event &&
    Object.entries(fields).every(([key, want]) => {
      const value = record[key];
      return value !== undefined && (want instanceof RegExp ? want.test(value) : value === String(want));
    });
}

/** The number of records of an event in a log, with such fields. */
export function countEvents(log: string, event: string, fields: Fields = {}): number {
  return readEvents(log, [event]).filter((record) => isEvent(record, event, fields)).length;
}

/**
 * Waits until a log has an event, as often as `times` says; returns the record.
 *
 * @param log returns the log so far
 * @param after the event must come later than this one
 */
export function untilLogged(
  log: () => string,
  event: string,
  fields?: Fields,
  options?: { readonly times?: number; readonly after?: LoggedEvent | undefined },
): Promise<LoggedEvent> {
  const events = [event, ...options?.after?.event === undefined ? [] : [options.after.event]];
  let length = -1;
  let records: readonly LoggedEvent[] = [];
  const read = () => {
    const text = log();
    // A long log that has not grown is not read again.
    if (text.length !== length) [length, records] = [text.length, readEvents(text, events)];
    return records;
  };
  return untilEvent(read, event, fields, options).catch((error) => {
    throw new Error(`${error.message}\n${log()}`);
  });
}

/** The log of a process, as the process writes it. */
export class ProcessLog {
  /** The log so far. */
  log = "";

  /** Waits until the log has an event with such fields; returns the record. */
  event(
    event: string,
    fields?: Fields,
    options?: { readonly times?: number; readonly after?: LoggedEvent },
  ): Promise<LoggedEvent> {
    return untilLogged(() => this.log, event, fields, options);
  }

  /** The number of such events in the log. */
  count(event: string, fields?: Fields): number {
    return countEvents(this.log, event, fields);
  }

  /** Waits until the log has a line. */
  async logged(pattern: RegExp): Promise<void> {
    const deadlineMs = LOGGED_DEADLINE_MS;
    await eventually(`the log has ${pattern}`, () => pattern.test(this.log), { deadlineMs }).catch((error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
  }
}

/** The deadline of a log line: a dozen misbehaving plugins on a busy machine need more than a minute. */
const LOGGED_DEADLINE_MS = 180_000;

/** The deadline of a process that should end: a busy machine needs a quarter of it. */
const END_DEADLINE_MS = 120_000;

/**
 * Waits for the end of a process whose log is read until `read` settles;
 * returns its exit code. A process that hangs is killed, and the error has its log.
 */
export async function endOf(
  child: Deno.ChildProcess,
  { read, log }: { readonly read: Promise<unknown>; readonly log: () => string },
): Promise<number> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, and a program that it started keeps its output open.
    }
    late.reject(new Error(`Process ${child.pid} has not ended within ${END_DEADLINE_MS / 1000} s:\n${log()}`));
  }, END_DEADLINE_MS);
  try {
    const [{ code }] = await Promise.race([Promise.all([child.status, read]), late.promise]);
    assertKnown(readEvents(log()));
    return code;
  } finally {
    clearTimeout(timer);
  }
}

/** The same for records. */
export async function untilEvent(
  records: () => readonly LoggedEvent[],
  event: string,
  fields: Fields = {},
  { times = 1, after }: { readonly times?: number; readonly after?: LoggedEvent | undefined } = {},
): Promise<LoggedEvent> {
  const find = () => {
    const all = records();
    const begin = all.findIndex((record) => JSON.stringify(record) === JSON.stringify(after)) + 1;
    return all.slice(begin).filter((record) => isEvent(record, event, fields))[times - 1];
  };
  const wanted = Object.entries(fields).map(([key, want]) => ` ${key}=${want}`).join("");
  return await eventually(`the log has event=${event}${wanted}`, find);
}

/** Fails unless each record has an event of the table, at the table's level; a plugin chooses its own. */
export function assertKnown(records: readonly LoggedEvent[]): void {
  const astray = records.filter(({ event = "", level }) => {
    const known = EVENTS[event];
    if (event === "plugin.log") return false;
    return known === undefined || !(level?.startsWith(known.level) || (known.repeats && level === "debug"));
  });
  assert.deepEqual(astray, [], "records without an event of the table, or at another level");
}

/** Converts a record in a logger's form to the form of {@linkcode readEvents}. */
export function toEvent(level: string, msg: string, properties: Readonly<Record<string, unknown>> = {}): LoggedEvent {
  const texts = Object.entries(properties).map(([key, value]) => [key, String(value)]);
  return { level, msg, ...Object.fromEntries(texts) };
}
