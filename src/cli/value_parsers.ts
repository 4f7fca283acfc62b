import { message } from "@optique/core/message";
import { string, type ValueParser, type ValueParserResult } from "@optique/core/valueparser";
import { formatDuration, parseDuration } from "../kernel/duration.ts";

/** A value parser of a function that returns `undefined` for an invalid value. */
export function converted<T>(
  read: (text: string) => T | undefined,
  { metavar, wanted, placeholder, format }: {
    readonly metavar:
      | "ADDRESS"
      | "ADDRESSES"
      | "CHECK"
      | "CLUSTER"
      | "DISCOVERY"
      | "DISCOVERY/CLUSTER"
      | "DURATION"
      | "EVENT"
      | "JSON"
      | "NAME"
      | "NAME=PATH"
      | "CLUSTER[/NODE]"
      | "NODE|HOST"
      | "PATH"
      | "PERCENT"
      | "TEMPLATE"
      | "TEXT"
      | "TIME";
    readonly wanted: string;
    readonly placeholder: T;
    readonly format: (value: T) => string;
  },
): ValueParser<"sync", T> {
  return {
    mode: "sync",
    metavar,
    placeholder,
    parse(text): ValueParserResult<T> {
      const value = read(text);
      return value === undefined
        ? { success: false, error: message`Expected ${wanted}, but got ${text}.` }
        : { success: true, value };
    },
    format,
  };
}

/** A duration in milliseconds, as config files have it: `5`, `500ms`, `2m`. */
export function duration({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }): ValueParser<
  "sync",
  number
> {
  const range = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return converted((text) => {
    const ms = parseDuration(text);
    return ms === undefined || ms < minMs || ms > maxMs ? undefined : ms;
  }, {
    metavar: "DURATION",
    wanted: `a duration ${range}, such as 500ms, 2s or 5m`,
    placeholder: 0,
    format: formatDuration,
  });
}

/** The path of a file. */
export const file: ValueParser<"sync", string> = string({ metavar: "FILE" });
