import assert from "node:assert/strict";
import { encodeNode } from "../../plugins/discovery/node_json.ts";
import zookeeper from "../../plugins/discovery/zookeeper/mod.ts";
import type { DiscoverySession, Json, Node } from "../../mod.ts";
import { GuardedFollower, RecordingContext, soon, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { configured } from "../support/probe.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const PATH = "/lighthouse/services";
const CHILD = `${PATH}/multiapp/localhost:20101`;
/** All permissions for everybody: 1.0's ACL of every znode. */
const OPEN = [[31, "world", "anyone"]];

/** The exact bytes that 1.0 wrote in a run. */
const WRITTEN = new TextEncoder().encode(
  String.raw`{"host": "localhost", "ip": "127.0.0.1", "metadata": "{\"role\": \"master\"}", ` +
    String.raw`"peer": "{\"ip\": \"127.0.0.1\", \"name\": \"localhost\", \"port\": 1024}", "port": 20101}`,
);

const NODE: Node = {
  host: "localhost",
  ip: "127.0.0.1",
  port: 20101,
  peer: { name: "localhost", ip: "127.0.0.1", port: 1024 },
  metadata: { role: "master" },
};

let server: ZooKeeper;
Deno.test.beforeAll(async () => {
  server = await ZooKeeper.start();
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function open(path = PATH): Promise<DiscoverySession & { readonly context: RecordingContext }> {
  const context = new RecordingContext();
  const config = await configured(zookeeper, { hosts: [server.address], path });
  return Object.assign(await zookeeper.open(config, context), { context });
}

Deno.test("zookeeper reads 1.0's bytes as written by kazoo", async () => {
  await using kazoo = await KazooPeer.start(server.address);
  await kazoo.write("put", CHILD, WRITTEN);
  await using session = await open();
  await using follower = new GuardedFollower(session, "multiapp");
  await follower.has(20101);
  assert.deepEqual(follower.snapshots.map(({ nodes }) => nodes), [[NODE]]);
  await kazoo.ask("delete", { path: CHILD });
  await follower.has();
});

Deno.test("zookeeper writes nodes that kazoo reads, with the same bytes, owner and ACL", async () => {
  await using kazoo = await KazooPeer.start(server.address);
  const session = await open(`${PATH}/made/`);
  await session.register?.("multiapp", up(NODE), soon());
  const number = /0x([0-9a-f]{16})/.exec(session.context.details[0] ?? "")?.[1];
  assert.deepEqual(await kazoo.look(`${PATH}/made/multiapp/localhost:20101`), {
    data: WRITTEN.toBase64(),
    ephemeralOwner: BigInt(`0x${number}`).toString(),
    version: 0,
    acl: OPEN,
  });
  for (const parent of ["/lighthouse", PATH, `${PATH}/made`, `${PATH}/made/multiapp`]) {
    const { data, ephemeralOwner, acl } = await kazoo.look(parent) ?? {};
    assert.deepEqual({ parent, data, ephemeralOwner, acl }, { parent, data: "", ephemeralOwner: "0", acl: OPEN });
  }
  await session[Symbol.asyncDispose]();
  assert.deepEqual(await kazoo.ask("children", { path: `${PATH}/made/multiapp` }), []);
});

Deno.test("zookeeper takes a node over from a live kazoo session, and kazoo from it", async () => {
  await using reader = await open();
  await using follower = new GuardedFollower(reader, "moving");
  const child = `${PATH}/moving/localhost:20101`;
  const kazoo = await KazooPeer.start(server.address);
  await kazoo.write("put", child, WRITTEN);
  await follower.has(20101);
  const session = await open();
  await session.register?.("moving", up(NODE), soon());
  await kazoo.ask("stop");
  await kazoo.kill();
  await using other = await KazooPeer.start(server.address);
  assert.notEqual(await other.look(child), null, "the old reporter's end took nothing away");

  await other.write("take_over", child, WRITTEN);
  await session[Symbol.asyncDispose]();
  assert.equal((await other.look(child))?.ephemeralOwner, await other.ask("session"));
  assert.deepEqual(follower.counts, [1], "it never left");
});

Deno.test("zookeeper keeps the node of a killed kazoo process until its session expires", async () => {
  await using reader = await open();
  await using follower = new GuardedFollower(reader, "killed");
  const kazoo = await KazooPeer.start(server.address, { timeoutMs: 1_000 });
  await kazoo.write("put", `${PATH}/killed/localhost:20101`, WRITTEN);
  await follower.has(20101);
  await kazoo.kill();
  await follower.has();
});

Deno.test("zookeeper reads data that kazoo sets, and skips nodes that kazoo corrupts", async () => {
  await using kazoo = await KazooPeer.start(server.address);
  await using session = await open();
  await using follower = new GuardedFollower(session, "changing");
  const child = `${PATH}/changing/localhost:20101`;
  await kazoo.write("put", child, WRITTEN);
  await follower.has(20101);
  await kazoo.write("set", child, encodeNode({ ...NODE, metadata: { role: "slave" } }));
  await eventually("the role is seen", () => follower.snapshots.at(-1)?.nodes[0]?.metadata.role === "slave");
  await kazoo.write("set", child, new TextEncoder().encode("{"));
  await follower.has();
  assert.match(session.context.lines.join("\n"), /warn Entry skipped .*"localhost:20101".* not JSON/);
});

Deno.test("encodeNode() writes metadata as Python's json does", async () => {
  await using kazoo = await KazooPeer.start(server.address);
  const metadata: { [key: string]: Json } = {
    zone: "é",
    "😀": '\u007f\u0000\n"\\/\u2028',
    "\uffee": null,
    nested: { b: [1, -2, 0.5, 1e-5, 0.0001, 12345.678, true], a: {} },
    "": [],
  };
  const payload = JSON.parse(new TextDecoder().decode(encodeNode({ ...NODE, metadata })));
  assert.equal(payload.metadata, await kazoo.ask("dumps", { value: metadata }));
  assert.equal(
    new TextDecoder().decode(encodeNode({ ...NODE, metadata })),
    await kazoo.ask("dumps", { value: payload }),
  );
});

Deno.test("zookeeper normalizes a path as kazoo does", async () => {
  await using kazoo = await KazooPeer.start(server.address);
  await kazoo.write("put", "/twice//slashed//multiapp/localhost:20101", WRITTEN);
  for (const path of ["/twice/slashed", "/twice//slashed/", "twice/slashed"]) {
    await using session = await open(path);
    await using follower = new GuardedFollower(session, "multiapp");
    await follower.has(20101);
  }
});
