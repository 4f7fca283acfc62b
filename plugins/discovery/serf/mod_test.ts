import assert from "node:assert/strict";
import { configured, issuesOf } from "../../../tests/support/probe.ts";
import serf from "./mod.ts";

const CLUSTER = { config: serf.cluster! };

Deno.test("serf has defaults for all keys", async () => {
  assert.deepEqual(await configured(serf, {}), {
    address: "127.0.0.1:7373",
    authKey: undefined,
    refreshMs: 2_000,
    joinMs: 30_000,
    resolveNames: false,
  });
  assert.equal((await configured(serf, { address: "[::1]" })).address, "[::1]:7373");
});

Deno.test.each([
  { address: "a b", says: "address: must be host:port" },
  { address: ["a"], says: "address: must be host:port" },
  { auth_key: "", says: "auth_key: must be a non-empty string" },
  { refresh: "10ms", says: "refresh: must be a duration from 200ms to 1m" },
  { join_time: -1, says: "join_time: must be a duration" },
  { tag: "web", says: "Unknown key tag" },
])("serf rejects $says", async ({ says, ...wrong }) => {
  assert.match((await issuesOf(serf, wrong)).map(({ message }) => message).join("\n"), new RegExp(says));
});

Deno.test.each([
  { tags: { role: "(" }, says: "tags.role: must be a regular expression" },
  { tags: { role: 5 }, says: "tags.role: must be a regular expression" },
  { name: "[", says: "name: must be a regular expression" },
  { name: "a", port: 0, says: "port: must be an integer from 1 to 65535" },
  { port: 80, says: "port: must be set together with tags or name" },
  { name: "a", port: 80, port_tag: "http", says: "port_tag: must be absent when port is set" },
  { port_tag: "", says: "port_tag: must be a tag name" },
])("serf rejects in a cluster $says", async ({ says, ...wrong }) => {
  assert.match((await issuesOf(CLUSTER, wrong)).map(({ message }) => message).join("\n"), new RegExp(says));
});

Deno.test("serf asks for its agent's address and nothing else", async () => {
  const config = await configured(serf, { address: "agent:1", auth_key: "x" });
  assert.deepEqual(serf.permissions(config, { instance: "serf" }), { net: ["agent:1"] });
});
