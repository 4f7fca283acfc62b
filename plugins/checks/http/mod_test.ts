import assert from "node:assert/strict";
import { eventually } from "../../../tests/support/eventually.ts";
import { freePort } from "../../../tests/support/free_port.ts";
import { issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import { answers, isSilent, receive, ScriptedServer, sends } from "../../../tests/support/scripted_server.ts";
import http from "./mod.ts";

/** Serves with Deno's own HTTP server; the handler gets the request's path. */
function serve(handler: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  return {
    target: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Deno.test.each([
  { status: 200, passes: true },
  { status: 204, passes: true },
  { status: 299, passes: true },
  { status: 301, passes: false },
  { status: 404, passes: false },
  { status: 503, passes: false },
])("http passes with 200-299 by default: $status", async ({ status, passes }) => {
  await using server = serve(() => new Response(null, { status }));
  const outcome = await probe(http, { uri: "/" }, server.target);
  assert.deepEqual(
    outcome,
    passes
      ? { status: "pass", detail: `Got status ${status}` }
      : { status: "fail", reason: `Got status ${status}, expected 200-299` },
  );
});

Deno.test.each([
  { wanted: 301, seen: 301, passes: true },
  { wanted: "2xx, 304", seen: 304, passes: true },
  { wanted: ["400-402", "5XX"], seen: 599, passes: true },
  { wanted: ["400-402", "5XX"], seen: 403, passes: false },
])("http accepts $wanted and gets $seen", async ({ wanted, seen, passes }) => {
  await using server = serve(() => new Response(null, { status: seen }));
  assert.equal((await probe(http, { uri: "/", status: wanted }, server.target)).status, passes ? "pass" : "fail");
});

Deno.test("http does not follow a redirect, and reports its target", async () => {
  await using server = serve((request) =>
    new URL(request.url).pathname === "/old"
      ? new Response(null, { status: 302, headers: { location: "/new" } })
      : new Response("here")
  );
  assert.equal(
    await reasonOf(http, { uri: "/old" }, server.target),
    'Got status 302 (a redirect to "/new"), expected 200-299',
  );
});

Deno.test("http sends the configured request, and nothing else", async () => {
  const requests: string[] = [];
  await using server = new ScriptedServer(async (connection) => {
    requests.push(await receive(connection, "\r\n\r\n"));
    await sends(OK)(connection);
  });
  await probe(http, { uri: "/a?b=c#d" }, server.target);
  await probe(
    http,
    { uri: "/", method: "post", headers: { "X-One": 1, HOST: "web", "user-agent": "me" } },
    server.target,
  );
  await probe(http, { uri: "/", server_name: "example.com" }, server.target);
  assert.deepEqual(requests, [
    `GET /a?b=c#d HTTP/1.1\r\nHost: ${server.target}\r\nUser-Agent: lighthouse/2\r\n` +
    "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: web\r\nUser-Agent: me\r\nAccept-Encoding: identity\r\nConnection: close\r\n" +
    "Content-Length: 0\r\nX-One: 1\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: example.com:${server.port}\r\nUser-Agent: lighthouse/2\r\n` +
    "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
  ]);
});

Deno.test("http reaches a server by its name, and over IPv6", async () => {
  await using server = new ScriptedServer(answers(OK));
  assert.equal((await probe(http, { uri: "/" }, `localhost:${server.port}`)).status, "pass");
  await using six = new ScriptedServer(answers(OK), "::1");
  assert.equal((await probe(http, { uri: "/" }, `[::1]:${six.port}`)).status, "pass");
});

Deno.test.each([
  { what: "with its length", pieces: ["HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n", "hello world"] },
  { what: "that ends with the connection", pieces: ["HTTP/1.0 200 OK\r\n\r\nhel", "lo wor", "ld"] },
  { what: "with bare line feeds", pieces: ["HTTP/1.1 200\n\nhello world"] },
  {
    what: "in chunks, split within the string",
    pieces: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n4;x=y\r\nhell\r\n", "7\r\no world\r\n0\r\n\r\n"],
  },
  {
    what: "after interim responses",
    pieces: [
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\nhello world",
    ],
  },
  { what: "after a header on two lines", pieces: ["HTTP/1.1 200 OK\r\nX-Long: a\r\n  b\r\n\r\nhello world"] },
])("http finds a string in a body $what", async ({ pieces }) => {
  await using server = new ScriptedServer(answers(...pieces));
  assert.equal((await probe(http, { uri: "/", body: "hello world" }, server.target)).status, "pass");
});

Deno.test.each([
  { what: "a space before a colon", pieces: ["HTTP/1.1 200 OK\r\nServer : x\r\n\r\nok"] },
  { what: "a header line without a colon", pieces: ["HTTP/1.1 200 OK\r\nnonsense\r\n\r\nok"] },
  { what: "an empty header name", pieces: ["HTTP/1.1 200 OK\r\n: x\r\n\r\nok"] },
  { what: "two spaces before the status", pieces: ["HTTP/1.1  200 OK\r\n\r\nok"] },
  { what: "a tab before the status", pieces: ["HTTP/1.1\t200\tOK\r\n\r\nok"] },
  { what: "a space before the version", pieces: [" HTTP/1.1 200 OK\r\n\r\nok"] },
  { what: "HTTP/1.2", pieces: ["HTTP/1.2 200 OK\r\n\r\nok"] },
  { what: "HTTP/0.9 with a status", pieces: ["HTTP/0.9 200 OK\r\n\r\nok"] },
  { what: "40 KB of headers", pieces: ["HTTP/1.1 200 OK\r\n", `x: ${"y".repeat(1_000)}\r\n`.repeat(40), "\r\nok"] },
  { what: "one header of 60 KB", pieces: [`HTTP/1.1 200 OK\r\nx: ${"y".repeat(60_000)}\r\n\r\nok`] },
  {
    what: "a repeated length",
    pieces: ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"],
  },
  { what: "a length with a space before its colon", pieces: ["HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"] },
  { what: "the encoding identity", pieces: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok"] },
  {
    what: "the encoding identity, with a length",
    pieces: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: Identity\r\nContent-Length: 2\r\n\r\nok"],
  },
  {
    what: "the encodings identity and chunked",
    pieces: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
  },
])("http passes with $what, as in 1.0, and reads the body", async ({ pieces }) => {
  await using server = new ScriptedServer(answers(...pieces));
  assert.equal((await probe(http, { uri: "/" }, server.target)).status, "pass");
  assert.equal((await probe(http, { uri: "/", body: "ok" }, server.target)).status, "pass");
});

Deno.test("http finds a string that arrives byte by byte", async () => {
  await using server = new ScriptedServer(answers(...`HTTP/1.1 200 OK\r\n\r\n${"-".repeat(50)}ready: é`));
  assert.equal((await probe(http, { uri: "/", body: "ready: é" }, server.target)).status, "pass");
});

Deno.test.each([
  {
    what: "a body without the string",
    pieces: ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"],
    reason: /"yes" not found in/,
  },
  {
    what: "a string past the first 64 KiB",
    pieces: ["HTTP/1.1 200 OK\r\n\r\n", "x".repeat(65_534), "yes"],
    reason: /not found in the first 65536 bytes/,
  },
  {
    what: "a body that is cut off",
    pieces: ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nye"],
    reason: /closed the connection 7 bytes before the end of the body/,
  },
  {
    what: "an invalid length",
    pieces: ["HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nyes"],
    reason: /content-length "-1"/,
  },
  {
    what: "lengths that differ",
    pieces: ["HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nyes"],
    reason: /content-length "1, 2"/,
  },
  {
    what: "an unknown encoding",
    pieces: ["HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nyes"],
    reason: /transfer-encoding "gzip"/,
  },
  {
    what: "a chunk without a size",
    pieces: ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nyes\r\n"],
    reason: /expected a chunk size/,
  },
  {
    what: "an unterminated chunk",
    pieces: ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n"],
    reason: /expected the end of a chunk/,
  },
  { what: "no body by status", pieces: ["HTTP/1.1 204 No Content\r\n\r\nyes"], reason: /"yes" not found in/ },
])("http fails for $what", async ({ pieces, reason }) => {
  await using server = new ScriptedServer(answers(...pieces));
  assert.match(await reasonOf(http, { uri: "/", body: "yes" }, server.target), reason);
});

Deno.test.each([
  { what: "closes at once", script: sends(), reason: /closed the connection without a response|reset by/ },
  {
    what: "speaks SSH",
    script: sends("SSH-2.0-OpenSSH_9.2\r\n"),
    reason: /Got "SSH-2.0-OpenSSH_9.2" from .*, expected an HTTP response/,
  },
  {
    what: "sends random bytes",
    script: sends("\u0000\u0001\u00ff".repeat(90) + "\n"),
    reason: /expected an HTTP response/,
  },
  { what: "sends no line", script: answers("x".repeat(300_000)), reason: /more than 262144 bytes of headers/ },
  {
    what: "sends endless headers",
    script: answers("HTTP/1.1 200 OK\r\n", `x: ${"y".repeat(900)}\r\n`.repeat(300)),
    reason: /more than 262144 bytes of headers/,
  },
  {
    what: "closes within the headers",
    script: answers("HTTP/1.1 200 OK\r\nx: y"),
    reason: /closed the connection before the end of the headers/,
  },
  {
    what: "never sends the final response",
    script: answers("HTTP/1.1 100 Continue\r\n\r\n".repeat(20)),
    reason: /more than 10 interim responses/,
  },
  {
    what: "answers with an invalid status",
    script: answers("HTTP/1.1 999 No\r\n\r\n"),
    reason: /expected an HTTP response/,
  },
])("http fails when the server $what", async ({ script, reason }) => {
  await using server = new ScriptedServer(script);
  assert.match(await reasonOf(http, { uri: "/" }, server.target), reason);
});

Deno.test("http fails without a listener, and for an unknown name", async () => {
  const target = `127.0.0.1:${freePort()}`;
  assert.equal(await reasonOf(http, { uri: "/" }, target), `Connection refused at ${target}`);
});

Deno.test("http stops when it is aborted, and closes its connection", async () => {
  await using server = new ScriptedServer(isSilent);
  const controller = new AbortController();
  const probing = probe(http, { uri: "/" }, server.target, controller.signal);
  const rejected = assert.rejects(probing, /enough/);
  await eventually("the probe is connected", () => server.open === 1);
  controller.abort(new Error("enough"));
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("http aborts a server that sends slowly forever", async () => {
  await using server = new ScriptedServer(async (connection) => {
    for (;;) {
      await connection.write(new TextEncoder().encode("x"));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  const controller = new AbortController();
  const rejected = assert.rejects(probe(http, { uri: "/" }, server.target, controller.signal), /enough/);
  await eventually("the probe is connected", () => server.open === 1);
  controller.abort(new Error("enough"));
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("http does not start when it is already aborted", async () => {
  await using server = new ScriptedServer(isSilent);
  await assert.rejects(probe(http, { uri: "/" }, server.target, AbortSignal.abort(new Error("too late"))), /too late/);
  assert.equal(server.accepted, 0);
});

Deno.test.each([
  { raw: {}, message: /^Missing key uri: must be a path/ },
  {
    raw: { uri: "health" },
    message: /^Cannot use uri: must be a path that starts with "\/".*current value is "health"$/,
  },
  { raw: { uri: "/a b" }, message: /^Cannot use uri/ },
  { raw: { uri: "/\r\nX: y" }, message: /^Cannot use uri/ },
  { raw: { uri: "/", method: "GET /" }, message: /^Cannot use method/ },
  { raw: { uri: "/", headers: { a: "b\r\nc: d" } }, message: /^Cannot use headers.a: must be a one-line string/ },
  { raw: { uri: "/", headers: { "a b": "c" } }, message: /^Cannot use the header name: .* current value is "a b"$/ },
  { raw: { uri: "/", headers: { "Content-length": 5 } }, message: /a check sends no body/ },
  { raw: { uri: "/", headers: { authorization: ["s3cret"] } }, message: /current value is \*\*\*\*\*$/ },
  { raw: { uri: "/", status: "200-" }, message: /^Cannot use status: must be a status, a range/ },
  { raw: { uri: "/", status: "299-200" }, message: /^Cannot use status/ },
  { raw: { uri: "/", status: [] }, message: /^Cannot use status/ },
  { raw: { uri: "/", status: 600 }, message: /^Cannot use status/ },
  { raw: { uri: "/", body: "" }, message: /^Cannot use body/ },
  { raw: { uri: "/", body: "x", method: "head" }, message: /^Cannot use body: a response to HEAD has no body/ },
  { raw: { uri: "/", ca: "ca.pem" }, message: /^Cannot use ca: must be the absolute path/ },
  { raw: { uri: "/", server_name: "a b" }, message: /^Cannot use server_name: must be a host name/ },
  { raw: { uri: "/", https: "yes" }, message: /^Cannot use https: must be true or false/ },
  { raw: { uri: "/", url: "/" }, message: /^Unknown key url$/ },
])("http rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(http, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});

Deno.test("http requests its target, and the CA file if it reads one", () => {
  const config = { uri: "/", method: "GET", headers: {}, status: [], ca: "/etc/ca.pem" };
  const scope = { instance: "web:8000/http", target: "web:8000" };
  const net = [scope.target];
  assert.deepEqual(http.permissions({ ...config, https: true, verify: true }, scope), { net, read: ["/etc/ca.pem"] });
  assert.deepEqual(http.permissions({ ...config, https: true, verify: false }, scope), { net });
  assert.deepEqual(http.permissions({ ...config, https: false, verify: true }, scope), { net });
  assert.deepEqual(http.permissions({ ...config, https: false, verify: true }, { instance: "x" }), { net: [] });
});
