/** One request, as a handler gets it: the part of a `Request` of the web that is used. */
export interface HttpRequest {
  readonly method: string;
  /** As it was sent: nothing in the path is resolved or decoded. */
  readonly url: string;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** Answers a request. */
export type HttpHandle = (request: HttpRequest) => Response | Promise<Response>;
