import type { HttpAnswer, HttpRequest } from "../../../src/http/client.ts";
import { type Endpoints, RefusedError } from "./endpoints.ts";
import type { Credential } from "./gateway.ts";
import { MalformedAnswerError } from "./messages.ts";
import { readV2Error, v2Path } from "./v2_messages.ts";

/** The index of the store when it answered. */
export interface V2Header {
  readonly clusterId: string;
  readonly index: number;
}

/** Raised when etcd rejects a request: with the index of its store. */
export class V2RefusedError extends RefusedError {
  override name = "V2RefusedError";
  readonly header: V2Header;

  constructor(code: number, message: string, header: V2Header) {
    super(code, message);
    this.header = header;
  }
}

/** One request. */
export interface V2Request {
  readonly method: HttpRequest["method"];
  readonly key: string;
  /** Conditions and options, as `recursive` and `prevIndex`. */
  readonly query?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
  readonly answerMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** etcd's API 2, over HTTP. */
export class V2Client {
  readonly #endpoints: Endpoints;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(endpoints: Endpoints, credential: Credential | undefined) {
    this.#endpoints = endpoints;
    const { username = "", password = "" } = credential ?? {};
    const basic = new TextEncoder().encode(`${username}:${password}`).toBase64();
    this.#headers = credential === undefined ? {} : { authorization: `Basic ${basic}` };
  }

  /**
   * Makes one request.
   *
   * @throws {V2RefusedError} if etcd rejects it
   */
  async call<T>(request: V2Request, read: (answer: unknown, header: V2Header) => T): Promise<T> {
    const { method, key, query = {}, form, answerMs, signal } = request;
    const search = new URLSearchParams(query).toString();
    const body = form === undefined ? undefined : new URLSearchParams(form).toString();
    return await this.#endpoints.ask({
      method,
      path: `${v2Path(key)}${search === "" ? "" : `?${search}`}`,
      body,
      headers: { ...this.#headers, ...(body !== undefined && { "content-type": "application/x-www-form-urlencoded" }) },
      answerMs,
      signal,
    }, (answer) => {
      const { status, headers } = answer;
      const header = { clusterId: String(headers["x-etcd-cluster-id"]), index: Number(headers["x-etcd-index"]) };
      const value = jsonOf(answer);
      // Faults of a request itself, or its user, are found before the store is involved.
      if (status >= 300) throw refusalOf(status, value, header);
      if (!Number.isInteger(header.index)) {
        throw new MalformedAnswerError("Invalid response from etcd: header X-Etcd-Index is missing");
      }
      return read(value, header);
    });
  }
}

function jsonOf({ status, text }: HttpAnswer): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const hint = status === 404 ? "; etcd 3.5 or earlier with --enable-v2 is required" : "";
    throw new MalformedAnswerError(`HTTP ${status}; the response body is not JSON${hint}`);
  }
}

function refusalOf(status: number, value: unknown, header: V2Header): Error {
  const error = readV2Error(value);
  if (error === undefined) return new MalformedAnswerError(`HTTP ${status}; the response body is not an etcd error`);
  return new V2RefusedError(error.code, error.message, header);
}
