/**
 * The nginx balancer with the real nginx: verified reloads, and changes behind the writer's back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { stringify } from "yaml";
import { setUp } from "../setup.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { runCli } from "../support/cli.ts";
import { churn } from "../support/churn.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { kill, localNode, NamedServer } from "../support/haproxy.ts";
import type { Node } from "../../src/model/node.ts";
import type { WantedNode } from "../../src/plugin/contract.ts";
import { countAnswers, get, HttpLoad, KeptLoad } from "../support/http_load.ts";
import { NginxBox, NginxWriter } from "../support/nginx.ts";

/** Sends a request for a host and a path to a port on loopback; returns the status and the body. */
async function request(port: number, path = "/", host = "test"): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(
    new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
  );
  const answer = await new Response(connection.readable).text();
  return `${answer.slice(9, 12)} ${answer.slice(answer.indexOf("\r\n\r\n") + 4)}`;
}

Deno.test("a writer starts nginx, reloads it for each change of members, and leaves it running when it exits", async () => {
  await setUp(["nginx"]);
  await using box = new NginxBox();
  await using one = new NamedServer("one");
  await using two = new NamedServer("two");
  const port = freePort();
  const wanted = (...servers: readonly NamedServer[]) =>
    box.wanted({ web: { section: { listen: `127.0.0.1:${port}` }, nodes: servers.map(({ node }) => node) } });
  {
    await using writer = new NginxWriter();
    await writer.apply(wanted(one));
    assert.equal(await get(port), "one");
    const master = await box.master();
    await writer.apply(wanted(two));
    assert.equal(await get(port), "two");
    await writer.apply(wanted());
    assert.match(await request(port), /^503/);
    await writer.apply(wanted(one, two));
    assert.equal(await box.master(), master);
    assert.equal(writer.reloads, 4, writer.log);
    await writer.apply(wanted(one, two));
    assert.equal(writer.reloads, 4, "nothing has changed");
  }
  assert.match(await get(port), /one|two/);
  await using writer = new NginxWriter();
  await writer.apply(wanted(one, two));
  assert.equal(writer.reloads, 0, "the next writer finds it in sync");
});

Deno.test("clusters share servers by location and servers share a port by host", async () => {
  await setUp(["nginx"]);
  await using box = new NginxBox();
  await using web = new NamedServer("web");
  await using api = new NamedServer("api");
  await using old = new NamedServer("old");
  const port = freePort();
  const listen = [`127.0.0.1:${port}`];
  const servers = {
    legacy: { listen, hosts: ["old.test", "*.old.test"] },
    public: { listen, hosts: ["www.test"], default_server: true, healthcheck_route: "/hc", deny: ["/quitquitquit"] },
  };
  const clusters = {
    api: { section: { server: "public", locations: ["/api", "= /exact", "~ \\.json$"] }, nodes: [api.node] },
    old: { section: { server: "legacy", locations: ["/only"] }, nodes: [old.node] },
    spare: { section: { server: "public", locations: ["/spare"], empty_status: 529 }, nodes: [] },
    web: { section: { server: "public", lines: ["add_header X-Lines 1 always"] }, nodes: [web.node] },
  };
  await using writer = new NginxWriter();
  await writer.apply(box.wanted(clusters, { servers }));
  const answers: Record<string, string> = {
    "www.test /": "200 web",
    "www.test /api/x": "200 api",
    "www.test /exact": "200 api",
    "www.test /exact/not": "200 web",
    "www.test /x.json": "200 api",
    "www.test /hc": "200 ",
    "old.test /only": "200 old",
    "a.old.test /only": "200 old",
    "unknown.test /": "200 web",
  };
  for (const [asked, want] of Object.entries(answers)) {
    const [host = "", path = ""] = asked.split(" ");
    assert.equal(await request(port, path, host), want, asked);
  }
  assert.match(await request(port, "/quitquitquit", "www.test"), /^403/);
  assert.match(await request(port, "/spare", "www.test"), /^529/);
  assert.match(await request(port, "/", "old.test"), /^404/);
});

Deno.test("a server with tls serves its certificate, and one whose certificate is missing delays no other", async () => {
  await setUp(["nginx", "openssl"]);
  await using box = new NginxBox();
  await using web = new NamedServer("web");
  const [cert, key] = [box.path("cert.pem"), box.path("key.pem")];
  const args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=www.test"];
  const made = await new Deno.Command("openssl", { args: [...args, "-keyout", key, "-out", cert] }).output();
  assert(made.success);
  const [port, other] = [freePort(), freePort()];
  const servers = {
    broken: { listen: [`127.0.0.1:${other}`], tls: { cert: box.path("none.pem"), key } },
    secure: { listen: [`127.0.0.1:${port}`], tls: { cert, key } },
  };
  const clusters = {
    lost: { section: { server: "broken" }, nodes: [web.node] },
    web: { section: { server: "secure" }, nodes: [web.node] },
  };
  await using writer = new NginxWriter();
  writer.put(box.wanted(clusters, { servers }));
  await writer.event("balancer.config_rejected", { msg: /none\.pem/ });
  using client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(cert)] });
  const answer = await eventually(
    "nginx answers",
    () =>
      fetch(`https://localhost:${port}/`, { client, headers: { Host: "www.test" } }).then(
        (response) => response.text(),
        // The certificate's host does not resolve: only that it is served matters.
        (error) =>
          /certificate|NotValidForName|CaUsedAsEndEntity/.test(String(error?.cause ?? error)) ? "served" : false,
      ),
  );
  assert.match(answer, /web|served/);
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: other }), Deno.errors.ConnectionRefused);
});

Deno.test("streams forward TCP and UDP, and close connections while there is no member", async () => {
  await setUp(["nginx_stream"]);
  await using box = new NginxBox();
  await using web = new NamedServer("web");
  const echo = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const echoing = (async () => {
    for await (const [data, from] of echo) await echo.send(data, from);
  })();
  const [tcp, udp, empty] = [freePort(), freePort(), freePort()];
  const load = ["load_module modules/ngx_stream_module.so"];
  const { main = [] } = box.file as { main?: string[] };
  await using writer = new NginxWriter();
  await writer.apply(box.wanted({
    db: {
      section: { listen: `127.0.0.1:${tcp}`, stream: "tcp", timeouts: { connect: "1s", read: "5s" } },
      nodes: [web.node],
    },
    dns: {
      section: { listen: `127.0.0.1:${udp}`, stream: "udp", balance: "hash $remote_addr consistent" },
      nodes: [localNode((echo.addr as Deno.NetAddr).port)],
    },
    none: { section: { listen: `127.0.0.1:${empty}`, stream: "tcp" }, nodes: [] },
  }, { main: [...main, ...load] }));
  assert.equal(await get(tcp), "web");
  const client = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  await client.send(new TextEncoder().encode("ping"), { transport: "udp", hostname: "127.0.0.1", port: udp });
  const [data] = await client.receive();
  assert.equal(new TextDecoder().decode(data), "ping");
  client.close();
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: empty });
  assert.equal(await connection.read(new Uint8Array(8)), null);
  echo.close();
  await echoing;
});

Deno.test("mirror copies a share of the requests to another cluster, whose answers are discarded", async () => {
  await setUp(["nginx"]);
  await using box = new NginxBox();
  await using web = new NamedServer("web");
  let copies = 0;
  await using shadow = new NamedServer("shadow", ({ url }) => {
    if (new URL(url).pathname === "/x") copies++;
    return true;
  });
  const port = freePort();
  const wanted = (percent: number) =>
    box.wanted({
      shadow: { section: {}, nodes: [shadow.node] },
      web: { section: { listen: `127.0.0.1:${port}`, mirror: { cluster: "shadow", percent } }, nodes: [web.node] },
    });
  await using writer = new NginxWriter();
  await writer.apply(wanted(100));
  for (let i = 0; i < 20; i++) assert.equal(await request(port, "/x"), "200 web");
  await eventually("each request was copied", () => copies === 20);
  await writer.apply(wanted(25));
  await eventually("old workers copy no more", async () => {
    const before = copies;
    for (let i = 0; i < 8; i++) await request(port, "/x");
    return copies - before < 8;
  });
  const before = copies;
  for (let i = 0; i < 400; i++) assert.equal(await request(port, "/x"), "200 web");
  // 400 draws of 25 %: less than 40 or more than 200 are extremely unlikely.
  assert(copies - before > 40 && copies - before < 200, `${copies - before} of 400 were copied`);
});

Deno.test("members get requests by weight; drained ones get none, and fallback nodes only when no other is up", async () => {
  await setUp(["nginx"]);
  await using box = new NginxBox();
  await using one = new NamedServer("one");
  await using two = new NamedServer("two");
  await using drained = new NamedServer("drained");
  const dead = localNode(freePort(), "dead");
  const port = freePort();
  const of = (node: Node, more: Partial<WantedNode> = {}): WantedNode => ({
    node,
    state: "ready",
    pool: "primary",
    ...more,
  });
  const wanted = (...nodes: readonly WantedNode[]) =>
    box.wanted({ web: { section: { listen: `127.0.0.1:${port}` }, nodes } });
  await using writer = new NginxWriter();
  await writer.apply(
    wanted(of(one.node, { weight: 192 }), of(two.node, { weight: 64 }), of(drained.node, { state: "drain" })),
  );
  assert.deepEqual(await countAnswers(port, 400, 1), { one: 300, two: 100 });
  const spare = of(two.node, { pool: "overflow", isFallback: true });
  await writer.apply(wanted(of(one.node), spare));
  await eventually(
    "the spare gets nothing",
    async () => await countAnswers(port, 20, 1).then((seen) => seen.one === 20),
  );
  await writer.apply(wanted(of(dead), spare));
  await eventually("the spare serves alone", async () => await request(port) === "200 two");
});

/** A box with one cluster of a server on a port of its own, and a writer that polls often. */
async function running(name = "one") {
  await setUp(["nginx"]);
  const stack = new AsyncDisposableStack();
  const box = stack.use(new NginxBox({ main: [] }));
  const server = stack.use(new NamedServer(name));
  const other = stack.use(new NamedServer("other"));
  const port = freePort();
  const file = { main: [`error_log ${box.path("error.log")}`, "worker_processes 3"] };
  const wanted = (http: readonly string[] = [], nodes: readonly NamedServer[] = [server]) =>
    box.wanted(
      { web: { section: { listen: `127.0.0.1:${port}` }, nodes: nodes.map(({ node }) => node) } },
      { ...file, http: ["access_log off", ...http] },
    );
  const writer = stack.use(new NginxWriter({ reconcileMs: 100 }));
  await writer.apply(wanted());
  return { box, server, other, port, wanted, writer, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("workers whose master was killed are replaced by a new nginx", async () => {
  await using scene = await running();
  const { box, port, wanted, writer, other } = scene;
  const master = await box.master();
  kill(master);
  await writer.event("balancer.restarted", { reason: "only orphan processes are serving" });
  await eventually(
    "there is a new master",
    async () => await box.master().catch(() => 1) > 1 && await box.master() !== master,
  );
  await writer.apply(wanted([], [other]));
  await eventually("the new workers answer", async () => await get(port) === "other");
});

Deno.test("an nginx that was killed with all its workers is restarted even if its socket still exists", async () => {
  await using scene = await running();
  const { box, port, writer } = scene;
  assert((await Deno.stat(box.socketFile)).isSocket);
  // SIGKILL leaves the socket behind.
  for (const pid of box.processes()) kill(pid);
  await writer.event("balancer.restarted", { reason: "not running" });
  await eventually("it answers", async () => await get(port).catch(() => "") === "one");
});

Deno.test("nginx follows a status socket that is configured elsewhere, in another process", async () => {
  await using scene = await running();
  const { box, port, wanted, writer } = scene;
  const { config, ...rest } = wanted();
  const statusSocket = box.path("other.sock");
  await writer.apply({ ...rest, config: { ...config, statusSocket } });
  assert.equal(await get(port), "one");
  assert((await Deno.stat(statusSocket)).isSocket);
  await eventually("the former socket is gone", () => Deno.stat(box.socketFile).then(() => false, () => true));
});

Deno.test("a file that was edited and loaded by hand is restored and reloaded; a manual reload alone is not reverted", async () => {
  await using scene = await running();
  const { box, port, writer } = scene;
  const text = await box.text();
  // The hash stays, so nothing in nginx's answers shows the edit.
  await Deno.writeTextFile(box.configFile, text.replace("proxy_http_version", "return 418; proxy_http_version"));
  Deno.kill(await box.master(), "SIGHUP");
  await writer.event("balancer.reloaded", { reason: "config file edited" });
  assert.equal(await box.text(), text);
  await eventually("the edit is gone", async () => await request(port) === "200 one");
  const before = (await box.status()).pid;
  await box.run("-s", "reload");
  await eventually("other workers answer", async () => (await box.status()).pid !== before);
  assert.equal(await request(port), "200 one");
  assert.equal(writer.count("balancer.reloaded"), 1);
});

Deno.test("a stale pid file causes no signal to the process that now has the pid", async () => {
  await using scene = await running();
  const { box, port, wanted, other, writer } = scene;
  const sleeper = new Deno.Command("sleep", { args: ["600"] }).spawn();
  await Deno.writeTextFile(box.path("nginx.pid"), `${sleeper.pid}\n`);
  await writer.apply(wanted([], [other]));
  await eventually("the new workers answer", async () => await get(port) === "other");
  // SIGHUP would have ended it.
  sleeper.kill("SIGKILL");
  assert.equal((await sleeper.status).signal, "SIGKILL");
});

Deno.test("a reload that nginx abandons after its check has accepted the file is detected, and the last good file is restored", async () => {
  await using scene = await running();
  const { box, port, wanted, other, writer } = scene;
  await writer.apply(wanted(["limit_req_zone $binary_remote_addr zone=one:1m rate=100r/s"]));
  const text = await box.text();
  const { hash } = await box.status();
  // A shared memory zone keeps its key for the life of the master: only the master reports this, to its error log.
  writer.put(wanted(["limit_req_zone $host zone=one:1m rate=100r/s"]));
  await writer.event("balancer.config_rejected", {
    msg: /no response at .*nginx\.sock shows the new config within 10s/,
  });
  await eventually("the file is restored", async () => await box.text() === text);
  assert.equal((await box.status()).hash, hash);
  assert.equal(await get(port), "one");
  // Members still change, in the last good form.
  writer.put(wanted(["limit_req_zone $host zone=one:1m rate=100r/s"], [other]));
  await eventually("the new member serves", async () => await get(port).catch(() => "") === "other", {
    deadlineMs: 120_000,
  });
});

Deno.test("a port in use by another process is reported without a reload, and served once it is free", async () => {
  await using scene = await running();
  const { box, server, port, writer } = scene;
  const other = freePort();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: other });
  const section = (port: number) => ({ section: { listen: `127.0.0.1:${port}` }, nodes: [server.node] });
  writer.put(box.wanted({ api: section(other), web: section(port) }));
  await writer.event("balancer.address_taken", { msg: new RegExp(`127\\.0\\.0\\.1:${other}`) });
  assert.equal(await get(port), "one");
  listener.close();
  await eventually("it is served", async () => await get(other).catch(() => "") === "one");
});

Deno.test("500 joins and leaves under load take few reloads, and fail no request on a connection of its own", async () => {
  await setUp(["nginx"]);
  await using stack = new AsyncDisposableStack();
  const box = stack.use(new NginxBox());
  const writer = stack.use(new NginxWriter());
  const port = freePort();
  const nodes = Array.from({ length: 8 }, (_, i) => stack.use(new NamedServer(`s${i}`)).node);
  const wanted = (nodes: readonly Node[]) => box.wanted({ web: { section: { listen: `127.0.0.1:${port}` }, nodes } });
  await writer.apply(wanted(nodes));
  const begun = writer.reloads;
  const load = new HttpLoad(port);
  const kept = new KeptLoad(port, 2);
  for (const members of churn(nodes, 500)) {
    writer.put(wanted(members));
    await load.more(2);
  }
  await writer.apply(wanted(nodes));
  const { done, failed } = await load.stop();
  const open = await kept.stop();
  const reloads = writer.reloads - begun;
  // deno-lint-ignore no-console -- the figures are the point of the test
  console.log(
    `${reloads} reloads; ${failed.length} of ${done} requests failed on connections of their own, ` +
      `${open.cut} of ${open.sent} were sent on a connection that nginx was closing`,
  );
  assert.deepEqual(failed, []);
  assert.deepEqual(open.failed, []);
  assert(reloads > 1 && reloads < 500, `${reloads}`);
});

Deno.test("check, plan and run work with nginx as with HAProxy: locations of rejected lines, shares, drains, counters", async () => {
  await setUp(["nginx"]);
  await using host = new TestHost();
  await using box = new NginxBox({ reload_interval: 0.1 });
  await using one = new WebService();
  await using two = new WebService();
  const [port, status] = [freePort(), freePort()];
  await host.write("balancers/nginx", box.file);
  await host.write("discovery/file", { path: host.registryDir, ttl: 2 });
  const checks = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } };
  await host.write("services/web", { discovery: "file", ports: [one.port, two.port], checks });
  const lines = ["proxy_next_upstream off", "nonsense on"];
  const section = { listen: `127.0.0.1:${port}`, lines };
  await host.write("clusters/web", stringify({ discovery: "file", nginx: section }));
  const checked = await runCli(["check", host.configDir]);
  assert.equal(checked.code, 1);
  assert.match(
    checked.stdout,
    /clusters\/web\.yaml:6:7: error: rejected by nginx: unknown directive "nonsense" \("nonsense on;"\)/,
  );
  const planned = await runCli(["plan", host.configDir]);
  assert.match(planned.stdout, /upstream lighthouse-web|return 503;/, planned.stdout);

  await using both = Lighthouse.start("run", host.configDir, [`--status=127.0.0.1:${status}`]);
  await both.event("balancer.config_rejected", { msg: /clusters\/web\.yaml:6:7: unknown directive "nonsense"/ });
  await box.untilServing([one.port, two.port]).catch((error) => {
    throw new Error(`${error.message}\n${both.log}`);
  });
  two.healthy = false;
  await box.untilServing([one.port]);
  await eventually("old workers have gone", async () => await get(port) === `hello from ${one.port}\n`);
  two.healthy = true;
  await box.untilServing([one.port, two.port]);
  // A node drained by an operator's file is down in nginx's file.
  await host.write("clusters/web", {
    discovery: "file",
    exclude: [`test.host:${two.port}`],
    nginx: { ...section, lines: [] },
  });
  await eventually("the excluded node is down", async () => new RegExp(`:${two.port} down;`).test(await box.text()));
  await box.untilServing([one.port]);
  const metrics = await eventually("nginx's counters are there", async () => {
    const text = await (await fetch(`http://127.0.0.1:${status}/metrics`)).text();
    return /^lighthouse_balancer_requests_total\{balancer="nginx"\} [1-9]/m.test(text) && text;
  });
  assert.match(metrics, /^lighthouse_balancer_connections\{balancer="nginx",state="active"\} [0-9]+$/m);
  assert.match(metrics, /^lighthouse_balancer_reloads_total\{balancer="nginx",reason="members"\} [1-9]/m);
  const master = await box.master();
  both.kill("SIGKILL");
  await eventually("old workers have gone", async () => await get(port) === `hello from ${one.port}\n`);
  assert.equal(await box.master(), master);
});
