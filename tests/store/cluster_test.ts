import assert from "node:assert/strict";
import type { StoreServerOptions } from "../../src/store/server.ts";
import { formatVersion } from "../../src/store/version.ts";
import { makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TempDir } from "../support/temp_dir.ts";
import { TestStore } from "./stage.ts";

const addressOf = (store: TestStore) => `127.0.0.1:${store.server.address.port}`;
const versionOf = (store: TestStore) => formatVersion(store.server.store.copy.version);
const start = (seeds: readonly TestStore[], more: Partial<StoreServerOptions> = {}, document?: unknown) =>
  TestStore.start({ seeds: seeds.map(addressOf), ...more }, document);

async function inStep(...stores: readonly TestStore[]): Promise<void> {
  await eventually("all have the same version", () => new Set(stores.map(versionOf)).size === 1);
}

Deno.test("instances discover each other from one seed, and a commit on any reaches all", async () => {
  await using a = await start([], {}, { n: 0 });
  await using b = await start([a]);
  await using c = await start([b]);
  await inStep(a, b, c);
  await eventually(
    "each knows both others",
    () => [a, b, c].every((store) => store.server.store.members.addresses.length === 2),
  );
  let n = 0;
  for (const store of [a, b, c, a]) {
    await store.commit([["PUT", "/n", ++n]]);
    await inStep(a, b, c);
  }
  for (const store of [a, b, c]) {
    assert.equal((await store.ask("GET /data/n")).text, "4");
    assert.deepEqual(store.server.store.lost, [], "nothing was lost");
  }
  const { cluster } = JSON.parse((await a.ask("GET /state")).text);
  for (const member of cluster) {
    assert.equal(member.reachable, true);
    assert.ok(Date.parse(member["last-reachable"]) > 0);
  }
});

Deno.test("an instance without a fresh snapshot serves once a peer has given it one", async () => {
  await using a = await start([], {}, { n: 1 });
  await using b = await start([a], { loadLimit: { fromNowMs: -1_000 } });
  await eventually("it serves", async () => (await b.ask("GET /data/n")).text === "1");
});

Deno.test("after a partition the newest version wins, and the other is kept and reported", async () => {
  await using a = await start([], {}, { n: 0 });
  await using b = await start([], {}, { n: 0 });
  assert.equal(versionOf(a), versionOf(b), "they were one");
  await a.commit([["PUT", "/n", "of a"]]);
  await b.commit([["PUT", "/n", "of b"]]);
  await b.commit([["PUT", "/m", "of b too"]]);
  await b.ask("PUT /lock", "holder");
  await b.ask("PUT /update/holder/k", 1);
  await a.ask("PUT /lock", "holder");
  await a.ask("PUT /update/holder/k", 1);
  const lost = versionOf(a);
  await a.ask("PUT /state", [{ address: addressOf(b) }]);
  await inStep(a, b);
  assert.deepEqual(JSON.parse((await a.ask("GET /data")).text), { m: "of b too", n: "of b" });
  await eventually("the loser is put aside", () => a.server.store.lost.length === 1);
  const { lost: [name] } = JSON.parse((await a.ask("GET /state")).text);
  const kept = JSON.parse(await Deno.readTextFile(a.dir.file(name)));
  assert.deepEqual(kept.copy.data, { n: "of a" });
  assert.equal(formatVersion(kept.copy.version), lost);
  assert.deepEqual(b.server.store.lost, []);
  assert.equal((await a.ask("PUT /lock/holder")).status, 409, "a transaction on a lost version is rejected");
  assert.equal((await b.ask("PUT /lock/holder")).status, 200);
  await a.restart({ seeds: [] });
  assert.deepEqual(a.server.store.lost, [name], "and still reported after a restart");
});

Deno.test("of two versions with one sequence, the larger checksum wins on all", async () => {
  await using a = await start([], {}, { side: "a" });
  await using b = await start([], {}, { side: "b" });
  const winner = [versionOf(a), versionOf(b)].toSorted()[1];
  await b.ask("PUT /state", [{ address: addressOf(a) }]);
  await inStep(a, b);
  assert.equal(versionOf(a), winner);
});

Deno.test("an instance catches up after an outage", async () => {
  const port = freePort();
  await using a = await start([], {}, { n: 0 });
  await using b = await start([a], { bind: { host: "127.0.0.1", port } });
  await inStep(a, b);
  await b.server[Symbol.asyncDispose]();
  await a.commit([["PUT", "/n", 1]]);
  await eventually("it is missed", () => a.server.store.members.get(`127.0.0.1:${port}`)?.reachable === false);
  await b.restart();
  await inStep(a, b);
  assert.deepEqual(b.server.store.lost, []);
});

Deno.test("a lease renewed at one instance stays on all, and ends on all without renewal", async () => {
  await using a = await start([], {}, {});
  await using b = await start([a]);
  const TTL_S = 3;
  await a.ask("PUT /lease/l", { ttl: TTL_S, keys: { "/n": 1 } });
  await inStep(a, b);
  const end = performance.now() + 2 * TTL_S * 1_000;
  while (performance.now() < end) {
    assert.equal((await a.ask("PUT /lease/l", "")).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal((await b.ask("GET /data/n")).text, "1");
  assert.ok(b.server.store.leaseLeftMs("l") > 10_000, "it is the other's to end");
  assert.equal((await b.ask("PUT /lease/l", "")).status, 200);
  await eventually("a leaves it to b", () => a.server.store.leaseLeftMs("l") > 10_000);
  await eventually(
    "ended on both",
    async () => (await a.ask("GET /data/n")).status === 404 && (await b.ask("GET /data/n")).status === 404,
  );
});

Deno.test("instances authenticate to each other with tokens; one without is rejected", async () => {
  await using dir = new TempDir();
  const tokensFile = await dir.write(
    "tokens.yaml",
    "- {name: peer, token: peer-0123456789abcdef, read: [/], write: [/]}",
  );
  const peerTokenFile = await dir.write("peer", "peer-0123456789abcdef\n");
  const headers = { authorization: "Bearer peer-0123456789abcdef" };
  await using a = await TestStore.start({ tokensFile, peerTokenFile });
  for (const [line, body] of [["PUT /lock", "x"], ["PUT /update/x/n", "1"], ["PUT /lock/x"]] as const) {
    assert.ok((await a.ask(line, body, headers)).status < 300);
  }
  await using b = await start([a], { tokensFile, peerTokenFile });
  await using stranger = await start([a]);
  await inStep(a, b);
  assert.equal(stranger.server.store.copy.version.sequence, 0);
});

Deno.test("an instance is known by its advertised address only", async () => {
  const [port, elsewhere] = [freePort(), freePort()];
  await using proxy = TcpProxy.start(port);
  await using a = await start([], {
    bind: { host: "127.0.0.1", port },
    advertise: { host: "127.0.0.1", port: proxy.port },
    // Its own advertised address is no peer.
    seeds: [`127.0.0.1:${proxy.port}`],
  }, { n: 1 });
  const everywhere = { host: "0.0.0.0", port: elsewhere };
  await using hidden = await start([], { bind: everywhere, isInsecure: true, seeds: [proxy.address] });
  await using c = await start([], { seeds: [`127.0.0.1:${elsewhere}`] });
  await inStep(a, hidden, c);
  await eventually("the others know it by that", () => {
    assert.deepEqual(hidden.server.store.members.addresses.includes(proxy.address), true);
    assert.ok(c.server.store.members.addresses.includes(proxy.address));
    return true;
  });
  assert.equal(JSON.parse((await a.ask("GET /state")).text).Me, proxy.address);
  for (const store of [a, hidden, c]) {
    assert.ok(!store.server.store.members.addresses.includes(`127.0.0.1:${port}`));
    assert.ok(!store.server.store.members.addresses.includes(`0.0.0.0:${elsewhere}`), "nobody can use that");
  }
});

Deno.test("a seed that is an alias is recognised, of the instance itself and of a peer", async () => {
  const port = freePort();
  const bind = { host: "127.0.0.1", port };
  await using a = await start([], { bind, seeds: [`localhost:${port}`] }, { n: 1 });
  await using b = await start([a], { seeds: [`localhost:${port}`, `127.0.0.1:${port}`] });
  await using c = await start([b]);
  await inStep(a, b, c);
  const known = () => [a, b, c].map(({ server }) => server.store.members.addresses.toSorted());
  await eventually("each is known by one name", () => {
    assert.deepEqual(known(), [[b, c], [a, c], [a, b]].map((stores) => stores.map(addressOf).toSorted()));
    return true;
  });
});

Deno.test.each([{ how: "a token and an authority of their own" }, { how: "certificates on both sides" }])(
  "instances speak TLS to each other, with $how",
  async ({ how }) => {
    await using dir = new TempDir();
    const { good, key, ca, selfSigned } = await makeCertificates(dir);
    const token = "all-rights-0123456789";
    const tokensFile = await dir.write("tokens.yaml", `- {name: all, token: ${token}, write: [/]}\n`);
    const peerTokenFile = await dir.write("peer", `${token}\n`);
    const secure = how.startsWith("a token")
      ? { tls: { cert: good, key }, peerCa: ca, tokensFile, peerTokenFile }
      : { tls: { cert: good, key, clientCa: ca } };
    await using a = await start([], secure);
    await using b = await start([a], secure);
    await using stranger = await start([a, b], { ...secure, tls: { ...secure.tls, cert: selfSigned } });
    const request = { name: "l", ttlMs: 60_000, keys: new Map([["/n", 1]]) };
    await a.server.store.lease(request);
    await inStep(a, b);
    await b.server.store.lease({ ...request, name: "m", keys: new Map([["/m", 2]]) });
    await inStep(a, b);
    assert.deepEqual(a.server.store.copy.version.sequence, 2);
    const reachable = (store: TestStore) =>
      store.server.store.members.all.filter((member) => member.reachable).map((member) => member.address);
    assert.deepEqual(reachable(a), [addressOf(b)]);
    assert.ok(!reachable(b).includes(addressOf(stranger)), "a certificate of another authority is not trusted");
  },
);
