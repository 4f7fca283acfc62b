import assert from "node:assert/strict";
import zookeeper from "../../plugins/discovery/zookeeper/mod.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { toDenoPermissions } from "../../src/supervisor/permissions.ts";
import { PluginHost, type WorkerEvent } from "../../src/supervisor/plugin_host.ts";
import { makeCertificates } from "../support/certificates.ts";
import { Follower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { configured } from "../support/probe.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** A server that requires a client certificate, and its config. */
async function stage() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(new TempDir());
  const pem = await makeCertificates(dir);
  const server = stack.use(await ZooKeeper.start({ tls: { cert: pem.good, key: pem.key, ca: pem.ca } }));
  const all = stack.move();
  return { dir, pem, server, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Opens a session; the ensemble keeps it for so many seconds. */
async function open(host: string, tls: Readonly<Record<string, unknown>> | undefined, seconds = 6) {
  const context = new RecordingContext();
  const config = await configured(zookeeper, { hosts: host, path: "/services", session_timeout: seconds, tls });
  return Object.assign(await zookeeper.open(config, context), { context });
}

Deno.test("zookeeper uses TLS with the configured CA, client certificate and server name, as kazoo does", async () => {
  await using world = await stage();
  const { pem, server } = world;
  const tls = { ca: pem.ca, cert: pem.good, key: pem.key };
  for (const given of [tls, { ...tls, server_name: "localhost" }]) {
    await using session = await open(`127.0.0.1:${server.securePort}`, given);
    await using follower = new Follower(session, "web");
    await session.register?.("web", up(testNode(8001)), soon());
    await follower.has(8001);
    await using kazoo = await KazooPeer.start(`127.0.0.1:${server.securePort}`, { tls });
    assert.deepEqual(Object.keys(await kazoo.readAll("/services/web")), ["web.test:8001"]);
  }
});

Deno.test("zookeeper reports why TLS fails, and removes no nodes", async () => {
  await using world = await stage();
  const { pem, server } = world;
  const tls = { ca: pem.ca, cert: pem.good, key: pem.key };
  const secure = `127.0.0.1:${server.securePort}`;
  for (
    const [host, given, says] of [
      [secure, { ...tls, server_name: "elsewhere.test" }, /certificate|NotValidForName|altnames/i],
      [secure, { cert: pem.good, key: pem.key }, /UnknownIssuer|certificate|issuer/i],
      [secure, { ca: pem.ca }, /certificate|closed|alert|closed the connection|end of file|eof/i],
      [server.address, tls, /./],
      [secure, undefined, /closed the connection|invalid frame|did not answer|reset/],
    ] as const
  ) {
    await using session = await open(host, given);
    await using follower = new Follower(session, "web");
    await eventually("the reason is reported", () => session.context.details.some((detail) => says.test(detail)));
    assert.ok(session.context.details.every((detail) => detail.includes("127.0.0.1:")));
    assert.deepEqual([follower.snapshots.length, session.context.states.includes("connected")], [0, false]);
  }
  await assert.rejects(open(secure, { ca: pem.key }), /tls.ca .* must contain a PEM certificate/);
});

Deno.test("zookeeper keeps its session over TLS when the server is killed, silent, or has another certificate", async () => {
  await using world = await stage();
  const { dir, pem, server } = world;
  const ca = await dir.write("trusted.pem", await Deno.readTextFile(pem.ca));
  // The silence is noticed after two thirds of the session; the rest is for a busy machine to return in.
  await using session = await open(`localhost:${server.securePort}`, { ca, cert: pem.good, key: pem.key }, 24);
  await using follower = new Follower(session, "web");
  await session.register?.("web", up(testNode(8001)), soon());
  await follower.has(8001);
  await server.kill();
  await eventually("it is noticed", () => session.context.states.at(-1) === "disconnected");
  await server.start();
  await session.register?.("web", up(testNode(8002)), soon());
  await follower.has(8001, 8002);
  server.pause();
  await eventually("it is noticed", () => session.context.states.at(-1) === "disconnected");
  server.resume();
  await session.register?.("web", up(testNode(8003)), soon());
  await follower.has(8001, 8002, 8003);
  assert.deepEqual(follower.counts.toSorted((a, b) => a - b), follower.counts, "no node was lost meanwhile");
  // The files are read again for each connection.
  await dir.write("trusted.pem", await Deno.readTextFile(pem.selfSigned));
  await server.kill();
  await server.start();
  await eventually(
    "it is not trusted",
    () => /certificate|issuer|UnknownIssuer/i.test(session.context.details.at(-1) ?? ""),
  );
  await dir.write("trusted.pem", await Deno.readTextFile(pem.ca));
  await eventually("it is trusted", () => session.context.states.at(-1) === "connected");
});

Deno.test("zookeeper speaks TLS in a worker with the permissions it requests", async () => {
  await using world = await stage();
  const { pem, server } = world;
  const tls = { ca: pem.ca, cert: pem.good, key: pem.key };
  const config = await configured(zookeeper, { hosts: `localhost:${server.securePort}`, path: "/services", tls });
  const scope = { instance: "zookeeper" };
  const events: WorkerEvent[] = [];
  await using host = new PluginHost({
    name: "zookeeper",
    kind: "discovery",
    module: "builtin:discovery/zookeeper",
    permissions: toDenoPermissions(zookeeper.permissions(config, scope)),
    clock: systemClock,
    onEvent: (event) => events.push(event),
  });
  await host.loaded();
  await host.call({ type: "start", instance: "zookeeper", config, scope }, { deadlineMs: 60_000 });
  const registration = up(testNode(8001));
  await host.call({ type: "register", cluster: "web", registration, timeoutMs: 60_000 }, { deadlineMs: 60_000 });
  host.post({ type: "watch", cluster: "web" });
  await eventually(
    "it is seen",
    () => events.some((event) => event.type === "snapshot" && event.snapshot.nodes[0]?.port === 8001),
  );
  const leaving = new AbortController();
  const { value } = await host.keys("/services", leaving.signal).next();
  assert.deepEqual(value?.entries.map(({ key }) => key), ["web/web.test:8001"]);
});
