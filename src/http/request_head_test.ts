import assert from "node:assert/strict";
import { eventually } from "../../tests/support/eventually.ts";
import { HttpFault, parseHead } from "./request_head.ts";

const parse = (...lines: readonly string[]) =>
  parseHead(lines.join("\r\n"), { scheme: "http", ownHost: "127.0.0.1:1" });
const HOST = "Host: a.example";

Deno.test("parseHead() reads method, URL, fields and framing", () => {
  assert.deepEqual(
    parse("PUT /a%2fb?c HTTP/1.1", HOST, "X-Y:  z \t", "Content-Length: 5", "x-y: \u00a0", "Expect: 100-Continue"),
    {
      method: "PUT",
      url: "http://a.example/a%2fb?c",
      headers: new Map([
        ["host", ["a.example"]],
        ["x-y", ["z", "\u00a0"]],
        ["content-length", ["5"]],
        ["expect", ["100-Continue"]],
      ]),
      framing: { by: "length", bytes: 5 },
      keepsAlive: true,
      isHttp11: true,
      expectsContinue: true,
    },
  );
});

Deno.test.each([
  {
    why: "a path that is not normalized",
    lines: ["GET /a/../b//%2e%2e HTTP/1.1", HOST],
    url: "http://a.example/a/../b//%2e%2e",
  },
  { why: "the absolute form", lines: ["GET http://b.example:80/x HTTP/1.1", HOST], url: "http://b.example:80/x" },
  {
    why: "the absolute form without a path",
    lines: ["GET HTTP://b.example?x HTTP/1.1", HOST],
    url: "http://b.example/?x",
  },
  { why: "HTTP/1.0 without Host", lines: ["GET /health HTTP/1.0"], url: "http://127.0.0.1:1/health" },
  { why: "an IPv6 address", lines: ["GET / HTTP/1.1", "Host: [::1]:8001"], url: "http://[::1]:8001/" },
])("parseHead() reads $why", ({ lines, url }) => assert.equal(parse(...lines).url, url));

Deno.test.each([
  { why: "HTTP/1.1 keeps", lines: ["GET / HTTP/1.1", HOST], keeps: true },
  { why: "close among others", lines: ["GET / HTTP/1.1", HOST, "Connection: x, Close"], keeps: false },
  { why: "HTTP/1.0 does not", lines: ["GET / HTTP/1.0"], keeps: false },
  { why: "HTTP/1.0 that asks for it", lines: ["GET / HTTP/1.0", "Connection: Keep-Alive"], keeps: true },
])("parseHead() determines whether the connection is kept: $why", ({ lines, keeps }) => {
  assert.equal(parse(...lines).keepsAlive, keeps);
});

Deno.test.each([
  { why: "two lengths", lines: ["Content-Length: 1", "Content-Length: 1"] },
  { why: "a list of lengths", lines: ["Content-Length: 1, 1"] },
  { why: "a signed length", lines: ["Content-Length: +1"] },
  { why: "a hexadecimal length", lines: ["Content-Length: 0x1"] },
  { why: "an empty length", lines: ["Content-Length:"] },
  { why: "a length that is too long", lines: ["Content-Length: 99999999999999999999"] },
  { why: "a length and chunks", lines: ["Content-Length: 1", "Transfer-Encoding: chunked"] },
  { why: "two codings", lines: ["Transfer-Encoding: gzip, chunked"], status: 501 },
  { why: "a coding twice", lines: ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], status: 501 },
  { why: "an unknown coding", lines: ["Transfer-Encoding: xchunked"], status: 501 },
  { why: "a space before a colon", lines: ["Transfer-Encoding : chunked"] },
  { why: "a tab before a colon", lines: ["Content-Length\t: 1"] },
  { why: "a folded line", lines: ["X: a", " b"] },
  { why: "a line without a colon", lines: ["chunked"] },
  { why: "an empty name", lines: [": x"] },
  { why: "a carriage return in a value", lines: ["X: a\rTransfer-Encoding: chunked"] },
  { why: "a NUL in a value", lines: ["X: a\0b"] },
  { why: "two Hosts", lines: ["Host: b.example"] },
  { why: "an unknown expectation", lines: ["Expect: more"], status: 417 },
  { why: "too many fields", lines: Array.from({ length: 101 }, (_, i) => `X${i}: y`), status: 431 },
])("parseHead() rejects $why", ({ lines, status = 400 }) => {
  assert.throws(
    () => parse("POST / HTTP/1.1", HOST, ...lines),
    (error) => error instanceof HttpFault && error.status === status,
  );
});

Deno.test.each([
  { line: "GET /" },
  { line: "GET / HTTP/1.2" },
  { line: "GET / HTTP/2.0" },
  { line: "GET  / HTTP/1.1" },
  { line: "GET /a b HTTP/1.1" },
  { line: " GET / HTTP/1.1" },
  { line: "GET\t/ HTTP/1.1" },
  { line: "GET /é HTTP/1.1" },
  { line: "GET /#x HTTP/1.1" },
  { line: "GET x HTTP/1.1" },
  { line: "OPTIONS * HTTP/1.1" },
  { line: "CONNECT a.example:443 HTTP/1.1" },
  { line: "GET http:///x HTTP/1.1" },
  { line: "GET http://u@a.example/ HTTP/1.1" },
  { line: "GET file:///etc/passwd HTTP/1.1" },
  { line: "G(T / HTTP/1.1" },
])("parseHead() rejects the request line $line", ({ line }) => {
  assert.throws(() => parse(line, HOST), HttpFault);
});

Deno.test.each([
  { host: "" },
  { host: "a b" },
  { host: "a/b" },
  { host: "a@b" },
  { host: "a?b" },
  { host: "a:b" },
  { host: "[::1" },
  { host: "a:123456" },
])("parseHead() rejects the Host %j", ({ host }) => {
  assert.throws(() => parse("GET / HTTP/1.1", `Host: ${host}`), HttpFault);
});

Deno.test("parseHead() requires Host only in HTTP/1.1, and allows no chunks in HTTP/1.0", () => {
  assert.throws(() => parse("GET / HTTP/1.1"), HttpFault);
  assert.throws(() => parse("POST / HTTP/1.0", "Transfer-Encoding: chunked"), HttpFault);
});

Deno.test.each([
  { what: "spaces between letters", value: (length: number) => `x${" ".repeat(length)}x` },
  { what: "spaces before a malformed character", value: (length: number) => `${" ".repeat(length)}\x01` },
])("parseHead() takes time proportional to $what", async ({ value }) => {
  const took = (length: number, times: number) => {
    const began = performance.now();
    for (let i = 0; i < times; i++) {
      try {
        parse("GET / HTTP/1.1", HOST, `X: ${value(length)}`);
      } catch (error) {
        assert.ok(error instanceof HttpFault);
      }
    }
    return performance.now() - began;
  };
  // The same number of characters in both; with quadratic time the long head would take a hundred times as long. The
  // quickest
  // runs count: other load on the machine makes runs longer, never shorter.
  let [short, long] = [Infinity, Infinity];
  await eventually("one long head takes about as long as a hundred short ones", () => {
    [short, long] = [Math.min(short, took(200, 100)), Math.min(long, took(20_000, 1))];
    return long < 10 * short;
  });
});
