/**
 * One line of the history: a record of the log as JSON. Pure.
 *
 * @module
 */
import type { EventRecord } from "../model/event_record.ts";
import { isRecord } from "../model/node.ts";

/** What a file of the config has become. */
export interface FileChange {
  /** The file, by its path in the config directory: `clusters/web.yaml`. */
  readonly file: string;
  readonly change: "added" | "changed" | "removed";
  /** The lines that differ, without secrets; absent if the process did not run when the file was changed. */
  readonly diff?: readonly string[] | undefined;
}

/** One record of the history. */
export interface HistoryEntry extends EventRecord {
  /** What the process does: `writer`, `reporter` or `run`. */
  readonly role: string;
  readonly pid: number;
  /** The files that a config differs in from the last one; empty if in none. Only for `config.applied`. */
  readonly files?: readonly FileChange[] | undefined;
  /** What differs in a balancer's file. Only for what had it read again. */
  readonly diff?: readonly string[] | undefined;
}

/** Writes an entry as a line, with its end. */
export function formatEntry({ atMs, ...rest }: HistoryEntry): string {
  return `${JSON.stringify({ time: new Date(atMs).toISOString(), ...rest })}\n`;
}

/** Reads a line; `undefined` if it is none: a process that is killed may leave half of one. */
export function parseEntry(line: string): HistoryEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { time, event, level, role, pid, message, fields, files, diff } = value;
  const atMs = typeof time === "string" ? Date.parse(time) : NaN;
  if (Number.isNaN(atMs) || typeof event !== "string" || typeof role !== "string" || typeof pid !== "number") {
    return undefined;
  }
  if (level !== "info" && level !== "warn" && level !== "error") return undefined;
  return {
    event,
    level,
    role,
    pid,
    message: typeof message === "string" ? message : "",
    atMs,
    fields: isRecord(fields) ? fields as HistoryEntry["fields"] : {},
    ...Array.isArray(files) && { files: files as readonly FileChange[] },
    ...Array.isArray(diff) && { diff: diff as readonly string[] },
  };
}
