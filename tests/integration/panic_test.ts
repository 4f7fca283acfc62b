/**
 * `panic_threshold` with a real HAProxy: nodes that fail their checks but still
 * answer, so that every request shows which node got it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { wantedNode } from "../../src/membership/wanted.ts";
import type { Node } from "../../src/model/node.ts";
import type { WantedNode } from "../../src/plugin/contract.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, RunningWriter } from "../support/haproxy.ts";
import { get, HttpLoad } from "../support/http_load.ts";

/** A web server that answers with its name, and to checks as configured. */
class Patient implements AsyncDisposable {
  isHealthy = true;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(readonly name: string) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
      if (new URL(url).pathname !== "/health") return new Response(name);
      return new Response(null, { status: this.isHealthy ? 200 : 500 });
    });
  }

  get node(): Node {
    return localNode(this.#server.addr.port, this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Which servers answer this many requests, sorted. */
async function whoAnswers(port: number, requests = 16): Promise<readonly string[]> {
  const names = new Set<string>();
  for (let i = 0; i < requests; i++) names.add(await get(port));
  return [...names].toSorted();
}

function sees(port: number, names: readonly string[]): Promise<boolean> {
  return eventually(`${names.join(", ")} answer`, async () => {
    assert.deepEqual(await whoAnswers(port), names);
    return true;
  });
}

const SECTION = {
  // A late answer is no failure: all of a test run in one process.
  backend: ["option httpchk GET /health", "timeout check 10s"],
  server_options: "check inter 100ms rise 1 fall 2",
  panic_threshold: 50,
};

Deno.test("panic_threshold: with three of four nodes down, all get requests; once enough are up again, only those do", async () => {
  await using box = new HaproxyBox();
  await using a = new Patient("a.test");
  await using b = new Patient("b.test");
  await using c = new Patient("c.test");
  await using d = new Patient("d.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { ...SECTION, port: freePort() };
  const patients = [a, b, c, d];
  const names = patients.map(({ name }) => name);
  await running.apply(box.wanted({ web: { section, nodes: patients.map(({ node }) => node) } }));
  await sees(section.port, names);
  const load = new HttpLoad(section.port);
  // Two of four are not below half: those that are down get no requests.
  [c.isHealthy, d.isHealthy] = [false, false];
  await sees(section.port, ["a.test", "b.test"]);
  b.isHealthy = false;
  await sees(section.port, names);
  a.isHealthy = false;
  await eventually("all are down", async () => {
    const servers = [...(await box.observe()).running?.backends.get("web")?.values() ?? []];
    return servers.every(({ down }) => down);
  });
  await sees(section.port, names);
  [a.isHealthy, c.isHealthy] = [true, true];
  await sees(section.port, ["a.test", "c.test"]);
  const { done, failed } = await load.stop();
  assert.deepEqual(failed, []);
  assert(done > 100, `${done}`);
  assert.equal(running.reloads, 1);
});

Deno.test("panic_threshold: the share is of the current nodes, which come and go without a reload", async () => {
  await using box = new HaproxyBox();
  await using a = new Patient("a.test");
  await using b = new Patient("b.test");
  await using c = new Patient("c.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { ...SECTION, port: freePort() };
  [b.isHealthy, c.isHealthy] = [false, false];
  await running.apply(box.wanted({ web: { section } }));
  await assert.rejects(get(section.port), /503/);
  await running.apply(box.wanted({ web: { section, nodes: [a.node, b.node] } }));
  await eventually("one of two serves", async () => await get(section.port) === "a.test");
  assert.deepEqual(await whoAnswers(section.port), ["a.test"]);
  // One of three would be too few, but a new node has not failed yet.
  await running.apply(box.wanted({ web: { section, nodes: [a.node, b.node, c.node] } }));
  assert.deepEqual(await whoAnswers(section.port), ["a.test"]);
  assert.equal(running.reloads, 1);
  await running.apply(box.wanted({ web: { section, nodes: [b.node, c.node] }, more: {} }));
  // A new process has all of them at once.
  await sees(section.port, ["b.test", "c.test"]);
  await running.apply(box.wanted({ web: { section, nodes: [a.node, b.node, c.node] }, more: {} }));
  await running.apply(box.wanted({ web: { section, nodes: [a.node, b.node] }, more: {} }));
  await sees(section.port, ["a.test"]);
  assert.equal(running.reloads, 2);
});

Deno.test("panic_threshold works in a meta cluster, with TCP, and without a writer", async () => {
  await using box = new HaproxyBox();
  await using a = new Patient("a.test");
  await using b = new Patient("b.test");
  await using c = new Patient("c.test");
  [b.isHealthy, c.isHealthy] = [false, false];
  await using running = new RunningWriter({ reconcileMs: 100 });
  const [meta, tcp] = [freePort(), freePort()];
  const nodes = [a.node, b.node, c.node];
  await running.apply(box.wanted({
    "web-api": { section: { ...SECTION, acl: "path_beg /" }, nodes, metaCluster: "all" },
    tcp: {
      section: { ...SECTION, port: tcp, frontend: ["mode tcp"], backend: ["mode tcp", ...SECTION.backend] },
      nodes,
    },
  }, { meta_clusters: { all: { port: meta } } }));
  for (const port of [meta, tcp]) await sees(port, ["a.test", "b.test", "c.test"]);
  await running.stop();
  [b.isHealthy, c.isHealthy] = [true, false];
  for (const port of [meta, tcp]) await sees(port, ["a.test", "b.test"]);
  [a.isHealthy, b.isHealthy] = [false, false];
  for (const port of [meta, tcp]) await sees(port, ["a.test", "b.test", "c.test"]);
});

Deno.test("panic_threshold: healthy nodes of an idle pool are used before a panic, by HAProxy alone", async () => {
  await using box = new HaproxyBox();
  await using a = new Patient("a.test");
  await using b = new Patient("b.test");
  await using c = new Patient("c.test");
  await using spare = new Patient("spare.test");
  await using drained = new Patient("drained.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { ...SECTION, port: freePort() };
  const nodes: readonly WantedNode[] = [
    ...[a, b, c].map(({ node }) => wantedNode(node)),
    { node: spare.node, state: "ready", pool: "overflow", weight: 256, isFallback: true, from: "backup" },
    { node: drained.node, state: "drain", pool: "overflow", weight: 256, isFallback: true, from: "backup" },
  ];
  const wanted = box.wanted({ web: { section, nodes } });
  await running.apply({ ...wanted, clusters: wanted.clusters.map((each) => ({ ...each, hasFallback: true })) });
  const load = new HttpLoad(section.port);
  await sees(section.port, ["a.test", "b.test", "c.test"]);
  // From here on only HAProxy decides.
  await running.stop();
  c.isHealthy = false;
  await sees(section.port, ["a.test", "b.test"]);
  // One of three is below half: others are up, and are used before those that are down.
  b.isHealthy = false;
  await sees(section.port, ["spare.test"]);
  a.isHealthy = false;
  await sees(section.port, ["spare.test"]);
  // No node is up: the preferred nodes get requests whatever their checks say, and draining ones get none.
  spare.isHealthy = false;
  await sees(section.port, ["a.test", "b.test", "c.test"]);
  spare.isHealthy = true;
  await sees(section.port, ["spare.test"]);
  [a.isHealthy, b.isHealthy] = [true, true];
  await sees(section.port, ["a.test", "b.test"]);
  assert.deepEqual((await load.stop()).failed, []);
});

Deno.test("panic_threshold: without a check it has no effect, which is logged", async () => {
  await using box = new HaproxyBox();
  await using running = new RunningWriter();
  await running.apply(box.wanted({ web: { section: { port: freePort(), panic_threshold: 50 } } }));
  await running.event("balancer.notice", {
    msg: /^Cluster web: panic_threshold has no effect: its servers have no check/,
  });
});
