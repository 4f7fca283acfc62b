import assert from "node:assert/strict";
import { eventually } from "../../../tests/support/eventually.ts";
import { freePort } from "../../../tests/support/free_port.ts";
import { configured, issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import { isSilent, ScriptedServer } from "../../../tests/support/scripted_server.ts";
import { formatInt32, formatMessage } from "./message.ts";
import postgres from "./mod.ts";

/** Answers each message in turn, then disconnects. */
function conversation(...answers: readonly (readonly Uint8Array[])[]): ScriptedServer {
  return new ScriptedServer(async (connection) => {
    const buffer = new Uint8Array(4_096);
    for (const answer of answers) {
      if (await connection.read(buffer) === null) return;
      for (const message of answer) await connection.write(message);
    }
  });
}

const authentication = (method: number, data: string | Uint8Array = "") =>
  formatMessage("R", formatInt32(method), data);
const error = (code: string, text = "so it is") => formatMessage("E", `SFATAL\0C${code}\0M${text}\0\0`);
const NOTICE = formatMessage("N", "SWARNING\0C01000\0Mby the way\0\0");
const READY = formatMessage("Z", "I");
const [OK, CLEARTEXT, MD5, SASL] = [
  authentication(0),
  authentication(3),
  authentication(5, "salt"),
  authentication(10, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
];
const LOGIN = { user: "me", password: "s3cret" };

Deno.test.each([
  { what: "asks for a password", answer: [SASL], detail: "Connection accepted" },
  { what: "asks for an unknown authentication method", answer: [authentication(7)], detail: "Connection accepted" },
  { what: "asks for no authentication", answer: [OK, READY], detail: "Connection accepted" },
  { what: "sends a notice first", answer: [NOTICE, MD5], detail: "Connection accepted" },
  { what: "knows no such user", answer: [error("28000")], detail: "Connection accepted, login rejected" },
  { what: "knows no such database", answer: [error("3D000")], detail: "Connection accepted, login rejected" },
])("postgres passes without a user when the server $what", async ({ answer, detail }) => {
  await using server = conversation(answer);
  assert.deepEqual(await probe(postgres, {}, server.target), { status: "pass", detail });
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test.each([
  {
    code: "57P03",
    reason: /^Got error "57P03" \(the server is starting up, shutting down or recovering\) from .*: "so it is"$/,
  },
  { code: "57P01", reason: /^Got error "57P01" from/ },
  { code: "53300", reason: /\(too many connections\)/ },
  { code: "58000", reason: /^Got error "58000"/ },
  { code: "XX000", reason: /^Got error "XX000"/ },
])("postgres fails without a user for error $code", async ({ code, reason }) => {
  await using server = conversation([error(code)]);
  assert.match(await reasonOf(postgres, {}, server.target), reason);
});

Deno.test("postgres logs in with a user, and skips unsolicited messages", async () => {
  const told = [NOTICE, formatMessage("S", "a\0b\0"), formatMessage("K", formatInt32(1), formatInt32(2))];
  await using server = conversation([CLEARTEXT], [OK, ...told, READY]);
  assert.deepEqual(await probe(postgres, LOGIN, server.target), { status: "pass", detail: "Login accepted" });
});

Deno.test.each([
  { what: "says nothing", answers: [[]], reason: /closed the connection without a response|reset by/ },
  {
    what: "sends nothing after the login",
    answers: [[OK]],
    reason: /closed the connection without a response|reset by/,
  },
  {
    what: "asks for Kerberos",
    answers: [[authentication(7)]],
    reason: /requires authentication method 7; checks support/,
  },
  { what: "offers other mechanisms", answers: [[authentication(10, "X\0\0")]], reason: /does not offer SCRAM-SHA-256/ },
  { what: "sends another message", answers: [[formatMessage("T")]], reason: /sent an unexpected PostgreSQL message/ },
  { what: "speaks SSH", answers: [[new TextEncoder().encode("SSH-2.0-OpenSSH\r\n")]], reason: /too long or not/ },
  {
    what: "sends a message without a length",
    answers: [[new Uint8Array([0x52, 0, 0, 0, 3])]],
    reason: /does not speak the Postgre/,
  },
  { what: "sends controls", answers: [[error("28000", "\u001b[2J")]], reason: /: "\\u001b\[2J"$/ },
  {
    what: "quotes the password",
    answers: [[CLEARTEXT], [error("28P01", "not s3cret")]],
    reason: /: "not \*\*\*\*\*"$/,
  },
  { what: "is shut down meanwhile", answers: [[CLEARTEXT], [OK, error("57P01")]], reason: /^Got error "57P01"/ },
  {
    what: "breaks SCRAM",
    answers: [[SASL], [authentication(11, "r=x")]],
    reason: /sent an invalid SCRAM-SHA-256 message/,
  },
  { what: "ends SCRAM early", answers: [[SASL], [OK, READY]], reason: /sent an invalid SCRAM-SHA-256 message/ },
])("postgres fails with a user when the server $what", async ({ answers, reason }) => {
  await using server = conversation(...answers);
  assert.match(await reasonOf(postgres, LOGIN, server.target), reason);
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test("postgres fails when a server accepts the login without proving that it knows the password", async () => {
  await using server = new ScriptedServer(async (connection) => {
    const buffer = new Uint8Array(4_096);
    const heard = async () => new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    await heard();
    await connection.write(SASL);
    const nonce = /r=(.*)$/.exec(await heard())?.[1];
    await connection.write(authentication(11, `r=${nonce}more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`));
    await heard();
    await connection.write(authentication(12, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    await connection.write(OK);
    await connection.write(READY);
    await heard();
  });
  assert.match(await reasonOf(postgres, LOGIN, server.target), /did not prove that it knows the password/);
});

Deno.test("postgres fails without a listener", async () => {
  const target = `127.0.0.1:${freePort()}`;
  assert.equal(await reasonOf(postgres, {}, target), `Connection refused at ${target}`);
  assert.equal(await reasonOf(postgres, { tls: true }, target), `Connection refused at ${target}`);
});

Deno.test("postgres stops when it is aborted, and closes its connection", async () => {
  await using server = new ScriptedServer(isSilent);
  const controller = new AbortController();
  const rejected = assert.rejects(probe(postgres, {}, server.target, controller.signal), /enough/);
  await eventually("the probe is connected", () => server.open === 1);
  controller.abort(new Error("enough"));
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test.each([
  { raw: { password: "s3cret" }, message: /^Missing key user: password has no effect without user$/ },
  { raw: { database: "x" }, message: /^Missing key user: database has no effect without user$/ },
  { raw: { query: "SELECT 1" }, message: /^Missing key user: query has no effect without user$/ },
  { raw: { user: "me", expect: 1 }, message: /^Missing key query: expect requires a query$/ },
  { raw: { user: "a\0b" }, message: /^Cannot use user: must be a non-empty string without NUL/ },
  { raw: { user: "me", password: 12 }, message: /^Cannot use password: .*current value is \*\*\*\*\*$/ },
  { raw: { user: "me", query: "" }, message: /^Cannot use query/ },
  {
    raw: { user: "me", query: "SELECT 1", expect: [1] },
    message: /^Cannot use expect: must be a string, a number/,
  },
  { raw: { tls: "yes" }, message: /^Cannot use tls: must be true or false/ },
  { raw: { username: "me" }, message: /^Unknown key username$/ },
])("postgres rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(postgres, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});

Deno.test("postgres reads the expected value in PostgreSQL's notation", async () => {
  for (const [raw, wanted] of [[true, "t"], [false, "f"], [1.5, "1.5"], ["on", "on"]] as const) {
    const config = await configured(postgres, { user: "me", query: "SELECT 1", expect: raw });
    assert.equal(config.expect, wanted);
  }
});

Deno.test("postgres requests its target, and the CA file if it reads one", () => {
  const config = { ca: "/etc/ca.pem" };
  const scope = { instance: "db:5432/postgres", target: "db:5432" };
  const net = [scope.target];
  assert.deepEqual(postgres.permissions({ ...config, tls: true, verify: true }, scope), { net, read: ["/etc/ca.pem"] });
  assert.deepEqual(postgres.permissions({ ...config, tls: true, verify: false }, scope), { net });
  assert.deepEqual(postgres.permissions({ ...config, tls: false, verify: true }, scope), { net });
});
