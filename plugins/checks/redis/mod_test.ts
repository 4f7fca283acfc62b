import assert from "node:assert/strict";
import { eventually } from "../../../tests/support/eventually.ts";
import { issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import { isSilent, receive, type Script, ScriptedServer, sends } from "../../../tests/support/scripted_server.ts";
import redis from "./mod.ts";

/** Answers each command with the next reply; records the commands. */
function replies(asked: string[], ...all: readonly string[]): Script {
  return async (connection) => {
    for (const reply of all) {
      asked.push(await receive(connection, "\r\n"));
      await sends(reply)(connection);
    }
  };
}

Deno.test("redis sends PING and expects PONG", async () => {
  const asked: string[] = [];
  await using server = new ScriptedServer(replies(asked, "+PONG\r\n"));
  assert.deepEqual(await probe(redis, {}, server.target), { status: "pass", detail: "Got PONG" });
  assert.deepEqual(asked, ["*1\r\n$4\r\nPING\r\n"]);
});

Deno.test("redis logs in first, with lengths in bytes", async () => {
  const asked: string[] = [];
  await using server = new ScriptedServer(replies(asked, "+OK\r\n", "+PONG\r\n"));
  assert.equal((await probe(redis, { username: "me", password: "clé" }, server.target)).status, "pass");
  assert.deepEqual(asked, ["*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$4\r\nclé\r\n", "*1\r\n$4\r\nPING\r\n"]);
});

Deno.test.each([
  {
    what: "is loading",
    reply: "-LOADING Redis is loading the dataset in memory\r\n",
    reason: /: the server is still loading its data$/,
  },
  {
    what: "requires a password",
    reply: "-NOAUTH Authentication required.\r\n",
    reason: /^Got "-NOAUTH Authentication required\." from .*: the server requires a password$/,
  },
  {
    what: "has lost its master",
    reply: "-MASTERDOWN Link with MASTER is down\r\n",
    reason: /lost its link to the master/,
  },
  {
    what: "answers with an unknown error",
    reply: "-ERR max number of clients reached\r\n",
    reason: /^Got "-ERR max number of clients reached" from [^ ]*$/,
  },
  {
    what: "speaks another protocol",
    reply: "HTTP/1.1 400 Bad Request\r\n",
    reason: /^Got "HTTP\/1.1 400 Bad Request" from/,
  },
  { what: "closes without a response", reply: "", reason: /without a response/ },
  { what: "closes within its answer", reply: "+PO", reason: /in the middle of its response "\+PO"/ },
  { what: "sends an endless line", reply: "+".repeat(20_000), reason: /a line of more than 16384 bytes/ },
])("redis fails when the server $what", async ({ reply, reason }) => {
  await using server = new ScriptedServer(replies([], reply));
  assert.match(await reasonOf(redis, {}, server.target), reason);
});

Deno.test("redis never prints the password, even when the server does", async () => {
  await using server = new ScriptedServer(replies([], "-ERR unknown command 'AUTH', args: 'hunter2'\r\n"));
  const reason = await reasonOf(redis, { password: "hunter2" }, server.target);
  assert.match(reason, /args: '\*\*\*\*\*'/);
  assert.doesNotMatch(reason, /hunter2/);
});

Deno.test("redis stops when it is aborted, and disconnects from a silent server", async () => {
  await using server = new ScriptedServer(isSilent);
  const controller = new AbortController();
  const rejected = assert.rejects(probe(redis, {}, server.target, controller.signal), /enough/);
  await eventually("the probe is connected", () => server.open === 1);
  controller.abort(new Error("enough"));
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test.each([
  { raw: { username: "x" }, message: /^Missing key password/ },
  { raw: { password: 12345 }, message: /^Cannot use password: must be .*; current value is \*\*\*\*\*$/ },
  { raw: { tls: 1 }, message: /^Cannot use tls: must be true or false/ },
  { raw: { db: 1 }, message: /^Unknown key db$/ },
])("redis rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(redis, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});
