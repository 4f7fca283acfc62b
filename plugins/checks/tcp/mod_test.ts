import assert from "node:assert/strict";
import { eventually } from "../../../tests/support/eventually.ts";
import { freePort } from "../../../tests/support/free_port.ts";
import { issuesOf, probe, reasonOf } from "../../../tests/support/probe.ts";
import { isSilent, receive, type Script, ScriptedServer, sends } from "../../../tests/support/scripted_server.ts";
import tcp from "./mod.ts";

/** Waits for `ruok`, then sends the pieces and closes. */
function replies(...pieces: readonly string[]): Script {
  return async (connection) => {
    await receive(connection, "ruok");
    await sends(...pieces)(connection);
  };
}

Deno.test("tcp passes when a connection succeeds, and disconnects", async () => {
  await using server = new ScriptedServer(isSilent);
  assert.deepEqual(await probe(tcp, {}, server.target), { status: "pass", detail: "Connected" });
  await eventually("the connection is closed", () => server.accepted === 1 && server.open === 0);
});

Deno.test("tcp passes on a connection when the query is empty", async () => {
  await using server = new ScriptedServer(isSilent);
  assert.equal((await probe(tcp, { query: "", response: "x" }, server.target)).status, "pass");
});

Deno.test("tcp fails without a listener", async () => {
  const target = `127.0.0.1:${freePort()}`;
  assert.equal(await reasonOf(tcp, {}, target), `Connection refused at ${target}`);
});

Deno.test.each([
  { what: "a line", pieces: ["imok\n"], wanted: "imok" },
  { what: "no more than the first line", pieces: ["imok\nand more\n"], wanted: "imok" },
  { what: "a line in pieces", pieces: ["i", "mo", "k\n"], wanted: "imok" },
  { what: "the data before the end, without a line feed", pieces: ["imok"], wanted: "imok" },
  { what: "an expected carriage return", pieces: ["+PONG\r\n"], wanted: "+PONG\r" },
  { what: "an unexpected carriage return", pieces: ["+PONG\r\n"], wanted: "+PONG" },
  { what: "an empty line", pieces: ["\n"], wanted: "" },
  { what: "other alphabets", pieces: ["très bien\n"], wanted: "très bien" },
])("tcp compares $what", async ({ pieces, wanted }) => {
  await using server = new ScriptedServer(replies(...pieces));
  assert.equal((await probe(tcp, { query: "ruok", response: wanted }, server.target)).status, "pass");
});

Deno.test.each([
  {
    what: "another line",
    pieces: ["nope\n"],
    wanted: "imok",
    reason: /^Got "nope" from 127\.0\.0\.1:\d+, expected "imok"$/,
  },
  { what: "a longer line", pieces: ["imokay\n"], wanted: "imok", reason: /^Got "imokay"/ },
  { what: "a shorter line", pieces: ["imo\n"], wanted: "imok", reason: /^Got "imo"/ },
  {
    what: "a missing carriage return",
    pieces: ["x\n"],
    wanted: "x\r",
    reason: /^Got "x" from .* expected "x\\r"$/,
  },
  {
    what: "nothing before the end",
    pieces: [],
    wanted: "",
    reason: /closed the connection without a response|reset by/,
  },
  {
    what: "an endless line",
    pieces: ["x".repeat(70_000)],
    wanted: "imok",
    reason: /a line of more than 65536 bytes/,
  },
  { what: "controls", pieces: ["\u0000\u001b[2J\n"], wanted: "imok", reason: /^Got "\\u0000\\u001b\[2J"/ },
])("tcp fails for $what", async ({ pieces, wanted, reason }) => {
  await using server = new ScriptedServer(replies(...pieces));
  assert.match(await reasonOf(tcp, { query: "ruok", response: wanted }, server.target), reason);
});

Deno.test("tcp sends the query unchanged", async () => {
  const received: string[] = [];
  await using server = new ScriptedServer(async (connection) => {
    received.push(await receive(connection, "end"));
    await sends("ok\n")(connection);
  });
  await probe(tcp, { query: "a\r\nb\nend", response: "ok" }, server.target);
  assert.deepEqual(received, ["a\r\nb\nend"]);
});

Deno.test("tcp stops when it is aborted, and disconnects from a silent server", async () => {
  await using server = new ScriptedServer(isSilent);
  const controller = new AbortController();
  const rejected = assert.rejects(
    probe(tcp, { query: "ruok", response: "imok" }, server.target, controller.signal),
    /enough/,
  );
  await eventually("the probe is connected", () => server.open === 1);
  controller.abort(new Error("enough"));
  await rejected;
  await eventually("the connection is closed", () => server.open === 0);
});

Deno.test.each([
  { raw: { query: "x" }, message: /^Missing key response/ },
  { raw: { response: "x" }, message: /^Missing key query/ },
  { raw: { query: 1, response: "x" }, message: /^Cannot use query: must be a string; current value is 1$/ },
  { raw: { query: "x", response: "a\nb" }, message: /^Cannot use response: must be one line/ },
  { raw: { uri: "/" }, message: /^Unknown key uri$/ },
])("tcp rejects the config $raw", async ({ raw, message }) => {
  const issues = await issuesOf(tcp, raw);
  assert.equal(issues.length, 1, JSON.stringify(issues));
  assert.match(issues[0]?.message ?? "", message);
});
