import { ByteSource, type ByteStream, closeQuietly } from "./byte_stream.ts";
import type { HttpHandle, HttpRequest } from "./request.ts";
import { RequestBody } from "./request_body.ts";
import { HEAD_BYTES_MAX, HttpFault, latin1, LineFinder, parseHead, type RequestHead } from "./request_head.ts";
import type { HttpLimits } from "./limits.ts";
import { utf8 } from "../kernel/utf8.ts";

/**
 * What a connection is doing. Only while `answering` it is the server that is
 * waited for; in all other phases it waits for its client.
 */
export type Phase = "handshake" | "head" | "idle" | "body" | "answering" | "writing" | "leaving";

/** So long a client that is sent away may take to hear why. */
const LEAVING_MS = 1_000;
/** So much of what such a client still says is read. */
const LEAVING_BYTES_MAX = 256 * 1024;

/** Answers how long a phase may take; `undefined` without an end. Pure. */
export function phaseLimitMs(phase: Phase, limits: HttpLimits): number | undefined {
  switch (phase) {
    case "handshake":
      return limits.handshakeMs;
    case "head":
      return limits.headMs;
    case "idle":
      return limits.idleMs;
    case "body":
    case "writing":
      return limits.stallMs;
    case "leaving":
      return LEAVING_MS;
    case "answering":
      return undefined;
  }
}

/** What a {@linkcode Connection} works with. */
export interface ConnectionOptions {
  readonly scheme: "http" | "https";
  /** The host of a request of HTTP/1.0 that names none. */
  readonly ownHost: string;
  readonly handle: HttpHandle;
  readonly limits: HttpLimits;
  readonly now: () => number;
  /** Shakes hands, if there is TLS: answers the stream that is secured. */
  readonly secure?: ((stream: ByteStream) => Promise<ByteStream>) | undefined;
}

/** One connection, and the requests that come over it, one after the other. */
export class Connection {
  readonly #raw: ByteStream;
  readonly #options: ConnectionOptions;
  readonly #gone: AbortController = new AbortController();
  #stream: ByteStream;
  #phase: Phase = "head";
  #sinceMs: number;
  /** When the body that is being read must be over. */
  #bodyDueMs = Infinity;
  #isEnding = false;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    [this.#raw, this.#stream, this.#options] = [stream, stream, options];
    this.#sinceMs = options.now();
  }

  /** What it is doing. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Since when. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Whether its client has had its time. */
  isOverdue(nowMs: number): boolean {
    const limitMs = phaseLimitMs(this.#phase, this.#options.limits);
    return (limitMs !== undefined && nowMs - this.#sinceMs >= limitMs) || nowMs >= this.#bodyDueMs;
  }

  /** Serves until it is closed, by whom ever; never rejects. */
  async serve(): Promise<void> {
    try {
      if (this.#options.secure !== undefined) {
        this.#enter("handshake");
        this.#stream = await this.#options.secure(this.#raw);
        this.#enter("head");
      }
      const source = new ByteSource(this.#stream);
      while (await this.#serveOne(source));
    } catch {
      // The client is gone, or was sent away.
    } finally {
      this.close();
    }
  }

  /** Takes no further request: closes at once if none is at hand. */
  end(): void {
    this.#isEnding = true;
    if (this.#phase === "idle" || this.#phase === "head" || this.#phase === "handshake") this.close();
  }

  /** Closes it, whatever it is doing. */
  close(): void {
    this.#gone.abort();
    closeQuietly(this.#stream);
    if (this.#stream !== this.#raw) closeQuietly(this.#raw);
  }

  /** Serves one request; answers whether another may follow. */
  async #serveOne(source: ByteSource): Promise<boolean> {
    let head: RequestHead | undefined;
    try {
      head = await this.#readHead(source);
    } catch (error) {
      if (!(error instanceof HttpFault)) throw error;
      await this.#refuse(error);
      await this.#leave(source);
      return false;
    }
    if (head === undefined) return false;
    this.#enter("answering");
    const body = new RequestBody(source, head.framing);
    const gone = new AbortController();
    const abort = () => gone.abort();
    this.#gone.signal.addEventListener("abort", abort, { once: true });
    try {
      const answering = this.#options.handle(this.#request(head, body, source, gone));
      if (answering instanceof Promise && body.isOver) this.#heedEnd(source, gone);
      const response = await answering;
      if (body.isOver && isEvents(response)) this.#heedEnd(source, gone);
      const keeps = head.keepsAlive && body.isOver && !this.#isEnding;
      const isFramed = await this.#write(response, head, keeps, gone.signal);
      if (keeps && isFramed) {
        // What follows may be there already.
        this.#enter(source.bytes.length > 0 ? "head" : "idle");
        return true;
      }
      await this.#leave(source);
      return false;
    } finally {
      this.#gone.signal.removeEventListener("abort", abort);
    }
  }

  async #readHead(source: ByteSource): Promise<RequestHead | undefined> {
    const lines = new LineFinder();
    let start = 0;
    for (;;) {
      const at = lines.next(source.bytes);
      if (at !== undefined) {
        // An empty line ends the head; before the first one it is what some clients end a body with.
        if (at === start + 1 && start > EMPTY_LINES_BYTES) {
          return parseHead(latin1(source.take(at + 1).subarray(0, start - 2)).replace(/^\r\n/, ""), this.#options);
        }
        start = at + 1;
        continue;
      }
      if (source.bytes.length > HEAD_BYTES_MAX) {
        throw new HttpFault(431, `the head is longer than ${HEAD_BYTES_MAX} bytes`);
      }
      if (!await source.fill()) return undefined;
      if (this.#phase === "idle") this.#enter("head");
    }
  }

  #request(head: RequestHead, body: RequestBody, source: ByteSource, gone: AbortController): HttpRequest {
    const { method, url, headers, expectsContinue } = head;
    const request = {
      method,
      url,
      get headers() {
        const made = new Headers(headers as [string, string][]);
        Object.defineProperty(request, "headers", { value: made });
        return made;
      },
      body: body.isOver ? null : this.#bodyStream(body, source, { gone, expectsContinue }),
      signal: gone.signal,
    };
    return request;
  }

  #bodyStream(body: RequestBody, source: ByteSource, { gone, expectsContinue }: {
    readonly gone: AbortController;
    readonly expectsContinue: boolean;
  }): ReadableStream<Uint8Array<ArrayBuffer>> {
    let isFirst = true;
    return new ReadableStream({
      pull: async (controller) => {
        this.#enter("body");
        if (isFirst) this.#bodyDueMs = this.#options.now() + this.#options.limits.bodyMs;
        try {
          if (isFirst && expectsContinue && source.bytes.length === 0) await this.#writeAll(CONTINUE);
          isFirst = false;
          const piece = await body.next();
          if (piece === undefined) controller.close();
          else controller.enqueue(piece);
          if (!body.isOver) return;
          this.#bodyDueMs = Infinity;
          if (piece !== undefined) controller.close();
          this.#heedEnd(source, gone);
        } finally {
          this.#enter("answering");
        }
      },
    }, { highWaterMark: 0 });
  }

  /** Notices that the client is gone while it is the server that is waited for. */
  #heedEnd(source: ByteSource, gone: AbortController): void {
    if (source.bytes.length > 0) return;
    source.fill().then((isMore) => isMore || gone.abort(), () => gone.abort());
  }

  /** Writes an answer; answers whether its end can be told without closing the connection. */
  async #write(response: Response, head: RequestHead, keeps: boolean, signal: AbortSignal): Promise<boolean> {
    const { status, headers } = response;
    const isStream = isEvents(response) && head.method !== "HEAD";
    const isChunked = isStream && head.isHttp11;
    const bodyless = status === 204 || status === 304;
    const bytes = isStream ? undefined : new Uint8Array(await response.arrayBuffer());
    let text = `HTTP/1.1 ${status} ${REASONS.get(status) ?? ""}\r\n`;
    for (const [name, value] of headers) if (!HOP.has(name)) text += `${name}: ${value}\r\n`;
    text += `date: ${new Date().toUTCString()}\r\n`;
    if (isChunked) text += "transfer-encoding: chunked\r\n";
    else if (bytes !== undefined && !bodyless) text += `content-length: ${bytes.length}\r\n`;
    if (!keeps || (isStream && !isChunked)) text += "connection: close\r\n";
    else if (!head.isHttp11) text += "connection: keep-alive\r\n";
    const first = utf8(`${text}\r\n`);
    if (bytes === undefined) {
      await this.#writeAll(first);
      await this.#writeStream(response.body, isChunked, signal);
      return isChunked;
    }
    if (head.method === "HEAD" || bodyless || bytes.length === 0) await this.#writeAll(first);
    else if (bytes.length > JOINED_BYTES_MAX) {
      await this.#writeAll(first);
      await this.#writeAll(bytes);
    } else {
      const joined = new Uint8Array(first.length + bytes.length);
      joined.set(first);
      joined.set(bytes, first.length);
      await this.#writeAll(joined);
    }
    return true;
  }

  async #writeStream(
    body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
    isChunked: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const reader = body?.getReader();
    const cancel = () => void reader?.cancel().catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      for (;;) {
        this.#enter("answering");
        const { value, done } = await reader?.read() ?? { value: undefined, done: true };
        if (done || value === undefined) break;
        if (value.length === 0) continue;
        if (!isChunked) await this.#writeAll(value);
        else {
          const [size, end] = [utf8(`${value.length.toString(16)}\r\n`), utf8("\r\n")];
          const chunk = new Uint8Array(size.length + value.length + end.length);
          chunk.set(size);
          chunk.set(value, size.length);
          chunk.set(end, size.length + value.length);
          await this.#writeAll(chunk);
        }
      }
      if (isChunked) await this.#writeAll(utf8("0\r\n\r\n"));
    } catch (error) {
      cancel();
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      this.#enter("writing");
      rest = rest.subarray(await this.#stream.write(rest));
    }
  }

  async #refuse({ status, message }: HttpFault): Promise<void> {
    const text = `Cannot read the request: ${message}\n`;
    await this.#writeAll(utf8(
      `HTTP/1.1 ${status} ${REASONS.get(status) ?? ""}\r\ncontent-type: text/plain\r\n` +
        `content-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
    ));
  }

  /** Lets the client hear the answer: who closes on what was sent and not read cuts it off. */
  async #leave(source: ByteSource): Promise<void> {
    this.#enter("leaving");
    await this.#stream.closeWrite();
    for (let read = source.take(source.bytes.length).length; read < LEAVING_BYTES_MAX;) {
      if (!await source.fill()) return;
      read += source.take(source.bytes.length).length;
    }
  }

  #enter(phase: Phase): void {
    [this.#phase, this.#sinceMs] = [phase, this.#options.now()];
  }
}

/** Whether an answer comes piece by piece: all others are there as a whole. */
function isEvents({ headers, body }: Response): boolean {
  return headers.get("content-type") === "text/event-stream" && body !== null;
}

/** So many bytes are one empty line. */
const EMPTY_LINES_BYTES = 2;
const CONTINUE = utf8("HTTP/1.1 100 Continue\r\n\r\n");
/** A body that is not longer goes out in one piece with its head. */
const JOINED_BYTES_MAX = 64 * 1024;
/** What is said of the connection itself, which is not for a handler to say. */
const HOP: ReadonlySet<string> = new Set(["connection", "content-length", "date", "keep-alive", "transfer-encoding"]);
const REASONS: ReadonlyMap<number, string> = new Map([
  [200, "OK"],
  [201, "Created"],
  [204, "No Content"],
  [304, "Not Modified"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [409, "Conflict"],
  [413, "Content Too Large"],
  [417, "Expectation Failed"],
  [421, "Misdirected Request"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [503, "Service Unavailable"],
]);
