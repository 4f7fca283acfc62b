import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import type { LoggedEvent } from "../support/logged_events.ts";
import { faultyEtcd, type FaultyRegistry, faultySerf, faultyStore } from "../support/faulty_registry.ts";

const REGISTRIES: readonly {
  readonly name: string;
  readonly what: string;
  readonly make: (stack: AsyncDisposableStack) => Promise<FaultyRegistry>;
  /** Whether its process is suspended first: for the others, other test files do that. */
  readonly isStopped: boolean;
  /** Whether leases expire meanwhile: the tags of an agent last as long as the agent. */
  readonly endsLeases: boolean;
}[] = [
  { name: "etcd", what: "partitioned", make: faultyEtcd, isStopped: false, endsLeases: true },
  {
    name: "etcd by API 2",
    what: "silent, then partitioned",
    make: (stack) => faultyEtcd(stack, { api: "v2" }),
    isStopped: true,
    endsLeases: true,
  },
  { name: "lighthouse", what: "silent, then partitioned", make: faultyStore, isStopped: true, endsLeases: true },
  { name: "serf", what: "partitioned", make: faultySerf, isStopped: false, endsLeases: false },
];

Deno.test.each(REGISTRIES)(
  "$name is $what until its leases have expired: no request fails, and every node is registered again",
  async ({ make, isStopped, endsLeases }, t) => {
    await using stack = new AsyncDisposableStack();
    const registry = await make(stack);
    await using stage = await FaultStage.set({ registry: { type: registry.type, config: registry.file() } });
    let back: LoggedEvent | undefined;
    const befalls = async (fault: () => void, end: () => void, meanwhile = () => Promise.resolve()) => {
      fault();
      const gone = await stage.writer.event("registry.unreachable", {}, back && { after: back });
      await meanwhile();
      await stage.host.untilServing("web", stage.ports);
      end();
      back = await stage.writer.event("registry.connected", {}, { after: gone });
      await eventually("all are registered", async () => await registry.registered() === 3);
      await changesReach(stage);
    };
    const aftermath = await stage.during(async () => {
      if (isStopped) await befalls(() => registry.stop(), () => registry.goOn());
      await befalls(() => registry.proxy.pause(), () => registry.proxy.resume(), async () => {
        if (endsLeases) await eventually("all leases have ended", async () => await registry.registered() === 0);
      });
    });
    assertUnnoticed(t, aftermath);
  },
);
