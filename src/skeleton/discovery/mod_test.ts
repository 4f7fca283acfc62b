import assert from "node:assert/strict";
import plugin from "./mod.ts";
import { Registry } from "./registry.ts";

const UP = { node: { host: "app.example", ip: "192.0.2.1", port: 8001, metadata: {} }, state: "up" } as const;

Deno.test("my_discovery yields the complete membership, and again after a change", async () => {
  await using registry = new Registry();
  const controller = new AbortController();
  const { signal } = controller;
  const log = { debug() {}, info() {}, warn() {} };
  const states: string[] = [];
  const context = { scope: { instance: "test" }, signal, log, connection: (state: string) => void states.push(state) };
  await using session = await plugin.open({ address: registry.address }, context);
  assert.ok(session.watch !== undefined && session.register !== undefined && session.deregisterOwn !== undefined);
  const facts = session.watch("web", signal)[Symbol.asyncIterator]();

  const ports = async () => (await facts.next()).value?.nodes.map(({ port }: { port: number }) => port);
  assert.deepEqual(await ports(), []);
  await session.register("web", UP, signal);
  assert.deepEqual(await ports(), [8001]);
  await session.deregisterOwn("web", UP, signal);
  assert.deepEqual(await ports(), []);
  assert.ok(states.every((state) => state === "connected"));
  controller.abort();
});

Deno.test("my_discovery throws without a registry, and never reports an empty cluster", async () => {
  const { signal } = new AbortController();
  const log = { debug() {}, info() {}, warn() {} };
  const registry = new Registry();
  const { address } = registry;
  await registry[Symbol.asyncDispose]();
  await using session = await plugin.open({ address }, { scope: { instance: "test" }, signal, log, connection() {} });
  assert.ok(session.watch !== undefined);
  await assert.rejects(session.watch("web", signal)[Symbol.asyncIterator]().next());
});

Deno.test("my_discovery requests only its registry, and reports an unknown key with its path", async () => {
  assert.deepEqual(plugin.permissions({ address: "127.0.0.1:8500" }, { instance: "x" }), { net: ["127.0.0.1:8500"] });
  const { issues } = await plugin.config["~standard"].validate({ address: "127.0.0.1:8500", adress: 1 });
  assert.deepEqual(issues?.[0]?.path, ["adress"]);
});
