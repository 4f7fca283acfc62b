/** A request for a handler: the part of a web `Request` that handlers use. */
export interface HttpRequest {
  readonly method: string;
  /** As sent: nothing in the path is resolved or decoded. */
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/**
 * The answer to a request: a plain value, since a web `Response` costs more than the rest of a
 * request. Length, date and connection headers are set by the server.
 */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Sent with its length; each chunk of a stream is sent as it arrives. */
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** Answers a request, without a promise if the answer is ready. A thrown error is logged, and answered with 500. */
export type HttpHandle = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
