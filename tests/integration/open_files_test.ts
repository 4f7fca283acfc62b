/**
 * The daemon under a low limit of open files, with the flags that users run it
 * with: the number of workers is limited, and no plugin starves the rest.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { ANNOUNCED, Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { attackerText } from "../support/sandbox.ts";
import { isSilent, ScriptedServer } from "../support/scripted_server.ts";

/** Starts a program with this limit of open files. */
const withOpenFiles = (limit: number) => ({ within: ["sh", "-c", `ulimit -n ${limit}; exec "$@"`, "sh"] });

/** Writes a service of one port with a check of its own. */
async function writeService(host: TestHost, name: string, port: number): Promise<void> {
  await host.write(`services/${name}`, {
    discovery: "file",
    port,
    checks: { interval: 0.5, http: { uri: "/health", rise: 1, fall: 1, timeout: 10 } },
  });
}

Deno.test("with more checks than open files, running checks continue, the others report the setting to change, and no node is deregistered", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  const names = Array.from({ length: 20 }, (_, i) => `service${i}`);
  for (const name of names) await writeService(host, name, service.port);
  await using reporter = Lighthouse.start("reporter", host.configDir, [], withOpenFiles(256));
  const isRegistered = async (name: string) => {
    try {
      return (await Deno.stat(`${host.registryDir}/${name}/${ANNOUNCED.host}:${service.port}.json`)).isFile;
    } catch {
      return false;
    }
  };
  const registered = async () => (await Promise.all(names.map(isRegistered))).filter((is) => is).length;
  await eventually("all 20 are registered", async () => await registered() === 20).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
  for (let i = 20; i < 40; i++) await writeService(host, `service${i}`, service.port);
  await reporter.logged(
    /Cannot start a worker; retrying.*Cannot start another worker: \d+ of 256 file descriptors .*LimitNOFILE .*isolation: shared/,
  );
  for (let round = 0; round < 5; round++) {
    const { probes } = service;
    await eventually("those that run are probed", () => service.probes > probes + 20);
    assert.equal(await registered(), 20, reporter.log);
  }
  assert.doesNotMatch(reporter.log, /panicked|Deregistered|os error 24/);
  await host.write("lighthouse", { isolation: "shared" });
  await eventually("all 40 are registered in shared workers", async () => {
    const all = Array.from({ length: 40 }, (_, i) => isRegistered(`service${i}`));
    return (await Promise.all(all)).every((is) => is);
  }).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
});

Deno.test("a plugin that leaks all its connections, in twelve workers, does not affect other plugins", async () => {
  await using host = new TestHost();
  await using service = new WebService();
  await using sink = new ScriptedServer(isSilent);
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("discovery/file", { path: host.registryDir, ttl: 5 });
  await writeService(host, "good", service.port);
  await host.dir.write(
    "config/keeps.ts",
    attackerText({
      top: "const kept = [];",
      probe: `const [hostname, port] = target.split(":");
        for (;;) kept.push(await Deno.connect({ hostname, port: Number(port) }));`,
    }),
  );
  await host.write("plugins", { checks: { keeps: { url: "keeps.ts" } } });
  for (let i = 0; i < 12; i++) {
    await host.write(`services/keeps${i}`, {
      discovery: "file",
      port: sink.port,
      checks: { interval: 1, keeps: { rise: 1, fall: 1, timeout: 10 } },
    });
  }
  await using reporter = Lighthouse.start("reporter", host.configDir, [], withOpenFiles(256));
  const file = `${host.registryDir}/good/${ANNOUNCED.host}:${service.port}.json`;
  await eventually("the good service is registered", async () => (await Deno.stat(file)).isFile).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
  await reporter.logged(/check=keeps reason="Cannot probe: the plugin has too many open/);
  await reporter.logged(/worker="check keeps.*Cannot start another worker: .*reserved for plugins.*LimitNOFILE/);
  for (let round = 0; round < 5; round++) {
    const { probes } = service;
    await eventually("the good service is probed on", () => service.probes > probes + 5);
    assert.ok((await Deno.stat(file)).isFile);
  }
  assert.doesNotMatch(reporter.log, /panicked|Deregistered|os error 24/);
});
