/**
 * Reads the head of an HTTP/1 request. Whatever two programs could read in two
 * ways is an error: two lengths, a length and chunks, a folded line, a space
 * before a colon, a line feed alone.
 *
 * @module
 */

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
  /** In order, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
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

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
// The value: visible characters, spaces and tabs, and bytes beyond ASCII.
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[-.~_!$&'()*+,;=0-9A-Za-z]+)(?::[0-9]{0,5})?$/;

/** Reads the text of a head, one character a byte, without its last empty line. Throws {@linkcode HttpFault}. */
export function parseHead(
  text: string,
  { scheme, ownHost }: {
    readonly scheme: "http" | "https";
    /** The host of a request of HTTP/1.0 that names none. */
    readonly ownHost: string;
  },
): RequestHead {
  const [requestLine = "", ...lines] = text.split("\r\n");
  const [, method, target, minor] = REQUEST_LINE.exec(requestLine) ?? [];
  if (method === undefined || target === undefined) throw new HttpFault(400, "the request line is malformed");
  if (lines.length > FIELDS_MAX) throw new HttpFault(431, `there are more than ${FIELDS_MAX} header fields`);
  const headers = lines.map((line) => {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new HttpFault(400, "a header field is malformed");
    return [name.toLowerCase(), value.replace(/[ \t]+$/, "")] as const;
  });
  const all = (wanted: string) => headers.filter(([name]) => name === wanted).map(([, value]) => value);
  const isHttp11 = minor === "1";
  const [host, ...hosts] = all("host");
  if (hosts.length > 0) throw new HttpFault(400, "there is more than one Host");
  if (host === undefined && isHttp11) throw new HttpFault(400, "there is no Host");
  if (host !== undefined && !HOST.test(host)) throw new HttpFault(400, "Host is malformed");
  const options = all("connection").join(",").toLowerCase().split(",").map((each) => each.trim());
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

const [CARRIAGE_RETURN, LINE_FEED] = [0x0d, 0x0a];

/** Finds lines as they come; each byte is looked at once. */
export class LineFinder {
  #looked = 0;

  /**
   * Answers where the next line ends: the index of its line feed, `undefined`
   * if it is not there yet. Throws {@linkcode HttpFault} if no carriage return is before it.
   */
  next(bytes: Uint8Array): number | undefined {
    const at = bytes.indexOf(LINE_FEED, this.#looked);
    if (at < 0) {
      this.#looked = bytes.length;
      return undefined;
    }
    if (bytes[at - 1] !== CARRIAGE_RETURN) throw new HttpFault(400, "a line does not end in CR LF");
    this.#looked = at + 1;
    return at;
  }
}

/** Writes bytes as a text of one character each. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return text;
}
