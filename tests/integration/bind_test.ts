/**
 * HAProxy's listening addresses, with real ones: an edit of an address, and ports
 * in use by others. HAProxy shares its ports with everybody (`SO_REUSEPORT`), so
 * it would not notice them itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, NamedServer, RunningWriter, type TestCluster } from "../support/haproxy.ts";
import { get, HttpLoad } from "../support/http_load.ts";

/** Whether somebody listens at an address. */
async function listensAt(hostname: string, port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname, port })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    throw error;
  }
}

/**
 * Asserts that no request failed that HAProxy had accepted. The listener of the previous address is closed, and the kernel
 * resets the connections that were not accepted yet: one per client and reload at most.
 */
function assertServed({ failed }: { readonly failed: readonly string[] }, reloads: number): void {
  assert.deepEqual(failed.filter((failure) => !failure.startsWith("ConnectionReset")), []);
  assert.ok(failed.length <= CLIENTS * reloads, failed.join("\n"));
}

const CLIENTS = 4;

Deno.test("an edit of bind_address applies with one reload in each direction and fails no accepted request", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const clusters = { web: { section: { port }, nodes: [server.node] } };
  await running.apply(box.wanted(clusters));
  const load = new HttpLoad(port, CLIENTS);
  await load.more(50);
  await running.apply(box.wanted(clusters, { bind_address: "" }));
  await eventually("it listens at all addresses", () => listensAt("127.0.0.2", port));
  await load.more(50);
  await running.apply(box.wanted(clusters));
  await eventually("it listens at one address", async () => !await listensAt("127.0.0.2", port));
  await load.more(50);
  assertServed(await load.stop(), 2);
  assert.equal(running.reloads, 3);
  assert.doesNotMatch(running.log.join("\n"), /\berror\b/);
});

Deno.test("a HAProxy with a master applies an edit of bind_address under load as well", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  const port = freePort();
  const clusters = { web: { section: { port }, nodes: [server.node] } };
  const master = { master_socket: box.path("master.sock") };
  await running.apply(box.wanted(clusters, master));
  const load = new HttpLoad(port, CLIENTS);
  await load.more(50);
  await running.apply(box.wanted(clusters, { ...master, bind_address: "" }));
  await eventually("it listens at all addresses", () => listensAt("127.0.0.2", port));
  await load.more(50);
  assertServed(await load.stop(), 1);
  assert.equal(running.reloads, 2);
});

Deno.test("a port of another HAProxy is not shared: its holder is named, and the port is used once that has ended", async () => {
  await using mine = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using other = new NamedServer("other.test");
  await using running = new RunningWriter();
  const [web, late, first] = [freePort(), freePort(), freePort()];
  const cluster = (port: number) => ({ section: { port }, nodes: [server.node] });
  {
    await using theirs = new HaproxyBox();
    await using their = new RunningWriter();
    const section = { frontend: [`bind 127.0.0.1:${late}`], port: first };
    await their.apply(theirs.wanted({ web: { section, nodes: [other.node] } }));
    // At its start.
    running.writer.put(mine.wanted({ web: cluster(web), first: cluster(first) }));
    const pid = await theirs.pid();
    const held = (port: number) =>
      new RegExp(`cannot bind 127.0.0.1:${port}: address already in use \\(held by haproxy, pid ${pid}\\)`);
    await running.logged(held(first));
    await eventually("the rest is served", async () => await get(web) === "app.test");
    // At a reload, though it holds the port at no address yet, and then for all addresses.
    running.writer.put(mine.wanted({ web: cluster(web), late: cluster(late) }, { bind_address: "" }));
    await running.event("balancer.address_taken", {
      msg: new RegExp(`cannot bind 0.0.0.0:${late}: .*held by haproxy, pid ${pid}`),
    });
    for (let i = 0; i < 20; i++) assert.equal(await get(late), "other.test");
    assert.equal(await get(web), "app.test");
  }
  await eventually("the port is used once it is free", async () => await get(late) === "app.test");
});

for (const runs of [false, true]) {
  Deno.test(`a port that stays in use causes no report of a manual edit while ${runs ? "reloads are" : "a start is"} retried`, async () => {
    await using box = new HaproxyBox({ restart_interval: 0 });
    await using server = new NamedServer("app.test");
    await using running = new RunningWriter({ reconcileMs: 100 });
    const late = freePort();
    const web = { section: { port: freePort() }, nodes: [server.node] };
    if (runs) await running.apply(box.wanted({ web }));
    using _other = Deno.listen({ hostname: "127.0.0.1", port: late });
    running.writer.put(box.wanted({ web, late: { section: { port: late }, nodes: [server.node] } }));
    const tries = () => running.records.filter(({ msg = "" }) => /aborted: cannot bind/.test(msg)).length;
    await eventually("the attempt was repeated", () => tries() >= 4);
    assert.equal(running.count("balancer.drift"), 0, running.log.join("\n"));
    await Deno.writeTextFile(box.configFile, "# a hand\n");
    await running.event("balancer.drift", { found: /^file .* changed$/ });
  });
}

Deno.test("a user's own stats socket at the path of socket_file does not break reloads or membership changes", async () => {
  await using box = new HaproxyBox({ restart_interval: 0 });
  await using server = new NamedServer("app.test");
  await using running = new RunningWriter();
  for (const options of ["mode 660 level admin", "", "level user"]) {
    const global = [`stats socket ${box.socketFile} ${options}`];
    const clusters: Record<string, TestCluster> = {};
    for (const name of ["one", "two", "three"]) {
      const port = freePort();
      clusters[name] = { section: { port } };
      await running.apply(box.wanted(clusters, { global }));
      clusters[name] = { section: { port }, nodes: [server.node] };
      await running.apply(box.wanted(clusters, { global }));
      assert.equal(await get(port), "app.test");
    }
  }
  assert.equal(running.reloads, 9);
});
