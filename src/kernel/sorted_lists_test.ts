import assert from "node:assert/strict";
import fc from "fast-check";
import { carriedAlong, SortedLists } from "./sorted_lists.ts";

interface Item {
  readonly name: string;
  readonly version: number;
}

const names = (item: Item) => item.name;

/** A list sorted by name, that shares what is the same with `pool`. */
function listOf(
  entries: readonly (readonly [name: number, version: number])[],
  pool: Map<string, Item>,
): readonly Item[] {
  const list = entries.map(([name, version]) => {
    const key = `${name}/${version}`;
    const item = pool.get(key) ?? { name: String(name).padStart(3, "0"), version };
    pool.set(key, item);
    return item;
  });
  return [...new Map(list.map((item) => [item.name, item])).values()].toSorted((a, b) => a.name < b.name ? -1 : 1);
}

const ENTRIES = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 1 })), { maxLength: 40 });

Deno.test("differences() names added, removed and changed items, for any two lists", () => {
  fc.assert(fc.property(ENTRIES, ENTRIES, (one, other) => {
    const pool = new Map<string, Item>();
    const [before, now] = [listOf(one, pool), listOf(other, pool)];
    const differences = new SortedLists(names).differences(before, now);
    assert.ok(differences);
    const later = new Map(before.map((item) => [item.name, item]));
    for (const { before, now } of differences) {
      assert.notEqual(before, now);
      if (before !== undefined) assert.ok(later.delete(before.name));
      if (now !== undefined) later.set(now.name, now);
    }
    for (const [at, { name }] of now.entries()) assert.equal(new SortedLists(names).indexOf(now, name), at);
    assert.deepEqual([...later.values()].toSorted((a, b) => a.name < b.name ? -1 : 1), now);
  }));
});

Deno.test("carriedAlong() keeps the values of unchanged items, through any sequence of lists", () => {
  fc.assert(fc.property(fc.array(ENTRIES, { minLength: 1, maxLength: 10 }), (lists) => {
    const pool = new Map<string, Item>();
    const sorted = new SortedLists(names);
    const make = ({ name, version }: Item) => ({ text: `${name}=${version}` });
    let before = listOf(lists[0] ?? [], pool);
    let values: readonly { text: string }[] = before.map(make);
    for (const entries of lists) {
      const now = listOf(entries, pool);
      const differences = sorted.differences(before, now);
      assert.ok(differences);
      const known = new Set(values);
      const made = new Set<unknown>();
      values = carriedAlong(values, differences, (item, value) => {
        if (value !== undefined) assert.ok(known.has(value));
        const next = make(item);
        made.add(next);
        return next;
      });
      assert.deepEqual(values, now.map(make));
      assert.equal(made.size, differences.filter(({ now }) => now !== undefined).length);
      before = now;
    }
  }));
});

Deno.test("differences() returns nothing for an unsorted list, or one with a duplicate name", () => {
  const [a, b, c] = ["a", "b", "c"].map((name) => ({ name, version: 0 })) as [Item, Item, Item];
  const sorted = new SortedLists(names);
  assert.deepEqual(sorted.differences([a, b], [a, c, b]), undefined);
  assert.deepEqual(sorted.differences([a, b], [b, a]), undefined);
  assert.deepEqual(sorted.differences([a, b], [a, { ...a }, b]), undefined);
  assert.deepEqual(sorted.differences([b, a], [a, b]), undefined);
  assert.deepEqual(sorted.differences([a, c], [a, b, c])?.length, 1);
  assert.deepEqual([sorted.indexOf([a, c], "b"), sorted.indexOf([c, a], "a")], [-1, undefined]);
});
