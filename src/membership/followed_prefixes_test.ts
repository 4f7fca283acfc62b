import assert from "node:assert/strict";
import type { Accepted } from "../config/accepted.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { KeysEntry, KeysFacts, KeysPlace } from "../plugin/contract.ts";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FollowedPrefixes } from "./followed_prefixes.ts";

const PLACE: KeysPlace = { discovery: "etcd", prefix: "/app" };

/** A registry that a test controls. */
class Registry implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  readonly prefixes: FollowedPrefixes;
  changes = 0;
  follows = 0;
  #next: PromiseWithResolvers<KeysFacts> = Promise.withResolvers();

  constructor() {
    this.prefixes = new FollowedPrefixes({
      follow: (_, signal) => this.#follow(signal),
      clock: this.clock,
      random: () => 0.5,
      log: this.log,
      onChange: () => void this.changes++,
    });
    this.prefixes.apply({
      balancers: new Map([["app", { inputs: { keys: [PLACE] } }]]),
      discovery: new Map([["etcd", { traits: { capabilities: ["keys"], sections: [] } }]]),
    } as unknown as Accepted);
  }

  /** Has the registry report keys. */
  async say(...keys: readonly string[]): Promise<void> {
    await settled();
    const entries = keys.map((key): KeysEntry => ({ key, value: "x" }));
    this.#next.resolve({ entries, exists: keys.length > 0, epoch: "1" });
    await settled();
  }

  /** Has the stream fail. */
  async fail(): Promise<void> {
    await settled();
    this.#next.reject(new Error("gone"));
    await settled();
  }

  get keys(): readonly string[] | undefined {
    return this.prefixes.find(PLACE)?.map(({ key }) => key);
  }

  async *#follow(signal: AbortSignal): AsyncGenerator<KeysFacts> {
    this.follows++;
    for (;;) {
      this.#next = Promise.withResolvers();
      signal.addEventListener("abort", () => this.#next.reject(signal.reason), { once: true });
      yield await this.#next.promise;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.prefixes[Symbol.asyncDispose]();
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

Deno.test("FollowedPrefixes has the keys that a registry reported last, and names unknown prefixes", async () => {
  await using registry = new Registry();
  assert.deepEqual(registry.prefixes.silent, ["etcd:/app"]);
  await registry.say("a");
  assert.deepEqual([registry.keys, registry.prefixes.silent, registry.changes], [["a"], [], 1]);
  await registry.say("a", "b");
  assert.deepEqual([registry.keys, registry.changes], [["a", "b"], 2]);
  await registry.say("a", "b");
  assert.equal(registry.changes, 2);
});

Deno.test("FollowedPrefixes keeps keys while the registry fails, and follows again", async () => {
  await using registry = new Registry();
  await registry.say("a");
  await registry.fail();
  assert.deepEqual(registry.keys, ["a"]);
  registry.clock.advance(10_000);
  await registry.say("b");
  assert.deepEqual([registry.keys, registry.follows], [["b"], 2]);
});

Deno.test("FollowedPrefixes removes all keys only once a second read confirms it", async () => {
  await using registry = new Registry();
  await registry.say("a");
  await registry.say();
  assert.deepEqual(registry.keys, ["a"]);
  registry.clock.advance(2_000);
  await registry.say("a", "b");
  assert.deepEqual(registry.keys, ["a", "b"]);
  await registry.say();
  registry.clock.advance(2_000);
  await registry.say();
  assert.deepEqual(registry.keys, []);
});
