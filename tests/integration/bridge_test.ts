import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const PREFIX = "/lighthouse/services/web/";
const ENDS = ["--from", "zookeeper/web", "--to", "etcd/web"];

/** The ports of the target's nodes, sorted. */
async function portsIn(etcd: Etcd): Promise<string> {
  const keys = await etcd.keys(PREFIX);
  return keys.filter((key) => key !== PREFIX).map((key) => key.split(":").at(-1)).toSorted().join(",");
}

function znode(port: number): string {
  return `/lighthouse/web/localhost:${port}`;
}

Deno.test("bridge prints what would change and changes nothing; with --write it keeps the target in sync", async () => {
  await using zookeeper = await ZooKeeper.start();
  await using etcd = await Etcd.start();
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using host = new TestHost();
  await host.write("discovery/zookeeper", { hosts: [zookeeper.address], path: "/lighthouse" });
  await host.write("discovery/etcd", { endpoints: [etcd.address], session_timeout: 60 });
  for (const port of [8001, 8002]) await kazoo.write("put", znode(port), await kazoo.payload(port));
  const stale = JSON.stringify({ host: "old.test", ip: "127.0.0.1", port: 7001 });
  await etcd.ctl("put", `${PREFIX}old.test:7001`, stale);

  const dry = await runCli(["bridge", host.configDir, ...ENDS]);
  assert.equal(
    dry.stdout,
    "+ 127.0.0.1:8001 localhost\n+ 127.0.0.1:8002 localhost\n= 127.0.0.1:7001 old.test\n",
    dry.stderr,
  );
  assert.equal(dry.code, 0);
  assert.equal(await portsIn(etcd), "7001");

  const writing = ["bridge", host.configDir, ...ENDS, "--write", "--watch", "--remove-others"];
  await using running = Lighthouse.startCommand(writing);
  await eventually("the target has the source's nodes alone", async () => await portsIn(etcd) === "8001,8002");
  await kazoo.ask("delete", { path: znode(8001) });
  await eventually("a node that left is deregistered", async () => await portsIn(etcd) === "8002");
  await kazoo.write("put", znode(8003), await kazoo.payload(8003));
  await eventually("a new node is registered", async () => await portsIn(etcd) === "8002,8003");
  await zookeeper.kill();
  await eventually(
    "the loss is reported",
    () => /zookeeper\/web: registry unreachable: .*; still watching/.test(running.log),
  );
  assert.equal(await portsIn(etcd), "8002,8003", "an unreachable source changes nothing");
  running.kill("SIGTERM");
  assert.equal(await running.ended(), 0);
  assert.equal(await portsIn(etcd), "8002,8003", "its registrations stay for the next process");
});

Deno.test("bridge never empties its target when the source is empty", async () => {
  await using etcd = await Etcd.start();
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/etcd", { endpoints: [etcd.address] });
  const [one, two] = [8001, 8002].map((port) => host.dir.file(`registry/web/a.test:${port}.json`)) as [string, string];
  for (const [path, port] of [[one, 8001], [two, 8002]] as const) {
    await host.dir.write(
      path.slice(host.dir.path.length + 1),
      JSON.stringify({ host: "a.test", ip: "127.0.0.1", port }),
    );
  }
  const ends = ["--from", "file/web", "--to", "etcd/web"];
  await using running = Lighthouse.startCommand(["bridge", host.configDir, ...ends, "--write", "--watch"]);
  await eventually("the target has both nodes", async () => await portsIn(etcd) === "8001,8002");
  await Deno.remove(one);
  await eventually("the node that left is deregistered", async () => await portsIn(etcd) === "8002");
  await Deno.remove(two);
  await eventually("the guard holds the loss", () => running.log.includes("cluster.held"));
  await eventually("the empty source is reported", () => running.output.includes("etcd/web unchanged"));
  assert.equal(await portsIn(etcd), "8002");
});

Deno.test("bridge reports an unreachable registry and an impossible command line", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/etcd", { endpoints: [`127.0.0.1:${freePort()}`] });
  const ends = ["--from", "etcd/web", "--to", "file/web"];
  const unreachable = await runCli(["bridge", host.configDir, ...ends, "--timeout", "3s"]);
  assert.equal(unreachable.code, 1);
  assert.match(unreachable.stderr, /Cannot read etcd\/web within 3s \(--timeout\): registry unreachable: .*refused/);
  const once = await runCli(["bridge", host.configDir, ...ends, "--write"]);
  assert.equal(once.code, 2);
  assert.match(once.stderr, /--write requires --watch/);
  const itself = await runCli(["bridge", host.configDir, "--from", "file/web", "--to", "file/web"]);
  assert.equal(itself.code, 2);
  await host.write("discovery/list", { type: "static" });
  const unwritable = await runCli(["bridge", host.configDir, "--from", "file/web", "--to", "list/web"]);
  assert.equal(unwritable.code, 1);
  assert.match(unwritable.stderr, /cannot register/);
});
