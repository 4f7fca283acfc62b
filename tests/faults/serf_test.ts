import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import { Serf } from "../support/serf.ts";

/** A host in service with this host's agent as its registry. */
function stageWith(agent: Serf, config: Readonly<Record<string, unknown>> = {}): Promise<FaultStage> {
  return FaultStage.set({ registry: { type: "serf", config: { address: agent.address, refresh: 0.5, ...config } } });
}

/** Waits until this many ports are in the agent's tag. */
async function untilRegistered(agent: Serf, count: number): Promise<void> {
  await eventually(`${count} are registered`, async () => (await agent.tags()).web?.split(",").length === count);
}

Deno.test("a serf agent is killed and restarted without state: no request fails, and every node is registered", async (t) => {
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

Deno.test("a serf agent is silent, then responds again: no request fails", async (t) => {
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

Deno.test("a dead host is removed from HAProxy as soon as gossip reports it, and returns with its agent: no request fails", async (t) => {
  await using agent = await Serf.start();
  await using other = await Serf.start({ name: "other.test", ip: "127.0.0.2", join: [agent] });
  await using third = await Serf.start({ name: "third.test", ip: "127.0.0.3", join: [agent] });
  await using stage = await stageWith(agent);
  await agent.knows(3);
  const [port = 0] = stage.ports;
  // This host's instance answers for the other one, so that no request can fail for lack of it.
  await other.ctl("tags", "-set", `web=${port}`);
  const serving = async () => (await stage.host.serving("web")).length;
  await eventually("both hosts serve", async () => await serving() === 4);
  const aftermath = await stage.during(async () => {
    await other.end("SIGKILL");
    await eventually("the dead host is removed", async () => await serving() === 3);
    await other.start();
    await other.ctl("tags", "-set", `web=${port}`);
    await eventually("the host is served again", async () => await serving() === 4);
    await other.end("SIGINT");
    await eventually("the host is removed", async () => await serving() === 3);
  });
  // Until gossip reports a dead host, requests to its address are retried at another.
  assertUnnoticed(t, aftermath);
  assert.ok(third.pid !== undefined);
});
