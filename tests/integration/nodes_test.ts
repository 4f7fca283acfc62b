import assert from "node:assert/strict";
import { encodeNode } from "../../plugins/discovery/node_json.ts";
import { runCli } from "../support/cli.ts";
import { testNode } from "../support/discovery.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** A node of another host. */
function entry(name: string, port = 8001): Record<string, unknown> {
  return { host: `${name}.test`, ip: `10.0.0.${name.charCodeAt(0)}`, port };
}

/** Writes a file of the registry as an operator would, without a lease. */
async function put(host: TestHost, name: string, contents: unknown): Promise<void> {
  await host.dir.write(`registry/web/${name}.json`, typeof contents === "string" ? contents : JSON.stringify(contents));
}

Deno.test("nodes prints a registry's nodes, and the invalid ones with reasons", async () => {
  await using host = new TestHost();
  await host.configure();
  await put(host, "b", entry("b"));
  await put(host, "a", { ...entry("a"), weight: 5, state: "drain" });
  await put(host, "c", { ...entry("c"), port: 0 });
  await put(host, "d", "no JSON");
  const { code, stdout, stderr } = await runCli(["nodes", host.configDir, "web"]);
  assert.equal(stdout, "10.0.0.97:8001 a.test state=drain weight=5\n10.0.0.98:8001 b.test\n");
  assert.match(stderr, /^Invalid node in cluster web: .*port must be an integer from 1 to 65535/m);
  assert.match(stderr, /^Invalid node in cluster web: .*not JSON/m);
  assert.equal(code, 0);
  const json = await runCli(["nodes", host.configDir, "web", "--json"]);
  const { nodes, invalid, ...rest } = JSON.parse(json.stdout);
  assert.deepEqual(rest, { cluster: "web", discovery: "file", exists: true });
  assert.deepEqual(nodes.map(({ host }: { host: string }) => host), ["a.test", "b.test"]);
  assert.equal(invalid.length, 2);
  assert.equal(json.stderr, "");
  const own = ["--others", "--host", "b.test", "--ip", "10.0.0.98"];
  const seed = await runCli(["nodes", host.configDir, "web", ...own, "--one", "--format", "{ip}:{port} {weight}"]);
  assert.equal(seed.stdout, "10.0.0.97:8001 5\n");
  const one = await runCli(["nodes", host.configDir, "web", "--one", "--format", "{host}"]);
  assert.equal(one.stdout, "b.test\n", "one that is ready comes first");
});

Deno.test("nodes combines several sources according to the cluster's file and shows which of them have a node", async () => {
  await using host = new TestHost();
  await host.configure();
  await put(host, "a", entry("a"));
  await put(host, "b", entry("b"));
  await host.write("discovery/fixed", { type: "static" });
  const listed = { discovery: ["file", { fixed: { nodes: ["10.0.0.98:8001", "10.0.0.99:8001"] } }] };
  await host.write("clusters/web", { ...listed, haproxy: {} });
  const union = await runCli(["nodes", host.configDir, "web"]);
  assert.equal(union.stderr, "");
  assert.deepEqual(union.stdout.split("\n"), [
    "10.0.0.99:8001 10.0.0.99 sources=fixed",
    "10.0.0.97:8001 a.test sources=file",
    "10.0.0.98:8001 b.test sources=file,fixed",
    "",
  ]);
  const one = await runCli(["nodes", host.configDir, "web", "--source", "fixed", "--format", "{ip}"]);
  assert.equal(one.stdout, "10.0.0.98\n10.0.0.99\n");
  await host.write("clusters/web", { ...listed, combine: "all", haproxy: {} });
  const all = await runCli(["nodes", host.configDir, "web", "--json"]);
  const { discovery, nodes } = JSON.parse(all.stdout);
  assert.deepEqual([discovery, nodes.length, nodes[0].host, nodes[0].sources], ["file, fixed", 1, "b.test", [
    "file",
    "fixed",
  ]]);
});

Deno.test("nodes distinguishes an empty cluster, a missing one, and one with only this host", async () => {
  await using host = new TestHost();
  await host.configure();
  await put(host, "a", entry("a"));
  const own = ["--others", "--host", "a.test", "--ip", "10.0.0.97"];
  const alone = await runCli(["nodes", host.configDir, "web", ...own]);
  assert.deepEqual(alone, {
    code: 1,
    stdout: "",
    stderr: "Cluster web has no nodes on other hosts in discovery/file.yaml\n",
  });
  const missing = await runCli(["nodes", host.configDir, "other"]);
  assert.deepEqual(missing, {
    code: 1,
    stdout: "",
    stderr: "No cluster other in the registry of discovery/file.yaml\n",
  });
  const few = await runCli(["nodes", host.configDir, "web", "--wait", "2", "--timeout", "5s"]);
  assert.deepEqual(few, {
    code: 1,
    stdout: "10.0.0.97:8001 a.test\n",
    stderr: "Cluster web has 1 node within 5s (--timeout), expected 2 (--wait)\n",
  });
});

Deno.test("nodes --wait prints as soon as there are enough nodes", async () => {
  await using host = new TestHost();
  await host.configure();
  await put(host, "a", entry("a"));
  await using waiting = Lighthouse.startCommand(["nodes", host.configDir, "web", "--wait", "2", "--timeout", "1m"]);
  await put(host, "b", entry("b"));
  assert.equal(await waiting.ended(), 0, waiting.log);
  assert.equal(waiting.output, "10.0.0.97:8001 a.test\n10.0.0.98:8001 b.test\n");
});

Deno.test("nodes reports an unreachable registry, never an empty list", async () => {
  await using host = new TestHost();
  await host.write("discovery/zookeeper", { hosts: [`127.0.0.1:${freePort()}`], path: "/lighthouse" });
  await host.write("discovery/etcd", { endpoints: [`127.0.0.1:${freePort()}`] });
  for (const source of ["zookeeper", "etcd"]) {
    const { code, stdout, stderr } = await runCli([
      ...["nodes", host.configDir, "web", "--source", source, "--timeout", "3s"],
    ]);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      new RegExp(
        `^Cannot read cluster web from discovery/${source}\\.yaml within 3s \\(--timeout\\): registry unreachable: .*Connection refused`,
        "m",
      ),
    );
    assert.doesNotMatch(stderr, /no nodes|no cluster/);
  }
});

Deno.test("nodes reports a mistake in the command line or in the config with what is wanted", async () => {
  await using host = new TestHost();
  await host.configure();
  const unknown = await runCli(["nodes", host.configDir, "web", "--source", "fiel"]);
  assert.deepEqual(unknown, { code: 1, stdout: "", stderr: "No valid discovery/fiel.yaml: did you mean file?\n" });
  const template = await runCli(["nodes", host.configDir, "web", "--format", "{adress}"]);
  assert.equal(template.code, 2);
  assert.match(template.stderr, /Expected "a template with fields from \{address\} .*but got "\{adress\}"/);
  await host.write("discovery/file", { path: "relative" });
  const invalid = await runCli(["nodes", host.configDir, "web", "--source", "file"]);
  assert.equal(invalid.code, 1);
  assert.match(invalid.stderr, /discovery\/file\.yaml:1:\d+: .*absolute path/);
});

Deno.test("nodes --watch prints each change in ZooKeeper, and ends on SIGTERM", async () => {
  await using zookeeper = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using host = new TestHost();
  await host.write("discovery/zookeeper", { hosts: [zookeeper.address], path: "/lighthouse" });
  const [one, two] = [8001, 8002].map((port) => `/lighthouse/web/localhost:${port}`) as [string, string];
  await kazoo.write("put", one, await kazoo.payload(8001));
  await using watch = Lighthouse.startCommand(["nodes", host.configDir, "web", "--watch", "--json"]);
  const ports = () => watch.output.trimEnd().split("\n").filter((line) => line !== "").map((line) => portsOf(line));
  await eventually("the first node is printed", () => ports().at(-1) === "8001");
  await kazoo.write("put", two, await kazoo.payload(8002));
  await eventually("the second node is printed", () => ports().at(-1) === "8001,8002");
  await kazoo.write("put", "/lighthouse/web/broken", new TextEncoder().encode("no JSON"));
  await eventually("the invalid node is printed", () => watch.output.includes("not JSON"));
  await kazoo.ask("delete", { path: one });
  await eventually("the loss is printed", () => ports().at(-1) === "8002");
  watch.kill("SIGTERM");
  assert.equal(await watch.ended(), 0);
  assert.deepEqual(ports(), ["8001", "8001,8002", "8001,8002", "8002"]);
});

/** The ports of a line of JSON. */
function portsOf(line: string): string {
  const { nodes }: { nodes: readonly { readonly port: number }[] } = JSON.parse(line);
  return nodes.map(({ port }) => port).join(",");
}

Deno.test("nodes --watch prints each change in etcd, and continues when the server is killed", async () => {
  await using host = new TestHost();
  await using etcd = await Etcd.start();
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  const value = new TextDecoder().decode(encodeNode(testNode(8001)));
  await etcd.ctl("put", "/lighthouse/services/web/one", value);
  const template = ["--format", "{port} {weight}"];
  await using watch = Lighthouse.startCommand([
    ...["nodes", host.configDir, "web", "--source", "etcd", "--watch", ...template],
  ]);
  await eventually("the first node is printed", () => watch.output === "+ 8001 \n");
  await etcd.ctl("put", "/lighthouse/services/web/two", value.replaceAll("8001", "8002"));
  await eventually("the second node is printed", () => watch.output.endsWith("+ 8002 \n"));
  await etcd.end("SIGKILL");
  await eventually(
    "the loss is reported",
    () => /etcd\.yaml: registry unreachable: .*; still watching/.test(watch.log),
  );
  await etcd.start();
  await etcd.ctl("del", "/lighthouse/services/web/one");
  await etcd.ctl(
    "put",
    "/lighthouse/services/web/two",
    JSON.stringify({ ...JSON.parse(value), port: 8002, weight: 3 }),
  );
  await eventually("the changes are printed", () => watch.output.endsWith("- 8001 \n~ 8002 3\n") || watch.output);
  assert.match(watch.log, /etcd\.yaml: connected again/);
  watch.kill("SIGTERM");
  assert.equal(await watch.ended(), 0);
});
