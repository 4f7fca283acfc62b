import assert from "node:assert/strict";
import http from "../../plugins/checks/http/mod.ts";
import redis from "../../plugins/checks/redis/mod.ts";
import type { ProbeOutcome } from "../../src/plugin/contract.ts";
import { WorkerError } from "../../src/protocol/wire_error.ts";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { probe, reasonOf } from "../support/probe.ts";
import { startInWorker } from "../support/probe_in_worker.ts";
import { RedisServer } from "../support/redis.ts";
import { answers, isSilent, ScriptedServer, sends } from "../support/scripted_server.ts";
import { listens, ServerProcess } from "../support/server_process.ts";
import { TempDir } from "../support/temp_dir.ts";

let dir: TempDir;
let pem: Certificates;
Deno.test.beforeAll(async () => {
  dir = new TempDir("lighthouse-certificates-");
  pem = await makeCertificates(dir);
});
Deno.test.afterAll(() => dir[Symbol.asyncDispose]());

/** Serves HTTPS with the certificate of a file; returns the requested path. */
function serveTls(cert: string) {
  const server = Deno.serve(
    {
      port: 0,
      hostname: "127.0.0.1",
      cert: Deno.readTextFileSync(cert),
      key: Deno.readTextFileSync(pem.key),
      onListen() {},
    },
    (request) => new Response(`you asked ${new URL(request.url).pathname} of ${request.headers.get("host")}`),
  );
  return {
    port: server.addr.port,
    target: `127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("http trusts the authorities of its ca file over TLS, by address and by name", async () => {
  await using server = serveTls(pem.good);
  const config = { uri: "/up", https: true, ca: pem.ca, body: "you asked /up" };
  assert.equal((await probe(http, config, server.target)).status, "pass");
  assert.equal((await probe(http, config, `localhost:${server.port}`)).status, "pass");
  const named = { ...config, server_name: "localhost", body: "of localhost" };
  assert.equal((await probe(http, named, server.target)).status, "pass");
});

Deno.test("http trusts a self-signed certificate that is named as its own authority", async () => {
  await using server = serveTls(pem.selfSigned);
  assert.equal((await probe(http, { uri: "/", https: true, ca: pem.selfSigned }, server.target)).status, "pass");
});

Deno.test.each(
  [
    { what: "from an unknown authority", cert: "good", ca: undefined, reason: /unable to verify/ },
    { what: "that is self-signed", cert: "selfSigned", ca: undefined, reason: /self-signed certificate/ },
    { what: "that has expired", cert: "expired", ca: "ca", reason: /certificate has expired/ },
    { what: "for another name", cert: "misnamed", ca: "ca", reason: /does not match certificate's altnames/ },
  ] as const,
)("http rejects a certificate $what, unless verify is false", async ({ cert, ca, reason }) => {
  await using server = serveTls(pem[cert]);
  const config = { uri: "/", https: true, ...(ca !== undefined && { ca: pem[ca] }) };
  const said = await reasonOf(http, config, server.target);
  assert.match(said, /^Invalid certificate from 127\.0\.0\.1:\d+: /);
  assert.match(said, reason);
  const unverified = { ...config, verify: false, body: "you asked /" };
  assert.equal((await probe(http, unverified, server.target)).status, "pass");
});

Deno.test("http reports an invalid ca file", async () => {
  await using server = serveTls(pem.good);
  const missing = dir.file("missing.pem");
  const unread = await reasonOf(http, { uri: "/", https: true, ca: missing }, server.target);
  assert.match(unread, /^Cannot read CA file .*missing.pem/);
  const key = await reasonOf(http, { uri: "/", https: true, ca: pem.key }, server.target);
  assert.match(key, /^Cannot use CA file .*: no PEM certificate found/);
});

Deno.test.each([{ verify: true }, { verify: false }])(
  "http reports a server without TLS, with verify $verify",
  async ({ verify }) => {
    await using plain = new ScriptedServer(sends("HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert.match(await reasonOf(http, { uri: "/", https: true, verify }, plain.target), /TLS error from|reset by/);
    await using gone = new ScriptedServer(sends());
    assert.match(
      await reasonOf(http, { uri: "/", https: true, verify }, gone.target),
      /reset by/,
    );
  },
);

Deno.test.each([{ verify: true }, { verify: false }])(
  "http aborts a silent TLS handshake with its signal, with verify $verify",
  async ({ verify }) => {
    await using server = new ScriptedServer(isSilent);
    const controller = new AbortController();
    const rejected = assert.rejects(
      probe(http, { uri: "/", https: true, verify }, server.target, controller.signal),
      /enough/,
    );
    await eventually("the probe is connected", () => server.open === 1);
    controller.abort(new Error("enough"));
    await rejected;
    await eventually("the connection is closed", () => server.open === 0);
  },
);

Deno.test("http fails on a plain request to a TLS server", async () => {
  await using server = serveTls(pem.good);
  const reason = await reasonOf(http, { uri: "/" }, server.target);
  assert.match(reason, /expected an HTTP response|without a response|reset by/);
});

Deno.test("redis passes on a real Redis without a password", async () => {
  await using server = await RedisServer.start();
  assert.deepEqual(await probe(redis, {}, server.target), { status: "pass", detail: "Got PONG" });
  assert.match(await reasonOf(redis, { password: "x" }, server.target), /without any password configured|refuses/);
});

Deno.test("redis logs in to a real Redis with a password", async () => {
  await using server = await RedisServer.start(["requirepass s3cret"]);
  assert.equal((await probe(redis, { password: "s3cret" }, server.target)).status, "pass");
  assert.match(await reasonOf(redis, {}, server.target), /NOAUTH.*: the server requires a password$/);
  assert.match(
    await reasonOf(redis, { password: "wrong" }, server.target),
    /WRONGPASS.*: wrong username or password$/,
  );
});

Deno.test("redis logs in to a real Redis as an ACL user", async () => {
  await using server = await RedisServer.start([
    "user health on >probing +ping",
    "user mute on >silence -@all",
    "user default off",
  ]);
  assert.equal((await probe(redis, { username: "health", password: "probing" }, server.target)).status, "pass");
  const reason = await reasonOf(redis, { username: "mute", password: "silence" }, server.target);
  assert.match(reason, /NOPERM.*: the user has no permission to run PING$/);
});

Deno.test("redis speaks TLS to a real Redis", async () => {
  const tls = [`tls-cert-file ${pem.good}`, `tls-key-file ${pem.key}`, `tls-ca-cert-file ${pem.ca}`];
  await using server = await RedisServer.start([...tls, "tls-auth-clients no"], { tls: true });
  assert.equal((await probe(redis, { tls: true, ca: pem.ca }, server.target)).status, "pass");
  assert.equal((await probe(redis, { tls: true, verify: false }, server.target)).status, "pass");
  assert.match(await reasonOf(redis, { tls: true }, server.target), /: self-signed certificate in/);
});

/** Probes once in a worker with the permissions it requests. */
async function probeInWorker(
  name: string,
  raw: unknown,
  target: string,
  options: { readonly grantedFor?: string } = {},
): Promise<ProbeOutcome> {
  await using check = await startInWorker(name, raw, target, options);
  return await check.probe();
}

Deno.test("http passes in a worker with the permissions it requests, and reaches nothing else", async () => {
  await using server = new ScriptedServer(answers("HTTP/1.1 200 OK\r\n\r\n"));
  await using other = new ScriptedServer(isSilent);
  assert.equal((await probeInWorker("http", { uri: "/" }, server.target)).status, "pass");
  assert.equal((await probeInWorker("http", { uri: "/" }, `localhost:${server.port}`)).status, "pass");
  await assert.rejects(
    probeInWorker("http", { uri: "/" }, other.target, { grantedFor: server.target }),
    (error) => error instanceof WorkerError && error.kind === "NotCapable",
  );
  assert.equal(other.accepted, 0);
});

Deno.test("http over TLS passes in a worker with the permissions it requests, and reaches nothing else", async () => {
  await using server = serveTls(pem.good);
  await using other = serveTls(pem.good);
  const configs = [{ ca: pem.ca }, { ca: pem.ca, server_name: "localhost" }, { verify: false }, {
    verify: false,
    ca: pem.ca,
  }];
  for (const config of configs) {
    const raw = { uri: "/", https: true, ...config };
    assert.deepEqual(await probeInWorker("http", raw, server.target), { status: "pass", detail: "Got status 200" });
    await assert.rejects(
      probeInWorker("http", raw, other.target, { grantedFor: server.target }),
      (error) => error instanceof WorkerError && error.kind === "NotCapable",
    );
  }
});

Deno.test("tcp passes in a worker with the permissions it requests, and reaches nothing else", async () => {
  await using server = new ScriptedServer(isSilent);
  await using other = new ScriptedServer(isSilent);
  assert.equal((await probeInWorker("tcp", {}, server.target)).status, "pass");
  await assert.rejects(
    probeInWorker("tcp", {}, other.target, { grantedFor: server.target }),
    (error) => error instanceof WorkerError && error.kind === "NotCapable",
  );
  assert.equal(other.accepted, 0);
});

Deno.test("redis passes in a worker with the permissions it requests, and reaches nothing else", async () => {
  await using server = await RedisServer.start(["requirepass s3cret"]);
  await using other = new ScriptedServer(isSilent);
  assert.equal((await probeInWorker("redis", { password: "s3cret" }, server.target)).status, "pass");
  await assert.rejects(
    probeInWorker("redis", { password: "s3cret" }, other.target, { grantedFor: server.target }),
    (error) => error instanceof WorkerError && error.kind === "NotCapable",
  );
  assert.equal(other.accepted, 0);
});

Deno.test.each([
  {
    what: "an RSA key of 1024 bits",
    bits: 1024,
    args: ["-cipher", "ALL:@SECLEVEL=0"],
    reason: /TLS error from .*: unsupported certificate key, such as RSA with fewer than/,
  },
  {
    what: "only RSA key exchange",
    bits: 2048,
    args: ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
    reason: /TLS error from .*: .*HandshakeFailure/,
  },
  {
    what: "only a CBC suite",
    bits: 2048,
    args: ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"],
    reason: /TLS error from .*: .*HandshakeFailure/,
  },
  {
    what: "DHE alone",
    bits: 2048,
    args: ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"],
    reason: /TLS error from .*: .*HandshakeFailure/,
  },
  {
    what: "only TLS 1.1",
    bits: 2048,
    args: ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    reason: /TLS error from .*: .*ProtocolVersion/,
  },
])("http fails on TLS with $what, and names the problem", async ({ bits, args, reason }) => {
  await using server = await openssl(bits, args);
  assert.match(await reasonOf(http, { uri: "/", https: true, verify: false }, server.target), reason);
});

Deno.test("http passes on TLS 1.2 with ECDHE and AES-GCM", async () => {
  await using server = await openssl(2048, ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
  assert.equal((await probe(http, { uri: "/", https: true, verify: false }, server.target)).status, "pass");
});

/** OpenSSL's own web server, with a certificate whose RSA key has this many bits. */
async function openssl(bits: number, args: readonly string[]): Promise<AsyncDisposable & { readonly target: string }> {
  const [key, cert] = [dir.file(`rsa${bits}.key`), dir.file(`rsa${bits}.pem`)];
  const made = [
    "req",
    "-x509",
    "-newkey",
    `rsa:${bits}`,
    "-nodes",
    "-keyout",
    key,
    "-out",
    cert,
    "-subj",
    "/CN=localhost",
  ];
  await new Deno.Command("openssl", { args: made, stdin: "null", stderr: "null" }).output();
  const port = freePort();
  const process = await ServerProcess.start("openssl", {
    name: "openssl s_server",
    args: ["s_server", "-accept", `127.0.0.1:${port}`, "-cert", cert, "-key", key, "-www", "-quiet", ...args],
    serves: () => listens(port),
  });
  return Object.assign(process, { target: `127.0.0.1:${port}` });
}
