import assert from "node:assert/strict";
import { clusterSchema, schema } from "../../plugins/discovery/serf/config.ts";
import { SerfSession } from "../../plugins/discovery/serf/session.ts";
import { Follower, RecordingContext, soon, testNode, up } from "../support/discovery.ts";
import { eventually } from "../support/eventually.ts";
import { Serf } from "../support/serf.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TempDir } from "../support/temp_dir.ts";

function validated<T>(result: { readonly value: T } | { readonly issues: readonly { readonly message: string }[] }): T {
  if ("issues" in result) throw new Error(result.issues.map(({ message }) => message).join("; "));
  return result.value;
}

/** A session's config, as in a file. */
function open(config: Readonly<Record<string, unknown>>) {
  const context = new RecordingContext();
  const session = new SerfSession(validated(schema["~standard"].validate(config)), context);
  return { context, session, [Symbol.asyncDispose]: () => session[Symbol.asyncDispose]() };
}

/** The section of a cluster, as in a file. */
function section(raw: unknown) {
  return { config: validated(clusterSchema["~standard"].validate(raw)) };
}

/** The listed fields of each node. */
function nodes({ snapshots }: Follower): readonly string[] {
  return (snapshots.at(-1)?.nodes ?? []).map(({ host, ip, port, state }) =>
    `${host} ${ip}:${port}${state === undefined ? "" : ` ${state}`}`
  );
}

async function has(follower: Follower, ...wanted: readonly string[]): Promise<void> {
  await eventually(`the nodes are ${wanted.join(", ") || "none"}`, () => {
    if (follower.error !== undefined) throw follower.error;
    if (follower.snapshots.length > 0 && JSON.stringify(nodes(follower)) === JSON.stringify(wanted)) return true;
    throw new Error(`they are ${nodes(follower).join(", ")}`);
  });
}

Deno.test("members with a tag of the cluster's name are its nodes as they join, change, leave and fail", async () => {
  await using one = await Serf.start({ name: "one.test" });
  await using two = await Serf.start({
    name: "two.test",
    ip: "127.0.0.2",
    tags: { web: "8000", rack: "r1" },
    join: [one],
  });
  await using three = await Serf.start({
    name: "three.test",
    ip: "127.0.0.3",
    tags: { web: "8000,8001" },
    join: [one],
  });
  await using other = await Serf.start({ name: "db.test", ip: "127.0.0.4", tags: { db: "5432" }, join: [one] });
  await one.knows(4);
  await using writer = open({ address: one.address });
  await using web = new Follower(writer.session, "web");
  const [second, third, third1] = ["two.test 127.0.0.2:8000", "three.test 127.0.0.3:8000", "three.test 127.0.0.3:8001"];
  await has(web, third, third1, second);
  assert.deepEqual(web.snapshots[0]?.nodes.map(({ labels }) => labels), [undefined, undefined, { rack: "r1" }]);
  await other.ctl("tags", "-set", "web=9000");
  await has(web, "db.test 127.0.0.4:9000", third, third1, second);
  await other.ctl("tags", "-set", "web=9000/drain");
  await has(web, "db.test 127.0.0.4:9000 drain", third, third1, second);
  await other.ctl("tags", "-delete", "web");
  await has(web, third, third1, second);
  await two.end("SIGINT");
  await has(web, third, third1);
  await three.end("SIGKILL");
  await has(web);
  assert.deepEqual(web.snapshots.at(-1)?.exists, true);
  assert.equal(new Set(web.snapshots.map(({ epoch }) => epoch)).size, 1);
});

Deno.test("a cluster's section selects members by tags and name, and sets their port and address", async () => {
  await using one = await Serf.start({ name: "one.test", tags: { role: "web", http: "8080", lan: "10.9.9.9" } });
  await using two = await Serf.start({ name: "two.test", ip: "127.0.0.2", tags: { role: "website" }, join: [one] });
  await one.knows(2);
  await using writer = open({ address: two.address });
  for (
    const [raw, ...wanted] of [
      [{ tags: { role: "web" }, port: 80 }, "one.test 127.0.0.1:80"],
      [{ tags: { role: "web.*" }, port: 80 }, "one.test 127.0.0.1:80", "two.test 127.0.0.2:80"],
      [{ name: "two|three", port: 80 }],
      [{ name: "t.*\\.test|three", port: 80 }, "two.test 127.0.0.2:80"],
      [{ tags: { role: "web" }, port_tag: "http" }, "one.test 127.0.0.1:8080"],
      [{ port_tag: "http", address_tag: "lan" }, "one.test 10.9.9.9:8080"],
    ] as const
  ) {
    await using follower = new Follower(writer.session, "web", section(raw));
    await has(follower, ...wanted);
  }
});

Deno.test("a service is registered as a tag, drains, and is left to the session that has taken it over", async () => {
  await using one = await Serf.start({ tags: { role: "web" } });
  await using writer = open({ address: one.address });
  await using web = new Follower(writer.session, "web");
  await using old = open({ address: one.address });
  await using next = open({ address: one.address });
  for (const port of [8001, 8002]) await old.session.register("web", up(testNode(port)), soon());
  await has(web, "one.test 127.0.0.1:8001", "one.test 127.0.0.1:8002");
  await old.session.register("web", { node: testNode(8002), state: "draining" }, soon());
  await has(web, "one.test 127.0.0.1:8001", "one.test 127.0.0.1:8002 drain");
  await next.session.register("web", up(testNode(8002)), soon());
  await has(web, "one.test 127.0.0.1:8001", "one.test 127.0.0.1:8002");
  await old.session.deregisterOwn("web", up(testNode(8002)), soon());
  assert.match((await one.tags()).web ?? "", /8002/);
  await old.session[Symbol.asyncDispose]();
  await has(web, "one.test 127.0.0.1:8002");
  await next.session.deregister("web", up(testNode(8002)), soon());
  await has(web);
  assert.deepEqual([await one.tags(), web.snapshots.at(-1)?.exists], [{ role: "web" }, true]);
});

Deno.test("a killed agent removes no nodes, and gets its tags again when it is back", async () => {
  await using seed = await Serf.start({ name: "seed.test", ip: "127.0.0.9" });
  await using one = await Serf.start({ join: [seed] });
  await using session = open({ address: one.address });
  await using web = new Follower(session.session, "web");
  await session.session.register("web", up(testNode(8001)), soon());
  await has(web, "one.test 127.0.0.1:8001");
  await one.end("SIGKILL");
  await eventually("the agent is reported as unreachable", () => session.context.states.at(-1) === "disconnected");
  await assert.rejects(async () => await session.session.register("web", up(testNode(8002)), soon()));
  const before = web.snapshots.length;
  assert.deepEqual(nodes(web), ["one.test 127.0.0.1:8001"]);
  await one.start();
  await eventually("its tag is set", async () => /8001.*8002/.test((await one.tags()).web ?? ""));
  await has(web, "one.test 127.0.0.1:8001", "one.test 127.0.0.1:8002");
  // A new agent's knowledge is of another epoch, and a cluster that it has not heard of does not exist.
  const later = web.snapshots.slice(before);
  assert.ok(later.every(({ epoch }) => epoch !== web.snapshots[0]?.epoch));
  assert.ok(later.every(({ exists, nodes }) => exists === nodes.length > 0));
});

Deno.test("a silent agent removes no nodes, and the session leaves it", async () => {
  await using one = await Serf.start({ tags: { web: "8001" } });
  await using proxy = TcpProxy.start(one.rpcPort);
  await using session = open({ address: proxy.address, refresh: 0.2 });
  await using web = new Follower(session.session, "web");
  await has(web, "one.test 127.0.0.1:8001");
  one.pause();
  await eventually("the agent is reported as unreachable", () => session.context.states.at(-1) === "disconnected");
  assert.equal(web.snapshots.length, 1);
  one.resume();
  await eventually("it is reachable", () => session.context.states.at(-1) === "connected");
  await one.ctl("tags", "-set", "web=8002");
  await has(web, "one.test 127.0.0.1:8002");
});

Deno.test("a tag that the agent rejects fails its registration, and closes no connection", async () => {
  // An agent has room for 512 bytes of tags.
  await using one = await Serf.start({ tags: { db: "5432", pad: "x".repeat(470) } });
  await using session = open({ address: one.address, refresh: 0.2 });
  await using db = new Follower(session.session, "db");
  await has(db, "one.test 127.0.0.1:5432");
  const rejected = session.session.register("a-cluster-with-a-long-name", up(testNode(8001)), soon());
  await assert.rejects(rejected, /the agent reports: .*512/);
  await one.ctl("tags", "-set", "db=5433");
  await has(db, "one.test 127.0.0.1:5433");
  assert.deepEqual(session.context.states, ["connected"]);
  // A rejected tag is set once there is room for it.
  await one.ctl("tags", "-delete", "pad");
  await eventually("the tag is set", async () => /8001/.test((await one.tags())["a-cluster-with-a-long-name"] ?? ""));
});

Deno.test("the agent's key is sent, and a wrong key is reported with the agent's error", async () => {
  await using dir = new TempDir();
  const config = await dir.write("serf.json", JSON.stringify({ rpc_auth: "sesame" }));
  await using one = await Serf.start({ tags: { web: "8001" }, args: [`-config-file=${config}`] });
  await using right = open({ address: one.address, auth_key: "sesame" });
  await using web = new Follower(right.session, "web");
  await has(web, "one.test 127.0.0.1:8001");
  for (
    const [key, says] of [["other", /Invalid authentication token/], [undefined, /Authentication required/]] as const
  ) {
    await using wrong = open({ address: one.address, ...(key !== undefined && { auth_key: key }) });
    await eventually("it is reported", () => wrong.context.details.some((detail) => says.test(detail)));
    assert.ok(!wrong.context.details.join().includes("sesame"));
  }
});

Deno.test("hostile names and tags affect only themselves", async () => {
  await using one = await Serf.start({ tags: { web: "8001", ["__proto__"]: "x" } });
  await using bad = await Serf.start({
    name: "a b\nc",
    ip: "127.0.0.2",
    tags: { web: "8001", ["x".repeat(300)]: "y" },
    join: [one],
  });
  await using worse = await Serf.start({
    name: "worse",
    ip: "127.0.0.3",
    tags: { web: "8001; server evil" },
    join: [one],
  });
  await one.knows(3);
  await using session = open({ address: one.address });
  await using web = new Follower(session.session, "web");
  await has(web, "one.test 127.0.0.1:8001");
  const lines = session.context.lines.join("\n");
  assert.match(lines, /Entry skipped path=web: "worse": Cannot use tag web: must contain ports/);
  assert.match(lines, /host must be a host name/);
  assert.ok(bad.pid !== undefined && worse.pid !== undefined);
});
