/**
 * A cluster whose `discovery` is a list of registries, and the faults of each.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "./cli.ts";
import { assertUnnoticed, changesReach, FaultStage } from "./fault_stage.ts";
import { faultyEtcd, type FaultyRegistry, faultySerf, faultyStore, faultyZooKeeper } from "./faulty_registry.ts";
import type { LoggedEvent } from "./logged_events.ts";

/**
 * Asserts that clients see no error while a registry and an etcd beside it are each killed, paused and
 * partitioned, one after the other. Gossip has none of the registry's names, so
 * beside it `combine` is `all`: both must have a node.
 */
export async function survivesFaultsOfEach(
  { name, combine, t }: {
    readonly name: ListedRegistry;
    readonly combine: "all" | "union";
    readonly t: Deno.TestContext;
  },
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const members = { [`first-${name}`]: await MEMBERS[name](stack), other: await MEMBERS.etcd(stack) };
  const registries = Object.fromEntries(
    Object.entries(members).map(([at, { type, file }]) => [at, { type, ...file() }]),
  );
  await using stage = await FaultStage.set({ registries, cluster: { combine } });
  const aftermath = await stage.during(async () => {
    for (const [at, member] of Object.entries(members)) {
      let connected: LoggedEvent | undefined;
      const survives = async (fault: () => void | Promise<void>, end: () => void | Promise<void>) => {
        await fault();
        const gone = await untilUnreachable(stage, at, connected);
        await stage.host.untilServing("web", stage.ports);
        await end();
        connected = await stage.writer.event("registry.connected", { worker: `discovery ${at}` }, { after: gone });
        await changesReach(stage);
        // One fault at a time: the next one begins when this registry has all nodes again.
        const all = ["--wait", String(stage.ports.length), "--timeout", "60s"];
        const { code, stderr } = await runCli(["nodes", stage.host.configDir, "web", "--source", at, ...all]);
        assert.equal(code, 0, stderr);
      };
      await survives(member.kill, member.start);
      await survives(member.stop, member.goOn);
      await survives(() => member.proxy.pause(), () => member.proxy.resume());
    }
  });
  assertUnnoticed(t, aftermath);
}

/** A discovery file for an etcd. */
export function etcdFile(address: string): Readonly<Record<string, unknown>> {
  return { type: "etcd", endpoints: [address], session_timeout: 2 };
}

/** Waits until the writer reports a registry as unreachable, later than its last report as connected. */
export async function untilUnreachable(
  { writer }: FaultStage,
  discovery: string,
  after?: LoggedEvent,
): Promise<LoggedEvent> {
  return await writer.event("registry.unreachable", { worker: `discovery ${discovery}` }, after && { after });
}

/** A registry that may be named in a list. */
type ListedRegistry = "etcd" | "lighthouse" | "serf" | "zookeeper";

/** How each is started. */
const MEMBERS: Readonly<Record<ListedRegistry, (stack: AsyncDisposableStack) => Promise<FaultyRegistry>>> = {
  etcd: faultyEtcd,
  lighthouse: faultyStore,
  serf: faultySerf,
  zookeeper: faultyZooKeeper,
};
