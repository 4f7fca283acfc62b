import { quote } from "../src/kernel/quote.ts";
import { errorText } from "../src/protocol/wire_error.ts";

/** Writes one printed line. */
type Print = (level: "debug" | "info" | "warn", message: string) => void;

const now = performance.now.bind(performance);

/** Maximum number of remembered labels: a plugin could create them without end. */
const LABELS_MAX = 1_000;

/**
 * Replaces Deno's console, which writes to the output of the whole process, with escape codes, and
 * does not name the worker. The replacement has all methods: output is logged, drawing does nothing.
 */
export function replaceConsole(print: Print): void {
  const counts = new Map<string, number>();
  const timers = new Map<string, number>();
  const line = (level: "debug" | "info" | "warn") => (...parts: unknown[]) => print(level, parts.map(toText).join(" "));
  const info = line("info");
  const nothing = () => {};
  const lasted = (label: string) => {
    const since = timers.get(label);
    return since === undefined ? "unknown timer" : `${Math.round(now() - since)} ms`;
  };
  const remember = (kept: Map<string, number>, label: string, value: number) => {
    if (kept.size >= LABELS_MAX) kept.clear();
    kept.set(label, value);
  };
  const methods: Record<string, (...parts: never[]) => void> = {
    debug: line("debug"),
    warn: line("warn"),
    error: line("warn"),
    trace: line("warn"),
    assert: (isTrue: unknown = false, ...parts: unknown[]) =>
      isTrue ? undefined : line("warn")("Assertion failed", ...parts),
    count: (label: unknown = "default") => {
      const count = (counts.get(String(label)) ?? 0) + 1;
      remember(counts, String(label), count);
      info(`${label}: ${count}`);
    },
    countReset: (label: unknown = "default") => void counts.delete(String(label)),
    time: (label: unknown = "default") => remember(timers, String(label), now()),
    timeLog: (label: unknown = "default", ...parts: unknown[]) => info(`${label}: ${lasted(String(label))}`, ...parts),
    timeEnd: (label: unknown = "default") => {
      info(`${label}: ${lasted(String(label))}`);
      timers.delete(String(label));
    },
  };
  for (const name of ["log", "info", "dir", "dirxml", "table", "group", "groupCollapsed"]) methods[name] = info;
  // Methods of later versions of Deno exist too, and print nothing.
  for (const name of Object.getOwnPropertyNames(console)) methods[name] ??= nothing;
  Object.defineProperty(globalThis, "console", { value: methods, writable: true, configurable: true });
}

function toText(part: unknown): string {
  if (typeof part === "string") return part;
  return part instanceof Error ? errorText(part) : quote(part);
}
