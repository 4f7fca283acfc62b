import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { kill } from "../support/haproxy.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** Writes a service that a host offers and its cluster; returns the port of the cluster. */
async function offer(
  host: TestHost,
  name: string,
  { port: servicePort }: WebService,
  discovery = "file",
): Promise<{ readonly port: number; readonly cluster: Record<string, unknown> }> {
  const port = freePort();
  const checks = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 2 } };
  const cluster = { discovery, haproxy: { port, backend: ["mode http"] } };
  await host.write(`services/${name}`, { discovery, port: servicePort, checks });
  await host.write(`clusters/${name}`, cluster);
  return { port, cluster };
}

/** A host whose cluster was served once, and whose registry, HAProxy and writer have since ended. */
class Aftermath implements AsyncDisposable {
  private constructor(
    readonly host: TestHost,
    readonly web: WebService,
    readonly port: number,
    readonly zookeeper: ZooKeeper,
    readonly stack: AsyncDisposableStack,
  ) {}

  static async of(): Promise<Aftermath> {
    await using stack = new AsyncDisposableStack();
    const host = stack.use(new TestHost());
    const web = stack.use(new WebService());
    const zookeeper = stack.use(await ZooKeeper.start());
    await host.write("balancers/haproxy", host.haproxy.file);
    await host.write("discovery/zookeeper", { hosts: [zookeeper.address], path: "/lighthouse/services" });
    const { port } = await offer(host, "web", web, "zookeeper");
    {
      await using run = Lighthouse.start("run", host.configDir);
      await host.untilServing("web", [web.port]);
      await eventually("the members are on disk", async () => (await readTopology(host)).includes('"peer"'));
      run.kill("SIGKILL");
      await run.ended();
    }
    await zookeeper.kill();
    for (const pid of host.haproxy.processes()) kill(pid);
    await eventually("HAProxy is gone", () => host.haproxy.processes().length === 0);
    return new Aftermath(host, web, port, zookeeper, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.disposeAsync();
  }
}

async function readTopology(host: TestHost): Promise<string> {
  return await Deno.readTextFile(`${host.haproxy.configFile}.topology`);
}

Deno.test("a writer that starts with only the last known good members serves them while the registry is unreachable", async () => {
  await using after = await Aftermath.of();
  const { host, web } = after;
  await Deno.remove(host.haproxy.configFile);
  await using writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [web.port]);
  const answer = await fetch(`http://127.0.0.1:${after.port}/`);
  assert.equal(await answer.text(), `hello from ${web.port}\n`);
  assert.equal(writer.count("registry.connected"), 0, writer.log);

  assert.match(await readTopology(host), /"peer":\{/, "the peer of a node is kept");
});

Deno.test("a truncated topology file is logged and ignored, and rewritten once the registry responds", async () => {
  await using after = await Aftermath.of();
  const { host, web } = after;
  const file = `${host.haproxy.configFile}.topology`;
  await Deno.truncate(file, 60);
  await using writer = Lighthouse.start("writer", host.configDir);
  await writer.event("last_known.unusable", { reason: /^checksum mismatch/ });
  // The balancer's own file has them, too.
  await host.untilServing("web", [web.port]);
  await after.zookeeper.start();
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  await eventually("the file is whole again", async () => (await readTopology(host)).includes('"peer":{'));
});

Deno.test("a cluster is edited, and HAProxy and the writer are killed, while the registry is unreachable: all members stay", async () => {
  await using after = await Aftermath.of();
  const { host, web } = after;
  await using stack = new AsyncDisposableStack();
  let writer = stack.use(Lighthouse.start("writer", host.configDir));
  await host.untilServing("web", [web.port]);
  let port = after.port;
  const edit = () => {
    port = freePort();
    return host.write("clusters/web", { discovery: "zookeeper", haproxy: { port, backend: ["mode http"] } });
  };
  const restart = async () => {
    writer.kill("SIGKILL");
    await writer.ended();
    writer = stack.use(Lighthouse.start("writer", host.configDir));
  };
  const untilServed = async () => {
    await eventually("it is served at its port of now", async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      return await answer.text() === `hello from ${web.port}\n`;
    });
    await host.untilServing("web", [web.port]);
  };
  const killHaproxy = () => {
    for (const pid of host.haproxy.processes()) kill(pid);
  };
  // In each order of the three.
  await edit();
  killHaproxy();
  await restart();
  await untilServed();
  killHaproxy();
  await edit();
  await untilServed();
  await restart();
  await edit();
  killHaproxy();
  await untilServed();
  // Even a cluster that is removed for a while, with its part of the file, is kept.
  await host.remove("clusters/web");
  await eventually(
    "its part is gone",
    async () => !(await Deno.readTextFile(host.haproxy.configFile)).includes("backend web"),
  );
  await restart();
  await edit();
  await untilServed();
  assert.equal(writer.count("registry.connected"), 0, writer.log);
});

Deno.test("a pipe in place of the topology file is logged, and causes no delay", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  const pipe = host.dir.file("pipe");
  assert((await new Deno.Command("mkfifo", { args: [pipe] }).output()).success);
  await host.write("lighthouse", { topology_file: pipe });
  await offer(host, "web", web);
  await using run = Lighthouse.start("run", host.configDir);
  await host.untilServing("web", [web.port]);
  await run.event("last_known.unusable", { reason: "not a regular file" });
});

Deno.test("a writer that starts with an invalid file or a missing directory leaves the running cluster unchanged until the problem is fixed", async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await using api = new WebService();
  await host.configure();
  const { port, cluster } = await offer(host, "web", web);
  await using _reporter = Lighthouse.start("reporter", host.configDir);
  const served = async () => {
    await host.untilServing("web", [web.port]);
    await (await fetch(`http://127.0.0.1:${port}/`)).body?.cancel();
  };
  {
    await using _writer = Lighthouse.start("writer", host.configDir);
    await served();
  }
  const pid = await host.haproxy.pid();
  const file = `${host.configDir}/clusters/web.yaml`;
  for (
    const [harm, mend] of [
      [() => Deno.truncate(file), () => host.write("clusters/web", cluster)],
      [
        () => Deno.rename(`${host.configDir}/clusters`, `${host.configDir}/away`),
        () => Deno.rename(`${host.configDir}/away`, `${host.configDir}/clusters`),
      ],
    ] as const
  ) {
    await harm();
    await using writer = Lighthouse.start("writer", host.configDir);
    await writer.event("balancer.clusters_kept", { clusters: "web" });
    await served();
    await mend();
    await writer.event("config.applied", { clusters: 1 });
    await served();
  }
  assert.equal(await host.haproxy.pid(), pid, "nothing took a reload");
  // New clusters wait until it is known whether the old one is to stay.
  await Deno.truncate(file);
  await offer(host, "api", api);
  await using writer = Lighthouse.start("writer", host.configDir);
  await writer.event("balancer.clusters_kept", { clusters: "web" });
  await Deno.remove(file);
  await host.untilServing("api", [api.port]);
  await writer.event("balancer.reloaded", { reason: /cluster web is gone/ });
});
