import assert from "node:assert/strict";
import type { DiscoverySession, Node } from "../../mod.ts";
import { FileSession } from "../../plugins/discovery/file/session.ts";
import { LighthouseSession } from "../../plugins/discovery/lighthouse/session.ts";
import { ZooKeeperSession } from "../../plugins/discovery/zookeeper/session.ts";
import { TestStore } from "../store/stage.ts";
import { RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** A registry, and how to open a session of another host at it. */
interface Registry extends AsyncDisposable {
  open(): Promise<DiscoverySession>;
  /** Waits until a session has noticed the loss of a node, where it is not notified at once. */
  lost?(session: DiscoverySession): Promise<void>;
}

async function zookeeper(): Promise<Registry> {
  const server = await ZooKeeper.start();
  return {
    open: () => {
      const options = { hosts: [server.address], path: "/services", sessionTimeoutMs: 2_000, acl: "open" } as const;
      return Promise.resolve(new ZooKeeperSession(options as never, new RecordingContext()));
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function store(): Promise<Registry> {
  const server = await TestStore.start();
  const hosts = [`127.0.0.1:${server.server.address.port}`];
  const contexts = new Map<DiscoverySession, RecordingContext>();
  return {
    async open() {
      const context = new RecordingContext();
      const session = await LighthouseSession.open({ hosts, path: ["services"], ttlMs: 2_000 } as never, context);
      contexts.set(session, context);
      return session;
    },
    // A store reports the loss of a node with the next renewal of the lease.
    async lost(session) {
      const lines = contexts.get(session)?.lines ?? [];
      await eventually(
        "the loss is noticed",
        () => lines.some((line) => line.includes("taken over by another session")),
      );
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function directory(): Promise<Registry> {
  const dir = new TempDir();
  return Promise.resolve({
    open: () => FileSession.open({ path: dir.file("registry"), ttlMs: 2_000 }, new RecordingContext()),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  });
}

Deno.test.each([
  { what: "ZooKeeper", start: zookeeper },
  { what: "a store", start: store },
  { what: "a directory", start: directory },
])("two hosts that register the same node in $what log each other's address", async ({ start }) => {
  await using registry = await start();
  await using one = await registry.open();
  await using two = await registry.open();
  const at = (ip: string): Node => ({ ...testNode(8000), ip });
  const register = (session: DiscoverySession, ip: string) => session.register?.("web", up(at(ip)), soon());
  assert.equal(await register(one, "10.0.0.1"), undefined);
  assert.equal(await register(one, "10.0.0.1"), undefined, "its own node is taken from nobody");
  await register(two, "10.0.0.2");
  await registry.lost?.(one);
  assert.deepEqual(await register(one, "10.0.0.1"), { takenFrom: "10.0.0.2" });
  await registry.lost?.(two);
  assert.deepEqual(await register(two, "10.0.0.2"), { takenFrom: "10.0.0.1" });
  await two.deregisterOwn?.("web", up(at("10.0.0.2")), soon());
  await one.deregisterOwn?.("web", up(at("10.0.0.1")), soon());
  // The same host with another session: a restart, not another host.
  assert.equal(await register(one, "10.0.0.1"), undefined);
  assert.equal(await register(two, "10.0.0.1"), undefined);
});
