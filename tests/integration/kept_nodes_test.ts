/**
 * Faults that end or crowd a reporter without meaning anything for its services:
 * they stay registered. Real processes, with the flags of the tasks.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { ANNOUNCED, Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";

const PLANTED = new URL("../support/planted_fault.ts", import.meta.url).pathname;

/** A host with one service that is registered while its check passes; returns where its node is. */
async function configure(host: TestHost, service: WebService): Promise<string> {
  await host.write("discovery/file", { path: host.registryDir, ttl: 60 });
  await host.write("services/web", {
    discovery: "file",
    port: service.port,
    checks: { interval: 0.2, http: { uri: "/health", rise: 1, fall: 1 } },
  });
  return `${host.registryDir}/web/${ANNOUNCED.host}:${service.port}.json`;
}

async function untilRegistered(node: string, reporter: Lighthouse): Promise<void> {
  await eventually("the node is registered", async () => (await Deno.stat(node)).isFile).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
}

Deno.test("exit 70 keeps the nodes registered, and the next process takes them over", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  const node = await configure(host, service);
  await using reporter = Lighthouse.start("reporter", host.configDir, [], { preload: PLANTED });
  await untilRegistered(node, reporter);
  const ownerOf = async () => JSON.parse(await Deno.readTextFile(node)).owner;
  const owner = await ownerOf();
  reporter.kill("SIGUSR2");
  assert.equal(await reporter.ended(), 70, reporter.log);
  assert.match(reporter.log, /event=process\.failed.*a planted fault/);
  assert.equal(await ownerOf(), owner, "the node is there, as it was");
  await using successor = Lighthouse.start("reporter", host.configDir);
  await eventually("the successor has the node", async () => await ownerOf() !== owner).catch((error) => {
    throw new Error(`${error.message}\n${successor.log}`);
  });
});

Deno.test("a reporter keeps its services registered while idle connections flood its status", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  const node = await configure(host, service);
  const port = freePort();
  await using reporter = Lighthouse.start("reporter", host.configDir, [`--status=127.0.0.1:${port}`], {
    within: ["sh", "-c", 'ulimit -n 256; exec "$0" "$@"'],
  });
  await untilRegistered(node, reporter);
  const removals: string[] = [];
  using watcher = Deno.watchFs(`${host.registryDir}/web`);
  const watching = (async () => {
    for await (const { kind, paths } of watcher) if (kind === "remove" && paths.includes(node)) removals.push(...paths);
  })();
  await using flood = new AsyncDisposableStack();
  const connect = async () => {
    const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
    flood.defer(() => connection.close());
  };
  await Promise.allSettled(Array.from({ length: 400 }, connect));
  const before = service.probes;
  await eventually("the check goes on beside them", () => service.probes > before + 5).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
  const status = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(60_000) });
  assert.equal((await status.json()).status, "ok");
  assert.ok((await Deno.stat(node)).isFile);
  watcher.close();
  await watching;
  assert.deepEqual(removals, []);
  assert.doesNotMatch(reporter.log, /event=check\.down|too many open files/i);
});
