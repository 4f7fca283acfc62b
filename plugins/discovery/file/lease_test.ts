import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node } from "../../../mod.ts";
import { formatNodeFile, isOver, readNodeFile, see, type Sighting } from "./lease.ts";

const NODE: Node = {
  host: "web1.example.com",
  ip: "10.0.0.1",
  port: 8000,
  peer: { name: "web1.example.com", ip: "10.0.0.1", port: 1024 },
  metadata: { zone: "é" },
};
const LEASE = { owner: "me", ttlMs: 5_000 };
const STAMP = { inode: 1, modifiedMs: 1_000_000, size: 100 };

function read(text: string) {
  return readNodeFile(new TextEncoder().encode(text));
}

/** What a reader makes of a file that stays as it is, or is renewed at some of the looks. */
function watch(looks: readonly { watchedMs: number; renewed?: boolean; wallMs?: number }[]): Sighting {
  let modifiedMs = STAMP.modifiedMs;
  let sighting = see(undefined, STAMP, { watchedMs: 0, wallMs: modifiedMs, ttlMs: LEASE.ttlMs });
  for (const { watchedMs, renewed = false, wallMs = 0 } of looks) {
    if (renewed) modifiedMs++;
    sighting = see(sighting, { ...STAMP, modifiedMs }, { watchedMs, wallMs, ttlMs: LEASE.ttlMs });
  }
  return sighting;
}

Deno.test("readNodeFile() reads what formatNodeFile() writes", () => {
  const { node, lease, fault } = read(formatNodeFile(NODE, LEASE));
  assert.deepEqual({ node, lease, fault }, { node: NODE, lease: LEASE, fault: undefined });
  const { peer: _, ...lonely } = NODE;
  assert.deepEqual(read(formatNodeFile(lonely, LEASE)).node, lonely);
});

Deno.test("formatNodeFile() writes readable text", () => {
  assert.match(formatNodeFile(NODE, LEASE), /^\{\n {2}"host": "web1.example.com",\n/);
  assert.match(formatNodeFile(NODE, LEASE), /"owner": "me",\n {2}"ttl": 5\n\}\n$/);
});

Deno.test("readNodeFile() accepts a file that was written by hand, without a lease", () => {
  const { node, lease } = read(`{"ip": "10.0.0.9", "port": 80}`);
  assert.equal(node?.ip, "10.0.0.9");
  assert.equal(lease, undefined);
  assert.ok(!isOver(lease, watch([{ watchedMs: 1e9 }])));
});

Deno.test("readNodeFile() reads no lease as endless or as expired at once", () => {
  const ttlOf = (ttl: unknown) => read(JSON.stringify({ ...NODE, owner: "x", ttl })).lease?.ttlMs;
  assert.deepEqual([1e12, 0.0001, -1, "5", null].map(ttlOf), [3_600_000, 100, 100, 100, 100]);
});

Deno.test("readNodeFile() never throws, whatever a file contains", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
    const { node, lease, fault } = read(text);
    assert.equal(node === undefined, fault !== undefined);
    assert.ok(node !== undefined || lease === undefined);
  }));
});

Deno.test.each([
  { why: "was never renewed", over: true, looks: [{ watchedMs: 2_500 }, { watchedMs: 2_500 }] },
  { why: "was renewed in time", over: false, looks: [{ watchedMs: 4_000 }, { watchedMs: 900, renewed: true }] },
  {
    why: "was renewed, and then not",
    over: true,
    looks: [{ watchedMs: 1_000, renewed: true }, { watchedMs: 5_000 }],
  },
  { why: "comes back to life", over: false, looks: [{ watchedMs: 60_000 }, { watchedMs: 1_000, renewed: true }] },
  { why: "is seen after the clock jumped", over: false, looks: [{ watchedMs: 1_000, wallMs: 9e9 }] },
  { why: "is seen by a reader that slept", over: false, looks: [{ watchedMs: 2_000 }, { watchedMs: 2_000 }] },
])(
  "isOver() returns $over for a lease that $why",
  ({ over, looks }) => assert.equal(isOver(LEASE, watch(looks)), over),
);

Deno.test.each([
  { why: "fresh", wallMs: STAMP.modifiedMs + 4_999, silentMs: 4_999 },
  { why: "old: it counts as just over, never as long dead", wallMs: STAMP.modifiedMs + 1e9, silentMs: 5_000 },
  { why: "from the future", wallMs: STAMP.modifiedMs - 1e9, silentMs: 0 },
])("see() judges a file by its age only when it is new to the reader: $why", ({ wallMs, silentMs }) => {
  assert.equal(see(undefined, STAMP, { watchedMs: 0, wallMs, ttlMs: 5_000 }).silentMs, silentMs);
});
