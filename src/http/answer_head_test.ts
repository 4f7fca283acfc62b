import assert from "node:assert/strict";
import { type AnswerHeadOptions, formatAnswerHead } from "./answer_head.ts";

const OPTIONS: AnswerHeadOptions = { framing: { length: 5 }, keepsAlive: true, isHttp11: true, nowMs: 0 };

Deno.test("formatAnswerHead() writes status, headers, date and framing", () => {
  assert.equal(
    formatAnswerHead({ status: 404, headers: [["etag", '"1"']] }, OPTIONS),
    'HTTP/1.1 404 Not Found\r\netag: "1"\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 5\r\n\r\n',
  );
});

Deno.test.each(
  [
    { what: "chunks", options: { framing: "chunks" }, lines: ["transfer-encoding: chunked"] },
    { what: "no body", options: { framing: "nothing" }, lines: [] },
    { what: "a body that ends with the connection", options: { framing: "close" }, lines: ["connection: close"] },
    { what: "the last answer", options: { keepsAlive: false }, lines: ["content-length: 5", "connection: close"] },
    { what: "HTTP/1.0", options: { isHttp11: false }, lines: ["content-length: 5", "connection: keep-alive"] },
  ] as const,
)("formatAnswerHead() frames $what", ({ options, lines }) => {
  const said = formatAnswerHead({ status: 200, headers: [] }, { ...OPTIONS, ...options });
  assert.deepEqual(said.split("\r\n").slice(2, -2), lines);
});

Deno.test("formatAnswerHead() sets the date to the second", () => {
  const dates = [0, 999, 1_000, 500].map((nowMs) =>
    /date: .*(\d\d) GMT/.exec(formatAnswerHead({ status: 200, headers: [] }, { ...OPTIONS, nowMs }))?.[1]
  );
  assert.deepEqual(dates, ["00", "00", "01", "00"]);
});

Deno.test.each([
  { name: "etag", value: "a\r\nset-cookie: b" },
  { name: "etag", value: "a\nb" },
  { name: "etag", value: "é" },
  { name: "content-length", value: "1" },
  { name: "transfer-encoding", value: "chunked" },
])("formatAnswerHead() ignores $name: %j of a handler", ({ name, value }) => {
  assert.throws(() => formatAnswerHead({ status: 200, headers: [[name, value]] }, OPTIONS), /Broken invariant/);
});
