import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node } from "../model/node.ts";
import { decodeTopology, encodeTopology, type Members } from "./topology_file.ts";

const NODE: Node = {
  host: "a.test",
  ip: "10.0.0.1",
  port: 8000,
  peer: { name: "a.test", ip: "10.0.0.1", port: 1024 },
  metadata: { rack: "b\n2", __proto__: null, tags: ["x"] },
};
const MEMBERS: Members = new Map([["web", [NODE]], ["api", []]]);

/** Reads a text; returns why it is rejected. */
async function reasonOf(text: string): Promise<string> {
  const decoded = await decodeTopology(text);
  assert.ok(!decoded.ok);
  return decoded.reason;
}

Deno.test("decodeTopology() returns what encodeTopology() wrote", async () => {
  const decoded = await decodeTopology(await encodeTopology(MEMBERS));
  assert.ok(decoded.ok);
  assert.deepEqual(
    JSON.parse(JSON.stringify([...decoded.members])),
    JSON.parse(JSON.stringify([...MEMBERS].toReversed())),
  );
});

Deno.test("decodeTopology() returns when each cluster was confirmed, and reads the format without times", async () => {
  const decoded = await decodeTopology(
    await encodeTopology(MEMBERS, { confirmed: new Map([["web", 1_700_000_000_000]]) }),
  );
  assert.deepEqual(decoded.ok && [...decoded.confirmed], [["web", 1_700_000_000_000]]);
  const body = JSON.stringify(Object.fromEntries(MEMBERS));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
  const old = await decodeTopology(`lighthouse-topology-1 ${new Uint8Array(digest).toHex()}\n${body}\n`);
  assert.deepEqual(old.ok && [[...old.members.keys()].toSorted(), [...old.confirmed]], [["api", "web"], []]);
});

Deno.test("encodeTopology() returns the same text whatever the order of the clusters", async () => {
  assert.equal(await encodeTopology(MEMBERS), await encodeTopology(new Map([...MEMBERS].toReversed())));
});

Deno.test("decodeTopology() rejects a file of another format", async () => {
  assert.match(await reasonOf(""), /^the file is not in format lighthouse-topology-2$/);
  assert.match(await reasonOf("lighthouse-topology-3 00\n{}\n"), /not in format/);
});

Deno.test("decodeTopology() rejects truncated and edited files", async () => {
  const text = await encodeTopology(MEMBERS);
  await fc.assert(fc.asyncProperty(fc.nat(text.length - 1), fc.nat(255), async (at, code) => {
    const altered = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
    if (altered !== text) await reasonOf(altered);
    await reasonOf(text.slice(0, at));
  }));
});

Deno.test("decodeTopology() rejects a node that no registry could report", async () => {
  const hostile = new Map([["web", [{ ...NODE, host: "a\nserver evil" }]]]);
  assert.match(await reasonOf(await encodeTopology(hostile)), /host must be a host name/);
});

Deno.test("decodeTopology() rejects what is not a list of members, although its checksum is valid", async () => {
  for (const body of ["null", "7", "{", '{"web":null}', '{"web":{"0":1}}']) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
    const checksum = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
    assert.match(await reasonOf(`lighthouse-topology-1 ${checksum}\n${body}\n`), /no clusters|not a list of nodes/);
  }
});

Deno.test("decodeTopology() returns which source reported each member, and ignores an invalid origin", async () => {
  const origins = new Map([["web", new Map([["a:1", { source: "zoo", sinceMs: 1_700_000_000_000 }]])]]);
  const decoded = await decodeTopology(await encodeTopology(MEMBERS, { origins }));
  assert.deepEqual(decoded.ok && decoded.origins, origins);
  const odd = new Map([["web", new Map([["a:1", { source: 1, sinceMs: "x" }]])]]) as never;
  const rest = await decodeTopology(await encodeTopology(MEMBERS, { origins: odd }));
  assert.deepEqual(rest.ok && rest.origins, new Map([["web", new Map()]]));
});

Deno.test("decodeTopology() returns what each source had, and rejects a file with an invalid node in a source", async () => {
  const node = { host: "a.test", ip: "10.0.0.1", port: 80, metadata: {} };
  const sources = new Map([["web", new Map([["zoo", [node]], ["etcd@1f", []]])]]);
  const decoded = await decodeTopology(await encodeTopology(MEMBERS, { sources }));
  assert.ok(decoded.ok);
  assert.equal(
    JSON.stringify([...decoded.sources.get("web") ?? []].toSorted()),
    JSON.stringify([["etcd@1f", []], ["zoo", [node]]]),
  );
  const hostile = new Map([["web", new Map([["zoo", [{ ...node, host: "a\nb" }]]])]]);
  assert.equal((await decodeTopology(await encodeTopology(MEMBERS, { sources: hostile }))).ok, false);
});
