/** A place where a sorted list differs from an earlier one. */
export interface Difference<T> {
  /** What the earlier list has there; `undefined` if it has nothing of that name. */
  readonly before: T | undefined;
  /** Where it is in the earlier list, or would be. */
  readonly beforeAt: number;
  /** What the later list has there; `undefined` if it has nothing of that name. */
  readonly now: T | undefined;
}

/**
 * Compares lists that are sorted by name and have each name once. What is one value in both lists is passed over by
 * that alone, so a comparison reads the names of what differs, and of its neighbors, and no others.
 */
export class SortedLists<T extends object> {
  readonly #nameOf: (item: T) => string;
  /** Lists that are known to be sorted. */
  readonly #sorted = new WeakSet<readonly T[]>();

  constructor(nameOf: (item: T) => string) {
    this.#nameOf = nameOf;
  }

  /** The places where two lists differ, in order; `undefined` if one of the lists is not sorted. */
  differences(before: readonly T[], now: readonly T[]): readonly Difference<T>[] | undefined {
    if (before === now) return [];
    if (!this.#isSorted(before)) return undefined;
    const differences: Difference<T>[] = [];
    const [beforeLength, nowLength] = [before.length, now.length];
    let [i, j] = [0, 0];
    while (i < beforeLength || j < nowLength) {
      const [left, right] = [before[i], now[j]];
      if (left === right) {
        i++;
        j++;
        continue;
      }
      const order = left === undefined ? 1 : right === undefined ? -1 : this.#compare(left, right);
      if (order >= 0 && j > 0 && this.#compare(now[j - 1] as T, right as T) >= 0) return undefined;
      differences.push({
        before: order <= 0 ? left : undefined,
        beforeAt: i,
        now: order >= 0 ? right : undefined,
      });
      if (order <= 0) i++;
      if (order >= 0) j++;
    }
    // What stands between the differences is in the order of the earlier list.
    this.#sorted.add(now);
    return differences;
  }

  /** Where the item of a name is, or -1; `undefined` if the list is not sorted. */
  indexOf(list: readonly T[], name: string): number | undefined {
    if (!this.#isSorted(list)) return undefined;
    let [low, high] = [0, list.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.#nameOf(list[middle] as T);
      if (found === name) return middle;
      if (found < name) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #isSorted(list: readonly T[]): boolean {
    if (this.#sorted.has(list)) return true;
    for (let at = 1; at < list.length; at++) if (this.#compare(list[at - 1] as T, list[at] as T) >= 0) return false;
    this.#sorted.add(list);
    return true;
  }

  #compare(one: T, other: T): number {
    const [a, b] = [this.#nameOf(one), this.#nameOf(other)];
    return a < b ? -1 : a > b ? 1 : 0;
  }
}

/**
 * Carries a list along that has a value for each item of a sorted list: the values of what did not change stay, `make`
 * answers those of what is new. Takes the differences between the earlier list and the later one.
 */
export function carriedAlong<T, V>(
  values: readonly V[],
  differences: readonly Difference<T>[],
  make: (now: T, before: V | undefined) => V,
): readonly V[] {
  if (differences.length === 0) return values;
  const carried: V[] = [];
  let from = 0;
  for (const { before, beforeAt, now } of differences) {
    for (; from < beforeAt; from++) carried.push(values[from] as V);
    if (now !== undefined) carried.push(make(now, before === undefined ? undefined : values[beforeAt]));
    if (before !== undefined) from = beforeAt + 1;
  }
  for (; from < values.length; from++) carried.push(values[from] as V);
  return carried;
}
