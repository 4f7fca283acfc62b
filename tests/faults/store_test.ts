import assert from "node:assert/strict";
import { StoreProcess } from "../store/process.ts";
import { eventually } from "../support/eventually.ts";
import { FaultStage } from "../support/fault_stage.ts";
import { freePort } from "../support/free_port.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A store that listens: a process of its own, which a test may kill and restart. */
async function start(dir: string, address: string, ...more: readonly string[]): Promise<StoreProcess> {
  const store = new StoreProcess(["--data.d", dir, "--bind", address, ...more]);
  await store.event("store.listening");
  return store;
}

async function kill(store: StoreProcess): Promise<void> {
  store.kill("SIGKILL");
  await store.ended();
}

/** Waits until a store has this many nodes of the stage. */
async function untilRegistered(address: string, count: number): Promise<void> {
  await eventually(`${count} are registered at ${address}`, async () => {
    const response = await fetch(`http://${address}/data/lighthouse/services/web`);
    return Object.keys(await response.json()).length === count;
  });
}

Deno.test("a store is killed and restarted: no request fails, and every node is registered", async () => {
  await using dir = new TempDir("lighthouse-store-");
  const address = `127.0.0.1:${freePort()}`;
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await start(dir.path, address, "--bootstrap"));
  await using stage = await FaultStage.set({ store: { hosts: [address], ttl: 3 } });
  const { failed, reasons, sent } = await stage.during(async () => {
    await kill(store);
    await stage.writer.event("registry.unreachable");
    stack.use(await start(dir.path, address, "--bootstrap"));
    await untilRegistered(address, 3);
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
  });
  assert.deepEqual({ failed, reasons }, { failed: 0, reasons: [] });
  assert.ok(sent > 100);
});

Deno.test("a store returns without its data: no request fails, and every node is registered again", async () => {
  await using dir = new TempDir("lighthouse-store-");
  const address = `127.0.0.1:${freePort()}`;
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await start(dir.file("first"), address, "--bootstrap"));
  await using stage = await FaultStage.set({ store: { hosts: [address], ttl: 3 } });
  const { failed, reasons } = await stage.during(async () => {
    await kill(store);
    stack.use(await start(dir.file("second"), address, "--bootstrap"));
    await untilRegistered(address, 3);
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
  });
  assert.deepEqual({ failed, reasons }, { failed: 0, reasons: [] });
});

Deno.test("one of two instances is killed, then silent, then returns: no request fails", async () => {
  await using dir = new TempDir("lighthouse-store-");
  await using stack = new AsyncDisposableStack();
  const hosts = [freePort(), freePort()].map((port) => `127.0.0.1:${port}`);
  const [first = "", second = ""] = hosts;
  const one = stack.use(await start(dir.file("one"), first, "--bootstrap"));
  const two = stack.use(await start(dir.file("two"), second, "--seeds", first));
  await using stage = await FaultStage.set({ store: { hosts, ttl: 3 } });
  const { failed, reasons } = await stage.during(async () => {
    await untilRegistered(second, 3);
    await kill(one);
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
    const again = stack.use(await start(dir.file("one"), first, "--seeds", second));
    await untilRegistered(first, 2);
    two.kill("SIGSTOP");
    stage.services[0]!.healthy = true;
    await stage.host.untilServing("web", stage.ports);
    again.kill("SIGSTOP");
    two.kill("SIGCONT");
    stage.services[1]!.healthy = false;
    await stage.host.untilServing("web", [stage.ports[0]!, stage.ports[2]!]);
    again.kill("SIGCONT");
    await untilRegistered(first, 2);
  });
  assert.deepEqual({ failed, reasons }, { failed: 0, reasons: [] });
});
