import assert from "node:assert/strict";
import grpc from "../../plugins/checks/grpc/mod.ts";
import { WorkerError } from "../../src/protocol/wire_error.ts";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { GrpcServer } from "../support/grpc_server.ts";
import { probe, reasonOf } from "../support/probe.ts";
import { startInWorker } from "../support/probe_in_worker.ts";
import { isSilent, ScriptedServer } from "../support/scripted_server.ts";
import { TempDir } from "../support/temp_dir.ts";

let server: GrpcServer;
let secured: GrpcServer;
let dir: TempDir;
let pem: Certificates;
Deno.test.beforeAll(async () => {
  dir = new TempDir("lighthouse-certificates-");
  pem = await makeCertificates(dir);
  server = await GrpcServer.start();
  secured = await GrpcServer.start({ tls: { key: pem.key, certificate: pem.good } });
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await secured[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

Deno.test.each([
  { config: {}, detail: "Got SERVING" },
  { config: { service: "web" }, detail: 'Got SERVING for "web"' },
  { config: { service: "more" }, detail: 'Got SERVING for "more"' },
])(
  "grpc passes on a real server with $config, in a worker with no more than its target",
  async ({ config, detail }) => {
    await using check = await startInWorker("grpc", config, server.target);
    for (let i = 0; i < 3; i++) assert.deepEqual(await check.probe(), { status: "pass", detail });
  },
);

Deno.test("grpc reaches a real server by its name", async () => {
  await using check = await startInWorker("grpc", {}, server.named);
  assert.equal((await check.probe()).status, "pass");
});

Deno.test.each([
  { service: "draining", reason: /^Got NOT_SERVING for "draining" from 127\.0\.0\.1:\d+, expected SERVING$/ },
  { service: "starting", reason: /^Got UNKNOWN for "starting"/ },
  { service: "odd", reason: /^Got status 9 for "odd"/ },
  {
    service: "nobody",
    reason: /^Got gRPC status "5" \(NOT_FOUND: unknown service\) from .*: "unknown service"$/,
  },
  { service: "locked", reason: /^Got gRPC status "16" \(UNAUTHENTICATED\)/ },
  { service: "broken", reason: /^Got gRPC status "13" \(INTERNAL\) from .*: "broken (?:\\u001b|%1B)\[2J"$/ },
  { service: "nonsense", reason: /^Got no HealthCheckResponse from/ },
  { service: "large", reason: /^Got a response of more than 4096 bytes from/ },
])("grpc fails on a real server for the service $service", async ({ service, reason }) => {
  assert.match(await reasonOf(grpc, { service }, server.target), reason);
});

Deno.test("grpc fails on a real server without a health service", async () => {
  await using other = await GrpcServer.start({ health: false });
  assert.match(
    await reasonOf(grpc, {}, other.target),
    /UNIMPLEMENTED: the server does not implement grpc\.health\.v1\.Health/,
  );
});

Deno.test("grpc speaks TLS to a real server, in a worker with no more than its target and its ca", async () => {
  for (const config of [{ ca: pem.ca }, { ca: pem.ca, server_name: "localhost" }, { verify: false, ca: pem.ca }]) {
    await using check = await startInWorker("grpc", { tls: true, ...config }, secured.target);
    assert.deepEqual(await check.probe(), { status: "pass", detail: "Got SERVING" });
  }
  assert.equal((await probe(grpc, { tls: true, ca: pem.ca }, secured.named)).status, "pass");
});

Deno.test("grpc rejects a certificate that is not trusted, or for another name", async () => {
  const invalid = /^Invalid certificate from 127\.0\.0\.1:\d+: /;
  assert.match(await reasonOf(grpc, { tls: true }, secured.target), invalid);
  assert.match(await reasonOf(grpc, { tls: true, ca: pem.selfSigned }, secured.target), invalid);
  const misnamed = { tls: true, ca: pem.ca, server_name: "elsewhere.example" };
  assert.match(await reasonOf(grpc, misnamed, secured.target), invalid);
  assert.match(await reasonOf(grpc, { tls: true, ca: dir.file("none.pem") }, secured.target), /^Cannot read CA file /);
});

Deno.test("grpc reports a mismatch of TLS between server and config", async () => {
  assert.match(await reasonOf(grpc, {}, secured.target), /127\.0\.0\.1:\d+/);
  assert.match(await reasonOf(grpc, { tls: true, verify: false }, server.target), /TLS error from|reset by/);
});

Deno.test("grpc fails on an HTTP server without gRPC", async () => {
  const http2 = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("hello"));
  const reason = await reasonOf(grpc, {}, `127.0.0.1:${http2.addr.port}`);
  assert.match(
    reason,
    /^Got HTTP status 200 and content-type "text\/plain;charset=UTF-8" from .*, expected a gRPC response$/,
  );
  await http2.shutdown();
});

Deno.test.each([{ config: {} }, { config: { tls: true, verify: false } }])(
  "grpc reaches nothing but its target with $config",
  async ({ config }) => {
    await using other = new ScriptedServer(isSilent);
    await using check = await startInWorker("grpc", config, other.target, { grantedFor: server.target });
    await assert.rejects(check.probe(), (error) => error instanceof WorkerError && error.kind === "NotCapable");
    assert.equal(other.accepted, 0);
  },
);
