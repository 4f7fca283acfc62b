import type { HttpAnswer } from "../http/request.ts";
import type { Refusal, RefusalReason } from "./refusal.ts";
import { Branch, List, prettyText, type Tree } from "./tree.ts";
import { formatVersion, type Version } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

/** The default status of each refusal. */
const STATUS: Readonly<Record<RefusalReason, number>> = {
  "Bad Request": 400,
  "Unauthorized": 401,
  "Forbidden": 403,
  "Not Found": 404,
  "Locked": 403,
  "Not Locked": 404,
  "Invalid Lock Code": 404,
  "Concurrent Update": 409,
  "Method Not Allowed": 405,
  "Content Too Large": 413,
  "Misdirected Request": 421,
  "Internal Server Error": 500,
  "Service Unavailable": 503,
};

/** The header of JSON answers. */
export const JSON_TYPE = ["content-type", "application/json"] as const;

/** An answer that can be sent more than once. */
export type ValueAnswer = HttpAnswer & { readonly body: Uint8Array<ArrayBuffer> };

/** Answers with a refusal: its status, and a JSON body with the reason. */
export function refuse({ reason, message }: Refusal, { status = STATUS[reason], version, asksPeople = false }: {
  readonly status?: number;
  /** The version in which the value was not found. */
  readonly version?: Version;
  /** Whether the client is a browser, which can only ask for a password: a token serves as one. */
  readonly asksPeople?: boolean;
} = {}): HttpAnswer {
  const headers: (readonly [string, string])[] = [JSON_TYPE];
  if (version !== undefined) headers.push(["etag", etagOf(version)]);
  if (status === 401) headers.push(["www-authenticate", asksPeople ? 'Basic realm="token as password"' : "Bearer"]);
  if (status === 405) headers.push(["allow", "GET, HEAD, PUT, DELETE"]);
  if (status === 503) headers.push(["retry-after", "1"]);
  return { status, headers, body: `${JSON.stringify({ error: reason, message, status }, null, 2)}\n` };
}

/** Answers with a word of the protocol. */
export function say(word: string, status = 200): HttpAnswer {
  return { status, headers: [["content-type", "text/plain; charset=utf-8"]], body: word };
}

/** Answers with JSON that the store made: its keys are sorted already. */
export function json(value: unknown, { status = 200, version }: {
  readonly status?: number;
  readonly version?: Version;
} = {}): HttpAnswer {
  const headers: (readonly [string, string])[] = [JSON_TYPE];
  if (version !== undefined) headers.push(["etag", etagOf(version)]);
  return { status, headers, body: JSON.stringify(value, null, 2) };
}

/** Answers with the encoded value of a version. */
export function valueAnswer(bytes: Uint8Array<ArrayBuffer>, version: Version): ValueAnswer {
  return { status: 200, headers: [JSON_TYPE, ["etag", etagOf(version)]], body: bytes };
}

/** Answers without a body. */
export function bare(status: 204 | 304, headers: HttpAnswer["headers"] = []): HttpAnswer {
  return { status, headers, body: "" };
}

/** Writes the `ETag` of a version. */
export function etagOf(version: Version): string {
  return `"${formatVersion(version)}"`;
}

/** At most this many bytes of encodings are kept. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

/** Encodings of values, cached while the value is part of the document: a change elsewhere does not invalidate them. */
export class Encodings {
  #kept: WeakMap<Branch | List, Uint8Array<ArrayBuffer>> = new WeakMap();
  #bytes = 0;

  /** Returns the JSON of a value, indented for people. */
  of(tree: Tree): Uint8Array<ArrayBuffer> {
    if (!(tree instanceof Branch || tree instanceof List)) return utf8(prettyText(tree));
    const kept = this.#kept.get(tree);
    if (kept !== undefined) return kept;
    const bytes = utf8(prettyText(tree));
    this.#bytes += bytes.length;
    if (this.#bytes > KEPT_BYTES_MAX) {
      this.#kept = new WeakMap();
      this.#bytes = bytes.length;
    }
    this.#kept.set(tree, bytes);
    return bytes;
  }
}
