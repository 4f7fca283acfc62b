/**
 * Graceful removal with a real HAProxy: the fate of connections and requests when
 * a node leaves and when it returns.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, localNode, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { HttpLoad } from "../support/http_load.ts";

const TCP = { backend: ["mode tcp"], frontend: ["mode tcp"] };

/** A server that echoes what it receives, for as long as a connection lasts. */
class Echo implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly node = localNode(this.#listener.addr.port, "echo.test");
  /** The number of connections accepted. */
  taken = 0;

  constructor() {
    this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      this.taken++;
      connection.readable.pipeTo(connection.writable).catch(() => {});
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

/** Whether a connection still works in both directions. */
async function lives(connection: Deno.Conn): Promise<boolean> {
  try {
    await connection.write(new TextEncoder().encode("ping"));
    return await connection.read(new Uint8Array(8)) !== null;
  } catch {
    return false;
  }
}

/** The state of a server: nothing once it is deleted. */
async function stateOf(box: HaproxyBox, name: string): Promise<string> {
  const server = (await box.observe()).running?.backends.get("web")?.get(name);
  if (server === undefined) return "gone";
  return server.inMaintenance ? "maintenance" : server.draining ? "draining" : "ready";
}

Deno.test("a removed node is drained for drain_timeout, keeps its connections, and is deleted when they have ended", async () => {
  await using box = new HaproxyBox();
  using echo = new Echo();
  await using other = new NamedServer("other.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), ...TCP, drain_timeout: 2 };
  await running.apply(box.wanted({ web: { section, nodes: [echo.node] } }));
  const server = `echo.test:${echo.node.port}`;
  {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
    assert(await lives(client));
    await running.apply(box.wanted({ web: { section, nodes: [other.node] } }));
    assert.equal(await stateOf(box, server), "draining");
    await eventually("its time is over", async () => await stateOf(box, server) === "maintenance");
    assert(await lives(client));
  }
  await eventually("it is deleted", async () => await stateOf(box, server) === "gone");
  assert.equal(echo.taken, 1);
  assert.equal(running.reloads, 1);
});

Deno.test("a drain is timed from its start, however long the server was up", async () => {
  await using box = new HaproxyBox();
  using echo = new Echo();
  await using running = new RunningWriter({ reconcileMs: 50 });
  const section = { port: freePort(), ...TCP, drain_timeout: 2, close_after_drain: true };
  await running.apply(box.wanted({ web: { section, nodes: [echo.node] } }));
  const server = `echo.test:${echo.node.port}`;
  await eventually("the server has been up for longer than the drain lasts", async () => {
    const { running } = await box.observe();
    return (running?.backends.get("web")?.get(server)?.sinceS ?? 0) > section.drain_timeout;
  });
  using client = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
  assert(await lives(client));
  const began = performance.now();
  await running.apply(box.wanted({ web: { section } }));
  await eventually("it is deleted", async () => await stateOf(box, server) === "gone");
  assert(performance.now() - began >= section.drain_timeout * 1_000);
  assert(!await lives(client));
});

Deno.test("close_after_drain closes the remaining connections of a drained node, and deletes it", async () => {
  await using box = new HaproxyBox();
  using echo = new Echo();
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), ...TCP, drain_timeout: 1, close_after_drain: true };
  await running.apply(box.wanted({ web: { section, nodes: [echo.node] } }));
  using client = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
  assert(await lives(client));
  await running.apply(box.wanted({ web: { section } }));
  assert(await lives(client));
  await eventually("it is deleted", async () => await stateOf(box, `echo.test:${echo.node.port}`) === "gone");
  assert(!await lives(client));
});

Deno.test("a node that returns while it is drained is ready again, and keeps its connections", async () => {
  await using box = new HaproxyBox();
  using echo = new Echo();
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), ...TCP, drain_timeout: 600 };
  const wanted = box.wanted({ web: { section, nodes: [echo.node] } });
  await running.apply(wanted);
  using client = await Deno.connect({ hostname: "127.0.0.1", port: section.port });
  assert(await lives(client));
  await running.apply(box.wanted({ web: { section } }));
  assert.equal(await stateOf(box, `echo.test:${echo.node.port}`), "draining");
  await running.apply(wanted);
  assert.equal(await stateOf(box, `echo.test:${echo.node.port}`), "ready");
  assert(await lives(client));
  assert.equal(running.reloads, 1);
});

Deno.test("a writer that starts times a drain that it finds from its own start", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  const section = { port: freePort(), drain_timeout: 2 };
  const wanted = box.wanted({ web: { section, nodes: [two.node] } });
  {
    await using first = new RunningWriter();
    await first.apply(box.wanted({ web: { section, nodes: [one.node, two.node] } }));
    await first.apply(wanted);
  }
  await using second = new RunningWriter({ reconcileMs: 100 });
  await second.apply(wanted);
  await eventually("it is deleted", async () => await stateOf(box, `one.test:${one.port}`) === "gone");
  assert.equal(second.reloads, 0);
});

Deno.test("draining and returning nodes under load fails no request", async () => {
  await using box = new HaproxyBox();
  await using one = new NamedServer("one.test");
  await using two = new NamedServer("two.test");
  await using running = new RunningWriter({ reconcileMs: 100 });
  const section = { port: freePort(), drain_timeout: 1, close_after_drain: true };
  const both = box.wanted({ web: { section, nodes: [one.node, two.node] } });
  await running.apply(both);
  const load = new HttpLoad(section.port);
  for (const node of [one.node, two.node, one.node]) {
    await running.apply(box.wanted({ web: { section, nodes: [node] } }));
    await load.more(100);
    await running.apply(both);
    await load.more(50);
  }
  await running.apply(box.wanted({ web: { section, nodes: [two.node] } }));
  await eventually("it is deleted", async () => await stateOf(box, `one.test:${one.port}`) === "gone");
  const { done, failed } = await load.stop();
  assert.deepEqual(failed, []);
  assert(done >= 450, `${done}`);
  assert.equal(running.reloads, 1);
});
