import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import { Serf } from "../support/serf.ts";

/** A host in service whose registry is the agent of this host. */
function stageWith(agent: Serf, config: Readonly<Record<string, unknown>> = {}): Promise<FaultStage> {
  return FaultStage.set({ registry: { type: "serf", config: { address: agent.address, refresh: 0.5, ...config } } });
}

/** Waits until so many ports are in the agent's tag. */
async function untilRegistered(agent: Serf, count: number): Promise<void> {
  await eventually(`${count} are registered`, async () => (await agent.tags()).web?.split(",").length === count);
}

Deno.test("a serf agent is killed and started again, and has forgotten all: no request fails, and every node is registered", async (t) => {
  await using agent = await Serf.start();
  await using stage = await stageWith(agent);
  const aftermath = await stage.during(async () => {
    await agent.end("SIGKILL");
    await stage.writer.event("registry.unreachable");
    await agent.start();
    await untilRegistered(agent, 3);
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("a serf agent is silent, and back: no request fails", async (t) => {
  await using agent = await Serf.start();
  await using stage = await stageWith(agent);
  const aftermath = await stage.during(async () => {
    agent.pause();
    await stage.writer.event("registry.unreachable");
    agent.resume();
    await changesReach(stage);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("a host that dies leaves HAProxy as soon as the gossip says so, and its agent's restart brings it back: no request fails", async (t) => {
  await using agent = await Serf.start();
  await using other = await Serf.start({ name: "other.test", ip: "127.0.0.2", join: [agent] });
  await using third = await Serf.start({ name: "third.test", ip: "127.0.0.3", join: [agent] });
  await using stage = await stageWith(agent);
  await agent.knows(3);
  const [port = 0] = stage.ports;
  // The instance of this host answers for the other one, so that no request can fail for want of it.
  await other.ctl("tags", "-set", `web=${port}`);
  const serving = async () => (await stage.host.serving("web")).length;
  await eventually("both hosts serve", async () => await serving() === 4);
  const aftermath = await stage.during(async () => {
    await other.end("SIGKILL");
    await eventually("the dead host has left", async () => await serving() === 3);
    await other.start();
    await other.ctl("tags", "-set", `web=${port}`);
    await eventually("it is back", async () => await serving() === 4);
    await other.end("SIGINT");
    await eventually("it has left", async () => await serving() === 3);
  });
  // Requests to the address of a host that died are repeated at another until the gossip says so.
  assertUnnoticed(t, aftermath);
  assert.ok(third.pid !== undefined);
});
