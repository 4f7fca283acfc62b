import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { TempDir } from "../support/temp_dir.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { expose } from "../../src/metrics/exposition.ts";
import type { StatusAddress } from "../../src/model/status_address.ts";
import { StatusServer } from "../../src/status/status_server.ts";

/** Serves a status, healthy or not. */
function serve(address: StatusAddress, { isFailing = false } = {}): Promise<StatusServer> {
  const answers = {
    status: () => ({ role: "writer" }),
    health: () => ({ isFailing, said: { isFailing } }),
    metrics: (accept: string | null) => expose([], accept),
  };
  return StatusServer.start({ address, answers, log: SILENT, openFilesMax: 1_024 });
}

/** Sends raw bytes to a server; returns everything received, or the first part if the connection stays open. */
async function say(server: StatusServer, text: string, { isHeld = false } = {}): Promise<string> {
  const { address } = server;
  using connection = "path" in address
    ? await Deno.connect({ transport: "unix", path: address.path })
    : await Deno.connect({ hostname: address.host, port: address.port });
  await connection.write(new TextEncoder().encode(text.replaceAll("\n", "\r\n")));
  let said = "";
  const decoder = new TextDecoder();
  const bytes = new Uint8Array(65_536);
  for (let length = await connection.read(bytes); length !== null; length = await connection.read(bytes)) {
    said += decoder.decode(bytes.subarray(0, length), { stream: true });
    if (isHeld) break;
  }
  return said;
}

function ask(path: string, { method = "GET", host = "localhost" } = {}): string {
  return `${method} ${path} HTTP/1.1\nHost: ${host}\nConnection: close\n\n`;
}

function portOf({ address }: StatusServer): number {
  assert.ok("port" in address);
  return address.port;
}

const LOOPBACK = { host: "127.0.0.1", port: 0 };

Deno.test("StatusServer answers with the given value, as uncacheable JSON", async () => {
  await using server = await serve(LOOPBACK);
  for (const path of ["/status", "/status?pretty"]) {
    const response = await fetch(`http://127.0.0.1:${portOf(server)}${path}`);
    assert.deepEqual([response.status, await response.json()], [200, { role: "writer" }]);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.equal(response.headers.get("cache-control"), "no-store");
    assert.equal(response.headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("StatusServer answers a failing health with 503, to HEAD without a body", async () => {
  await using well = await serve(LOOPBACK);
  assert.match(await say(well, ask("/health")), /^HTTP\/1.1 200 [^]*"isFailing": false/);
  await using failing = await serve(LOOPBACK, { isFailing: true });
  assert.match(await say(failing, ask("/health")), /^HTTP\/1.1 503 [^]*"isFailing": true/);
  assert.match(await say(failing, ask("/health", { method: "HEAD" })), /^HTTP\/1.1 503 [^]*\r\n\r\n$/);
});

Deno.test.each([
  { text: ask("/"), status: 404 },
  { text: ask("/status/web"), status: 404 },
  { text: ask("/status", { method: "POST" }), status: 405 },
  { text: ask("/status", { method: "OPTIONS" }), status: 405 },
  { text: ask("/status", { host: "evil.example" }), status: 421 },
  { text: ask("/status", { host: "127.0.0.1.evil.example:80" }), status: 421 },
  { text: ask("/status", { host: "[::1]:9180" }), status: 200 },
  { text: "GARBAGE\n\n", status: 400 },
])("StatusServer answers $status to %j", async ({ text, status }) => {
  await using server = await serve(LOOPBACK);
  assert.equal((await say(server, text)).split(" ")[1], String(status));
});

Deno.test("StatusServer answers without waiting for a body", async () => {
  await using server = await serve(LOOPBACK);
  const text = "GET /status HTTP/1.1\nHost: localhost\nContent-Length: 1000000000\n\nx";
  assert.match(await say(server, text, { isHeld: true }), /^HTTP\/1.1 200 /);
});

Deno.test("StatusServer on all addresses accepts any Host", async () => {
  await using server = await serve({ host: "0.0.0.0", port: 0 });
  assert.match(await say(server, ask("/status", { host: "app1.example" })), /^HTTP\/1.1 200 /);
});

Deno.test("StatusServer at a socket is for its own user only, and removes the file at its end", async () => {
  await using dir = new TempDir();
  const path = dir.file("status.sock");
  {
    await using server = await serve({ path });
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assert.match(await say(server, ask("/status", { host: "any.example" })), /^HTTP\/1.1 200 /);
  }
  assert.deepEqual(await Array.fromAsync(Deno.readDir(dir.path)), []);
});

Deno.test("StatusServer replaces the socket of a process that was killed", async () => {
  await using dir = new TempDir();
  const path = dir.file("status.sock");
  const dead = Deno.listen({ transport: "unix", path: dir.file("dead.sock") });
  await Deno.rename(dir.file("dead.sock"), path);
  dead.close();
  assert.ok((await Deno.lstat(path)).isSocket, "its file is still there");
  await using server = await serve({ path });
  assert.match(await say(server, ask("/health")), /^HTTP\/1.1 200 /);
});

Deno.test("StatusServer reports why it cannot listen", async () => {
  await using dir = new TempDir();
  const path = dir.file("status.sock");
  await using first = await serve({ path });
  await assert.rejects(serve({ path }), {
    message: `Cannot serve status at unix:${path}: another process already listens on this socket`,
  });
  assert.match(await say(first, ask("/health")), /^HTTP\/1.1 200 /, "which continues");
  const file = await dir.write("file", "");
  await assert.rejects(serve({ path: file }), /the path exists and is not a socket/);
  await assert.rejects(serve({ path: dir.file("no/such/dir.sock") }), /^Error: Cannot serve status at unix:/);
  await using server = await serve(LOOPBACK);
  const port = portOf(server);
  await assert.rejects(
    serve({ host: "127.0.0.1", port }),
    (error: Error) => error.message.startsWith(`Cannot serve status at 127.0.0.1:${port}: `),
  );
});

Deno.test("StatusServer ends despite an open connection", async () => {
  const server = await serve(LOOPBACK);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  await connection.write(new TextEncoder().encode("GET /status HTTP/1.1\r\nHost: loc"));
  await server[Symbol.asyncDispose]();
});

Deno.test("StatusServer without a free file descriptor closes connections, and responds again at once", async () => {
  // A process of its own with a low limit, which uses all its file descriptors itself.
  const script = `
    import { StatusServer } from "./src/status/status_server.ts";
    const answers = {
      status: () => ({}),
      health: () => ({ isFailing: false, said: {} }),
      metrics: () => expose([], null),
    };
    const tell = (_, { event, reason }) => console.log(event, reason);
    const log = { debug() {}, info() {}, warn: tell, error: tell };
    const address = { host: "127.0.0.1", port: 0 };
    await using server = await StatusServer.start({ address, answers, log, openFilesMax: 100_000 });
    console.log("port", server.address.port);
    await Deno.stdin.read(new Uint8Array(1));
  `;
  const command = `ulimit -n 100; exec "$0" eval --no-check "$1"`;
  await using child = new Deno.Command("sh", {
    args: ["-c", command, Deno.execPath(), script],
    cwd: new URL("../..", import.meta.url).pathname,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  let said = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) said += text;
  })();
  await eventually("it listens", () => /port ([0-9]+)/.test(said));
  const port = Number(/port ([0-9]+)/.exec(said)?.[1]);
  {
    await using stack = new AsyncDisposableStack();
    for (let i = 0; i < 200; i++) stack.use(await Deno.connect({ hostname: "127.0.0.1", port }));
    await eventually("it makes room", () => said.includes("http.shed this process is out of file descriptors"));
    const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(60_000) });
    await answer.body?.cancel();
    assert.ok(answer.ok, "it answers while all of them are open still");
  }
  await child.stdin.close();
  assert.equal((await child.status).code, 0);
  await reading;
});
