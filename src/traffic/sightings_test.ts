import assert from "node:assert/strict";
import fc from "fast-check";
import { MEMORY_MS, noteMembers, peaks, type Sighting, type Sightings } from "./sightings.ts";

const NOW = 1_700_000_000_000;

function note(
  before: Sightings,
  names: readonly string[],
  nowMs: number,
  { graceMs = 60_000, isBlind = false }: { graceMs?: number; isBlind?: boolean } = {},
): Sightings {
  return noteMembers(before, names.map((name) => ({ name, graceMs })), { nowMs, blindMs: isBlind ? Infinity : 0 });
}

Deno.test("an added node is new; one present at first, or added while nobody watched, is not", () => {
  const first = note(new Map(), ["a"], NOW, { isBlind: true });
  assert.deepEqual([...first], [["a", { sinceMs: NOW }]]);
  const then = note(first, ["a", "b"], NOW + 1);
  assert.deepEqual(then.get("b"), { sinceMs: NOW + 1, newSinceMs: NOW + 1 });
  assert.deepEqual(note(then, ["a", "b", "c"], NOW + 2, { isBlind: true }).get("c"), { sinceMs: NOW + 2 });
});

Deno.test("a node that returns within the grace continues, and is new after it", () => {
  const there = note(note(new Map(), ["a"], NOW), [], NOW + 1_000);
  assert.equal(there.get("a")?.leftMs, NOW + 1_000);
  assert.deepEqual(note(there, ["a"], NOW + 61_000).get("a"), { sinceMs: NOW, newSinceMs: NOW });
  const late = NOW + 61_001;
  const earlier = [{ sinceMs: NOW, leftMs: NOW + 1_000 }];
  assert.deepEqual(note(there, ["a"], late).get("a"), { sinceMs: late, newSinceMs: late, earlier });
});

Deno.test("a clock that was moved back makes a node new at most once more", () => {
  const there = note(new Map(), ["a"], NOW);
  assert.deepEqual(note(there, ["a"], NOW - 5_000).get("a"), { sinceMs: NOW - 5_000, newSinceMs: NOW - 5_000 });
});

Deno.test("a node that has left is forgotten after an hour", () => {
  const gone = note(note(new Map(), ["a"], NOW), [], NOW + 1);
  assert(note(gone, [], NOW + MEMORY_MS).has("a"));
  assert(!note(gone, [], NOW + 1 + MEMORY_MS).has("a"));
});

Deno.test("a registry full of names does not fill memory", () => {
  const many = (of: string) => Array.from({ length: 10_000 }, (_, i) => `${of}${i}`);
  let sightings: Sightings = new Map();
  for (const name of ["a", "b", "c", "d", "e"]) sightings = note(sightings, many(name), NOW);
  assert(sightings.size <= 30_000, `${sightings.size}`);
});

Deno.test("a cluster whose nodes all got new names counts as no larger", () => {
  let sightings = note(new Map(), ["a", "b"], NOW);
  sightings = note(sightings, ["a", "c"], NOW + 1_000);
  sightings = note(sightings, ["c", "d"], NOW + 2_000);
  assert.deepEqual(peaks(sightings.values(), NOW + 2_000), [{ fromMs: NOW + 2_000, nodes: 2 }]);
});

Deno.test("a node that returns after its grace still counts as present earlier", () => {
  let sightings = note(new Map(), ["a", "b", "c", "d"], NOW);
  sightings = note(sightings, ["a", "b"], NOW + 60_000);
  sightings = note(sightings, ["a", "b", "c"], NOW + 600_000);
  assert.equal(peaks(sightings.values(), NOW + 600_000)[0]?.nodes, 4);
  assert.deepEqual(peaks(sightings.values(), NOW + 600_000).slice(1), [{ fromMs: NOW + 60_000 + MEMORY_MS, nodes: 3 }]);
});

Deno.test("a node that comes and goes does not fill memory", () => {
  let sightings: Sightings = new Map();
  for (let i = 0; i < 50; i++) {
    sightings = note(sightings, ["a"], NOW + i * 60_000, { graceMs: 0 });
    sightings = note(sightings, [], NOW + i * 60_000 + 10_000 + i, { graceMs: 0 });
  }
  const { earlier = [] } = sightings.get("a") ?? {};
  assert.equal(earlier.length, 16);
  assert.deepEqual(earlier.at(0), { sinceMs: NOW, leftMs: NOW + 10_000 });
});

/** The members at each of many times, some seconds or minutes after the previous one. */
const HISTORY = fc.array(
  fc.record({
    names: fc.subarray(["a", "b", "c", "d", "e"]),
    afterMs: fc.oneof(fc.integer({ min: 1, max: 90_000 }), fc.integer({ min: 60_001, max: 40 * 60_000 })),
  }),
  { minLength: 1, maxLength: 16 },
);

Deno.test("under any churn the largest size is that of the last hour", () => {
  fc.assert(fc.property(HISTORY, fc.integer({ min: 0, max: 60_000 }), (history, graceMs) => {
    let [sightings, nowMs]: [Sightings, number] = [new Map(), NOW];
    /** When each was there; an absence within the grace is none once it is over. */
    const stays = new Map<string, { sinceMs: number; leftMs: number }[]>();
    for (const { names, afterMs } of history) {
      nowMs += afterMs;
      sightings = note(sightings, names, nowMs, { graceMs });
      for (const name of ["a", "b", "c", "d", "e"]) {
        const own = stays.get(name) ?? [];
        const last = own.at(-1);
        if (!names.includes(name)) {
          if (last?.leftMs === Infinity) last.leftMs = nowMs;
        } else if (last !== undefined && nowMs - last.leftMs <= graceMs) last.leftMs = Infinity;
        else own.push({ sinceMs: nowMs, leftMs: Infinity });
        stays.set(name, own);
      }
    }
    const all = [...stays.values()].flat();
    const moments = [nowMs, ...all.flatMap(({ leftMs }) => leftMs === Infinity ? [] : [leftMs - 0.5])]
      .filter((ms) => ms + 0.5 > nowMs - MEMORY_MS);
    const sizes = moments.map((ms) => all.filter(({ sinceMs, leftMs }) => sinceMs <= ms && ms < leftMs).length);
    assert.equal(peaks(sightings.values(), nowMs)[0]?.nodes, Math.max(...sizes));
  }));
});

Deno.test("the largest size of the last hour equals that of counting at each moment", () => {
  const time = fc.integer({ min: -2 * MEMORY_MS, max: 0 });
  const sighting = fc.tuple(time, fc.option(time, { nil: undefined })).map(([a, b]): Sighting => {
    const [since, left] = b === undefined ? [a, undefined] : [Math.min(a, b), Math.max(a, b)];
    return { sinceMs: NOW + since, ...left !== undefined && { leftMs: NOW + left } };
  });
  fc.assert(fc.property(
    fc.array(sighting, { maxLength: 12 }),
    fc.integer({ min: 0, max: 2 * MEMORY_MS }),
    (sightings, laterMs) => {
      const atMs = NOW + laterMs;
      const isThere = ({ sinceMs, leftMs = Infinity }: Sighting, ms: number) => sinceMs <= ms && ms < leftMs;
      const window = atMs - MEMORY_MS;
      // The size changes only where one comes or goes: right before one goes, and now.
      const moments = [atMs, ...sightings.flatMap(({ leftMs }) => leftMs === undefined ? [] : [leftMs - 0.5])]
        .filter((ms) => ms + 0.5 > window);
      const sizes = moments.map((ms) => sightings.filter((each) => isThere(each, ms)).length);
      const steps = peaks(sightings, NOW);
      assert.equal(steps.findLast(({ fromMs }) => fromMs <= atMs)?.nodes, Math.max(...sizes));
      assert.deepEqual(steps.map(({ nodes }) => nodes), steps.map(({ nodes }) => nodes).toSorted((a, b) => b - a));
    },
  ));
});
