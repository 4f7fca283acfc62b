/**
 * How figures are measured and printed: each beside a floor that was measured
 * in the same run, since absolute times say as much of the machine as of us.
 *
 * @module
 */

/** One figure of the report. */
export interface Figure {
  /** What was measured. */
  readonly what: string;
  /** The figure. */
  readonly value: number;
  /** Its unit. */
  readonly unit: string;
  /** What could not be better: the same without us. */
  readonly floor?: number;
  /** What was promised, at most. */
  readonly most?: number;
}

/** Answers a share of sorted values: 0.5 is the median. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Prints a table of figures. */
export function print(title: string, figures: readonly Figure[]): void {
  const lines = ["", title, line("", "figure", "floor", "ratio", "promised", "")];
  for (const { what, value, unit, floor, most } of figures) {
    const ratio = floor === undefined || floor === 0 ? "" : `${(value / floor).toFixed(1)}x`;
    const verdict = most === undefined ? "" : value <= most ? "kept" : "NOT KEPT";
    const promised = most === undefined ? "" : `<= ${Number.isInteger(most) ? most : most.toFixed(1)}`;
    lines.push(line(`${what} [${unit}]`, number(value), number(floor), ratio, promised, verdict));
  }
  // deno-lint-ignore no-console -- the report is this program's purpose.
  console.log(lines.join("\n"));
}

function line(what: string, ...cells: readonly string[]): string {
  return `  ${what.padEnd(58)}${cells.map((cell) => cell.padStart(11)).join("")}`;
}

function number(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** What the kernel says of a process. */
export interface Usage {
  /** Resident memory, in MB. */
  readonly rssMb: number;
  /** Time on a core since its start, in ms. */
  readonly cpuMs: number;
}

/** The clock ticks of `/proc/PID/stat` in a second, on every Linux that there is. */
const TICKS_PER_SECOND = 100;

/** Reads what a process uses from /proc. */
export function usageOf(pid: number): Usage {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const rssKb = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { rssMb: rssKb / 1024, cpuMs: (Number(fields[11]) + Number(fields[12])) * 1_000 / TICKS_PER_SECOND };
}
