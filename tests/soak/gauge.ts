/** What a process uses at one time. */
export interface Sample {
  /** Since the first sample. */
  readonly atMs: number;
  /** Resident memory. */
  readonly rssKb: number;
  /** Open files, sockets and the like. */
  readonly handles: number;
  /** Threads, but for those of the pool. */
  readonly threads: number;
  /** Threads of Deno's pool for what blocks: as many as were needed at once in the last ten seconds. */
  readonly pool: number;
}

/** What the threads of the pool are called, as far as the kernel keeps a name. */
const POOL_THREAD = "tokio-runtime-w";

/** The figures that are watched, with their units. */
export const FIGURES = { rssKb: "kB", handles: "handles", threads: "threads" } as const;

/** How one figure went. */
export interface Trend {
  readonly figure: keyof typeof FIGURES;
  /** The median of the first quarter after the warm-up, and of the last. */
  readonly first: number;
  readonly last: number;
  /** By how much it grows in an hour, fitted over all but the warm-up. */
  readonly perHour: number;
}

/** Looks at what a process uses. */
export async function look(pid: number, beganAt: number): Promise<Sample> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const handles = await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`));
  const names = await Promise.all(
    (await Array.fromAsync(Deno.readDir(`/proc/${pid}/task`)))
      // One that has ended meanwhile has no name any more.
      .map(({ name }) => Deno.readTextFile(`/proc/${pid}/task/${name}/comm`).catch(() => "")),
  );
  const pool = names.filter((name) => name.trim() === POOL_THREAD).length;
  const number = (key: string) => Number(new RegExp(`^${key}:\\s+([0-9]+)`, "m").exec(status)?.[1]);
  return {
    atMs: performance.now() - beganAt,
    rssKb: number("VmRSS"),
    handles: handles.length,
    threads: names.filter((name) => name !== "").length - pool,
    pool,
  };
}

/** Says how each figure went; the first fifth of the time is warm-up, in which all may grow. */
export function trends(samples: readonly Sample[]): readonly Trend[] {
  const warm = samples.slice(Math.ceil(samples.length / 5));
  const quarter = Math.max(1, Math.floor(warm.length / 4));
  return (Object.keys(FIGURES) as (keyof typeof FIGURES)[]).map((figure) => ({
    figure,
    first: median(warm.slice(0, quarter).map((sample) => sample[figure])),
    last: median(warm.slice(-quarter).map((sample) => sample[figure])),
    perHour: slope(warm.map((sample) => [sample.atMs, sample[figure]])) * 3_600_000,
  }));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** The slope of the line that fits best. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}
