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
    mend: (path, data) => {
      mended.push(`${path} ${data}`);
      return Promise.resolve();
    },
  });
  return { clock, own, mended };
}

Deno.test("OwnZnodes looks once, a second later, at one that changed, however often it did", () => {
  const { clock, own, mended } = stage();
  own.keep("/a", DATA);
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
  own.keep("/a", DATA);
  own.keep("/b", DATA);
  own.onConnection();
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended.toSorted(), ["/a 1", "/b 1"]);
});

Deno.test("OwnZnodes looks at none that was taken back meanwhile, and leaves no timer", () => {
  const { clock, own, mended } = stage();
  own.keep("/a", DATA);
  own.keep("/b", DATA);
  own.onConnection();
  own.forget("/a");
  own.clear();
  assert.equal(clock.pending, 0);
  own.onChange("/a");
  clock.advance(LONGEST_MS);
  assert.deepEqual(mended, []);
});

Deno.test("OwnZnodes makes nothing of what was registered anew with other data", () => {
  const { own } = stage();
  own.keep("/a", DATA);
  assert.ok(own.isKept("/a", DATA));
  own.keep("/a", new Uint8Array([1]));
  assert.ok(!own.isKept("/a", DATA));
});
