import assert from "node:assert/strict";
import fc from "fast-check";
import type { ByteStream } from "../../../src/system/byte_stream.ts";
import { Connection, ProbeError } from "../connection.ts";
import { contains, readBody, readHead } from "./message.ts";

/** A connection that yields these bytes, split at these places, and then ends. */
function connectionOf(bytes: Uint8Array, cuts: readonly number[]): Connection {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].toSorted((a, b) => a - b);
  let at = 0;
  const stream: ByteStream = {
    read(buffer) {
      const end = ends.find((each) => each > at) ?? bytes.length;
      const piece = bytes.subarray(at, Math.min(end, at + buffer.length));
      buffer.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
    write: (written) => Promise.resolve(written.length),
    closeWrite: () => Promise.resolve(),
    close() {},
  };
  return new Connection(stream, "127.0.0.1:80");
}

/** Reads a whole response; returns its status and body, or why it is invalid. */
async function read(bytes: Uint8Array, cuts: readonly number[]): Promise<string> {
  try {
    const connection = connectionOf(bytes, cuts);
    const head = await readHead(connection);
    let body = "";
    for await (const piece of readBody(connection, head)) body += new TextDecoder("latin1").decode(piece);
    return JSON.stringify([head.status, [...head.headers()], body]);
  } catch (error) {
    if (error instanceof ProbeError) return error.message;
    throw error;
  }
}

const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);

/** Strings that look like a response, complete or damaged. */
const responses = fc.array(
  fc.constantFrom(
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 503\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 99999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X: y\r\n",
    " folded\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "ffffffffffff\r\n",
    "hello",
    "\u0000\u00ff",
  ),
  { maxLength: 12 },
).map((parts) => bytesOf(parts.join("")));
const cuts = fc.array(fc.nat(), { maxLength: 8 });

Deno.test("readHead() and readBody() accept any bytes, and read the same however they are split", () =>
  fc.assert(
    fc.asyncProperty(fc.oneof(responses, fc.uint8Array({ maxLength: 300 })), cuts, async (bytes, cuts) => {
      assert.equal(await read(bytes, cuts), await read(bytes, []));
    }),
    { numRuns: 500 },
  ));

Deno.test("readBody() decodes chunks of any size", () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.string({ minLength: 1 }), { maxLength: 6 }), cuts, async (chunks, cuts) => {
      const pieces = chunks.map(bytesOf);
      const framed = pieces.map((piece) => `${piece.length.toString(16)};x\r\n${String.fromCharCode(...piece)}\r\n`);
      const response = bytesOf(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${framed.join("")}0\r\n\r\n`);
      const body = pieces.map((piece) => String.fromCharCode(...piece)).join("");
      assert.equal(await read(response, cuts), JSON.stringify([200, [["transfer-encoding", "chunked"]], body]));
    }),
  ));

Deno.test("contains() finds a string however it is split, and nothing else", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("a", "b", "ab", "é"), { maxLength: 30 }),
      fc.array(fc.constantFrom("a", "b", "é"), { minLength: 1, maxLength: 4 }),
      fc.nat(8),
      async (letters, wanted, size) => {
        const bytes = new TextEncoder().encode(letters.join(""));
        async function* pieces() {
          for (let at = 0; at < bytes.length; at += size + 1) {
            yield await Promise.resolve(bytes.slice(at, at + size + 1));
          }
        }
        assert.equal(await contains(pieces(), wanted.join("")), letters.join("").includes(wanted.join("")));
      },
    ),
    { numRuns: 500 },
  ));
