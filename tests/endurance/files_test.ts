import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, FaultStage } from "../support/fault_stage.ts";

/** The number of files added at once, and of services among them, each in a cluster of its own. */
const FILES = 5_000, SERVICES = 500;

/** The deadline, long enough for a machine with thirty times the load it can handle: the test is not about speed. */
const FILES_DEADLINE_MS = 600_000;

Deno.test(`${FILES} config files are added at once: no request fails, members leave meanwhile, and all clusters are served`, async (t) => {
  const clusters = FILES - SERVICES;
  let ready = "";
  await using stage = await FaultStage.set({
    prepare: (host) => {
      ready = host.dir.file("ready");
      writeAll(ready, clusters);
      return Promise.resolve();
    },
  });
  const { host } = stage;
  // Longer leases than two seconds, so that hundreds of nodes need few renewals.
  await host.write("discovery/file", { path: host.registryDir, ttl: 60 });
  const aftermath = await stage.during(async () => {
    // A separate process writes them, so that this one's traffic continues.
    const { success } = await new Deno.Command("cp", { args: ["-r", `${ready}/.`, host.configDir] }).output();
    assert(success);
    stage.services[0]!.healthy = false;
    await eventually("a member leaves meanwhile", async () => {
      return (await host.serving("web")).length === stage.ports.length - 1;
    }, { deadlineMs: FILES_DEADLINE_MS, everyMs: 100 });
  }, async () => {
    await eventually("all are served", async () => {
      const [backends = "", servers = ""] = await host.haproxy.ask("show backend", "show servers state");
      const seen = {
        clusters: backends.split("\n").filter((name) => /^c[0-9]+$/.test(name.trim())).length,
        services: servers.split("\n").filter((row) => / c[0-9]+ .* 2 0 /.test(row)).length,
      };
      assert.deepEqual(seen, { clusters, services: SERVICES });
      return true;
    }, { deadlineMs: FILES_DEADLINE_MS, everyMs: 200 });
  });
  assertUnnoticed(t, aftermath);
});

/** Writes all files into a new directory. */
function writeAll(configDir: string, clusters: number): void {
  for (const folder of ["clusters", "services"]) Deno.mkdirSync(`${configDir}/${folder}`, { recursive: true });
  for (let i = 0; i < clusters; i++) {
    Deno.writeTextFileSync(`${configDir}/clusters/c${i}.yaml`, "discovery: file\nhaproxy: {}\n");
    if (i >= SERVICES) continue;
    const service = `discovery: file\nport: ${20_000 + i}\nchecks: { interval: 1 }\n`;
    Deno.writeTextFileSync(`${configDir}/services/c${i}.yaml`, service);
  }
}
