import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { OpenFiles } from "../system/open_files.ts";
import { greediest, NoRoomError, openMax, Room, share } from "./room.ts";

const BUILTIN = { isForeign: false, isDiscovery: false };
const FOREIGN = { isForeign: true, isDiscovery: false };

Deno.test("share() lets workers start while open files are left, then names the remedy", () => {
  assert.deepEqual(share({ open: 100, limit: 256 }, BUILTIN), { openMax: 0 });
  assert.deepEqual(share({ open: 1_000_000, limit: Infinity }, FOREIGN), { openMax: 128 });
  const said = share({ open: 200, limit: 256 }, BUILTIN);
  assert.ok("lack" in said);
  assert.match(said.lack, /200 of 256 file descriptors .*LimitNOFILE .*isolation: shared/);
});

Deno.test("share() never promises plugins more than the limit, however many they are", () => {
  for (const limit of [256, 1_024, 65_536]) {
    for (const isDiscovery of [false, true]) {
      let [open, workers] = [40, 0];
      for (;;) {
        const given = share({ open, limit }, { isForeign: true, isDiscovery });
        if ("lack" in given) break;
        open += 8 + given.openMax;
        workers++;
      }
      assert.ok("openMax" in share({ open, limit }, BUILTIN), "built-in plugins still start");
      assert.ok(open <= limit - Math.min(128, Math.ceil(limit / 5)), `${open} of ${limit}`);
      assert.ok(workers >= (isDiscovery ? 2 : 5), `${workers} of ${limit}`);
    }
  }
});

Deno.test("openMax() grants a plugin a share of the limit, and a discovery a larger one", () => {
  assert.deepEqual([256, 1_024, 65_536, Infinity].map((limit) => openMax(limit, false)), [16, 32, 128, 128]);
  assert.deepEqual([256, 1_024, 65_536].map((limit) => openMax(limit, true)), [64, 256, 4_096]);
});

Deno.test("greediest() ends the greediest workers of the plugin that holds the most, until the reserve is restored", () => {
  const holders = [
    { worker: "a", module: "leaks", open: 20 },
    { worker: "b", module: "leaks", open: 64 },
    { worker: "c", module: "leaks", open: 1 },
    { worker: "d", module: "modest", open: 60 },
  ];
  const ended = (open: number) => greediest({ open, limit: 256 }, holders).map(({ worker }) => worker);
  assert.deepEqual(ended(200), [], "less than half of the reserve is used");
  assert.deepEqual(ended(250), ["b"]);
  assert.deepEqual(ended(300), ["b", "a", "c"]);
  assert.deepEqual(greediest({ open: 256, limit: 256 }, [{ worker: "a", module: "m", open: 10 }]), []);
});

const openOf = (room: Room) => room.inUse?.open;

/** A room with a simulated count. */
function makeRoom(files: OpenFiles | undefined) {
  const clock = new FakeClock();
  const told = { files, counts: 0 };
  const read = () => {
    told.counts++;
    return Promise.resolve(told.files);
  };
  return { room: new Room({ clock, read }), clock, told };
}

Deno.test("Room adds a new worker's files until the count includes them, and not twice", async () => {
  const { room, told } = makeRoom({ open: 40, limit: 256 });
  room.enter(BUILTIN);
  assert.ok(room.inUse === undefined, "nothing counted yet");
  await room.prepare(BUILTIN);
  const places = Array.from({ length: 3 }, () => room.enter(BUILTIN));
  assert.equal(openOf(room), 40 + 4 * 8);
  for (const place of places) place.isUp();
  told.files = { open: 60, limit: 256 };
  await room.count();
  assert.equal(openOf(room), 60 + 8);
  for (const place of places) place.leave();
  assert.equal(openOf(room), 60 + 8, "the next count is lower");
});

Deno.test("Room rejects a worker without room, and counts again once a second at most", async () => {
  const { room, clock, told } = makeRoom({ open: 184, limit: 256 });
  await room.prepare(BUILTIN);
  room.enter(BUILTIN);
  room.enter(BUILTIN);
  for (let i = 0; i < 5; i++) {
    await room.prepare(BUILTIN);
    assert.throws(() => room.enter(BUILTIN), NoRoomError);
  }
  assert.equal(told.counts, 1);
  told.files = { open: 100, limit: 256 };
  clock.advance(1_000);
  await room.prepare(BUILTIN);
  room.enter(BUILTIN);
  assert.equal(told.counts, 2);
});

Deno.test("Room estimates the files of workers if only the limit is known", async () => {
  const { room } = makeRoom({ open: undefined, limit: 100 });
  await room.prepare(BUILTIN);
  const place = room.enter(BUILTIN);
  room.enter(BUILTIN);
  assert.equal(openOf(room), 48 + 16);
  place.leave();
  assert.equal(openOf(room), 48 + 8);
});

Deno.test("Room sets no limit where nothing can be counted", async () => {
  const { room } = makeRoom(undefined);
  await room.prepare(BUILTIN);
  for (let i = 0; i < 1_000; i++) room.enter(BUILTIN);
  assert.equal(room.inUse, undefined);
});

Deno.test("Room keeps its promise to a plugin until its worker ends", async () => {
  const { room } = makeRoom({ open: 100, limit: 256 });
  await room.prepare(FOREIGN);
  const place = room.enter(FOREIGN);
  assert.equal(place.openMax, 8, "an eighth of the rest");
  assert.deepEqual([room.inUse?.open, room.taken?.open], [108, 116]);
  place.leave();
  assert.deepEqual([room.inUse?.open, room.taken?.open], [100, 100]);
});
