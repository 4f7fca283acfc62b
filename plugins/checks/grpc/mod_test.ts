import assert from "node:assert/strict";
import { eventually } from "../../../tests/support/eventually.ts";
import { freePort } from "../../../tests/support/free_port.ts";
import { issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import { isSilent, ScriptedServer, sends } from "../../../tests/support/scripted_server.ts";
import grpc from "./mod.ts";

Deno.test("grpc fails without a listener", async () => {
  const target = `127.0.0.1:${freePort()}`;
  assert.equal(await reasonOf(grpc, {}, target), `Connection refused at ${target}`);
});

Deno.test.each([
  { what: "closes at once", script: sends() },
  { what: "speaks HTTP/1.1", script: sends("HTTP/1.1 400 Bad Request\r\n\r\n") },
  { what: "speaks SSH, with a long banner", script: sends("SSH-2.0-OpenSSH_9.2\r\n".repeat(1_000)) },
  { what: "sends the beginning of a frame", script: sends("\0\0") },
  { what: "sends invalid frames", script: sends("\0\0\u0004\u0063\0\0\0\0\u0001abcd".repeat(20)) },
])("grpc fails when the server $what, and leaves nothing open", async ({ script }) => {
  await using server = new ScriptedServer(script);
  const reason = await reasonOf(grpc, {}, server.target);
  assert.ok(reason.includes(server.target), reason);
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("grpc stops when it is aborted, and closes its connection", async () => {
  await using server = new ScriptedServer(isSilent);
  const controller = new AbortController();
  const rejected = assert.rejects(probe(grpc, {}, server.target, controller.signal), /enough/);
  await eventually("the probe is connected", () => server.open === 1);
  controller.abort(new Error("enough"));
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("grpc does not start when it is already aborted", async () => {
  await using server = new ScriptedServer(isSilent);
  await assert.rejects(probe(grpc, {}, server.target, AbortSignal.abort(new Error("too late"))), /too late/);
  assert.equal(server.accepted, 0);
});

Deno.test.each([
  { raw: { service: 1 }, message: /^Cannot use service: must be a string; current value is 1$/ },
  { raw: { tls: "yes" }, message: /^Cannot use tls: must be true or false/ },
  { raw: { ca: "ca.pem" }, message: /^Cannot use ca: must be the absolute path/ },
  { raw: { uri: "/" }, message: /^Unknown key uri$/ },
])("grpc rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(grpc, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});

Deno.test("grpc requests its target, and the CA file if it reads one", () => {
  const config = { service: "", ca: "/etc/ca.pem" };
  const scope = { instance: "api:8000/grpc", target: "api:8000" };
  const net = [scope.target];
  assert.deepEqual(grpc.permissions({ ...config, tls: true, verify: true }, scope), { net, read: ["/etc/ca.pem"] });
  assert.deepEqual(grpc.permissions({ ...config, tls: true, verify: false }, scope), { net });
  assert.deepEqual(grpc.permissions({ ...config, tls: false, verify: true }, scope), { net });
});
