import assert from "node:assert/strict";
import { isSilent, ScriptedServer, sends } from "../../tests/support/scripted_server.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { HttpClient, type HttpRequest } from "./client.ts";

const REQUEST = { method: "GET", path: "/", bytesMax: 1_000 } as const;

Deno.test("HttpClient aborts a request during the connect, without a late error", async () => {
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

Deno.test("HttpClient closes idle and active connections when it is disposed of", async () => {
  await using server = new ScriptedServer(isSilent);
  const client = new HttpClient();
  const signal = AbortSignal.timeout(60_000);
  const asking = client.ask({ host: "127.0.0.1", port: server.port }, { ...REQUEST, signal });
  const rejected = assert.rejects(asking, /client closed/);
  await eventually("the request has come", () => server.open === 1);
  client[Symbol.dispose]();
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("HttpClient reuses a connection until the server closes it, then opens another", async () => {
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
    client.ask({ host: "localhost", port: server.port }, { ...REQUEST, signal: AbortSignal.timeout(60_000) });
  for (let times = 0; times < 3; times++) assert.equal((await ask()).text, "ok");
  assert.equal(server.accepted, 1);
  hangUps[0]?.();
  await eventually("the connection is closed", () => server.open === 0);
  // The close has to arrive here too: a request before that fails, as over any persistent connection.
  await eventually("it answers again", async () => (await ask().catch(() => undefined))?.text === "ok");
  assert.equal(server.accepted, 2);
});

Deno.test("HttpClient keeps no more idle connections than its limit", async () => {
  await using server = new ScriptedServer(async (connection) => {
    const buffer = new Uint8Array(4_096);
    while (await connection.read(buffer) !== null) {
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    }
  });
  using client = new HttpClient({ keptMax: 1 });
  const ask = () =>
    client.ask({ host: "127.0.0.1", port: server.port }, { ...REQUEST, signal: AbortSignal.timeout(60_000) });
  assert.deepEqual((await Promise.all(Array.from({ length: 8 }, ask))).map(({ text }) => text), Array(8).fill("ok"));
  assert.equal(server.accepted, 8);
  await eventually("one connection is kept", () => server.open === 1);
  await ask();
  assert.equal(server.accepted, 8);
});

Deno.test("HttpClient returns the status text, the only content of a rejected HEAD", async () => {
  await using server = new ScriptedServer(sends("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 7\r\n\r\n"));
  using client = new HttpClient();
  const asked = { ...REQUEST, method: "HEAD", signal: AbortSignal.timeout(60_000) } as const;
  const { status, statusText, text } = await client.ask({ host: "127.0.0.1", port: server.port }, asked);
  assert.deepEqual({ status, statusText, text }, { status: 503, statusText: "Service Unavailable", text: "" });
});

Deno.test("HttpClient reads an answer line by line, however it is split", async () => {
  const go = Promise.withResolvers<void>();
  await using server = new ScriptedServer(async (connection) => {
    const send = (text: string) => connection.write(new TextEncoder().encode(text));
    const chunk = (text: string) => send(`${new TextEncoder().encode(text).length.toString(16)}\r\n${text}\r\n`);
    await connection.read(new Uint8Array(4_096));
    await send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const piece of ['{"a"', ':1}\n\n{"ü', '":2}\n{']) await chunk(piece);
    await go.promise;
    for (const piece of ['"c":3}', "\nlast"]) await chunk(piece);
    await send("0\r\n\r\n");
  });
  using client = new HttpClient();
  const signal = AbortSignal.timeout(60_000);
  const { status, lines } = await client.follow({ host: "127.0.0.1", port: server.port }, { ...REQUEST, signal });
  assert.equal(status, 200);
  assert.equal((await lines.next()).value, '{"a":1}');
  assert.equal((await lines.next()).value, '{"ü":2}');
  go.resolve();
  assert.deepEqual(await Array.fromAsync(lines), ['{"c":3}', "last"]);
});

Deno.test.each([
  { what: "is cut off", sent: "a\nb", said: /truncated|reset|closed|aborted|end of file/i },
  { what: "has a line that is too long", sent: `a\n${"b".repeat(2_000)}`, said: /exceeds 1000 bytes/ },
])("HttpClient throws while it reads an answer that $what", async ({ sent, said }) => {
  await using server = new ScriptedServer(async (connection) => {
    await connection.read(new Uint8Array(4_096));
    const text = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${sent.length.toString(16)}\r\n${sent}\r\n`;
    await connection.write(new TextEncoder().encode(text));
  });
  using client = new HttpClient();
  const signal = AbortSignal.timeout(60_000);
  const { lines } = await client.follow({ host: "127.0.0.1", port: server.port }, { ...REQUEST, signal });
  assert.equal((await lines.next()).value, "a");
  await assert.rejects(Array.fromAsync(lines), said);
});

Deno.test("HttpClient closes the connection of an abandoned answer", async () => {
  await using server = new ScriptedServer(async (connection) => {
    await connection.read(new Uint8Array(4_096));
    const text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n";
    await connection.write(new TextEncoder().encode(text));
    await isSilent(connection);
  });
  using client = new HttpClient();
  const address = { host: "127.0.0.1", port: server.port };
  const left = await client.follow(address, { ...REQUEST, signal: AbortSignal.timeout(60_000) });
  for await (const line of left.lines) {
    assert.equal(line, "a");
    break;
  }
  await eventually("the connection is closed", () => server.open === 0);
  const controller = new AbortController();
  const aborted = await client.follow(address, { ...REQUEST, signal: controller.signal });
  assert.equal((await aborted.lines.next()).value, "a");
  controller.abort(new Error("enough"));
  await assert.rejects(aborted.lines.next(), /enough/);
  await eventually("the connection is closed", () => server.open === 0);
});

/** Sends a request to a server that answers nothing else; answers what it received. */
async function received(asked: Partial<HttpRequest>): Promise<readonly string[]> {
  let text = "";
  await using server = new ScriptedServer(async (connection) => {
    const buffer = new Uint8Array(4_096);
    while (!text.endsWith(`\r\n\r\n${asked.body ?? ""}`)) {
      const read = await connection.read(buffer);
      if (read === null) return;
      text += new TextDecoder().decode(buffer.subarray(0, read));
    }
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  });
  using client = new HttpClient();
  await client.ask({ host: "127.0.0.1", port: server.port }, {
    ...REQUEST,
    signal: AbortSignal.timeout(60_000),
    ...asked,
  });
  return text.replaceAll(String(server.port), "PORT").split("\r\n").filter((line) => !/^connection:/i.test(line));
}

Deno.test("HttpClient sends host, length and headers once, those of the caller first", async () => {
  assert.deepEqual(await received({ headers: { "X-One": "1" } }), [
    "GET / HTTP/1.1",
    "host: 127.0.0.1:PORT",
    "X-One: 1",
    "",
    "",
  ]);
  assert.deepEqual(await received({ method: "POST", body: "é", headers: { Host: "other" } }), [
    "POST / HTTP/1.1",
    "content-length: 2",
    "Host: other",
    "",
    "é",
  ]);
  assert.deepEqual(await received({ method: "PUT" }), [
    "PUT / HTTP/1.1",
    "host: 127.0.0.1:PORT",
    "content-length: 0",
    "",
    "",
  ]);
});

Deno.test("HttpClient sends no header that would be two", async () => {
  for (const headers of [{ one: "1\r\ntwo: 2" }, { "one: 1\r\ntwo": "2" }]) {
    await assert.rejects(received({ headers }), /[Ii]nvalid|must be a valid/);
  }
});
