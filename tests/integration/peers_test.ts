/**
 * Stick tables that several HAProxys share: real ones, each with a loopback
 * address of its own, as hosts have.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import type { Node, Peer } from "../../src/model/node.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { frontendName } from "../support/haproxy_version.ts";

/** How long a row of a table may take to reach the other host: peers without a connection retry every few seconds. */
const ROW_DEADLINE_MS = 60_000;

/** A host with a HAProxy and its writer. */
class Host implements AsyncDisposable {
  readonly box: HaproxyBox;
  readonly running = new RunningWriter();
  readonly peer: Peer;
  readonly #ports = new Map<string, number>();

  constructor(name: string, ip: string) {
    this.peer = { name, ip, port: freePort() };
    this.box = new HaproxyBox({ restart_interval: 0, bind_address: ip });
  }

  /** The port of a cluster on this host. */
  port(cluster: string): number {
    const port = this.#ports.get(cluster) ?? freePort();
    this.#ports.set(cluster, port);
    return port;
  }

  /** A desired state of clusters whose backends all share a table of keys with their peers. */
  wanted(clusters: Record<string, readonly Node[]>): HaproxyWanted {
    const lines = (name: string) => [
      "mode http",
      `stick-table type string len 32 size 1k expire 10m peers ${name}`,
      "stick on url_param(key)",
    ];
    const sections = Object.entries(clusters).map(([name, nodes]) =>
      [name, { section: { port: this.port(name), backend: lines(name) }, nodes }] as const
    );
    const { name: fqdn, ip, port: peerPort } = this.peer;
    return { ...this.box.wanted(Object.fromEntries(sections)), host: { fqdn, ip, peerPort } };
  }

  /** Makes a request that leaves a row with this key in a cluster's table. */
  async visit(cluster: string, key: string): Promise<void> {
    const response = await fetch(`http://${this.peer.ip}:${this.port(cluster)}/?key=${key}`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
  }

  /** The keys in the table of a cluster, sorted. */
  async keys(cluster: string): Promise<readonly string[]> {
    const [answer = ""] = await this.box.ask(`show table ${cluster}`);
    return [...answer.matchAll(/ key=(\S+)/g)].map(([, key = ""]) => key).toSorted();
  }

  async untilKeys(cluster: string, keys: readonly string[]): Promise<void> {
    await eventually(`${this.peer.name} has ${keys} in the table of ${cluster}`, async () => {
      assert.deepEqual(await this.keys(cluster), keys);
      return true;
    }, { deadlineMs: ROW_DEADLINE_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.running[Symbol.asyncDispose]();
    await this.box[Symbol.asyncDispose]();
  }
}

/** The same member, registered by the reporter of each of these hosts. */
function membersOn(server: NamedServer, hosts: readonly Host[]): Node[] {
  return hosts.map(({ peer }, index) => ({ ...server.node, host: `${index}.${server.name}`, peer }));
}

Deno.test("the HAProxy processes of two hosts share a table in each of two clusters, each with its own rows", async () => {
  await using server = new NamedServer("app.test");
  await using one = new Host("one.test", "127.0.0.11");
  await using two = new Host("two.test", "127.0.0.12");
  const hosts = [one, two];
  const nodes = membersOn(server, hosts);
  for (const host of hosts) await host.running.apply(host.wanted({ web: nodes, api: nodes }));
  await one.visit("web", "for-web");
  await two.visit("api", "for-api");
  await two.untilKeys("web", ["for-web"]);
  await one.untilKeys("api", ["for-api"]);
  assert.deepEqual([await one.keys("web"), await two.keys("api")], [["for-web"], ["for-api"]]);
  // One listener, whatever the number of clusters.
  const text = await Deno.readTextFile(one.box.configFile);
  assert.equal(text.match(/^peers /gm)?.length, 1);
  assert.doesNotMatch(one.running.log.join("\n"), /incomplete/);
});

Deno.test("a joining host takes no reload and breaks nothing; it shares the table after the next reload", async () => {
  await using server = new NamedServer("app.test");
  await using one = new Host("one.test", "127.0.0.11");
  await using two = new Host("two.test", "127.0.0.12");
  await using three = new Host("three.test", "127.0.0.13");
  const apply = async (hosts: readonly Host[], members: readonly Host[], more: readonly string[] = []) => {
    const nodes = membersOn(server, members);
    const others = Object.fromEntries(more.map((name) => [name, nodes]));
    for (const host of hosts) await host.running.apply(host.wanted({ web: nodes, ...others }));
  };
  await apply([one, two], [one, two]);
  await one.visit("web", "first");
  await two.untilKeys("web", ["first"]);
  await apply([one, two, three], [one, two, three]);
  assert.deepEqual([one.running.reloads, two.running.reloads], [1, 1]);
  await two.visit("web", "second");
  await one.untilKeys("web", ["first", "second"]);
  await eventually(
    "the file knows the third host",
    async () =>
      (await Deno.readTextFile(one.box.configFile)).includes(`\tpeer three.test 127.0.0.13:${three.peer.port}\n`),
  );
  // HAProxy cannot change its peers at runtime: a reload for another reason does.
  await apply([one, two], [one, two, three], ["more"]);
  await one.visit("web", "third");
  await eventually("the third host knows it", async () => (await three.keys("web")).includes("third"), {
    deadlineMs: ROW_DEADLINE_MS,
  });
  await two.visit("web", "fourth");
  await eventually("the first host knows it too", async () => (await one.keys("web")).includes("fourth"), {
    deadlineMs: ROW_DEADLINE_MS,
  });
  assert.deepEqual([one.running.reloads, two.running.reloads, three.running.reloads], [2, 2, 1]);
});

Deno.test("peers that keep changing their names take no reload, and none replaces this host", async () => {
  await using server = new NamedServer("app.test");
  await using one = new Host("one.test", "127.0.0.11");
  const thief: Peer = { ...one.peer, ip: "127.0.0.66" };
  for (let round = 0; round < 5; round++) {
    const peers: readonly Peer[] = [one.peer, thief, { name: `p${round}.test`, ip: "127.0.0.12", port: 1_024 }];
    const nodes = peers.map((peer, index) => ({ ...server.node, host: `${index}.${server.name}`, peer }));
    await one.running.apply(one.wanted({ web: nodes }));
  }
  assert.equal(one.running.reloads, 1);
  await one.visit("web", "key");
  const shown = (await one.box.ask("show peers")).join("");
  assert.match(shown, /one\.test/);
  assert.doesNotMatch(shown + await Deno.readTextFile(one.box.configFile), /127\.0\.0\.66/);
});

Deno.test("a host that still runs 1.0 shares its table with this version, although all its sections have one port", async () => {
  await using server = new NamedServer("app.test");
  await using ours = new Host("ours.test", "127.0.0.11");
  await using theirs = new HaproxyBox();
  const peer: Peer = { name: "theirs.test", ip: "127.0.0.14", port: freePort() };
  const port = freePort();
  const peersOf = (cluster: string) =>
    `peers ${cluster}
	peer ${ours.peer.name} ${ours.peer.ip}:${ours.peer.port}
	peer ${peer.name} ${peer.ip}:${peer.port}
`;
  await Deno.writeTextFile(
    theirs.configFile,
    `global
	daemon
	stats socket ${theirs.socketFile} mode 600 level admin

defaults
	mode http
	timeout connect 2s
	timeout client 20s
	timeout server 20s

frontend ${frontendName("web")}
	bind ${peer.ip}:${port}
	default_backend web

backend web
	stick-table type string len 32 size 1k expire 10m peers web
	stick on url_param(key)
	server app.test:${server.port} 127.0.0.1:${server.port}

${peersOf("web")}
${peersOf("api")}`,
  );
  await theirs.run("-f", theirs.configFile, "-p", theirs.pidFile, "-L", peer.name);
  const nodes = [{ ...server.node, peer }];
  await ours.running.apply(ours.wanted({ web: nodes }));
  await ours.visit("web", "from-ours");
  await eventually("1.0 has the row", async () => {
    const [answer = ""] = await theirs.ask("show table web");
    return answer.includes("key=from-ours");
  }, { deadlineMs: ROW_DEADLINE_MS });
  await (await fetch(`http://${peer.ip}:${port}/?key=from-theirs`)).body?.cancel();
  await ours.untilKeys("web", ["from-ours", "from-theirs"]);
});

Deno.test("a host that is not a member starts without a warning, and clusters without a shared table require no peer port", async () => {
  await using server = new NamedServer("app.test");
  await using host = new Host("one.test", "127.0.0.11");
  const nodes = [{ ...server.node, peer: { name: "far.test", ip: "127.0.0.19", port: 1024 } }];
  await host.running.apply(host.wanted({ web: nodes, api: [] }));
  assert.equal((await host.box.ask("show peers"))[0]?.match(/far\.test/g)?.length, 1);
  await host.running.apply({
    ...host.box.wanted({ web: { section: { port: host.port("web") }, nodes } }),
    host: { fqdn: host.peer.name, ip: host.peer.ip, peerPort: host.peer.port },
  });
  assert.doesNotMatch(await Deno.readTextFile(host.box.configFile), /^peers /m);
  using _free = Deno.listen({ hostname: host.peer.ip, port: host.peer.port });
  assert.deepEqual(host.running.log.filter((line) => /incomplete|^(?:warn|error).*peer/.test(line)), []);
});

Deno.test("a peer port in use by another process disables only the shared tables, until it is free", async () => {
  await using server = new NamedServer("app.test");
  await using host = new Host("one.test", "127.0.0.15");
  const wanted = host.wanted({ web: [server.node] });
  const port = freePort();
  const plain = { section: { port, backend: ["mode http"] }, nodes: [server.node] };
  const both = { ...wanted, clusters: [...wanted.clusters, ...host.box.wanted({ plain }).clusters] };
  {
    using _other = Deno.listen({ hostname: host.peer.ip, port: host.peer.port });
    host.running.writer.put(both);
    await eventually("the clusters serve", async () => {
      const response = await fetch(`http://${host.peer.ip}:${port}/`);
      return await response.text() === "app.test";
    });
    await host.visit("web", "untold");
    assert.doesNotMatch(await Deno.readTextFile(host.box.configFile), /stick|^peers /m);
  }
  await eventually("the table is back", async () => {
    await host.visit("web", "told");
    assert.deepEqual(await host.keys("web"), ["told"]);
    return true;
  }, { deadlineMs: ROW_DEADLINE_MS });
});
