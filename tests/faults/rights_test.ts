import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, changesReach, FaultStage } from "../support/fault_stage.ts";
import {
  faultySerf,
  faultyStore,
  faultyZooKeeper,
  guardedEtcdV2,
  type GuardedRegistry,
} from "../support/faulty_registry.ts";

/** What is revoked, and the registry's error. */
interface Denial {
  readonly name: string;
  readonly what: string;
  readonly make: (stack: AsyncDisposableStack) => Promise<GuardedRegistry>;
  readonly reason: RegExp;
  /** Whether leases expire meanwhile: a ZooKeeper session needs no permission to be kept. */
  readonly endsLeases: boolean;
}

const DENIALS: readonly Denial[] = [
  { name: "zookeeper", what: "permissions of the znode", make: faultyZooKeeper, reason: /no auth/, endsLeases: false },
  {
    name: "etcd by API 2",
    what: "permissions of a client certificate's role",
    make: guardedEtcdV2,
    reason: /Insufficient credentials/,
    endsLeases: true,
  },
  { name: "lighthouse", what: "the token", make: faultyStore, reason: /401/, endsLeases: true },
  { name: "serf", what: "the agent's key", make: faultySerf, reason: /Invalid authentication token/, endsLeases: true },
];

Deno.test.each(DENIALS)(
  "$name: $what revoked until leases have expired, then granted again: no request fails",
  async ({ make, reason, endsLeases }, t) => {
    await using stack = new AsyncDisposableStack();
    const registry = await make(stack);
    await using stage = await FaultStage.set({ registry: { type: registry.type, config: registry.file() } });
    const aftermath = await stage.during(async () => {
      await registry.revoke();
      // Everything known is read again, or cannot be.
      registry.proxy.cut();
      const [first] = stage.services;
      assert.ok(first !== undefined);
      first.healthy = false;
      await stage.reporter.event("registration.failed", { reason });
      if (endsLeases) await eventually("all leases have ended", async () => await registry.registered() === 0);
      await stage.host.untilServing("web", stage.ports);
      await registry.grant();
      await stage.host.untilServing("web", stage.ports.slice(1));
      first.healthy = true;
      await stage.host.untilServing("web", stage.ports);
      await eventually("all are registered", async () => await registry.registered() === 3);
      await changesReach(stage);
    });
    assertUnnoticed(t, aftermath);
  },
);
