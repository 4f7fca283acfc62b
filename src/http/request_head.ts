/**
 * Parses the head of an HTTP/1 request. Everything ambiguous
 * is an error: two lengths, a length and chunks, a folded line, a space
 * before a colon, a bare line feed.
 *
 * @module
 */

import { type ByteSource, LineFinder } from "./byte_source.ts";

/** A malformed request, with the status of the answer. */
export class HttpFault extends Error {
  override name = "HttpFault";
  /** The status of the answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Framing of a request's body. */
export type Framing =
  | { readonly by: "nothing" }
  | { readonly by: "length"; readonly bytes: number }
  | { readonly by: "chunks" };

/** The head of one request. */
export interface RequestHead {
  readonly method: string;
  /** Scheme, host and target, as sent. */
  readonly url: string;
  /** By lower-case name, the values of each in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly framing: Framing;
  /** Whether the client wants the connection to stay open after the answer. */
  readonly keepsAlive: boolean;
  /** Whether the client understands chunks. */
  readonly isHttp11: boolean;
  /** Whether the client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;
}

/** Maximum size of a head in bytes. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** Maximum number of fields of a head. */
const FIELDS_MAX = 100;

/** Length of an empty line in bytes. */
const EMPTY_LINE_BYTES = 2;

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
// The value: visible characters, spaces and tabs, and bytes beyond ASCII. Each part can match in only one
// way: otherwise the time would grow with the square of a line's length.
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[-.~_!$&'()*+,;=0-9A-Za-z]+)(?::[0-9]{0,5})?$/;

/** Source of heads, and defaults for them. */
export interface HeadOptions {
  readonly scheme: "http" | "https";
  /** The host of an HTTP/1.0 request without one. */
  readonly ownHost: string;
}

/** Takes heads off a connection, one after the other. */
export class HeadReader {
  readonly #source: ByteSource;
  readonly #lines: LineFinder;
  readonly #options: HeadOptions;
  /** Start of the incomplete line. */
  #lineStart = 0;

  constructor(source: ByteSource, options: HeadOptions) {
    [this.#source, this.#lines, this.#options] = [source, new LineFinder(source), options];
  }

  /** Takes the next head if it is complete. Throws {@linkcode HttpFault}. */
  next(): RequestHead | undefined {
    for (;;) {
      const at = this.#lines.next();
      if (at === "malformed") throw new HttpFault(400, "a line does not end in CR LF");
      if (at === undefined) {
        if (this.#source.length < HEAD_BYTES_MAX) return undefined;
        throw new HttpFault(431, `the head is longer than ${HEAD_BYTES_MAX} bytes`);
      }
      const isEmptyLine = at + 1 - this.#lineStart === EMPTY_LINE_BYTES;
      this.#lineStart = at + 1;
      // Some clients end a body with an empty line, which precedes the next head.
      if (!isEmptyLine || at < 2 * EMPTY_LINE_BYTES) continue;
      this.#lines.restart();
      this.#lineStart = 0;
      return parseHead(
        this.#source.takeText(at + 1).slice(0, -2 * EMPTY_LINE_BYTES).replace(/^\r\n/, ""),
        this.#options,
      );
    }
  }
}

/** Parses a head, one character per byte, without its last empty line. Throws {@linkcode HttpFault}. */
export function parseHead(
  text: string,
  { scheme, ownHost }: HeadOptions,
): RequestHead {
  const [requestLine = "", ...lines] = text.split("\r\n");
  const [, method, target, minor] = REQUEST_LINE.exec(requestLine) ?? [];
  if (method === undefined || target === undefined) throw new HttpFault(400, "the request line is malformed");
  if (lines.length > FIELDS_MAX) throw new HttpFault(431, `more than ${FIELDS_MAX} header fields`);
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const [, written, value] = FIELD.exec(line) ?? [];
    if (written === undefined || value === undefined) throw new HttpFault(400, "a header field is malformed");
    const name = written.toLowerCase();
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [trim(value)]);
    else values.push(trim(value));
  }
  const isHttp11 = minor === "1";
  const all = (name: string) => headers.get(name) ?? [];
  const [host, ...hosts] = all("host");
  if (hosts.length > 0) throw new HttpFault(400, "more than one Host header");
  if (host === undefined && isHttp11) throw new HttpFault(400, "no Host header");
  if (host !== undefined && !HOST.test(host)) throw new HttpFault(400, "the Host header is malformed");
  const options = all("connection").flatMap((each) => each.toLowerCase().split(",")).map(trim);
  const [expectation, ...more] = all("expect");
  if (expectation !== undefined && (expectation.toLowerCase() !== "100-continue" || more.length > 0)) {
    throw new HttpFault(417, "Expect must be 100-continue");
  }
  return {
    method,
    url: urlOf(target, scheme, host ?? ownHost),
    headers,
    framing: framingOf(all("content-length"), all("transfer-encoding"), isHttp11),
    keepsAlive: !options.includes("close") && (isHttp11 || options.includes("keep-alive")),
    isHttp11,
    expectsContinue: expectation !== undefined && isHttp11,
  };
}

/** Trims spaces and tabs, but no other Unicode whitespace. */
function trim(value: string): string {
  let [start, end] = [0, value.length];
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

const [SPACE, TAB] = [0x20, 0x09];

function urlOf(target: string, scheme: string, host: string): string {
  if (target.includes("#")) throw new HttpFault(400, "the request target must not have a fragment");
  if (target.startsWith("/")) return `${scheme}://${host}${target}`;
  // In the absolute form, the host of the target counts.
  const [, authority, path] = /^https?:\/\/([^/?]+)(.*)$/i.exec(target) ?? [];
  if (authority === undefined || !HOST.test(authority)) {
    throw new HttpFault(400, "the request target must be a path");
  }
  return `${scheme}://${authority}${path?.startsWith("/") ? path : `/${path}`}`;
}

function framingOf(lengths: readonly string[], codings: readonly string[], isHttp11: boolean): Framing {
  if (codings.length > 0) {
    if (lengths.length > 0) throw new HttpFault(400, "Content-Length and Transfer-Encoding are both present");
    if (!isHttp11) throw new HttpFault(400, "Transfer-Encoding is not allowed in HTTP/1.0");
    if (codings.length > 1 || codings[0]?.toLowerCase() !== "chunked") {
      throw new HttpFault(501, "Transfer-Encoding must be chunked");
    }
    return { by: "chunks" };
  }
  const [length, ...others] = lengths;
  if (length === undefined) return { by: "nothing" };
  if (others.length > 0) throw new HttpFault(400, "more than one Content-Length");
  if (!/^[0-9]{1,15}$/.test(length)) throw new HttpFault(400, "Content-Length must be a number");
  return length === "0" ? { by: "nothing" } : { by: "length", bytes: Number(length) };
}
