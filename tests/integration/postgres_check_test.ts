import assert from "node:assert/strict";
import postgres from "../../plugins/checks/postgres/mod.ts";
import { WorkerError } from "../../src/protocol/wire_error.ts";
import { type Certificates, makeCertificates } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { PostgresServer } from "../support/postgres.ts";
import { probe, reasonOf } from "../support/probe.ts";
import { startInWorker } from "../support/probe_in_worker.ts";
import { isSilent, receive, ScriptedServer, sends } from "../support/scripted_server.ts";
import { TempDir } from "../support/temp_dir.ts";

let dir: TempDir;
let pem: Certificates;
let server: PostgresServer;
Deno.test.beforeAll(async () => {
  dir = new TempDir("lighthouse-certificates-");
  pem = await makeCertificates(dir);
  server = await PostgresServer.start({ tls: { key: pem.key, certificate: pem.good } });
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const LOGIN = { user: "health", password: "s3cret", database: "postgres" };

Deno.test.each([
  { what: "without a user", config: {}, detail: "Connection accepted" },
  {
    what: "with a user that needs no password",
    config: { user: "trusting", database: "postgres" },
    detail: "Login accepted",
  },
  { what: "with SCRAM-SHA-256", config: LOGIN, detail: "Login accepted" },
  { what: "with MD5", config: { ...LOGIN, user: "old" }, detail: "Login accepted" },
  { what: "with a cleartext password", config: { ...LOGIN, user: "clear" }, detail: "Login accepted" },
  {
    what: "with non-ASCII strings",
    config: { ...LOGIN, user: "foreign_words", password: "pä ßwörd" },
    detail: "Login accepted",
  },
  { what: "with a query", config: { ...LOGIN, query: "SELECT 1" }, detail: 'Got "1"' },
  { what: "with a query without rows", config: { ...LOGIN, query: "SELECT 1 WHERE false" }, detail: "Got no rows" },
  {
    what: "with a query and a number",
    config: { ...LOGIN, query: "SELECT waiting FROM jobs", expect: 3 },
    detail: 'Got "3"',
  },
  {
    what: "with a query and true",
    config: { ...LOGIN, query: "SELECT NOT pg_is_in_recovery()", expect: true },
    detail: 'Got "t"',
  },
  {
    what: "with several queries",
    config: { ...LOGIN, query: "SET timezone = 'UTC'; SELECT 'x'", expect: "x" },
    detail: 'Got "x"',
  },
])("postgres passes on a real server $what, in a worker with no more than its target", async ({ config, detail }) => {
  await using check = await startInWorker("postgres", config, server.target);
  for (let i = 0; i < 2; i++) assert.deepEqual(await check.probe(), { status: "pass", detail });
});

Deno.test.each([
  {
    what: "a wrong password",
    config: { ...LOGIN, password: "guessed" },
    reason: /^Got error "28P01" \(wrong user or pass.*\) from/,
  },
  {
    what: "a wrong password with MD5",
    config: { ...LOGIN, user: "old", password: "guessed" },
    reason: /^Got error "28P01"/,
  },
  { what: "no password", config: { user: "health" }, reason: /requires a password for user "health"$/ },
  { what: "a user that does not exist", config: { ...LOGIN, user: "nobody" }, reason: /^Got error "28P01"/ },
  {
    what: "a user that is rejected",
    config: { ...LOGIN, user: "seal" },
    reason: /^Got error "28000" \(login not permitted\)/,
  },
  {
    what: "a database that does not exist",
    config: { ...LOGIN, database: "nowhere" },
    reason: /^Got error "3D000" \(no such/,
  },
  {
    what: "a broken query",
    config: { ...LOGIN, query: "SELEKT 1" },
    reason: /^Got error "42601" from 127\.0\.0\.1:\d+: "syntax/,
  },
  {
    what: "a query that is not allowed",
    config: { ...LOGIN, query: "DELETE FROM jobs" },
    reason: /^Got error "42501"/,
  },
  { what: "an error after a row", config: { ...LOGIN, query: "SELECT 1; SELECT 1/0" }, reason: /^Got error "22012"/ },
  {
    what: "another value",
    config: { ...LOGIN, query: "SELECT 'a'", expect: "b" },
    reason: /^Got "a" from .*, expected "b"$/,
  },
  {
    what: "no row",
    config: { ...LOGIN, query: "SELECT 1 WHERE false", expect: 1 },
    reason: /^Got no rows from .*, expected "1"$/,
  },
  {
    what: "NULL",
    config: { ...LOGIN, query: "SELECT NULL", expect: "NULL" },
    reason: /^Got NULL from .*, expected "NULL"$/,
  },
  {
    what: "a query that copies out",
    config: { ...LOGIN, query: "COPY jobs TO STDOUT" },
    reason: /COPY is not supported/,
  },
  {
    what: "a query that copies in",
    config: { ...LOGIN, user: "trusting", query: "CREATE TEMP TABLE t (a int); COPY t FROM STDIN" },
    reason: /COPY is not supported/,
  },
  {
    what: "a value that is too long",
    config: { ...LOGIN, query: "SELECT repeat('x', 70000)" },
    reason: /that is too long/,
  },
  {
    what: "endless rows",
    config: { ...LOGIN, query: "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)" },
    reason: /that is too long/,
  },
])("postgres fails on a real server for $what", async ({ config, reason }) => {
  const said = await reasonOf(postgres, config, server.target);
  assert.match(said, reason);
  assert.doesNotMatch(said, /s3cret|guessed/);
});

Deno.test("postgres does not repeat a password that a server sends", async () => {
  const config = { ...LOGIN, query: "SELECT 'it is s3cret'" };
  assert.deepEqual(await probe(postgres, config, server.target), { status: "pass", detail: 'Got "it is *****"' });
});

Deno.test("postgres speaks TLS to a real server, in a worker with no more than its target and its ca", async () => {
  const config = {
    ...LOGIN,
    user: "seal",
    tls: true,
    query: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    expect: true,
  };
  for (const how of [{ ca: pem.ca }, { ca: pem.ca, server_name: "localhost" }, { ca: pem.ca, verify: false }]) {
    await using check = await startInWorker("postgres", { ...config, ...how }, server.target);
    assert.deepEqual(await check.probe(), { status: "pass", detail: 'Got "t"' });
  }
  assert.equal((await probe(postgres, { tls: true, ca: pem.ca }, server.named)).status, "pass");
});

Deno.test("postgres rejects a certificate that is not trusted, or for another name", async () => {
  const invalid = /^Invalid certificate from 127\.0\.0\.1:\d+: /;
  assert.match(await reasonOf(postgres, { tls: true }, server.target), invalid);
  assert.match(await reasonOf(postgres, { tls: true, ca: pem.selfSigned }, server.target), invalid);
  assert.match(
    await reasonOf(postgres, { tls: true, ca: pem.ca, server_name: "elsewhere.example" }, server.target),
    invalid,
  );
});

Deno.test("postgres reports a real server without TLS", async () => {
  await using plain = await PostgresServer.start();
  assert.equal(
    await reasonOf(postgres, { tls: true, verify: false }, plain.target),
    `${plain.target} does not offer TLS`,
  );
});

Deno.test.each([
  {
    what: "answers more than it was asked",
    script: sends("Sand more"),
    reason: /^Got "Sand more" from .*, expected S or N in response to SSLRequest$/,
  },
  { what: "hangs up", script: sends(), reason: /closed the connection without a response$|reset by/ },
  { what: "accepts, but does not speak TLS", script: sends("S"), reason: /127\.0\.0\.1:\d+/ },
])("postgres fails when a server that is asked for TLS $what, and leaves nothing open", async ({ script, reason }) => {
  await using other = new ScriptedServer(async (connection) => {
    await receive(connection, "\u0016/");
    await script(connection);
  });
  assert.match(await reasonOf(postgres, { tls: true, verify: false }, other.target), reason);
  await eventually("the connection is closed", () => other.open === 0);
});

Deno.test.each([{ says: "" }, { says: "S" }])(
  "postgres aborts with a server that answers '$says' to TLS, and then nothing",
  async ({ says }) => {
    await using other = new ScriptedServer(async (connection) => {
      if (says !== "") await connection.write(new TextEncoder().encode(says));
      await isSilent(connection);
    });
    const controller = new AbortController();
    const rejected = assert.rejects(probe(postgres, { tls: true }, other.target, controller.signal), /enough/);
    await eventually("the probe is connected", () => other.open === 1);
    controller.abort(new Error("enough"));
    await rejected;
    await eventually("the connection is closed", () => other.open === 0);
  },
);

Deno.test("postgres aborts a slow query on a real server", async () => {
  const busy = { ...LOGIN, query: "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'" };
  const controller = new AbortController();
  const config = { ...LOGIN, query: "SELECT pg_sleep(300)" };
  const rejected = assert.rejects(probe(postgres, config, server.target, controller.signal), /enough/);
  await eventually(
    "it sleeps",
    async () => (await probe(postgres, { ...busy, expect: 1 }, server.target)).status === "pass",
  );
  controller.abort(new Error("enough"));
  await rejected;
});

Deno.test.each([{ config: {} }, { config: { tls: true, verify: false } }])(
  "postgres reaches nothing but its target with $config",
  async ({ config }) => {
    await using other = new ScriptedServer(isSilent);
    await using check = await startInWorker("postgres", config, other.target, { grantedFor: server.target });
    await assert.rejects(check.probe(), (error) => error instanceof WorkerError && error.kind === "NotCapable");
    assert.equal(other.accepted, 0);
  },
);
