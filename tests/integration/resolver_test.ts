import assert from "node:assert/strict";
import {
  resolveHost,
  type ResolveOptions,
  resolverPermissions,
  resolveService,
  UnresolvedError,
} from "../../src/dns/resolver.ts";
import { parseNode } from "../../src/model/node.ts";
import { freePort } from "../support/free_port.ts";
import { NameServer } from "../support/dnsmasq.ts";
import { TempDir } from "../support/temp_dir.ts";

const ZONE = [
  "host-record=web.test,192.0.2.1,2001:db8::1,33",
  "host-record=db.sub.test,192.0.2.7",
  "cname=alias.test,web.test",
  "srv-host=_http._tcp.web.test,web.test,8080,0,5",
  "srv-host=_http._tcp.web.test,db.sub.test,8081,1,7",
  ...Array.from({ length: 60 }, (_, i) => `host-record=big.test,192.0.2.${i + 100}`),
  "local=/test/",
];

let server: NameServer;
Deno.test.beforeAll(async () => {
  server = await NameServer.start(ZONE);
});
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

function options(more: Partial<ResolveOptions> = {}): ResolveOptions {
  return {
    nameServers: [server.target],
    searchDomains: [],
    ndots: 1,
    signal: AbortSignal.timeout(60_000),
    readHosts: () => Promise.resolve("192.0.2.99 here.test\n"),
    ...more,
  };
}

Deno.test("resolveHost() returns addresses of either family, through an alias too, and more than fit in a datagram", async () => {
  assert.deepEqual(await resolveHost("web.test", "A", options()), {
    records: ["192.0.2.1"],
    exists: true,
    ttlMs: 33_000,
  });
  assert.deepEqual((await resolveHost("alias.test", "AAAA", options())).records, ["2001:db8::1"]);
  assert.equal((await resolveHost("big.test", "A", options())).records.length, 60);
});

Deno.test("a host name in place of an address makes nodes once it is resolved, and none earlier", async () => {
  const entry = { host: "web.test", ip: "web.test", port: 80, metadata: {} };
  const unresolved = parseNode(entry);
  assert.ok(!unresolved.ok);
  assert.match(unresolved.reason, /ip must be .*; received the unresolved host name "web.test"$/);
  const { records } = await resolveHost(entry.ip, "A", options());
  const nodes = records.map((ip) => parseNode({ ...entry, ip }));
  assert.deepEqual(nodes, [{ ok: true, node: { ...entry, ip: "192.0.2.1" } }]);
});

Deno.test("resolveHost() resolves addresses, localhost and the hosts file without a server", async () => {
  const alone = options({ nameServers: [] });
  assert.deepEqual((await resolveHost("192.0.2.4", "A", alone)).records, ["192.0.2.4"]);
  assert.deepEqual((await resolveHost("192.0.2.4", "AAAA", alone)).records, []);
  assert.deepEqual((await resolveHost("localhost", "AAAA", alone)).records, ["::1"]);
  assert.deepEqual((await resolveHost("here.test", "A", alone)).records, ["192.0.2.99"]);
});

Deno.test("resolveHost() applies the search list to a short name, and not to an absolute one", async () => {
  const search = options({ searchDomains: ["nowhere.test", "sub.test"] });
  assert.deepEqual((await resolveHost("db", "A", search)).records, ["192.0.2.7"]);
  const absolute = await resolveHost("db.", "A", options({ searchDomains: ["sub.test"], nameServers: [server.target] }))
    .catch((error) => error);
  // The name server does not serve the root, and answers so.
  assert.ok(absolute instanceof UnresolvedError || absolute.records.length === 0, String(absolute));
});

Deno.test("resolverPermissions() cover everything that the resolver needs", async () => {
  const module = new URL("../../src/dns/resolver.ts", import.meta.url);
  const names = { nameServers: [server.target], searchDomains: [], ndots: 1 };
  const { net, read } = resolverPermissions(names);
  await using temp = new TempDir();
  const ask = `{ ...${JSON.stringify(names)}, signal: AbortSignal.timeout(20_000) }`;
  await temp.write(
    "ask.ts",
    `import { resolveHost } from ${JSON.stringify(module.href)};
     console.log(JSON.stringify(await resolveHost("web.test", "A", ${ask})));`,
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-lock", `--allow-net=${net}`, `--allow-read=${read}`, temp.file("ask.ts")],
  }).output();
  const [said, told] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(said, '{"records":["192.0.2.1"],"exists":true,"ttlMs":33000}\n', told);
});

Deno.test("resolveService() returns services", async () => {
  const { records } = await resolveService("_http._tcp.web.test", options());
  assert.deepEqual(records.toSorted((a, b) => a.port - b.port), [
    { priority: 0, weight: 5, port: 8080, target: "web.test" },
    { priority: 1, weight: 7, port: 8081, target: "db.sub.test" },
  ]);
});

Deno.test("resolveHost() distinguishes a name that does not exist from one without such records", async () => {
  const gone = await resolveHost("gone.test", "A", options());
  assert.deepEqual([gone.records, gone.exists], [[], false]);
  const none = await resolveHost("db.sub.test", "AAAA", options());
  assert.deepEqual([none.records, none.exists], [[], true]);
});

Deno.test("resolveHost() throws, and never returns an empty list, while no server answers", async () => {
  const closed = `127.0.0.1:${freePort()}`;
  await assert.rejects(resolveHost("web.test", "A", options({ nameServers: [closed] })), UnresolvedError);
  // dnsmasq answers REFUSED for domains it does not serve.
  await assert.rejects(resolveHost("web.example", "A", options()), /responds with REFUSED/);
  await assert.rejects(
    resolveHost("db", "A", options({ searchDomains: ["nowhere.test", "example"], nameServers: [server.target] })),
    UnresolvedError,
  );
});

Deno.test("resolveHost() asks the next server when one answers REFUSED, is closed or does not answer", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const held = (async () => {
    for await (const connection of silent) connections.push(connection);
  })();
  const nameServers = [`127.0.0.1:${freePort()}`, `127.0.0.1:${(silent.addr as Deno.NetAddr).port}`, server.target];
  const answer = await resolveHost("web.test", "A", options({ nameServers, serverTimeoutMs: 300 }));
  assert.deepEqual(answer.records, ["192.0.2.1"]);
  const stop = new AbortController();
  const asking = resolveHost("web.test", "A", options({ nameServers: [nameServers[1] ?? ""], signal: stop.signal }));
  stop.abort(new Error("enough"));
  await assert.rejects(asking, /enough/);
  silent.close();
  await held;
  for (const connection of connections) connection.close();
});
