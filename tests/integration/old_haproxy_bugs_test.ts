/**
 * Bugs that users of 1.0 had on HAProxy's side, and must not have again: each test
 * fails with 1.0's behaviour. The others of that list are in
 * docs/compatibility.md.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import type { Node } from "../../src/model/node.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { HAPROXY_VERSION, isHaproxyAtLeast } from "../support/haproxy_version.ts";

/** Asks a port of HAProxy over a connection of its own; returns the body, or the status if that is not 200. */
async function ask(port: number): Promise<string | number> {
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { client });
    const body = await response.text();
    return response.status === 200 ? body : response.status;
  } finally {
    client.close();
  }
}

/** Waits until the file has the expected contents. */
async function untilFileSays(box: HaproxyBox, wanted: HaproxyWanted): Promise<void> {
  await eventually(
    "the file says what is wanted",
    async () => await Deno.readTextFile(box.configFile) === render({ ...wanted, version: HAPROXY_VERSION }).text,
  );
}

function nodes(count: number): Node[] {
  return Array.from({ length: count }, (_, index) => localNode(20_001 + index, `n${index}.test`));
}

Deno.test("servers of proxies keep serving while cluster members come and go (B11)", async () => {
  await using box = new HaproxyBox();
  await using partner = new NamedServer("partner.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const port = freePort();
  const proxies = {
    partner: { port, bind_address: "127.0.0.1", upstreams: [{ host: "127.0.0.1", port: partner.port, max_conn: 9 }] },
  };
  const section = { port: freePort() };
  for (const members of [nodes(2), nodes(1), [], nodes(2)]) {
    await running.apply(box.wanted({ web: { section, nodes: members } }, { proxies }));
    assert.equal(await ask(port), "partner.test");
  }
  assert.equal(running.reloads, 1);
});

Deno.test("an edit in place is applied, and a removed cluster stops listening (B15, B24)", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const [before, after, other] = [freePort(), freePort(), freePort()];
  const kept = { section: { port: other }, nodes: [server.node] };
  await running.apply(box.wanted({ web: { section: { port: before }, nodes: [server.node] }, kept }));
  await running.apply(box.wanted({ web: { section: { port: after }, nodes: [server.node] }, kept }));
  assert.equal(await ask(after), "app.test");
  // The old process may keep its sockets for a moment.
  await eventually("the old port is closed", () => assert.rejects(ask(before)).then(() => true));
  await running.apply(
    box.wanted({ web: { section: { port: after }, nodes: [server.node] }, kept }, { global: ["maxconn 77"] }),
  );
  assert.match((await box.ask("show info"))[0] ?? "", /^Maxconn: 77$/m);
  const gone = box.wanted({ kept });
  await running.apply(gone);
  await eventually("the port of the cluster that is gone is closed", () => assert.rejects(ask(after)).then(() => true));
  assert.equal(await ask(other), "app.test");
  assert.doesNotMatch(await Deno.readTextFile(box.configFile), /web/);
});

Deno.test("a node of the same name with another address is reached there, without a reload (B16)", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const serve = (hostname: string, port: number) =>
    Deno.serve({ hostname, port, onListen: () => {} }, () => new Response(hostname));
  await using old = serve("127.0.0.21", 0);
  await using moved = serve("127.0.0.22", old.addr.port);
  const port = freePort();
  const at = (ip: string) => box.wanted({ web: { section: { port }, nodes: [{ ...localNode(moved.addr.port), ip }] } });
  await running.apply(at("127.0.0.21"));
  assert.equal(await ask(port), "127.0.0.21");
  await running.apply(at("127.0.0.22"));
  assert.equal(await ask(port), "127.0.0.22");
  await untilFileSays(box, at("127.0.0.22"));
  assert.equal(running.reloads, 1);
});

Deno.test("a storm of node changes takes no reload, and one of clusters few (B18)", async () => {
  await using box = new HaproxyBox({ restart_interval: 1 });
  await using running = new RunningWriter();
  const section = { port: freePort() };
  await running.apply(box.wanted({ web: { section } }));
  for (let count = 1; count < 50; count++) running.writer.put(box.wanted({ web: { section, nodes: nodes(count) } }));
  await running.apply(box.wanted({ web: { section, nodes: nodes(50) } }));
  assert.equal((await box.serving("web")).length, 50);
  assert.equal(running.reloads, 1);
  const clusters = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`c${index}`, { nodes: nodes(1) }]));
  const entries = Object.entries(clusters);
  for (let count = 1; count < entries.length; count++) {
    running.writer.put(box.wanted({ web: { section }, ...Object.fromEntries(entries.slice(0, count)) }));
    await eventually("the writer has had a look", () => running.turns.length > 0);
  }
  await running.apply(box.wanted({ web: { section }, ...clusters }));
  assert((await box.serving("c19")).length === 1);
  assert(running.reloads <= 4, `${running.reloads}`);
});

Deno.test("the running state, the file and the last desired state agree, however changes overlap with reloads (B14)", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using running = new RunningWriter();
  const port = freePort();
  for (let round = 1; round <= 8; round++) {
    running.writer.put(box.wanted({ web: { section: { port }, nodes: nodes(round) } }));
    running.writer.put(box.wanted({ web: { section: { port, backend: [`retries ${round}`] }, nodes: nodes(round) } }));
    // The next change arrives while this one is being applied.
    await eventually("something was begun", () => running.turns.length >= round);
  }
  const last = box.wanted({ web: { section: { port, backend: ["retries 1"] }, nodes: nodes(9) } });
  await running.apply(last);
  assert.equal((await box.serving("web")).length, 9);
  await untilFileSays(box, last);
});

Deno.test("a dead HAProxy is started at the next poll, though no node joins or leaves (B10)", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter({ reconcileMs: 200 });
  const port = freePort();
  await running.apply(box.wanted({ web: { section: { port }, nodes: [server.node] } }));
  Deno.kill(await box.pid(), "SIGKILL");
  await Deno.remove(box.socketFile).catch(() => {});
  await eventually("it serves again", async () => await ask(port) === "app.test");
  await running.event("balancer.restarted", { level: "warn" });
});

Deno.test("a writer that starts interrupts nothing: the serving process continues (B13)", async () => {
  await using box = new HaproxyBox();
  await using server = new NamedServer("app.test");
  const port = freePort();
  const wanted = box.wanted({ web: { section: { port }, nodes: [server.node] } });
  {
    await using first = new RunningWriter();
    await first.apply(wanted);
  }
  const pid = await box.pid();
  await using second = new RunningWriter();
  const asked: Promise<string | number>[] = [];
  const applied = second.apply(wanted);
  for (let i = 0; i < 20; i++) asked.push(ask(port));
  assert.deepEqual(new Set(await Promise.all(asked)), new Set(["app.test"]));
  await applied;
  assert.equal(await box.pid(), pid);
});

Deno.test("failures are logged and retried (B25)", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const wanted = box.wanted({ web: { section: { port: freePort() } } }, { config_file: box.path("not/there.cfg") });
  running.writer.put(wanted);
  await running.event("balancer.failed", { level: "error", msg: /^Cannot install the file .*not\/there\.cfg/ });
  await Deno.mkdir(box.path("not"));
  await running.event("balancer.serving");
});

Deno.test("a new member of a backend with cookies takes a reload before 3.0, which is logged, and none if they are dynamic", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using running = new RunningWriter();
  const lines = (...more: string[]) => ({ section: { port: freePort(), backend: ["mode http", ...more] } });
  const fixed = lines("cookie SRV insert indirect nocache");
  const dynamic = lines("cookie SRV insert indirect nocache dynamic", "dynamic-cookie-key abc");
  await running.apply(box.wanted({ fixed: { ...fixed, nodes: nodes(1) }, dynamic: { ...dynamic, nodes: nodes(1) } }));
  const takesReload = !isHaproxyAtLeast(3, 0);
  if (takesReload) {
    await running.event("balancer.notice", {
      msg: /backend fixed: its cookie line requires a reload for each new member; to avoid this, use a dynamic cookie/,
    });
  }
  await running.apply(box.wanted({ fixed: { ...fixed, nodes: nodes(1) }, dynamic: { ...dynamic, nodes: nodes(2) } }));
  assert.equal(running.reloads, 1);
  await running.apply(box.wanted({ fixed: { ...fixed, nodes: nodes(2) }, dynamic: { ...dynamic, nodes: nodes(2) } }));
  assert.equal(running.reloads, takesReload ? 2 : 1);
  const reason = /^fixed\/n1\.test:20002: HAProxy before 3\.0 cannot add a server with a cookie at run time/;
  assert.equal(running.count("balancer.reloaded", { reason }) > 0, takesReload);
});

Deno.test("a hash without a hash-type adds members without a reload", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const backend = (line: string) => ({ section: { backend: ["mode http", line] } });
  const clusters = {
    source: backend("balance source"),
    uri: backend("balance uri"),
    hdr: backend("balance hdr(host)"),
  };
  const all = (count: number) =>
    Object.fromEntries(Object.entries(clusters).map(([name, cluster]) => [name, { ...cluster, nodes: nodes(count) }]));
  for (const count of [1, 4, 2]) await running.apply(box.wanted(all(count)));
  for (const name of Object.keys(clusters)) assert.equal((await box.serving(name)).length, 2);
  assert.equal(running.reloads, 1);
  assert.equal(running.count("balancer.notice", { msg: /hash-type consistent is added/ }), 3);
});
