import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import dns from "../../plugins/checks/dns/mod.ts";
import { WorkerError } from "../../src/protocol/wire_error.ts";
import { NameServer } from "../support/dnsmasq.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { probe, reasonOf } from "../support/probe.ts";
import { startInWorker } from "../support/probe_in_worker.ts";

const ZONE = [
  "host-record=web.test,192.0.2.1,2001:db8::1",
  "host-record=two.test,192.0.2.2",
  "host-record=two.test,192.0.2.3",
  "cname=alias.test,web.test",
  "mx-host=web.test,mail.test,10",
  "srv-host=_http._tcp.web.test,web.test,8080,0,5",
  "txt-record=web.test,hello world,Again",
  "dns-rr=web.test,2,036e7331047465737400",
  "local=/test/",
  // No server is configured for this name: the answer is REFUSED.
  "local=/example/",
];

let server: NameServer;
Deno.test.beforeAll(async () => {
  server = await NameServer.start(ZONE);
});
Deno.test.afterAll(() => server[Symbol.asyncDispose]());

Deno.test.each([
  { config: { name: "web.test" }, detail: 'Got A ["192.0.2.1"]' },
  { config: { name: "WEB.test.", expect: "192.0.2.1" }, detail: 'Got A ["192.0.2.1"]' },
  { config: { name: "web.test", record: "AAAA", expect: "2001:DB8::1" }, detail: 'Got AAAA ["2001:db8::1"]' },
  { config: { name: "alias.test", expect: "192.0.2.1" }, detail: 'Got A ["192.0.2.1"]' },
  { config: { name: "alias.test", record: "CNAME", expect: "Web.test" }, detail: 'Got CNAME ["web.test."]' },
  { config: { name: "web.test", record: "MX", expect: "10 mail.test" }, detail: 'Got MX ["10 mail.test."]' },
  { config: { name: "web.test", record: "NS", expect: "ns1.test" }, detail: 'Got NS ["ns1.test."]' },
  {
    config: { name: "_http._tcp.web.test", record: "SRV", expect: "0 5 8080 web.test" },
    detail: 'Got SRV ["0 5 8080 web.test."]',
  },
  { config: { name: "web.test", record: "TXT", expect: "hello worldAgain" }, detail: 'Got TXT ["hello worldAgain"]' },
])("dns passes with $config, in a worker with no more than its target", async ({ config, detail }) => {
  await using check = await startInWorker("dns", config, server.target);
  assert.deepEqual(await check.probe(), { status: "pass", detail });
});

Deno.test("dns requires every expected record, in any order", async () => {
  const config = { name: "two.test", expect: ["192.0.2.3", "192.0.2.2"] };
  assert.equal((await probe(dns, config, server.target)).status, "pass");
  const more = { ...config, expect: [...config.expect, "192.0.2.4"] };
  assert.match(
    await reasonOf(dns, more, server.target),
    /^Got A \["192\.0\.2.*from 127\.0\.0\.1:\d+, expected "192\.0\.2\.4"$/,
  );
});

Deno.test.each([
  { what: "a name that does not exist", config: { name: "nobody.test" } },
  { what: "a record that does not exist", config: { name: "web.test", record: "SRV" } },
  { what: "a query that is rejected", config: { name: "elsewhere.org", record: "MX" } },
])("dns fails for $what, and suggests the cause", async ({ config }) => {
  const { name, record = "A" } = config;
  assert.equal(
    await reasonOf(dns, config, server.target),
    `Got no ${record} records for "${name}" from ${server.target}: ` +
      "no such records, no such name, or the query was rejected or failed",
  );
});

Deno.test("dns compares TXT strings exactly", async () => {
  const config = { name: "web.test", record: "TXT", expect: "hello worldagain" };
  assert.match(await reasonOf(dns, config, server.target), /expected "hello worldagain"$/);
});

Deno.test("dns reaches a server over IPv6", async () => {
  await using six = await NameServer.start(ZONE, { address: "::1" });
  await using check = await startInWorker("dns", { name: "web.test" }, six.target);
  assert.equal((await check.probe()).status, "pass");
});

Deno.test("dns never passes with a name from this machine's hosts file", async () => {
  const own = /^\s*[0-9a-f.:]+\s+(\S+)/m.exec((await Deno.readTextFile("/etc/hosts")).replace(/.*\blocalhost\b.*/g, ""))
    ?.[1];
  const name = own ?? "localhost.localdomain";
  const target = `127.0.0.1:${freePort()}`;
  await using check = await startInWorker("dns", { name }, target);
  const outcome = await check.probe(500);
  assert.notEqual(outcome.status, "pass", JSON.stringify(outcome));
  if (own === undefined) return;
  assert.equal(
    outcome.status === "unknown" && outcome.reason,
    `Cannot query "${own}": /etc/hosts on this host lists the name, so no name server would be queried`,
  );
});

/** Answers each query with the result of `answer`. */
async function answering(
  answer: (question: Uint8Array) => Uint8Array,
): Promise<{ target: string; asked: number } & AsyncDisposable> {
  const socket: Socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const server = {
    target: `127.0.0.1:${socket.address().port}`,
    asked: 0,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
  socket.on("message", (question, { port, address }) => {
    server.asked++;
    const bytes = answer(question);
    if (bytes.length > 0) socket.send(bytes, port, address);
  });
  return server;
}

Deno.test.each([
  { what: "SERVFAIL", code: 2 },
  { what: "NXDOMAIN", code: 3 },
  { what: "REFUSED", code: 5 },
])("dns fails at once for $what", async ({ code }) => {
  await using server = await answering((question) => {
    const answer = new Uint8Array(question);
    answer[2] = 0x81;
    answer[3] = 0x80 | code;
    return answer;
  });
  assert.match(await reasonOf(dns, { name: "a.test" }, server.target), /^Got no A records for "a\.test" from/);
});

Deno.test.each([
  { what: "nonsense", answer: () => new Uint8Array(200).fill(0x3f) },
  { what: "an invalid message", answer: () => new Uint8Array([0]) },
  {
    what: "an answer to another query",
    answer: (question: Uint8Array) => new Uint8Array(question).fill(0x42, 0, 2),
  },
  { what: "silence", answer: () => new Uint8Array(0) },
])("dns does not accept $what as an answer, and ends as soon as it is aborted", async ({ answer }) => {
  await using server = await answering(answer);
  const controller = new AbortController();
  const probing = probe(dns, { name: "a.test" }, server.target, controller.signal);
  // Some invalid messages end the probe by themselves.
  const settled = probing.then(
    (outcome) => assert.equal(outcome.status, "fail"),
    (error) => assert.match(error.message, /enough/),
  );
  await eventually("the server receives a query", () => server.asked > 0);
  controller.abort(new Error("enough"));
  await settled;
});

Deno.test("dns asks no other server than its target", async () => {
  const target = `127.0.0.1:${freePort()}`;
  await using check = await startInWorker("dns", { name: "web.test" }, server.target, { grantedFor: target });
  await assert.rejects(check.probe(), (error) => error instanceof WorkerError && error.kind === "NotCapable");
});
