import assert from "node:assert/strict";
import { bad, good } from "../../tests/support/checked.ts";
import { DEFAULT_HOST, DEFAULT_SETTINGS, readHost, readSettings } from "./settings_schema.ts";

Deno.test("readHost() reads the announced identity, each key by itself", () => {
  assert.deepEqual(good(readHost({ name: "a.int", ip: "::1", peer_port: "1025" })), {
    name: "a.int",
    ip: "::1",
    peerPort: 1025,
  });
  assert.deepEqual(good(readHost({ zone: "eu-west-1a" })), { zone: "eu-west-1a" });
  for (const zone of ["", "a b", "x".repeat(65), 7]) {
    assert.match(bad(readHost({ zone })), /must be a zone name/);
  }
  assert.deepEqual(good(readHost({ ip: "10.0.0.1" })), { ip: "10.0.0.1" });
  assert.deepEqual(good(readHost({})), DEFAULT_HOST);
  assert.deepEqual(good(readHost(null)), DEFAULT_HOST);
  assert.match(bad(readHost({ name: "a b" })), /must be a host name/);
  assert.match(bad(readHost({ ip: "a.int" })), /must be an IPv4 or IPv6 address/);
  assert.match(bad(readHost({ peer_port: 0 })), /must be an integer from 1 to 65535/);
});

Deno.test("readSettings() reads the isolation, worker by default", () => {
  assert.deepEqual(good(readSettings({ isolation: "shared" })), { ...DEFAULT_SETTINGS, isolation: "shared" });
  assert.deepEqual(good(readSettings({})), DEFAULT_SETTINGS);
  assert.deepEqual(good(readSettings(null)), DEFAULT_SETTINGS);
  assert.match(bad(readSettings({ isolation: "process" })), /must be worker or shared/);
});

Deno.test("readSettings() reads how changes of members are joined: a budget, and the longest wait", () => {
  const updates = (raw: Record<string, unknown>) => good(readSettings({ updates: raw })).updates;
  assert.deepEqual(updates({}), { burst: 100, rate: 10, maxMs: 500 });
  assert.deepEqual(updates({ burst: 5, rate: 2, max: "2s" }), { burst: 5, rate: 2, maxMs: 2_000 });
  assert.match(bad(readSettings({ updates: { max: 61 } })), /updates.max/);
  assert.match(bad(readSettings({ updates: { burst: 0 } })), /an integer from 1 to 10000/);
  assert.match(bad(readSettings({ updates: { rate: 0 } })), /an integer from 1 to 1000/);
});

Deno.test("readSettings() reads quiet as one change at once, and one per such time from then on", () => {
  const updates = (raw: Record<string, unknown>) => good(readSettings({ updates: raw })).updates;
  assert.deepEqual(updates({ quiet: 0.2 }), { burst: 1, rate: 5, maxMs: 500 });
  assert.deepEqual(updates({ quiet: 0, max: 0 }), { burst: 1, rate: Infinity, maxMs: 0 });
  assert.match(
    bad(readSettings({ updates: { quiet: 2 } })),
    /Cannot use updates\.quiet: must be <= updates\.max \(500ms\); current value is 2s/,
  );
  assert.match(bad(readSettings({ updates: { quiet: 0.1, rate: 7 } })), /quiet together with burst or rate/);
});

Deno.test("readSettings() reads how long a reporter stays after its nodes, 0 by default", () => {
  assert.equal(good(readSettings({ deregister_grace: 2.5 })).deregisterGraceMs, 2_500);
  assert.equal(good(readSettings(null)).deregisterGraceMs, 0);
  assert.equal(good(readSettings({ max_age: "2d" })).maxAgeMs, 172_800_000);
  assert.equal(good(readSettings(null)).maxAgeMs, 604_800_000);
  assert.match(bad(readSettings({ deregister_grace: 301 })), /a duration from 0s to 5m/);
});

Deno.test("readSettings() reads the publishers of metrics, and reports what each invalid key must be", () => {
  const publishers = (raw: Record<string, unknown>) => readSettings({ publishers: raw });
  assert.equal(good(readSettings(null)).publishers, undefined);
  assert.deepEqual(good(publishers({ agent: { type: "statsd", address: "[::1]:8125" } })).publishers?.get("agent"), {
    type: "statsd",
    host: "::1",
    port: 8_125,
    intervalMs: 10_000,
    prefix: undefined,
    tags: {},
  });
  const one = (keys: Record<string, unknown>) => publishers({ agent: { address: "127.0.0.1:1", ...keys } });
  const full = one({ type: "opentsdb", interval: "1m", prefix: "edge.lb", tags: { dc: "eu" } });
  assert.deepEqual(good(full).publishers?.get("agent"), {
    type: "opentsdb",
    host: "127.0.0.1",
    port: 1,
    intervalMs: 60_000,
    prefix: "edge.lb",
    tags: { dc: "eu" },
  });
  assert.match(bad(one({ type: "librato" })), /publishers.agent.type: must be statsd, opentsdb or graphite/);
  assert.match(bad(one({})), /Missing key publishers.agent.type/);
  assert.match(bad(one({ type: "statsd", address: "localhost" })), /address: must be an address such as/);
  assert.match(bad(one({ type: "statsd", interval: 0.5 })), /interval: must be a duration from 1s to 1h/);
  assert.match(bad(one({ type: "statsd", prefix: "a..b" })), /prefix: must be words/);
  assert.match(bad(one({ type: "statsd", tags: { env: "a,b" } })), /tags.env: must be 1 to 100 letters/);
  assert.match(bad(one({ type: "statsd", tags: { "a b": "c" } })), /tags: must be a map whose keys consist of letters/);
  assert.match(
    bad(one({ type: "graphite", tags: { env: "a" } })),
    /tags with the graphite type: Graphite paths have no tags/,
  );
  const many = { a: "1", b: "2", c: "3", d: "4" };
  assert.match(bad(one({ type: "opentsdb", tags: many })), /at most 3 tags with the opentsdb type; current value is 4/);
  assert.match(bad(publishers({ "a b": { type: "statsd", address: "h:1" } })), /publishers: must be a map whose/);
});
