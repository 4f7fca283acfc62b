import assert from "node:assert/strict";
import fc from "fast-check";
import type { KeyEvent, KeyValue, RangeAnswer } from "./messages.ts";
import { RangeView } from "./range_view.ts";

function entry(key: string, modRevision: number): KeyValue {
  return { key, value: new Uint8Array([modRevision]), createRevision: modRevision, modRevision, lease: "0" };
}

function look(revision: number, ...keyValues: readonly KeyValue[]): RangeAnswer {
  return { header: { clusterId: "1", revision, term: 1 }, keyValues, count: keyValues.length, hasMore: false };
}

Deno.test.each([
  { what: "same", then: look(20, entry("a", 3), entry("b", 5)), wanted: "same" },
  { what: "one changed", then: look(20, entry("a", 3), entry("b", 12)), wanted: "changed" },
  { what: "one gone", then: look(20, entry("a", 3)), wanted: "changed" },
  { what: "a new one", then: look(20, entry("a", 3), entry("b", 5), entry("c", 11)), wanted: "changed" },
  { what: "all gone", then: look(20), wanted: "changed" },
  { what: "an older revision", then: look(9, entry("a", 3), entry("b", 5)), wanted: "unrelated" },
  { what: "one that must have been seen", then: look(20, entry("a", 3), entry("c", 6)), wanted: "unrelated" },
  { what: "one as it was long ago", then: look(20, entry("a", 2), entry("b", 5)), wanted: "unrelated" },
])("compare() returns $wanted for $what", ({ then, wanted }) => {
  assert.equal(new RangeView(look(10, entry("a", 3), entry("b", 5))).compare(then), wanted);
});

Deno.test("a view that applied all events of a history equals a read, from wherever the events start", () => {
  const step = fc.record({ key: fc.constantFrom("a", "b", "c"), isPut: fc.boolean() });
  fc.assert(fc.property(fc.array(step, { maxLength: 20 }), fc.nat(20), fc.nat(20), (steps, from, replayed) => {
    const now = new Map<string, KeyValue>();
    const events: KeyEvent[] = [];
    let view = new RangeView(look(1));
    for (const [at, { key, isPut }] of steps.entries()) {
      const modRevision = at + 2;
      if (isPut) now.set(key, entry(key, modRevision));
      else if (!now.delete(key)) continue;
      events.push(isPut ? { type: "put", keyValue: entry(key, modRevision) } : { type: "delete", key, modRevision });
      if (at === from) view = new RangeView(look(modRevision, ...now.values()));
    }
    // A stream that was opened again may start with known events.
    view.apply(events.slice(0, replayed));
    view.apply(events);
    const end = look(steps.length + 2, ...now.values());
    assert.equal(view.compare(end), "same");
    assert.ok(view.agrees(end));
  }));
});

Deno.test("agrees() notices a key that is gone, and one that changed", () => {
  const view = new RangeView(look(10, entry("a", 3), entry("b", 5)));
  assert.ok(view.agrees({ keyValues: [], count: 2 }));
  assert.ok(!view.agrees({ keyValues: [], count: 1 }));
  assert.ok(!view.agrees({ keyValues: [entry("a", 11)], count: 2 }));
});
