/**
 * How members join a real HAProxy, depending on `server_options` and the lines of
 * its sections.
 *
 * @module
 */
import assert from "node:assert/strict";
import { makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, NamedServer, RunningWriter, type TestCluster } from "../support/haproxy.ts";
import { get } from "../support/http_load.ts";
import { TempDir } from "../support/temp_dir.ts";

/** Starts HAProxy with clusters without members, then adds a member to each; returns the reloads that this took. */
async function join(
  { box, running, clusters }: {
    readonly box: HaproxyBox;
    readonly running: RunningWriter;
    readonly clusters: Record<string, TestCluster>;
  },
): Promise<number> {
  const empty = Object.fromEntries(Object.entries(clusters).map(([name, { section = {} }]) => [name, { section }]));
  await running.apply(box.wanted(empty));
  const before = running.reloads;
  await running.apply(box.wanted(clusters));
  return running.reloads - before;
}

Deno.test("a trailing comment is ignored, so members join without a reload and get their cookies", async () => {
  await using one = new NamedServer("one.test");
  await using box = new HaproxyBox({
    defaults: [
      "mode http",
      "timeout connect 2s",
      "timeout client 20s",
      "timeout server 20s",
      "default-server inter 3s rise 1 # look often",
    ],
  });
  await using running = new RunningWriter();
  const nodes = [one.node];
  const web = freePort();
  const reloads = await join({
    box,
    running,
    clusters: {
      web: { section: { port: web, backend: 'balance "roundrobin"', server_options: "check inter 1s # often" }, nodes },
      shared: { section: { backend: ["stick-table type ip size 1m expire 30m # no peers web yet"] }, nodes },
    },
  });
  assert.equal(reloads, 0);
  await eventually("its check has passed", async () => await get(web) === "one.test");
  assert.doesNotMatch(await Deno.readTextFile(box.configFile), /^peers /m);
});

Deno.test("a cookie line is not dynamic because of its comment", async () => {
  await using one = new NamedServer("one.test");
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const port = freePort();
  const backend = ["mode http", "cookie SRV insert indirect nocache # dynamic cookies are not wanted here"];
  await running.apply(box.wanted({ web: { section: { port, backend }, nodes: [one.node] } }));
  const response = await fetch(`http://127.0.0.1:${port}/`);
  await response.body?.cancel();
  assert.equal(response.headers.get("set-cookie")?.split(";")[0], `SRV=one.test:${one.port}`);
});

Deno.test("options without meaning for a server with an address take no reload", async () => {
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const port = freePort();
  const reloads = await join({
    box,
    running,
    clusters: {
      web: {
        section: { port, server_options: "enabled stick init-addr none check no-check no-agent-check" },
        nodes: [one.node],
      },
      tracking: {
        section: { backend: [`server base 127.0.0.1:${two.port} check`], server_options: "track tracking/base" },
        nodes: [one.node],
      },
    },
  });
  assert.equal(reloads, 0);
  assert.equal(await get(port), "one.test");
});

Deno.test("an option that is rejected over the socket takes one reload, and no failed command", async () => {
  await using one = new NamedServer("one.test");
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  const port = freePort();
  const clusters = { web: { section: { port, server_options: "max-reuse 5" }, nodes: [one.node] } };
  assert.equal(await join({ box, running, clusters }), 1);
  assert.equal(await get(port), "one.test");
  assert.doesNotMatch(running.log.join("\n"), /unexpected response/);
});

Deno.test("the first member that needs a file HAProxy has not read takes one reload at once, with its reason", async () => {
  await using dir = new TempDir();
  const { ca, good, key } = await makeCertificates(dir);
  await using server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: await Deno.readTextFile(good),
    key: await Deno.readTextFile(key),
    onListen: () => {},
  }, () => new Response("over TLS"));
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using running = new RunningWriter();
  const nodes = ["one.test", "two.test"].map((host) => localNode(server.addr.port, host));
  const authorities = [dir.file("a.pem"), dir.file("b.pem"), dir.file("c.pem")];
  for (const authority of authorities) await Deno.copyFile(ca, authority);
  const sections = authorities.map((authority) => ({
    port: freePort(),
    server_options: `ssl verify required sni str(localhost) ca-file ${authority}`,
  }));
  const wanted = (members: readonly number[]) =>
    box.wanted(Object.fromEntries(sections.map((section, index) => [
      `tls${index}`,
      { section, nodes: nodes.slice(0, members[index]) },
    ])));
  await running.apply(wanted([0, 0, 0]));
  for (const [index, members] of [[1, 0, 0], [1, 1, 0], [1, 1, 1]].entries()) {
    await running.apply(wanted(members));
    assert.equal(running.reloads, 2 + index);
    assert.equal(await get(sections[index]?.port ?? 0), "over TLS");
  }
  await running.apply(wanted([2, 2, 2]));
  assert.equal(running.reloads, 4);
  const reason = /^tls\d.*loads files in server options only at/;
  assert.equal(running.count("balancer.reloaded", { reason }), 3);
});
