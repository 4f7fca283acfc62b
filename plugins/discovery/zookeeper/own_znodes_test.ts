import assert from "node:assert/strict";
import { FakeClock } from "../../../src/kernel/fake_clock.ts";
import { seededRandom } from "../../../src/kernel/random.ts";
import { OwnZnodes } from "./own_znodes.ts";

const DATA = new Uint8Array([1]);
/** The longest that a change waits. */
const LONGEST_MS = 1_500;

function stage(): { readonly clock: FakeClock; readonly own: OwnZnodes; readonly mended: string[] } {
  const clock = new FakeClock();
  const mended: string[] = [];
  const own = new OwnZnodes({
    clock,
    random: seededRandom(1),
    mend: ({ key }, data) => {
      mended.push(`${key} ${data}`);
      return Promise.resolve();
    },
  });
  return { clock, own, mended };
}

Deno.test("OwnZnodes looks once, a second later, at a changed znode, however often it changed", () => {
  const { clock, own, mended } = stage();
  own.keep({ key: "/a" }, DATA);
  for (let i = 0; i < 5; i++) own.onChange("/a");
  own.onChange("/b");
  clock.advance(999);
  assert.deepEqual(mended, []);
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, ["/a 1"]);
  own.onChange("/a");
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, ["/a 1", "/a 1"]);
});

Deno.test("OwnZnodes looks at all after a new connection", () => {
  const { clock, own, mended } = stage();
  own.keep({ key: "/a" }, DATA);
  own.keep({ key: "/b" }, DATA);
  own.onConnection();
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended.toSorted(), ["/a 1", "/b 1"]);
});

Deno.test("OwnZnodes ignores znodes that were deregistered meanwhile, and leaves no timer", () => {
  const { clock, own, mended } = stage();
  own.keep({ key: "/a" }, DATA);
  own.keep({ key: "/b" }, DATA);
  own.onConnection();
  own.forget({ key: "/a" });
  own.clear();
  assert.equal(clock.pending, 0);
  own.onChange("/a");
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, []);
});

Deno.test("OwnZnodes repairs nothing of what was registered again with other data", () => {
  const { own } = stage();
  own.keep({ key: "/a" }, DATA);
  assert.ok(own.isKept({ key: "/a" }, DATA));
  own.keep({ key: "/a" }, new Uint8Array([1]));
  assert.ok(!own.isKept({ key: "/a" }, DATA));
});

Deno.test("OwnZnodes looks at a numbered znode once its path is known", () => {
  const { clock, own, mended } = stage();
  const place = { key: "/web/a:1", sequence: { parent: "/web", prefix: "a_", isOf: () => true } };
  own.keep(place, DATA);
  own.onChange("/web/a:1");
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, []);
  own.found(place, "/web/a_0000000001");
  own.found(place, "/web/a_0000000002");
  own.keep(place, DATA);
  assert.equal(own.pathOf(place), "/web/a_0000000002");
  own.onChange("/web/a_0000000001");
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, []);
  own.onChange("/web/a_0000000002");
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, ["/web/a:1 1"]);
  own.forget(place);
  own.onChange("/web/a_0000000002");
  assert.equal(clock.pending, 0);
});
