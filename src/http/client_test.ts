import assert from "node:assert/strict";
import { isSilent, ScriptedServer } from "../../tests/support/scripted_server.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { HttpClient } from "./client.ts";

const REQUEST = { method: "GET", path: "/", bytesMax: 1_000 } as const;

Deno.test("HttpClient gives up a request whose connection is being made, and nothing else is heard of it", async () => {
  await using server = new ScriptedServer(isSilent);
  using client = new HttpClient();
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController();
    const asking = client.ask({ host: "localhost", port: server.port }, { ...REQUEST, signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(asking, /enough/);
  }
  await eventually("every connection is closed", () => server.open === 0);
});

Deno.test("HttpClient closes what it keeps and what is under way when it is disposed of", async () => {
  await using server = new ScriptedServer(isSilent);
  const client = new HttpClient();
  const signal = AbortSignal.timeout(60_000);
  const asking = client.ask({ host: "127.0.0.1", port: server.port }, { ...REQUEST, signal });
  const rejected = assert.rejects(asking, /The client is closed/);
  await eventually("the request has come", () => server.open === 1);
  client[Symbol.dispose]();
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("HttpClient uses a connection again until the server closes it, and makes another then", async () => {
  const hangUps: (() => void)[] = [];
  await using server = new ScriptedServer(async (connection) => {
    const gone = Promise.withResolvers<void>();
    hangUps.push(gone.resolve);
    const buffer = new Uint8Array(4_096);
    const serve = async () => {
      while (await connection.read(buffer) !== null) {
        await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
      }
    };
    await Promise.race([gone.promise, serve()]);
  });
  using client = new HttpClient();
  const ask = () =>
    client.ask({ host: "localhost", port: server.port }, { ...REQUEST, signal: AbortSignal.timeout(10_000) });
  for (let times = 0; times < 3; times++) assert.equal((await ask()).text, "ok");
  assert.equal(server.accepted, 1);
  hangUps[0]?.();
  await eventually("the connection is closed", () => server.open === 0);
  // The end has to arrive here as well: a request that meets it fails, as over any connection that is kept.
  await eventually("it answers again", async () => (await ask().catch(() => undefined))?.text === "ok");
  assert.equal(server.accepted, 2);
});
