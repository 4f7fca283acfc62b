import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { end, grant, type Leased } from "../../src/store/leases.ts";
import { compactText, EMPTY_BRANCH, treeAt, treeOf } from "../../src/store/tree.ts";
import { eventually } from "../support/eventually.ts";
import { TestStore } from "./stage.ts";

const NODE = { host: "10.0.0.1", port: 8080 };
const KEY = "/services/web/10.0.0.1%3A8080";
const REQUEST = { ttl: 10, keys: { [KEY]: NODE } };

const read = async (store: TestStore, path: string) => {
  const { status, text } = await store.ask(`GET /data${path}`);
  return status === 200 ? JSON.parse(text) : undefined;
};

Deno.test("a lease creates its keys and their parents, and its end removes only the keys", async () => {
  await using store = await TestStore.start({}, {});
  const granted = await store.ask("PUT /lease/app01", REQUEST);
  assert.equal(granted.status, 201);
  assert.deepEqual(JSON.parse(granted.text).keys, [KEY]);
  assert.deepEqual(await read(store, KEY), NODE);
  assert.deepEqual(await read(store, "/services/web"), { "10.0.0.1:8080": NODE });
  assert.equal((await store.ask("DELETE /lease/app01")).status, 204);
  assert.deepEqual(await read(store, "/services/web"), {});
  assert.equal((await store.ask("DELETE /lease/app01")).status, 404);
  assert.equal((await store.ask("GET /lease/app01")).status, 404);
});

Deno.test("a lease accepts a ttl with a unit", async () => {
  await using store = await TestStore.start({ clock: new FakeClock() }, {});
  const ttls = [];
  for (const ttl of ["1500ms", "2s", "5m", 10]) {
    ttls.push(JSON.parse((await store.ask("PUT /lease/app01", { ttl, keys: {} })).text).ttl);
  }
  assert.deepEqual(ttls, [1.5, 2, 300, 10]);
});

Deno.test("a lease without renewal ends with its keys; a renewed one stays", async () => {
  const clock = new FakeClock();
  await using store = await TestStore.start({ clock }, {});
  await store.ask("PUT /lease/lost", REQUEST);
  await store.ask("PUT /lease/kept", { ttl: 10, keys: { "/services/web/b": 1 } });
  const { headers } = await store.ask("GET /version");
  for (let i = 0; i < 4; i++) {
    clock.advance(i % 2 === 0 ? 4_000 : 500);
    // Both ways of renewing: without a body, and with the same body.
    const answer = i % 2 === 0
      ? await store.ask("PUT /lease/kept", "")
      : await store.ask("PUT /lease/kept", { ttl: 10, keys: { "/services/web/b": 1 } });
    assert.equal(answer.status, 200, "it is merely renewed");
  }
  assert.equal((await store.ask("GET /version")).headers.get("etag"), headers.get("etag"), "renewals write nothing");
  clock.advance(1_000);
  await eventually("the lease has ended", async () => await read(store, KEY) === undefined);
  assert.deepEqual(await read(store, "/services/web"), { b: 1 });
  assert.equal((await store.ask("PUT /lease/lost", "")).status, 404, "it must be requested again");
});

Deno.test("a lease holds exactly the keys of its last request", async () => {
  await using store = await TestStore.start({}, {});
  await store.ask("PUT /lease/app01", { ttl: 10, keys: { "/a/x": 1, "/a/y": 2 } });
  assert.equal((await store.ask("PUT /lease/app01", { ttl: 10, keys: { "/a/y": 3, "/a/z": 4 } })).status, 201);
  assert.deepEqual(await read(store, "/a"), { y: 3, z: 4 });
});

Deno.test("a key that others removed or changed returns with the next full renewal", async () => {
  await using store = await TestStore.start({}, {});
  await store.ask("PUT /lease/app01", REQUEST);
  await store.commit([["DELETE", "/services"]]);
  assert.equal((await store.ask("PUT /lease/app01", REQUEST)).status, 201);
  assert.deepEqual(await read(store, KEY), NODE);
});

Deno.test("a key that another lease requests moves to it, and survives the end of its former lease", async () => {
  await using store = await TestStore.start({}, {});
  await store.ask("PUT /lease/before", REQUEST);
  assert.equal((await store.ask("PUT /lease/after", REQUEST)).status, 201);
  assert.equal((await store.ask("DELETE /lease/before")).status, 204);
  assert.deepEqual(await read(store, KEY), NODE);
});

Deno.test("a yielding key stays with another lease that has it, and is claimed if none has", async () => {
  await using store = await TestStore.start({}, {});
  const other = "/services/web/b";
  await store.ask("PUT /lease/before", REQUEST);
  const request = { ttl: 10, keys: { [KEY]: 1, [other]: 2 }, yields: [KEY, "services/web/b"] };
  const answer = await store.ask("PUT /lease/after", request);
  assert.deepEqual([answer.status, JSON.parse(answer.text).keys], [201, [other]]);
  assert.deepEqual(await read(store, KEY), NODE);
  const { version } = store.server.store.copy;
  assert.equal((await store.ask("PUT /lease/after", request)).status, 200, "it is merely renewed");
  assert.deepEqual(store.server.store.copy.version, version);
  await store.ask("DELETE /lease/before");
  assert.equal((await store.ask("PUT /lease/after", request)).status, 201);
  assert.deepEqual(await read(store, KEY), 1);
});

Deno.test("leases survive a restart with their full time", async () => {
  const clock = new FakeClock();
  await using store = await TestStore.start({ clock }, {});
  await store.ask("PUT /lease/app01", REQUEST);
  clock.advance(9_000);
  await store.restart();
  clock.advance(9_000);
  assert.deepEqual(await read(store, KEY), NODE);
  clock.advance(1_000);
  await eventually("the lease has ended", async () => await read(store, KEY) === undefined);
});

Deno.test("a store that was suspended gives each lease its full time again", async () => {
  const clock = new FakeClock();
  let isLate = false;
  // Timers that fire an hour late, as after a suspend.
  const late = {
    now: () => clock.now() + (isLate ? 3_600_000 : 0),
    after: (ms: number, callback: () => void) => clock.after(ms, callback),
  };
  await using store = await TestStore.start({ clock: late }, {});
  await store.ask("PUT /lease/app01", REQUEST);
  isLate = true;
  clock.advance(10_000);
  await store.ask("GET /version");
  assert.deepEqual(await read(store, KEY), NODE);
  clock.advance(10_000);
  await eventually("the lease has ended", async () => await read(store, KEY) === undefined);
});

Deno.test("leases conflict with a transaction only where both change the same place", async () => {
  await using store = await TestStore.start({}, { services: {} });
  await store.ask("PUT /lock", "me");
  await store.ask("PUT /update/me/other", 1);
  await store.ask("PUT /lease/app01", REQUEST);
  assert.equal((await store.ask("PUT /lock/me")).status, 200);
  assert.equal(await read(store, "/other"), 1);
  assert.deepEqual(await read(store, KEY), NODE, "and loses nothing of theirs");
  await store.ask("PUT /lock", "me");
  await store.ask("PUT /update/me/services", {});
  await store.ask("DELETE /lease/app01");
  assert.equal((await store.ask("PUT /lock/me")).status, 409);
});

Deno.test("hundreds of simultaneous leases are written together", async () => {
  await using store = await TestStore.start({}, {});
  const before = store.server.store.copy.version.sequence;
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) => store.ask(`PUT /lease/l${i}`, { ttl: 60, keys: { [`/s/n${i}`]: i } })),
  );
  assert.ok(answers.every(({ status }) => status === 201));
  assert.equal(Object.keys(await read(store, "/s")).length, 300);
  assert.ok(store.server.store.copy.version.sequence - before < 300, "not one by one");
});

Deno.test.each([
  { body: "{", why: "it is no JSON" },
  { body: [], why: "it is a list" },
  { body: { keys: {} }, why: "there is no ttl" },
  { body: { ttl: 0.5, keys: {} }, why: "its ttl is too short" },
  { body: { ttl: "ten", keys: {} }, why: "its ttl is no duration" },
  { body: { ttl: "500ms", keys: {} }, why: "its ttl with a unit is too short" },
  { body: { ttl: 10, keys: [] }, why: "its keys are a list" },
  { body: { ttl: 10, keys: { "/": 1 } }, why: "the whole document is no key" },
  { body: { ttl: 10, keys: { "/%FF": 1 } }, why: "a path is broken" },
  { body: { ttl: 10, keys: { "/a": 1, "/a/b": 1 } }, why: "a key is within another" },
  { body: { ttl: 10, keys: { "/a": 1, "/a%20": 1, "/a/b": 1 } }, why: "a key is within another, and not beside it" },
  { body: { ttl: 10, keys: { "/a": 1, "a": 1 } }, why: "a key is there twice" },
  { body: { ttl: 10, keyz: {} }, why: "it has an unknown key" },
  { body: { ttl: 10, yields: "/a" }, why: "what it yields is no list" },
  { body: { ttl: 10, yields: [1] }, why: "what it yields is no path" },
  { body: { ttl: 10, keys: { "/list/0": 1 } }, why: "an item of an array has no name that lasts", status: 409 },
  { body: { ttl: 10, keys: { "/leaf/x": 1 } }, why: "a number holds nothing", status: 409 },
  { body: { ttl: 10, keys: { "/null/x": 1 } }, why: "null holds nothing", status: 409 },
  { body: { ttl: 10, keys: { "/theirs/x/y": 1 } }, why: "it is within another's key", status: 409 },
  { body: { ttl: 10, keys: { "/theirs": 1 } }, why: "another's key is within it", status: 409 },
])("a lease is rejected if $why", async ({ body, status = 400 }) => {
  const document = { list: [1], leaf: 1, null: null };
  await using store = await TestStore.start({}, document);
  await store.ask("PUT /lease/other", { ttl: 10, keys: { "/theirs/x": { y: 0 } } });
  const before = (await store.ask("GET /data")).text;
  assert.equal((await store.ask("PUT /lease/mine", body)).status, status);
  assert.equal((await store.ask("GET /data")).text, before);
});

Deno.test("grant() and end() keep every key with exactly one lease, and the document in sync", () => {
  const key = fc.constantFrom("/a", "/b", "/c/d", "/c/e");
  const act = fc.record({
    name: fc.constantFrom("l1", "l2", "l3"),
    keys: fc.option(fc.dictionary(key, fc.integer({ min: 0, max: 2 }), { maxKeys: 3 })),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 15 }), (acts) => {
      let state: Leased = { data: EMPTY_BRANCH, leases: new Map() };
      const model = new Map<string, { owner: string; value: number }>();
      for (const { name, keys } of acts) {
        for (const [at, { owner }] of model) if (owner === name && keys?.[at] === undefined) model.delete(at);
        if (keys === null) state = end(state, name);
        else {
          const requested = new Map(Object.entries(keys).map(([at, value]) => [at, treeOf(value, 9)]));
          const change = grant(state, { name, ttlMs: 1_000, keys: requested });
          assert.ok(typeof change !== "string", String(change));
          state = change;
          for (const [at, value] of Object.entries(keys)) model.set(at, { owner: name, value });
        }
        const owned = [...state.leases.values()].flatMap((lease) => lease.keys.map((at) => [at, lease.name]));
        assert.deepEqual(owned.toSorted(), [...model].map(([at, { owner }]) => [at, owner]).toSorted());
        for (const at of ["/a", "/b", "/c/d", "/c/e"]) {
          assert.equal(treeAt(state.data, at.slice(1).split("/")), model.get(at)?.value, compactText(state.data));
        }
      }
    }),
    { numRuns: 2_000 },
  );
});
