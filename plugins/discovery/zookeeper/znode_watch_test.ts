import assert from "node:assert/strict";
import { systemClock } from "../../../src/kernel/clock.ts";
import { FakeClock } from "../../../src/kernel/fake_clock.ts";
import { nodeName } from "../../../src/model/node.ts";
import { RecordingContext, testNode } from "../../../tests/support/discovery.ts";
import { eventually } from "../../../tests/support/eventually.ts";
import { own } from "../formats/own.ts";
import { encodeNode } from "../node_json.ts";
import type { ReadingConnection } from "./look_loop.ts";
import { ZnodeWatch } from "./znode_watch.ts";
import { ConnectionLostError, ERROR, ZooKeeperError } from "./connection.ts";

const PATH = "/services/web";
const CREATED = 1, DELETED = 2, CHANGED = 3, CHILDREN = 4;

/**
 * A registry in memory, for the one thing that a real one cannot be made to do: events at a chosen moment.
 */
class Model implements ReadingConnection {
  readonly sessionId: bigint;
  /** `undefined` when the cluster's znode is missing. */
  children: Map<string, Uint8Array> | undefined = new Map();
  /** The requests, in order. */
  readonly asked: string[] = [];
  /** Runs once, when an answer was made but not taken yet. */
  meanwhile: () => void = () => {};

  constructor(...ports: readonly number[]) {
    this.sessionId = 7n;
    for (const port of ports) this.put(port);
  }

  put(port: number, data: Uint8Array = encodeNode(testNode(port))): void {
    this.children?.set(`web.test:${port}`, data);
  }

  sync(): Promise<void> {
    return this.#answer("sync", () => {});
  }

  getChildren(): Promise<readonly string[]> {
    return this.#answer("list", () => [...this.#there()]);
  }

  exists(): Promise<boolean> {
    return this.#answer("exists", () => this.children !== undefined);
  }

  getData(path: string): ReturnType<ReadingConnection["getData"]> {
    const name = path.slice(PATH.length + 1);
    return this.#answer(`read ${name}`, () => {
      const data = this.children?.get(name);
      if (data === undefined) throw new ZooKeeperError(ERROR.noNode, `read ${path}`);
      return { data, stat: { version: 0, ephemeralOwner: 1n } };
    });
  }

  #there(): IterableIterator<string> {
    if (this.children === undefined) throw new ZooKeeperError(ERROR.noNode, "list");
    return this.children.keys();
  }

  /**
   * Answers in a later turn, as a network does; what happens meanwhile happens in the very turn of the
   * answer.
   */
  async #answer<T>(what: string, make: () => T): Promise<T> {
    this.asked.push(what);
    await new Promise((resolve) => setTimeout(resolve, 0));
    const answer = Promise.try(make);
    const meanwhile = this.meanwhile;
    this.meanwhile = () => {};
    meanwhile();
    return await answer;
  }
}

/** A watch of a model, and all that it yields: the ports, as text, or `missing`. */
class Watched implements AsyncDisposable {
  readonly context = new RecordingContext();
  readonly yielded: string[] = [];
  readonly watch: ZnodeWatch;
  connection: Model;
  readonly #running: Promise<void>;

  constructor(model: Model, { withoutMetadata = false } = {}) {
    this.connection = model;
    this.watch = new ZnodeWatch({
      format: own,
      withoutMetadata,
      connected: () => Promise.resolve(this.connection),
      path: PATH,
      log: this.context.log,
      clock: systemClock,
      random: () => 0,
    });
    this.#running = this.#run();
  }

  fire(type: number, path = PATH): void {
    this.watch.onEvent({ type, path });
  }

  async yields(...expected: readonly string[]): Promise<void> {
    await eventually(`it yields ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(this.yielded, expected);
      return true;
    }, { everyMs: 1 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.context.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for await (const { nodes, exists, epoch } of this.watch.snapshots(this.context.signal)) {
      assert.equal(epoch, "7");
      this.yielded.push(exists ? nodes.map((node) => nodeName(node).split(":")[1]).join(",") : "missing");
    }
  }
}

/** Waits until nothing was requested for a while. */
async function quiet(model: Model): Promise<void> {
  let [count, sinceMs] = [model.asked.length, performance.now()];
  await eventually("all is quiet", () => {
    if (model.asked.length !== count) [count, sinceMs] = [model.asked.length, performance.now()];
    return performance.now() - sinceMs > 50;
  });
}

Deno.test("ZnodeWatch yields the whole, then reads only what is new", async () => {
  const model = new Model(1, 2);
  await using watched = new Watched(model);
  await watched.yields("1,2");
  model.asked.length = 0;
  model.put(3);
  watched.fire(CHILDREN);
  await watched.yields("1,2", "1,2,3");
  assert.deepEqual(model.asked, ["list", "read web.test:3"]);
});

Deno.test("ZnodeWatch looks again at a child that changes while it is read", async () => {
  const model = new Model(1);
  model.put(1, encodeNode(testNode(1, { old: true })));
  await using watched = new Watched(model);
  await eventually("it asks for the child", () => model.asked.includes("read web.test:1"), { everyMs: 0 });
  model.meanwhile = () => {
    model.put(1, encodeNode(testNode(8)));
    watched.fire(CHANGED, `${PATH}/web.test:1`);
  };
  await eventually("it knows the new one", () => watched.yielded.at(-1) === "8");
});

Deno.test("ZnodeWatch misses no cluster that is created in the moment when it is found missing", async () => {
  const model = new Model();
  model.children = undefined;
  await using watched = new Watched(model);
  await eventually("it looks whether there is one", () => model.asked.includes("exists"), { everyMs: 0 });
  model.meanwhile = () => {
    model.children = new Map();
    model.put(1);
    watched.fire(CREATED);
  };
  await watched.yields("missing", "1");
});

Deno.test("ZnodeWatch reports once that a cluster is missing, whatever else happens", async () => {
  const model = new Model(1);
  await using watched = new Watched(model);
  await watched.yields("1");
  model.children = undefined;
  watched.fire(DELETED, `${PATH}/web.test:1`);
  watched.fire(DELETED);
  await watched.yields("1", "missing");
  for (let i = 0; i < 5; i++) {
    watched.fire(CHANGED, `${PATH}/web.test:1`);
    await quiet(model);
  }
  await watched.yields("1", "missing");
  model.children = new Map();
  model.put(2);
  watched.fire(CREATED);
  await watched.yields("1", "missing", "2");
});

Deno.test("ZnodeWatch checks thousands of times for a cluster that is never created, and still stops at once", async () => {
  const clock = new FakeClock();
  const context = new RecordingContext();
  let looks = 0;
  const nowhere: ReadingConnection = {
    sessionId: 7n,
    sync: () => Promise.resolve(),
    getChildren: () => Promise.reject(new ZooKeeperError(ERROR.noNode, "list")),
    exists: () => Promise.resolve(++looks < 0),
    getData: () => Promise.reject(new ZooKeeperError(ERROR.noNode, "read")),
  };
  const watch = new ZnodeWatch({
    format: own,
    connected: () => Promise.resolve(nowhere),
    path: PATH,
    log: context.log,
    clock,
    random: () => 0,
  });
  const ended = Array.fromAsync(watch.snapshots(context.signal));
  for (let turns = 0; looks < 3_000 && turns < 100_000; turns++) {
    clock.advance(clock.pending === 0 ? 0 : 60_000);
    await Promise.resolve();
  }
  assert.equal(looks, 3_000);
  assert.equal(context.lines.length, 1, "it is logged once");
  context.abort();
  assert.deepEqual(await ended, [{ nodes: [], exists: false, epoch: "7" }]);
  assert.equal(clock.pending, 0);
});

Deno.test("ZnodeWatch yields an empty list at once, of the server's newest state after a reconnect", async () => {
  const model = new Model();
  await using watched = new Watched(model);
  await watched.yields("");
  assert.deepEqual(model.asked, ["sync", "list"]);
  model.put(1);
  watched.fire(CHILDREN);
  await watched.yields("", "1");
  model.asked.length = 0;
  const next = new Model();
  watched.connection = next;
  watched.watch.onConnection();
  await watched.yields("", "1", "");
  assert.deepEqual(next.asked, ["sync", "list"]);
});

Deno.test("ZnodeWatch reads everything again after a reconnect, and yields nothing if nothing has changed", async () => {
  await using watched = new Watched(new Model(1, 2));
  await watched.yields("1,2");
  const next = new Model(1, 2);
  watched.connection = next;
  watched.watch.onConnection();
  await eventually("it is read", () => next.asked.length === 4);
  await quiet(next);
  assert.deepEqual(next.asked, ["sync", "list", "read web.test:1", "read web.test:2"]);
  await watched.yields("1,2");
});

Deno.test("ZnodeWatch never yields a part: a connection that is lost midway is made up for by the next", async () => {
  const broken = new Model(1, 2, 3);
  const next = new Model(1, 2, 3);
  await using watched = new Watched(broken);
  const read = broken.getData.bind(broken);
  broken.getData = async (path) => {
    if (!path.endsWith(":2")) return await read(path);
    watched.connection = next;
    throw new ConnectionLostError("connection closed");
  };
  await watched.yields("1,2,3");
  assert.ok(next.asked.includes("read web.test:1"), "all are read again");
});

Deno.test("ZnodeWatch removes a node whose data becomes empty, although data so large is not kept", async () => {
  const model = new Model(1, 2);
  model.put(1, encodeNode(testNode(1, { large: "x".repeat(8_192) })));
  await using watched = new Watched(model, { withoutMetadata: true });
  await watched.yields("1,2");
  model.put(1, new Uint8Array(0));
  watched.fire(CHANGED, `${PATH}/web.test:1`);
  await watched.yields("1,2", "2");
});
