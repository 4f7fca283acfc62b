/**
 * Golden files for several HAProxy versions: the text for the oldest version,
 * and below a line `---- 3.4` the differences of a later one: `-` before a line
 * that is absent, `+` before a line that replaces it.
 *
 * @module
 */
import { HAPROXY_VERSIONS, type HaproxyVersion } from "../haproxy_versions.ts";
import { compareCase, type GoldenCase } from "./balancer_case.ts";
import { HAPROXY_VERSION } from "./haproxy_version.ts";

/** The version whose text is complete. */
const WHOLE: HaproxyVersion = "2.6";

/** The column for the HAProxy that the tests run: the newest that is not newer. */
export const COLUMN: HaproxyVersion = HAPROXY_VERSIONS.findLast((version) => {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return HAPROXY_VERSION[0] > major || (HAPROXY_VERSION[0] === major && HAPROXY_VERSION[1] >= minor);
}) ?? WHOLE;

/** The columns of a golden file's expectation, by version. */
export function readColumns(expected: string): ReadonlyMap<HaproxyVersion, string> {
  const [whole = "", ...rest] = expected.split(/^---- (?=\d)/m);
  const columns = rest.map((part) => {
    const end = part.indexOf("\n");
    return [part.slice(0, end) as HaproxyVersion, part.slice(end + 1)] as const;
  });
  return new Map([[WHOLE, whole], ...columns]);
}

/** Writes the output of the present HAProxy into its column. */
export function withColumn(expected: string, shown: string): string {
  const columns = new Map(readColumns(expected));
  const whole = COLUMN === WHOLE ? shown : columns.get(WHOLE) ?? "";
  columns.set(WHOLE, whole);
  if (COLUMN !== WHOLE) columns.set(COLUMN, difference(whole, shown));
  const rest = [...columns].filter(([version, text]) => version !== WHOLE && text !== "")
    .toSorted(([a], [b]) => HAPROXY_VERSIONS.indexOf(a) - HAPROXY_VERSIONS.indexOf(b));
  return whole + rest.map(([version, text]) => `---- ${version}\n${text}`).join("");
}

/** Compares with the expectation for the present HAProxy, or with `UPDATE_GOLDEN=1` updates it. */
export async function compareColumn(path: URL, golden: GoldenCase<unknown>, shown: string): Promise<void> {
  await compareCase(path, golden, withColumn(golden.expected, shown));
}

/** The lines in which two texts differ, in order; hashes of the whole are excluded, since they always differ. */
function difference(before: string, after: string): string {
  const [a, b] = [before, after].map((text) =>
    text.replaceAll(/^(.*LIGHTHOUSE_STRUCTURE |.*\(sha256:)[0-9a-f]{16}/gm, "$1HASH").split("\n")
  ) as [string[], string[]];
  // The number of lines that the remainders from (i, j) on have in common.
  const common = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      (common[i] as number[])[j] = a[i] === b[j] ? 1 + at(i + 1, j + 1) : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: string[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) [i, j] = [i + 1, j + 1];
    else if (j === b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) lines.push(`-${a[i++]}\n`);
    else lines.push(`+${b[j++]}\n`);
  }
  return lines.join("");
}
