import assert from "node:assert/strict";
import fc from "fast-check";
import type { Origin, Wanted } from "../plugin/contract.ts";
import {
  type Acceptance,
  compose,
  NOTHING_TRIED,
  retryAt,
  withAccepted,
  withoutOther,
  withRejected,
} from "./acceptance.ts";

/**
 * Lines by number; those below 3 are rejected, and named; 9 makes its cluster rejected without naming a line.
 */
type Lines = readonly number[];
type LinesWanted = Wanted<Lines, Lines>;

const lines = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 });
const anyWanted: fc.Arbitrary<LinesWanted> = fc.record({
  config: lines.map((own) => own.filter((line) => line !== 9)),
  host: fc.constant({ fqdn: "a.test", ip: "10.0.0.1" }),
  clusters: fc.uniqueArray(fc.record({ name: fc.constantFrom("a", "b", "c"), config: lines, nodes: fc.constant([]) }), {
    selector: ({ name }) => name,
  }),
});

/** The lines of a target that are in the file. */
function inFile(
  { config, clusters, leftOut = [] }: LinesWanted,
): readonly { readonly origin: Origin; readonly line: number }[] {
  const out = new Set(leftOut.map(({ cluster, path }) => JSON.stringify([cluster, path])));
  return [{ name: undefined, config }, ...clusters].flatMap(({ name, config }) =>
    config.map((line, index) => ({ origin: { cluster: name, path: [index] }, line }))
  ).filter(({ origin: { cluster, path } }) => !out.has(JSON.stringify([cluster, path])));
}

/** What was tried so far, as a writer remembers it. */
interface Tried {
  acceptance: Acceptance<Lines, Lines>;
}

/** Applies a desired state as a writer does; returns what is applied then. */
function bringAbout(tried: Tried, wanted: LinesWanted, now: number): LinesWanted {
  for (let round = 0; round < 20; round++) {
    tried.acceptance = withoutOther(tried.acceptance, wanted);
    const { wanted: target, held } = compose(tried.acceptance, wanted, { now, served: new Set() });
    assert(!held);
    const found = inFile(target);
    const refused = found.filter(({ line }) => line < 3).map(({ origin }) => origin);
    const cluster = refused.length === 0 ? found.find(({ line }) => line === 9)?.origin.cluster : undefined;
    if (refused.length === 0 && cluster === undefined) {
      tried.acceptance = withAccepted(tried.acceptance, target);
      return target;
    }
    const why = { cluster, lines: refused, retryAt: () => now + 60 };
    const [acceptance, fate] = withRejected(tried.acceptance, wanted, target, why);
    tried.acceptance = acceptance;
    assert.notEqual(fate, "nothing");
  }
  assert.fail("acceptance ends");
}

const formOf = (of: LinesWanted, cluster: string) => of.clusters.find(({ name }) => name === cluster)?.config;
const isGood = (config: Lines | undefined) => config !== undefined && config.every((line) => line >= 3 && line !== 9);

Deno.test("Acceptance ends with an accepted state that holds all that is good", () =>
  fc.assert(fc.property(fc.array(anyWanted, { minLength: 1, maxLength: 4 }), (sequence) => {
    const tried: Tried = { acceptance: NOTHING_TRIED };
    sequence.forEach((wanted, index) => {
      const target = bringAbout(tried, wanted, index);
      for (const { name, config } of wanted.clusters) {
        if (isGood(config)) assert.equal(formOf(target, name), config);
      }
      if (isGood(wanted.config)) assert.equal(target.config, wanted.config);
    });
  })));

Deno.test("Acceptance keeps the applied form when an edit is rejected", () =>
  fc.assert(fc.property(anyWanted, anyWanted, (first, second) => {
    const tried: Tried = { acceptance: NOTHING_TRIED };
    const before = bringAbout(tried, first, 0);
    const after = bringAbout(tried, second, 1);
    for (const { name, config } of second.clusters) {
      const known = formOf(before, name);
      if (isGood(config) || known === undefined || JSON.stringify(known) === JSON.stringify(config)) continue;
      assert.deepEqual(formOf(after, name), known);
      const of = (target: LinesWanted) => inFile(target).filter(({ origin }) => origin.cluster === name);
      assert.deepEqual(of(after), of(before));
    }
  })));

Deno.test("Acceptance retries what was rejected when its time has come, and takes it if it is accepted now", () => {
  const tried: Tried = { acceptance: NOTHING_TRIED };
  const wanted: LinesWanted = {
    config: [],
    host: { fqdn: "a.test", ip: "10.0.0.1" },
    clusters: [{ name: "a", config: [1, 5], nodes: [] }],
  };
  const served = new Set<string>();
  bringAbout(tried, wanted, 0);
  const { acceptance } = tried;
  assert.equal(retryAt(acceptance, 0), 60);
  assert.deepEqual(compose(acceptance, wanted, { now: 59, served }).wanted.leftOut, [{ cluster: "a", path: [0] }]);
  const { wanted: whole } = compose(acceptance, wanted, { now: 60, served });
  assert.equal(whole, wanted);
  assert.equal(compose(withAccepted(acceptance, whole), wanted, { now: 61, served }).wanted, wanted);
});

Deno.test("Acceptance forgets a cluster, lines and a whole that were rejected once they are fixed or gone", () => {
  const host = { fqdn: "a.test", ip: "10.0.0.1" };
  const cluster = (config: Lines) => ({ name: "a", config, nodes: [] });
  const [bad, other]: LinesWanted[] = [{ config: [], host, clusters: [cluster([1])] }, {
    config: [],
    host,
    clusters: [cluster([1]), { ...cluster([3]), name: "b" }],
  }];
  const served = new Set<string>();
  const never = () => Infinity;
  for (const fixed of [{ ...bad!, clusters: [cluster([2])] }, { ...bad!, clusters: [] }]) {
    for (
      const refusal of [
        { cluster: "a", lines: [] },
        { cluster: "a", lines: [{ cluster: "a", path: [0] }] },
        { cluster: undefined, lines: [] },
      ]
    ) {
      const accepted = withAccepted(NOTHING_TRIED as Acceptance<Lines, Lines>, { ...bad!, clusters: [cluster([9])] });
      const [rejected] = withRejected(accepted, bad!, bad!, { ...refusal, retryAt: never });
      assert.notEqual(compose(rejected, bad!, { now: 0, served }).wanted, bad);
      assert.equal(compose(rejected, fixed, { now: 0, served }).wanted, fixed);
      const later = withoutOther(rejected, fixed);
      assert.equal(later.clusters.size, 0);
      assert.equal(compose(later, bad!, { now: 0, served }).wanted, bad, "it is not remembered");
      assert.equal(compose(later, other!, { now: 0, served }).wanted, other);
    }
  }
});

Deno.test("a previous form that fails too leaves the retry time of the desired one unchanged", () => {
  const host = { fqdn: "a.test", ip: "10.0.0.1" };
  const [good, bad]: readonly LinesWanted[] = [[3], [1]].map((config) => ({ config, host, clusters: [] }));
  const why = { cluster: undefined, lines: [] };
  const accepted = withAccepted(NOTHING_TRIED as Acceptance<Lines, Lines>, good!);
  const [rejected] = withRejected(accepted, bad!, bad!, { ...why, retryAt: () => 60 });
  const fallback = compose(rejected, bad!, { now: 0, served: new Set() }).wanted;
  const [again, fate] = withRejected(rejected, bad!, fallback, { ...why, retryAt: () => 1 });
  assert.equal(fate, "nothing");
  assert.equal(retryAt(again, 0), 60);
});
