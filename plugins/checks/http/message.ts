/**
 * The part of HTTP/1.1 that a health check needs: one request without a body, one
 * bounded response. As lenient as Python's `http.client`, which
 * Lighthouse 1.0 uses: the connection carries one response, so smuggling
 * is impossible. `fetch` would obey `HTTP_PROXY`, block some ports and
 * cost each worker a megabyte more.
 *
 * @module
 */
import type { Endpoint } from "../../../mod.ts";
import { counted } from "../../../src/kernel/counted.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { type Connection, ProbeError, quoteBytes } from "../connection.ts";
import type { HttpConfig } from "./config.ts";

/** Maximum size of the status line and the headers together. */
const HEAD_BYTES_MAX = 262_144;
/** Maximum size of a body that is read. */
export const BODY_BYTES_MAX = 65_536;
/** Maximum number of interim (1xx) responses before the final one. */
const INTERIMS_MAX = 10;
/** Maximum length of a chunk's size line. */
const CHUNK_LINE_BYTES_MAX = 1_024;

/** Methods whose request states that its body is empty. */
const WITH_BODY = new Set(["PATCH", "POST", "PUT"]);

/** Formats the request. */
export function formatRequest(config: HttpConfig, target: Endpoint): string {
  const { uri, method } = config;
  const headers = new Map<string, string>([
    ["Host", hostHeader(config, target)],
    ["User-Agent", "lighthouse/2"],
    ["Accept-Encoding", "identity"],
    ["Connection", "close"],
  ]);
  if (WITH_BODY.has(method)) headers.set("Content-Length", "0");
  for (const [name, value] of Object.entries(config.headers)) {
    const usual = [...headers.keys()].find((known) => known.toLowerCase() === name.toLowerCase());
    headers.set(usual ?? name, value);
  }
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${uri} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** The host as 1.0 writes it: without a default port. */
function hostHeader({ https, server_name: serverName }: HttpConfig, target: Endpoint): string {
  const port = parseEndpoint(target)?.port;
  const host = serverName ?? target.slice(0, target.lastIndexOf(":"));
  return port === (https ? 443 : 80) ? host : `${host}:${port}`;
}

/** The head of a response. */
export interface Head {
  /** The status code, never 1xx. */
  readonly status: number;
  /** Values by lower-case name; repeated headers are joined by commas. */
  readonly headers: () => ReadonlyMap<string, string>;
}

/**
 * Reads up to the body, skipping interim responses.
 *
 * @throws {ProbeError} if it is not an HTTP response, is truncated, or is too large
 */
export async function readHead(connection: Connection): Promise<Head> {
  for (let interims = 0; interims <= INTERIMS_MAX; interims++) {
    const head = await readOneHead(connection);
    if (head.status >= 200) return head;
  }
  throw new ProbeError(`Got more than ${INTERIMS_MAX} interim responses from ${connection.target}`);
}

async function readOneHead(connection: Connection): Promise<Head> {
  const { target } = connection;
  const tooLong = `more than ${HEAD_BYTES_MAX} bytes of headers`;
  const first = await connection.readLine(HEAD_BYTES_MAX, tooLong);
  if (first.bytes.length === 0 && !first.terminated) {
    throw new ProbeError(`${target} closed the connection without a response`);
  }
  const status = /^[ \t]*HTTP\/(?:0\.9|1\.[0-9]+)[ \t]+([1-5][0-9]{2})(?:[ \t\r]|$)/.exec(toText(first.bytes))?.[1];
  if (status === undefined) {
    const line = first.bytes.at(-1) === 0x0d ? first.bytes.subarray(0, -1) : first.bytes;
    throw new ProbeError(`Got ${quoteBytes(line)} from ${target}, expected an HTTP response`);
  }
  const { bytes, terminated } = await connection.readLines(HEAD_BYTES_MAX - first.bytes.length, tooLong);
  if (!terminated) throw new ProbeError(`${target} closed the connection before the end of the headers`);
  // Most checks want nothing but the status.
  return { status: Number(status), headers: () => headersOf(toText(bytes)) };
}

/** The headers of lines that end with CR LF or a bare LF. An invalid line does not affect status and body: it is skipped. */
function headersOf(lines: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines.split("\n")) {
    // A folded header line; such values do not matter here.
    if (line.startsWith(" ") || line.startsWith("\t")) continue;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (name === "") continue;
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

/** Headers are bytes; each becomes the character with its number, so that none is lost. */
function toText(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/**
 * Reads the body piece by piece, by its length, in chunks, or to the end.
 *
 * @throws {ProbeError} if it is truncated or its framing is invalid
 */
export async function* readBody(connection: Connection, head: Head): AsyncGenerator<Uint8Array> {
  if (head.status === 204 || head.status === 304) return;
  const headers = head.headers();
  const encoding = listOf(headers.get("transfer-encoding")).filter((each) => each !== "identity").join(", ");
  // A repeated length is valid as long as the values are equal.
  const [length, ...others] = new Set(listOf(headers.get("content-length")));
  if (encoding !== "") {
    if (encoding !== "chunked") {
      throw new ProbeError(
        `Got a body in transfer-encoding ${quote(encoding)} from ${connection.target}, expected chunked`,
      );
    }
    yield* readChunks(connection);
  } else if (length !== undefined) {
    if (!/^[0-9]{1,15}$/.test(length) || others.length > 0) {
      const found = quote([length, ...others].join(", "));
      throw new ProbeError(`Got content-length ${found} from ${connection.target}, expected a number`);
    }
    yield* readExactly(connection, Number(length));
  } else {
    for (;;) {
      const piece = await connection.readSome(BODY_BYTES_MAX);
      if (piece.length === 0) return;
      yield piece;
    }
  }
}

/** The items of a header that is a list, in lower case. */
function listOf(value = ""): readonly string[] {
  return value.toLowerCase().split(",").map((item) => item.trim()).filter((item) => item !== "");
}

async function* readChunks(connection: Connection): AsyncGenerator<Uint8Array> {
  for (;;) {
    const opening = toText((await connection.readLine(CHUNK_LINE_BYTES_MAX)).bytes);
    const size = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\r?$/.exec(opening)?.[1];
    if (size === undefined) {
      throw new ProbeError(`Got ${quote(opening)} from ${connection.target}, expected a chunk size`);
    }
    if (parseInt(size, 16) === 0) return;
    yield* readExactly(connection, parseInt(size, 16));
    const closing = await connection.readLine(CHUNK_LINE_BYTES_MAX);
    if (!/^\r?$/.test(toText(closing.bytes))) {
      throw new ProbeError(`Got ${quoteBytes(closing.bytes)} from ${connection.target}, expected the end of a chunk`);
    }
  }
}

async function* readExactly(connection: Connection, bytes: number): AsyncGenerator<Uint8Array> {
  for (let left = bytes; left > 0;) {
    const piece = await connection.readSome(left);
    if (piece.length === 0) {
      throw new ProbeError(
        `${connection.target} closed the connection ${counted(left, "byte")} before the end of the body`,
      );
    }
    left -= piece.length;
    yield piece;
  }
}

function quote(text: string): string {
  return quoteBytes(new TextEncoder().encode(text));
}

/** Whether a string is in a body, within its first {@linkcode BODY_BYTES_MAX} bytes; reads no further than it needs. */
export async function contains(body: AsyncIterable<Uint8Array>, text: string): Promise<boolean> {
  const wanted = new TextEncoder().encode(text);
  let seen = 0;
  /** The last bytes read, one fewer than the string's: it may be split across two pieces. */
  let tail = new Uint8Array(0);
  for await (const piece of body) {
    const fresh = piece.subarray(0, BODY_BYTES_MAX - seen);
    seen += fresh.length;
    const window = new Uint8Array(tail.length + fresh.length);
    window.set(tail);
    window.set(fresh, tail.length);
    if (includesBytes(window, wanted)) return true;
    if (seen >= BODY_BYTES_MAX) return false;
    tail = window.slice(Math.max(0, window.length - wanted.length + 1));
  }
  return false;
}

function includesBytes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  const last = bytes.length - wanted.length;
  for (let at = 0; at <= last; at++) {
    let matched = 0;
    while (matched < wanted.length && bytes[at + matched] === wanted[matched]) matched++;
    if (matched === wanted.length) return true;
  }
  return false;
}
