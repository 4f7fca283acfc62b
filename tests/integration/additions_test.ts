/**
 * Nodes and sources added to clusters over the admin interface, and a scheduler's
 * requests for a task, with a real HAProxy.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";

Deno.test("nodes and sources added over the admin interface can be removed, expire, and survive a restart", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/static", {});
  const cluster = { discovery: "static", static: { nodes: ["127.0.0.1:9001"] }, haproxy: {} };
  await host.write("clusters/web", { ...cluster, api: { nodes: true, sources: ["static"] } });
  await host.write("clusters/closed", cluster);
  const socket = host.dir.file("admin.sock");
  const start = () =>
    Lighthouse.start("writer", host.configDir, ["--admin", `unix:${socket}`], {
      within: ["env", `STATE_DIRECTORY=${host.dir.path}`],
    });
  const ask = (method: string, path: string, body?: unknown) => curl(socket, method, `/v1/clusters/${path}`, body);
  {
    await using writer = start();
    await host.untilServing("web", [9001]);
    assert.equal((await ask("PUT", "web/nodes/two", { address: "127.0.0.1:9002" })).status, 201);
    assert.equal((await ask("PUT", "web/nodes/two", { address: "127.0.0.1:9003", metadata: { a: 1 } })).status, 200);
    const item = { static: { nodes: ["127.0.0.1:9004"] } };
    assert.equal((await ask("PUT", "web/sources/more", { discovery: item })).status, 201);
    assert.equal((await ask("PUT", "web/nodes/short", { address: "127.0.0.1:9005", ttl: "5s" })).status, 201);
    await host.untilServing("web", [9001, 9003, 9004, 9005]);
    assert.deepEqual((await ask("GET", "web/nodes/two")).json, {
      address: "127.0.0.1",
      port: 9003,
      metadata: { a: 1 },
    });
    assert.deepEqual(Object.keys((await ask("GET", "web/nodes")).json), ["short", "two"]);
    await host.untilServing("web", [9001, 9003, 9004]);

    const rejected = [
      [403, await ask("PUT", "closed/nodes/x", { address: "127.0.0.1:9009" })],
      [403, await ask("PUT", "web/sources/x", { discovery: { file: {} } })],
      [404, await ask("PUT", "absent/nodes/x", { address: "127.0.0.1:9009" })],
      [404, await ask("DELETE", "web/nodes/absent")],
      [404, await ask("GET", "web/nodes/absent")],
      [405, await ask("POST", "web/nodes/x", {})],
      [400, await ask("PUT", "web/nodes/x", { address: "no address" })],
      [400, await ask("PUT", "web/nodes/x", { address: "127.0.0.1:9009", odd: 1 })],
      [400, await ask("PUT", "web/sources/bad", { discovery: { static: { nodes: ["no address"] } } })],
    ] as const;
    for (const [status, answer] of rejected) assert.equal(answer.status, status, JSON.stringify(answer));
    assert.deepEqual(Object.keys((await ask("GET", "web/sources")).json), ["more"]);
    assert.equal(await writer.stop(), 0);
  }
  {
    await using _writer = start();
    await eventually(
      "the additions are read again",
      async () => (await ask("GET", "web/nodes/two").catch(() => undefined))?.status === 200,
    );
    await host.untilServing("web", [9001, 9003, 9004]);
    assert.equal((await ask("DELETE", "web/sources/more")).status, 204);
    await host.untilServing("web", [9001, 9003]);
    // The file decides: what it no longer allows is ignored.
    await host.write("clusters/web", cluster);
    await host.untilServing("web", [9001]);
  }
});

Deno.test("a scheduler reads the health, adds sources at aurproxy's paths, and stops the process, which deregisters its nodes", async () => {
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/static", {});
  await host.write("clusters/web", { discovery: "static", static: { nodes: [] }, haproxy: {}, api: { nodes: true } });
  await host.write("services/own", {
    discovery: "file",
    port: 9001,
    checks: { interval: 1, noop: { rise: 1, fall: 1 } },
  });
  const port = freePort();
  const running = Lighthouse.start("run", host.configDir, ["--lifecycle", `127.0.0.1:${port}`]);
  try {
    const ask = async (method: string, path: string, body?: unknown) => {
      const init = body === undefined ? {} : { body: JSON.stringify(body) };
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, ...init });
      return { status: answer.status, text: await answer.text() };
    };
    await eventually(
      "the process is healthy",
      async () => (await ask("GET", "/health").catch(() => undefined))?.text === "OK",
    );
    const nodes = async () => (await Array.fromAsync(Deno.readDir(`${host.registryDir}/own`)).catch(() => [])).length;
    await eventually("the service is registered", async () => await nodes() > 0);
    const source = {
      source_class: "tellapart.aurproxy.source.StaticProxySource",
      name: "one",
      host: "127.0.0.1",
      port: 9002,
    };
    assert.deepEqual(await ask("PUT", "/api/source/web/source/one/", { source }), {
      status: 201,
      text: `${JSON.stringify({ source })}\n`,
    });
    await host.untilServing("web", [9002]);
    assert.equal((await ask("GET", "/api/source/web/sources")).text, '{"sources":["one"]}\n');
    assert.deepEqual(await ask("GET", "/api/source/web/source/two/"), {
      status: 404,
      text: "Source two doesn't exist",
    });
    const soon = { source, expiration: new Date(Date.now() + 1_000).toISOString() };
    assert.equal((await ask("PUT", "/api/source/web/source/one/", soon)).status, 400);
    const other = { source: { source_class: "a.ServerSetSource", path: "/x" } };
    assert.equal((await ask("PUT", "/api/source/web/source/three/", other)).status, 403);
    assert.equal((await ask("DELETE", "/api/source/web/source/one/")).status, 204);
    assert.equal((await ask("GET", "/quitquitquit")).status, 405);
    assert.deepEqual(await ask("POST", "/quitquitquit"), { status: 200, text: "OK" });
    assert.equal(await running.ended(), 0);
    assert.equal(await nodes(), 0);
  } finally {
    await running.stop();
  }
});

/** Requests a path of a server at a socket, with curl. */
async function curl(
  socket: string,
  method: string,
  path: string,
  body?: unknown,
  // deno-lint-ignore no-explicit-any -- whatever the answer says.
): Promise<{ readonly status: number; readonly json: any }> {
  const sent = body === undefined ? [] : ["--header", "content-type: application/json", "--data", JSON.stringify(body)];
  const { success, stdout } = await new Deno.Command("curl", {
    args: [
      "--silent",
      "--max-time",
      "20",
      "--unix-socket",
      socket,
      "--request",
      method,
      ...sent,
      "--write-out",
      "\n%{http_code}",
      `http://localhost${path}`,
    ],
    stdin: "null",
  }).output();
  assert.ok(success, path);
  const [, text = "", status = ""] = /^([^]*)\n([0-9]+)$/.exec(new TextDecoder().decode(stdout)) ?? [];
  return { status: Number(status), json: text.trim() === "" ? undefined : JSON.parse(text) };
}
