import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeKey,
  encodeKey,
  encodePrefixEnd,
  MalformedAnswerError,
  readGrant,
  readKeepalive,
  readRange,
  readTransaction,
  readWatchLine,
} from "./messages.ts";

const HEADER = { cluster_id: "14841639068965178418", revision: "7", raft_term: "2" };
const KEY = encodeKey("/a/b");

Deno.test("encodePrefixEnd() ends the range of all keys with a prefix, and of no other", () => {
  const bytes = (text: string) => Array.from(Uint8Array.fromBase64(text));
  const compare = (a: readonly number[], b: readonly number[]) => {
    const at = a.findIndex((byte, i) => byte !== b[i]);
    return at === -1 ? a.length - b.length : (a[at] ?? 0) - (b[at] ?? -1);
  };
  assert.equal(decodeKey(encodePrefixEnd("/a/")), "/a0");
  fc.assert(fc.property(fc.string({ minLength: 1 }), fc.string(), (prefix, rest) => {
    const [start, end] = [bytes(encodeKey(prefix.toWellFormed())), bytes(encodePrefixEnd(prefix.toWellFormed()))];
    const key = bytes(encodeKey(`${prefix.toWellFormed()}${rest.toWellFormed()}`));
    assert.ok(compare(start, key) <= 0 && compare(key, end) < 0);
    assert.ok(compare(end, [...end.slice(0, -1), (end.at(-1) ?? 0) - 1, 0xff, 0xff]) > 0);
  }));
});

Deno.test("readRange() reads what is left out as zero, false and empty", () => {
  const header = { clusterId: HEADER.cluster_id, revision: 7, term: 2 };
  assert.deepEqual(readRange({ header: HEADER }), { header, keyValues: [], count: 0, hasMore: false });
  const { keyValues: [first] } = readRange({ header: HEADER, kvs: [{ key: KEY, mod_revision: "5" }], count: "1" });
  assert.deepEqual(first, { key: KEY, value: new Uint8Array(0), createRevision: 0, modRevision: 5, lease: "0" });
});

Deno.test.each(["ff", "0x1f", "1e9", "", "-", "9".repeat(21), "one", null, 1.5, {}].map((lease) => ({ lease })))(
  "readRange() rejects a key with the lease $lease",
  ({ lease }) => {
    const answer = { header: HEADER, kvs: [{ key: KEY, mod_revision: "5", lease }], count: "1" };
    assert.throws(() => readRange(answer), MalformedAnswerError);
  },
);

Deno.test("readTransaction() returns whether its conditions held, and reads its ranges", () => {
  const { succeeded, ranges } = readTransaction({
    header: HEADER,
    responses: [{ response_put: {} }, { response_range: { header: { revision: "6" }, kvs: [{ key: KEY }] } }],
  });
  assert.equal(succeeded, false);
  assert.deepEqual(ranges.map(({ keyValues }) => keyValues.map(({ key }) => decodeKey(key))), [["/a/b"]]);
});

Deno.test("a lease without a time to live is gone", () => {
  assert.equal(readKeepalive({ result: { ID: "1", TTL: "9" } }), true);
  assert.equal(readKeepalive({ result: { ID: "1" } }), false);
  assert.deepEqual(readGrant({ ID: "7587", TTL: "9" }), { id: "7587", ttlMs: 9_000 });
});

Deno.test.each([
  { line: { result: { header: HEADER, watch_id: "3", created: true } }, type: "created" },
  {
    line: { result: { watch_id: "3", events: [{ type: "DELETE", kv: { key: KEY, mod_revision: "9" } }] } },
    type: "events",
  },
  { line: { result: { watch_id: "3", canceled: true, compact_revision: "4" } }, type: "canceled" },
  { line: { result: { watch_id: "-1", created: true, canceled: true, cancel_reason: "denied" } }, type: "canceled" },
  { line: { error: { grpc_code: 14, message: "etcdserver: no leader" } }, type: "error" },
])("readWatchLine() returns $type", ({ line, type }) => {
  assert.equal(readWatchLine(JSON.stringify(line)).type, type);
});

Deno.test("any answer is read, or rejected as not etcd's", () => {
  const keys = [
    "header",
    "result",
    "error",
    "kvs",
    "kv",
    "events",
    "responses",
    "response_range",
    "key",
    "value",
    "TTL",
  ];
  const hostile = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, "", "AA==", "%", "9e99", 1.5, -1, {}, []),
      tie("list"),
      tie("map"),
    ),
    list: fc.array(tie("value"), { maxLength: 3 }),
    map: fc.dictionary(
      fc.constantFrom(...keys, "revision", "cluster_id", "watch_id", "canceled", "created"),
      tie("value"),
    ),
  })).map;
  const read = [
    readRange,
    readTransaction,
    readGrant,
    readKeepalive,
    (value: unknown) => readWatchLine(JSON.stringify(value)),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...read), hostile, (reader, value) => {
      try {
        reader(value);
      } catch (error) {
        assert.ok(error instanceof MalformedAnswerError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});
