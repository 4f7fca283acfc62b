import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { HASHES } from "../../src/store/hashes.ts";
import { LIMITS } from "../../src/store/limits.ts";
import { formatPath } from "../../src/store/path.ts";
import { Refusal } from "../../src/store/refusal.ts";
import { Store } from "../../src/store/store.ts";
import { compactText, treeAt, treeOf } from "../../src/store/tree.ts";
import { MemoryFiles } from "./memory_files.ts";
import { Model, plain, valueOf } from "./model.ts";

const code = fc.oneof({ weight: 5, arbitrary: fc.constant("me") }, fc.constant("you"));
const segment = fc.constantFrom("a", "b", "0", "1", "2", "10", "", "__proto__", "leased", "k0");
const path = fc.array(segment, { maxLength: 3 });
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.dictionary(segment, fc.oneof(fc.integer(), fc.array(fc.integer(), { maxLength: 3 }), fc.constant({})), {
    maxKeys: 4,
  }),
  // As over the wire: there is no negative zero.
).map((json): unknown => JSON.parse(JSON.stringify(json)));
const leasedKeys = fc.dictionary(fc.constantFrom("k0", "k1", "k2"), fc.integer({ max: 3 }), { maxKeys: 3 });

const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("acquire" as const), code }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), code, path, value }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), code, path }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("commit" as const), code }) },
  fc.record({ do: fc.constant("abort" as const), code }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 10_000, 29_999, 30_000) }),
  fc.record({ do: fc.constant("accept" as const), value, ahead: fc.integer({ min: -1, max: 2 }) }),
  fc.record({ do: fc.constant("lease" as const), keys: leasedKeys }),
  fc.record({ do: fc.constant("crash" as const) }),
  fc.record({ do: fc.constant("fail" as const), code }),
);

const reasonOf = (outcome: unknown) => outcome instanceof Refusal ? outcome.reason : "ok";

async function open(files: MemoryFiles, clock: FakeClock): Promise<Store> {
  return await Store.open({
    files,
    clock,
    wallNow: () => clock.now(),
    log: SILENT,
    limits: LIMITS,
    loadLimit: undefined,
    removeLimit: { fromNowMs: -86_400_000_000 },
    bootstrapLimit: { fromNowMs: 0 },
    seeds: [],
  });
}

/** Runs one command on both and compares the answers. */
async function step(
  given: typeof command extends fc.Arbitrary<infer T> ? T : never,
  { store, model, files, clock }: { store: Store; model: Model; files: MemoryFiles; clock: FakeClock },
): Promise<readonly [unknown, unknown]> {
  switch (given.do) {
    case "acquire":
      return [reasonOf(store.acquire(given.code, undefined)), model.acquire(given.code)];
    case "put":
      return [
        reasonOf(store.update(given.code, given.path, treeOf(given.value, 100), undefined)),
        model.put(given.code, given.path, given.value),
      ];
    case "remove":
      return [
        reasonOf(store.update(given.code, given.path, undefined, undefined)),
        model.remove(given.code, given.path),
      ];
    case "commit":
      return [reasonOf(await store.commit(given.code, undefined)), model.commit(given.code)];
    case "abort":
      return [reasonOf(store.abort(given.code, undefined)), model.abort(given.code)];
    case "wait":
      clock.advance(given.ms);
      model.nowMs += given.ms;
      return [0, 0];
    case "accept": {
      const data = treeOf(given.value, 100);
      const sequence = Math.max(0, model.sequence + given.ahead);
      if (sequence === model.sequence) return [0, 0];
      const checksum = HASHES.md5(new TextEncoder().encode(compactText(data)));
      await store.accept({ version: { sequence, checksum }, data, leases: new Map(), lineage: [] });
      model.accept(given.value, sequence);
      return [0, 0];
    }
    case "lease": {
      const keys = new Map(
        Object.entries(given.keys).map(([key, json]) => [formatPath(["leased", key]), treeOf(json, 9)]),
      );
      const outcome = await store.lease({ name: "lease", ttlMs: 1e12, keys });
      return [reasonOf(outcome), model.lease(given.keys)];
    }
    case "fail": {
      files.fails = true;
      const outcome = reasonOf(await store.commit(given.code, undefined));
      files.fails = false;
      const wasTried = outcome === "Internal Server Error";
      return [outcome, wasTried ? outcome : model.commit(given.code)];
    }
    case "crash":
      return [0, 0];
  }
}

Deno.test("a store behaves like its reference model, for any sequence of requests, disk failures and crashes", async () => {
  const commits = { done: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
      const files = new MemoryFiles();
      const clock = new FakeClock();
      const model = new Model();
      let store = await open(files, clock);
      try {
        for (const given of commands) {
          if (given.do === "crash") {
            // Without a shutdown: only what is on disk is left.
            const abandoned = store;
            store = await open(files, clock);
            model.lock = undefined;
            await abandoned[Symbol.asyncDispose]();
          }
          const [actual, expected] = await step(given, { store, model, files, clock });
          assert.equal(actual, expected, JSON.stringify(given));
          if (given.do === "commit" && actual === "ok") commits.done++;
          const { data, version } = store.copy;
          assert.deepEqual(plain(valueOf(JSON.parse(compactText(data)))), plain(model.data));
          assert.equal(version.sequence, model.sequence);
          assert.equal(version.checksum, HASHES.md5(new TextEncoder().encode(compactText(data))));
          if ("path" in given) {
            const there = treeAt(data, given.path);
            const wanted = model.get(given.path);
            assert.equal(there === undefined, wanted === undefined);
          }
        }
      } finally {
        await store[Symbol.asyncDispose]();
      }
    }),
    { numRuns: 10_000 },
  );
  assert.ok(commits.done > 2_000, `${commits.done} commits were made`);
});

Deno.test("two racing writers lose no acknowledged commit in thousands", async () => {
  const files = new MemoryFiles();
  // A write takes a turn of the event loop, so that requests arrive during it.
  files.during = () => new Promise((resolve) => setTimeout(resolve, 0));
  const clock = new FakeClock();
  await using store = await open(files, clock);
  store.acquire("first", undefined);
  store.update("first", ["count"], 0, undefined);
  await store.commit("first", undefined);
  const COMMITS = 1_000;
  const rejected = { locked: 0 };
  const writer = async (name: string) => {
    for (let done = 0; done < COMMITS;) {
      if (store.acquire(name, undefined) !== undefined) {
        rejected.locked++;
        await new Promise((resolve) => setTimeout(resolve, 0));
        continue;
      }
      const count = store.readStaged(name, ["count"], undefined);
      assert.equal(typeof count, "number");
      await Promise.resolve();
      store.update(name, ["count"], (count as number) + 1, undefined);
      store.update(name, [name], done + 1, undefined);
      const outcome = await store.commit(name, undefined);
      assert.ok(!(outcome instanceof Refusal), JSON.stringify(outcome));
      done++;
    }
  };
  const reader = (async () => {
    let last = 0;
    while (last < 2 * COMMITS) {
      const { data } = store.copy;
      const [count, left, right] = ["count", "left", "right"].map((key) => treeAt(data, [key]) ?? 0) as number[];
      assert.equal(count, (left ?? 0) + (right ?? 0), "a reader sees one whole version");
      assert.ok((count ?? 0) >= last, "versions only grow");
      last = count ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  })();
  await Promise.all([writer("left"), writer("right"), reader]);
  assert.equal(treeAt(store.copy.data, ["count"]), 2 * COMMITS);
  assert.equal(store.copy.version.sequence, 2 * COMMITS + 1);
  assert.ok(rejected.locked > 0, "they did meet");
});

Deno.test.each([{ fails: false }, { fails: true }])(
  "a lock that expires during its commit is free only after the commit (disk fails: $fails)",
  async ({ fails }) => {
    const files = new MemoryFiles();
    const clock = new FakeClock();
    await using store = await open(files, clock);
    assert.equal(store.acquire("me", undefined), undefined);
    assert.equal(store.update("me", ["n"], 1, undefined), undefined);
    const disk = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    files.during = () => {
      begun.resolve();
      return disk.promise;
    };
    const committed = store.commit("me", undefined);
    await begun.promise;
    clock.advance(60_000);
    assert.equal(store.lock?.code, "me");
    for (const code of ["me", "you"]) assert.equal(store.acquire(code, undefined)?.reason, "Locked");
    assert.equal(store.update("me", ["n"], 2, undefined)?.reason, "Not Locked");
    assert.equal(store.abort("me", undefined)?.reason, "Not Locked");
    assert.equal(treeAt(store.copy.data, ["n"]), undefined, "nobody sees what is not on the disk");
    files.fails = fails;
    disk.resolve();
    const outcome = await committed;
    assert.equal(outcome instanceof Refusal ? outcome.reason : "done", fails ? "Internal Server Error" : "done");
    assert.equal(store.lock, undefined);
    assert.equal(store.acquire("you", undefined), undefined);
    const seen = store.readStaged("you", [], undefined);
    assert.ok(!(seen instanceof Refusal));
    assert.equal(compactText(seen), fails ? "{}" : '{"n":1}');
  },
);

/** A store with tokens, on a fake clock. */
async function openLeased(clock: FakeClock) {
  const store = await open(new MemoryFiles(), clock);
  let n = 0;
  const churn = async () => {
    const keys = new Map([["/k", n++]]);
    const outcome = await store.lease({ name: "l", ttlMs: 3_600_000, keys });
    assert.ok(!(outcome instanceof Refusal), JSON.stringify(outcome));
  };
  return { store, churn };
}

Deno.test("an expired lock is dropped with its bookkeeping, without a request", async () => {
  const clock = new FakeClock();
  const { store: opened, churn } = await openLeased(clock);
  await using store = opened;
  assert.equal(store.acquire("me", "web"), undefined);
  for (let i = 0; i < 5; i++) await churn();
  assert.deepEqual(store.disturbed, [["k"]], "a path is kept once, however often it changes");
  clock.advance(30_000);
  await churn();
  assert.deepEqual([store.disturbed, store.lock], [[], undefined]);
});

Deno.test("a token that used up its time with the lock has to wait", async () => {
  const clock = new FakeClock();
  const { store: opened } = await openLeased(clock);
  await using store = opened;
  assert.equal(store.acquire("me", "web"), undefined);
  for (let i = 0; i < 59; i++) {
    clock.advance(10_000);
    assert.equal(store.acquire("me", "web"), undefined);
  }
  clock.advance(10_000);
  assert.match(
    store.acquire("me", "web")?.message ?? "",
    /last lock expired or was aborted; retry in 30s$/,
  );
  assert.equal(store.acquire("you", "db"), undefined, "others need not wait");
  assert.equal(store.abort("you", "db"), undefined);
  clock.advance(30_000);
  assert.equal(store.acquire("me", "web"), undefined);
});

Deno.test("a broken lock is free at once for others, later for its holder", async () => {
  const clock = new FakeClock();
  const { store: opened } = await openLeased(clock);
  await using store = opened;
  store.acquire("me", "web");
  assert.equal(store.breakLock("other", "admin")?.reason, "Invalid Lock Code");
  assert.equal(store.breakLock("me", "admin"), undefined);
  assert.equal(store.update("me", ["n"], 1, "web")?.reason, "Not Locked");
  assert.equal(store.acquire("me", "web")?.reason, "Locked");
  assert.equal(store.acquire("mine", "admin"), undefined);
});
