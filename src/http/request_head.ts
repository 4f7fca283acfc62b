/**
 * Reads the head of an HTTP/1 request. Whatever two programs could read in two
 * ways is an error: two lengths, a length and chunks, a folded line, a space
 * before a colon, a line feed alone.
 *
 * @module
 */

import { type ByteSource, LineFinder } from "./byte_source.ts";

/** What cannot be read as a request, and the status that says so. */
export class HttpFault extends Error {
  override name = "HttpFault";
  /** The status of the answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** How the body of a request is framed. */
export type Framing =
  | { readonly by: "nothing" }
  | { readonly by: "length"; readonly bytes: number }
  | { readonly by: "chunks" };

/** The head of one request. */
export interface RequestHead {
  readonly method: string;
  /** Scheme, host and what is asked for, as they were sent. */
  readonly url: string;
  /** By their names in lower case, the values of each in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly framing: Framing;
  /** Whether the connection stays open after the answer, if the client has its way. */
  readonly keepsAlive: boolean;
  /** Whether chunks are understood. */
  readonly isHttp11: boolean;
  /** Whether the client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;
}

/** A head is no longer, in bytes. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** A head has no more fields. */
const FIELDS_MAX = 100;

/** So many bytes are one empty line. */
const EMPTY_LINE_BYTES = 2;

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
// The value: visible characters, spaces and tabs, and bytes beyond ASCII. No part of a field can be matched in two
// ways: the time would grow with the square of a line's length.
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[-.~_!$&'()*+,;=0-9A-Za-z]+)(?::[0-9]{0,5})?$/;

/** Where heads are read from, and what they do not say. */
export interface HeadOptions {
  readonly scheme: "http" | "https";
  /** The host of a request of HTTP/1.0 that names none. */
  readonly ownHost: string;
}

/** Takes heads off a connection, one after the other. */
export class HeadReader {
  readonly #source: ByteSource;
  readonly #lines: LineFinder;
  readonly #options: HeadOptions;
  /** Where the line begins that has not ended yet. */
  #lineStart = 0;

  constructor(source: ByteSource, options: HeadOptions) {
    [this.#source, this.#lines, this.#options] = [source, new LineFinder(source), options];
  }

  /** Takes the next head, if all of it is there. Throws {@linkcode HttpFault}. */
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
      // Before the first line, an empty one is what some clients end a body with.
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

/** Reads the text of a head, one character a byte, without its last empty line. Throws {@linkcode HttpFault}. */
export function parseHead(
  text: string,
  { scheme, ownHost }: HeadOptions,
): RequestHead {
  const [requestLine = "", ...lines] = text.split("\r\n");
  const [, method, target, minor] = REQUEST_LINE.exec(requestLine) ?? [];
  if (method === undefined || target === undefined) throw new HttpFault(400, "the request line is malformed");
  if (lines.length > FIELDS_MAX) throw new HttpFault(431, `there are more than ${FIELDS_MAX} header fields`);
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
  if (hosts.length > 0) throw new HttpFault(400, "there is more than one Host");
  if (host === undefined && isHttp11) throw new HttpFault(400, "there is no Host");
  if (host !== undefined && !HOST.test(host)) throw new HttpFault(400, "Host is malformed");
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

/** Cuts off spaces and tabs, and nothing else that Unicode calls white. */
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
  if (target.includes("#")) throw new HttpFault(400, "what is asked for must not have a fragment");
  if (target.startsWith("/")) return `${scheme}://${host}${target}`;
  // The form that is sent to a proxy names the host that counts.
  const [, authority, path] = /^https?:\/\/([^/?]+)(.*)$/i.exec(target) ?? [];
  if (authority === undefined || !HOST.test(authority)) {
    throw new HttpFault(400, "what is asked for must be a path");
  }
  return `${scheme}://${authority}${path?.startsWith("/") ? path : `/${path}`}`;
}

function framingOf(lengths: readonly string[], codings: readonly string[], isHttp11: boolean): Framing {
  if (codings.length > 0) {
    if (lengths.length > 0) throw new HttpFault(400, "there are Content-Length and Transfer-Encoding");
    if (!isHttp11) throw new HttpFault(400, "HTTP/1.0 has no Transfer-Encoding");
    if (codings.length > 1 || codings[0]?.toLowerCase() !== "chunked") {
      throw new HttpFault(501, "Transfer-Encoding must be chunked");
    }
    return { by: "chunks" };
  }
  const [length, ...others] = lengths;
  if (length === undefined) return { by: "nothing" };
  if (others.length > 0) throw new HttpFault(400, "there is more than one Content-Length");
  if (!/^[0-9]{1,15}$/.test(length)) throw new HttpFault(400, "Content-Length must be a number");
  return length === "0" ? { by: "nothing" } : { by: "length", bytes: Number(length) };
}
