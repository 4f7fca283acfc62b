/**
 * Follows docs/moving.md under traffic: the files of its steps, in order.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { FaultStage } from "../support/fault_stage.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const PAGE = new URL("../../docs/moving.md", import.meta.url);

/** An edit of a step. */
interface Edit {
  readonly folder: "services" | "clusters";
  /** The value of `discovery` after it. */
  readonly discovery: string | readonly string[];
}

/** The edits shown in a section of the page. */
async function editsOf(heading: string): Promise<readonly Edit[]> {
  const page = await Deno.readTextFile(PAGE);
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? assert.fail(heading);
  return [...section.matchAll(/^ *```yaml\n *# (services|clusters)\/webapp\.yaml\n([^]*?)^ *```$/gm)].map(
    ([, folder, text = ""]) => ({ folder: folder as Edit["folder"], discovery: parse(text).discovery }),
  );
}

/** The ports in a registry, according to the page's own command. */
async function portsIn(registry: string, { host }: FaultStage): Promise<readonly number[]> {
  const { stdout } = await runCli(["nodes", host.configDir, "web", "--source", registry, "--format", "{port}"]);
  return stdout.split("\n").filter((line) => line !== "").map(Number).toSorted();
}

/** Edits one key of a file of the config directory. */
async function edit({ host }: FaultStage, file: string, change: Readonly<Record<string, unknown>>): Promise<void> {
  const before = JSON.parse(await Deno.readTextFile(`${host.configDir}/${file}.yaml`));
  await host.write(file, { ...before, ...change });
}

Deno.test.each(["Producers first", "Consumers first"])(
  "a service moves from ZooKeeper to etcd without a dropped request: $0",
  async (heading) => {
    await using zookeeper = await ZooKeeper.start();
    await using etcd = await Etcd.start();
    const files = {
      zookeeper: { hosts: [zookeeper.address], path: "/lighthouse/services", session_timeout: 4 },
      etcd: { endpoints: [etcd.address], session_timeout: 2 },
    };
    const before = { discovery: "zookeeper" };
    await using stage = await FaultStage.set({ registries: files, cluster: before, service: before });
    const edits = await editsOf(heading);
    assert.ok(edits.length >= 3, "the page has steps");
    const aftermath = await stage.during(async () => {
      for (const { folder, discovery } of edits) {
        await edit(stage, `${folder}/web`, { discovery });
        if (folder === "services") {
          const named = [discovery].flat();
          for (const registry of ["zookeeper", "etcd"] as const) {
            const wanted = named.includes(registry) ? stage.ports.toSorted() : [];
            await eventually(
              `${registry} has ${wanted}`,
              async () => JSON.stringify(await portsIn(registry, stage)) === JSON.stringify(wanted),
            );
          }
        } else await stage.writer.event("config.applied");
        await stage.host.untilServing("web", stage.ports);
        // A change reaches HAProxy at each step.
        stage.services[0]!.healthy = false;
        await stage.host.untilServing("web", stage.ports.slice(1));
        stage.services[0]!.healthy = true;
        await stage.host.untilServing("web", stage.ports);
      }
      // No file names it any more.
      await zookeeper.stop();
      stage.services[1]!.healthy = false;
      await stage.host.untilServing("web", stage.ports.toSpliced(1, 1));
      stage.services[1]!.healthy = true;
      await stage.host.untilServing("web", stage.ports);
    });
    // deno-lint-ignore no-console -- the count is the point of the test
    console.log(`moving, ${heading}: ${aftermath.sent} requests, ${aftermath.failed} failed`);
    assert.equal(aftermath.failed, 0, aftermath.reasons.join("\n"));
  },
);
