/** So many lines are compared; of longer texts the part that differs is replaced as a whole. */
const LINES_MAX = 2_000;

/** Lines around a change. */
const CONTEXT = 3;

type Line = readonly [sign: " " | "-" | "+", text: string];

/** Writes how a text differs from another, as `diff -u` does without its first two lines. Pure. */
export function lineDiff(before: string, now: string): readonly string[] {
  const lines = compare(linesOf(before), linesOf(now));
  const kept = lines.map(([sign], i) =>
    sign !== " " || lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(([near]) => near !== " ")
  );
  const out: string[] = [];
  let [old, next] = [1, 1];
  lines.forEach(([sign, text], i) => {
    if (kept[i]) {
      if (i === 0 || !kept[i - 1]) out.push(`@@ -${old} +${next} @@`);
      out.push(`${sign}${text}`);
    }
    if (sign !== "+") old++;
    if (sign !== "-") next++;
  });
  return out;
}

function linesOf(text: string): readonly string[] {
  const lines = text.split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

function compare(before: readonly string[], now: readonly string[]): readonly Line[] {
  const most = Math.min(before.length, now.length);
  let [head, tail] = [0, 0];
  while (head < most && before[head] === now[head]) head++;
  while (tail < most - head && before[before.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  const same = (lines: readonly string[]) => lines.map((text): Line => [" ", text]);
  return [
    ...same(before.slice(0, head)),
    ...differing(before.slice(head, before.length - tail), now.slice(head, now.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** The longest common subsequence, by its table. */
function differing(before: readonly string[], now: readonly string[]): readonly Line[] {
  const replaced = () => [
    ...before.map((text): Line => ["-", text]),
    ...now.map((text): Line => ["+", text]),
  ];
  if (before.length === 0 || now.length === 0 || before.length > LINES_MAX || now.length > LINES_MAX) return replaced();
  const width = now.length + 1;
  const common = new Uint16Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      common[i * width + j] = before[i] === now[j]
        ? (common[(i + 1) * width + j + 1] ?? 0) + 1
        : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0);
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < now.length) {
    const [old, next] = [before[i], now[j]];
    if (old !== undefined && old === next) {
      lines.push([" ", old]);
      [i, j] = [i + 1, j + 1];
    } else if (
      old !== undefined &&
      (next === undefined || (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))
    ) {
      lines.push(["-", old]);
      i++;
    } else if (next !== undefined) {
      lines.push(["+", next]);
      j++;
    }
  }
  return lines;
}
