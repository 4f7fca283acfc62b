import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../src/kernel/fake_clock.ts";
import { type Node, nodeName } from "../src/model/node.ts";
import { PluginHost, type WorkerEvent } from "../src/supervisor/plugin_host.ts";
import { Portions } from "./portions.ts";

const node = (port: number, ip = "10.0.0.1"): Node => ({ host: "a", ip, port, metadata: {} });
const facts = (nodes: readonly unknown[], epoch = "1") => ({ nodes: nodes as readonly Node[], exists: true, epoch });

/** The messages of one answer, without their number. */
function said(messages: readonly string[]) {
  return messages.map((text) => {
    const { number: _, base: __, ...rest } = JSON.parse(text);
    return rest;
  });
}

Deno.test("Portions sends the whole first, then changes, then only the epoch", () => {
  const portions = new Portions("web");
  assert.deepEqual(said(portions.next(facts([node(2), node(1)]))), [
    { type: "snapshot", snapshot: { cluster: "web", nodes: [node(1), node(2)], exists: true, epoch: "1" } },
  ]);
  const change = { type: "change", cluster: "web", isSameRefused: true, exists: true };
  assert.deepEqual(said(portions.next(facts([node(1), node(2, "10.0.0.2")]))), [
    { ...change, added: [node(2, "10.0.0.2")], removed: [], epoch: "1" },
  ]);
  assert.deepEqual(said(portions.next(facts([node(1)]))), [{ ...change, added: [], removed: ["a:2"], epoch: "1" }]);
  assert.deepEqual(said(portions.next(facts([node(1)], "2"))), [{ ...change, added: [], removed: [], epoch: "2" }]);
});

Deno.test("Portions sends the whole again when most of it has changed", () => {
  const portions = new Portions("web");
  portions.next(facts([1, 2, 3, 4].map((port) => node(port))));
  assert.equal(said(portions.next(facts([5, 6, 7].map((port) => node(port)))))[0]?.type, "snapshot");
});

Deno.test("Portions reports rejected and duplicate nodes when they change", () => {
  const portions = new Portions("web");
  const twice = { refused: "Two nodes have the same name, a:1" };
  const [first] = said(portions.next(facts([node(1), node(1, "10.0.0.9"), node(2), node(3)])));
  assert.deepEqual(first?.snapshot.nodes, [twice, node(1), node(2), node(3)]);
  const [same] = said(portions.next(facts([node(1), node(1, "10.0.0.9"), node(2)])));
  assert.deepEqual([same?.isSameRefused, same?.added], [true, []]);
  const [gone] = said(portions.next(facts([node(1), node(2)])));
  assert.deepEqual([gone?.isSameRefused, gone?.added], [false, []]);
});

Deno.test("Portions leaves out a node whose address is a host name, and reports it as unresolved", () => {
  const [whole] = said(new Portions("web").next(facts([node(1), node(2, "db.int")])));
  const refused = 'Invalid node: ip must be an IPv4 or IPv6 address; received the unresolved host name "db.int"';
  assert.deepEqual(whole?.snapshot.nodes, [{ refused }, node(1)]);
});

Deno.test("Portions validates a frozen node once, and one that may change each time", () => {
  const portions = new Portions("web");
  let reads = 0;
  const counted = (port: number): Node => ({
    ...node(port),
    get ip() {
      reads++;
      return "10.0.0.1";
    },
  });
  const frozen = [1, 2, 3].map((port) => Object.freeze(counted(port)));
  portions.next(facts(frozen));
  const once = reads;
  assert.deepEqual(said(portions.next(facts([...frozen, node(4)])))[0]?.added, [node(4)]);
  assert.equal(reads, once);
  const open = { ...node(5) };
  portions.next(facts([...frozen, open]));
  open.ip = "10.0.0.9";
  assert.deepEqual(said(portions.next(facts([...frozen, open])))[0]?.added, [node(5, "10.0.0.9")]);
});

/** A host whose worker is the {@linkcode Portions} of one watch. */
class Crossing {
  readonly heard: (readonly Node[])[] = [];
  readonly refused: string[] = [];
  readonly deaths: string[] = [];
  readonly clock = new FakeClock();
  readonly host: PluginHost;
  #say: (text: string) => void = () => {};

  constructor() {
    this.host = new PluginHost({
      name: "crossing",
      module: "data:text/javascript,",
      kind: "discovery",
      permissions: "none",
      clock: this.clock,
      startThread: (_options, events) => {
        this.#say = (text) => events.onMessage(text);
        return { post: () => {}, end: () => {} };
      },
      onEvent: (event: WorkerEvent) => {
        if (event.type === "snapshot") this.heard.push(event.snapshot.nodes);
      },
      onRefused: (reason) => this.refused.push(reason),
      onDeath: (reason) => this.deaths.push(reason),
    });
  }

  say(...texts: readonly string[]): void {
    for (const text of texts) this.#say(text);
  }
}

Deno.test("a membership is equal on both sides after any change, and unchanged nodes keep their identity", async () => {
  const ports = fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 30 });
  const answers = fc.array(fc.tuple(ports, fc.constantFrom("10.0.0.1", "10.0.0.2")), { maxLength: 8 });
  await fc.assert(fc.asyncProperty(answers, async (answers) => {
    const crossing = new Crossing();
    crossing.host.post({ type: "watch", cluster: "web" });
    const portions = new Portions("web");
    for (const [ports, ip] of answers) {
      const nodes = [...new Set(ports)].map((port) => node(port, port % 3 === 0 ? ip : undefined));
      const before = new Map(crossing.heard.at(-1)?.map((each) => [nodeName(each), each]));
      const messages = portions.next(facts(nodes));
      crossing.say(...messages);
      const heard = crossing.heard.at(-1) ?? [];
      assert.deepEqual(heard, nodes.toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1));
      if (!messages.some((text) => text.startsWith(`{"type":"change"`))) continue;
      for (const each of heard) {
        const known = before.get(nodeName(each));
        if (known?.ip === each.ip) assert.equal(each, known);
      }
    }
    assert.deepEqual(crossing.deaths, []);
    await crossing.host.stop({ graceMs: 0 });
  }));
});

Deno.test("PluginHost ends a worker whose change has an unknown base, and ignores changes of an ended watch", async () => {
  const crossing = new Crossing();
  crossing.host.post({ type: "watch", cluster: "web" });
  const portions = new Portions("web");
  crossing.say(...portions.next(facts([node(1), node(2), node(3)])));
  const late = portions.next(facts([node(1), node(2)]));
  crossing.host.post({ type: "unwatch", cluster: "web" });
  crossing.host.post({ type: "watch", cluster: "web" });
  crossing.say(...late);
  assert.equal(crossing.heard.length, 1);
  crossing.say(...new Portions("web").next(facts([node(1)])));
  assert.deepEqual(crossing.heard.at(-1), [node(1)]);
  assert.deepEqual(crossing.deaths, []);
  crossing.say(...portions.next(facts([node(2), node(3)])));
  assert.deepEqual(crossing.deaths, ["sent an invalid change to a snapshot"]);
  await crossing.host.stop({ graceMs: 0 });
});

Deno.test("PluginHost keeps unchanged nodes, so that a join of one node validates only one", async () => {
  const crossing = new Crossing();
  crossing.host.post({ type: "watch", cluster: "web" });
  const portions = new Portions("web");
  const nodes = Array.from({ length: 1_000 }, (_, i) => node(1 + i));
  crossing.say(...portions.next(facts(nodes)));
  const messages = portions.next(facts([...nodes, node(5_000)]));
  assert.equal(messages.length, 1);
  assert.ok((messages[0]?.length ?? 0) < 300, messages[0]);
  crossing.say(...messages);
  assert.equal(crossing.heard.at(-1)?.length, 1_001);
  await crossing.host.stop({ graceMs: 0 });
});

Deno.test("Portions sends the whole again before its changes exceed the host's limit", async () => {
  const crossing = new Crossing();
  crossing.host.post({ type: "watch", cluster: "web" });
  const portions = new Portions("web");
  const epoch = "e".repeat(2_000);
  let wholes = 0;
  for (let i = 0; i < 63_000; i++) {
    crossing.clock.advance(10_000);
    const messages = portions.next(facts([node(1)], epoch));
    if (messages[0]?.startsWith(`{"type":"snapshot"`)) wholes++;
    crossing.say(...messages);
    crossing.heard.length = 0;
  }
  assert.deepEqual(crossing.deaths, []);
  assert.equal(wholes, 5);
  await crossing.host.stop({ graceMs: 0 });
});

Deno.test("Portions neither sends nor validates unused metadata, and still validates a frozen node once", () => {
  let reads = 0;
  const counted = (port: number): Node =>
    Object.freeze({
      ...node(port),
      metadata: { port },
      get ip() {
        reads++;
        return "10.0.0.1";
      },
    });
  const frozen = [1, 2, 3].map(counted);
  const portions = new Portions("web", { withoutMetadata: true });
  assert.deepEqual(said(portions.next(facts(frozen)))[0]?.snapshot.nodes, [1, 2, 3].map((port) => node(port)));
  const once = reads;
  const wrong = { ...node(4), metadata: "none" };
  assert.deepEqual(said(portions.next(facts([...frozen, wrong])))[0]?.added, [node(4)]);
  assert.equal(reads, once);
  // Who reads it gets it.
  assert.deepEqual(said(new Portions("web").next(facts(frozen)))[0]?.snapshot.nodes[0].metadata, { port: 1 });
});
