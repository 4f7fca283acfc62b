import { type AnswerFraming, formatAnswerHead } from "./answer_head.ts";
import { ByteSource } from "./byte_source.ts";
import { type ByteStream, closeQuietly } from "../system/byte_stream.ts";
import { Exchange } from "./exchange.ts";
import type { HttpLimits } from "./limits.ts";
import type { Turns } from "./turns.ts";
import { Outbox } from "./outbox.ts";
import type { HttpAnswer, HttpHandle, HttpRequest } from "./request.ts";
import { RequestBody } from "./request_body.ts";
import { type HeadOptions, HeadReader, HttpFault, type RequestHead } from "./request_head.ts";
import { utf8 } from "../kernel/utf8.ts";

/** Phases of a connection. Only in `answering` does it wait for the server; in all others it waits for its client. */
export type Phase = "handshake" | "head" | "idle" | "body" | "answering" | "writing" | "lingering";

/** How long a rejected client may take to read why. */
const LEAVING_MS = 1_000;
/** How much of a rejected client's data is read. */
const LEAVING_BYTES_MAX = 256 * 1024;

/** Returns the time limit of a phase; `undefined` if there is none. Pure. */
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
    case "lingering":
      return LEAVING_MS;
    case "answering":
      return undefined;
  }
}

export interface ConnectionOptions extends HeadOptions {
  readonly handle: HttpHandle;
  readonly limits: HttpLimits;
  /** Called with an error of a handler, or of its answer's stream, unless the client is at fault. */
  readonly onFault: (error: unknown, request: HttpRequest) => void;
  readonly now: () => number;
  /** Shared by all connections of a server. */
  readonly turns: Turns;
  /** Performs the TLS handshake, if any, and returns the secured stream. */
  readonly secure?: ((stream: ByteStream) => Promise<ByteStream>) | undefined;
}

/**
 * One connection and its requests, one after the other. Pipelined requests are answered together:
 * nothing waits between two of them unless a handler does.
 */
export class Connection {
  readonly #raw: ByteStream;
  readonly #options: ConnectionOptions;
  readonly #outbox: Outbox = new Outbox();
  #stream: ByteStream;
  #phase: Phase = "head";
  #sinceMs: number;
  /** Deadline of the body in progress. */
  #bodyDueMs = Infinity;
  /** The request in progress. */
  #exchange: Exchange | undefined;
  /** Whether the body of that request could not be read. */
  #isBodyBroken = false;
  #isEnding = false;

  constructor(stream: ByteStream, options: ConnectionOptions) {
    [this.#raw, this.#stream, this.#options] = [stream, stream, options];
    this.#sinceMs = options.now();
  }

  /** Its current phase. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Start of the phase. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Whether its client has exceeded its time. */
  isOverdue(nowMs: number): boolean {
    const limitMs = phaseLimitMs(this.#phase, this.#options.limits);
    return (limitMs !== undefined && nowMs - this.#sinceMs >= limitMs) || nowMs >= this.#bodyDueMs;
  }

  /** Serves until it is closed, by whichever side; never rejects. */
  async serve(): Promise<void> {
    try {
      if (this.#options.secure !== undefined) {
        this.#enter("handshake");
        this.#stream = await this.#options.secure(this.#raw);
        this.#enter("head");
      }
      await this.#serveAll(new ByteSource(this.#stream));
    } catch {
      // The client is gone, or was rejected.
    } finally {
      this.close();
    }
  }

  /** Accepts no further request: closes at once if none is in progress. */
  end(): void {
    this.#isEnding = true;
    if (this.#phase === "idle" || this.#phase === "head" || this.#phase === "handshake") this.close();
  }

  /** Closes it in any phase. */
  close(): void {
    this.#exchange?.giveUp();
    closeQuietly(this.#stream);
    if (this.#stream !== this.#raw) closeQuietly(this.#raw);
  }

  async #serveAll(source: ByteSource): Promise<void> {
    const heads = new HeadReader(source, this.#options);
    for (let isLast = false; !isLast;) {
      const head = nextHead(heads);
      if (head === undefined) {
        await this.#flush();
        if (this.#isEnding) break;
        if (!await this.#more(source)) return;
      } else if (head instanceof HttpFault) {
        await this.#refuse(head);
        isLast = true;
      } else {
        const turn = this.#options.turns.next();
        if (turn !== undefined) await turn;
        isLast = !await this.#serveOne(head, source);
      }
    }
    await this.#flush();
    await this.#leave(source);
  }

  /** Serves one request; returns whether another may follow. */
  async #serveOne(head: RequestHead, source: ByteSource): Promise<boolean> {
    const body = new RequestBody(source, head.framing);
    const exchange = this.#exchange = new Exchange(head);
    this.#isBodyBroken = false;
    if (!body.isOver) {
      // Reading a body may send `100 Continue`, behind earlier answers.
      await this.#flush();
      exchange.body = this.#bodyStream(body, source, exchange);
    }
    // This phase has no limit, and reading the clock costs time.
    this.#phase = "answering";
    let answer = this.#handle(exchange);
    if (answer instanceof Promise) {
      if (body.isOver) heedEnd(source, exchange);
      answer = await this.#await(answer.catch((error) => this.#fail(error, exchange)));
    }
    const said = typeof answer.body === "string" ? utf8(answer.body) : answer.body;
    const framing = framingOf(answer.status, said, head);
    const keepsAlive = head.keepsAlive && body.isOver && framing !== "close" && !this.#isEnding;
    const text = formatAnswerHead(answer, { framing, keepsAlive, isHttp11: head.isHttp11, nowMs: Date.now() });
    this.#options.turns.charge(said instanceof ReadableStream ? 0 : said.length);
    if (said instanceof ReadableStream) {
      if (body.isOver) heedEnd(source, exchange);
      await this.#put(text, NOTHING);
      await this.#flush();
      if (head.method === "HEAD") await said.cancel();
      else await this.#writeStream(said, exchange, { isChunked: framing === "chunks" });
    } else {
      const pending = this.#put(text, head.method === "HEAD" || framing === "nothing" ? NOTHING : said);
      if (pending !== undefined) await pending;
    }
    this.#exchange = undefined;
    return keepsAlive;
  }

  #handle(exchange: Exchange): HttpAnswer | Promise<HttpAnswer> {
    try {
      return this.#options.handle(exchange);
    } catch (error) {
      return this.#fail(error, exchange);
    }
  }

  /** Reports an error of a handler, and answers in its place. An error of the client only ends the connection. */
  #fail(error: unknown, exchange: Exchange): HttpAnswer {
    if (exchange.isGone || this.#isBodyBroken) throw error;
    this.#options.onFault(error, exchange);
    return FAULT;
  }

  /** Waits for an answer. Earlier answers are sent first. */
  async #await(answering: Promise<HttpAnswer>): Promise<HttpAnswer> {
    if (this.#outbox.isEmpty) return await answering;
    const flushing = this.#flush().then(() => this.#enter("answering"));
    const [answer] = await Promise.all([answering, flushing]);
    return answer;
  }

  /** Waits for more of the next head; returns `false` if the client is gone. */
  #more(source: ByteSource): Promise<boolean> {
    // The time limit applies to a head as a whole, also to the first one.
    const phase = this.#phase === "head" || source.length > 0 ? "head" : "idle";
    if (this.#phase !== phase) this.#enter(phase);
    return source.fill();
  }

  #bodyStream(body: RequestBody, source: ByteSource, exchange: Exchange): ReadableStream<Uint8Array<ArrayBuffer>> {
    let isFirst = true;
    return new ReadableStream({
      pull: async (controller) => {
        this.#enter("body");
        if (isFirst) this.#bodyDueMs = this.#options.now() + this.#options.limits.bodyMs;
        try {
          if (isFirst && exchange.expectsContinue && source.length === 0) await this.#writeAll(CONTINUE);
          isFirst = false;
          const piece = await body.next();
          if (piece === undefined) controller.close();
          else controller.enqueue(piece);
          if (!body.isOver) return;
          this.#bodyDueMs = Infinity;
          if (piece !== undefined) controller.close();
          heedEnd(source, exchange);
        } catch (error) {
          this.#isBodyBroken = true;
          throw error;
        } finally {
          this.#enter("answering");
        }
      },
    }, { highWaterMark: 0 });
  }

  async #writeStream(
    body: ReadableStream<Uint8Array<ArrayBuffer>>,
    exchange: Exchange,
    { isChunked }: { readonly isChunked: boolean },
  ): Promise<void> {
    const { signal } = exchange;
    const reader = body.getReader();
    const cancel = () => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      for (;;) {
        this.#enter("answering");
        const { value, done } = await reader.read().catch((error) => {
          // The head is sent already: the client sees a truncated answer.
          if (!exchange.isGone) this.#options.onFault(error, exchange);
          throw error;
        });
        if (done) break;
        if (value.length === 0) continue;
        await this.#put(isChunked ? `${value.length.toString(16)}\r\n` : "", value);
        await this.#put(isChunked ? "\r\n" : "", NOTHING);
        await this.#flush();
      }
      if (isChunked) await this.#put("0\r\n\r\n", NOTHING);
    } catch (error) {
      cancel();
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Appends ASCII text and bytes to the outbox; returns a promise only if it must be flushed first. */
  #put(text: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> | undefined {
    if (!this.#outbox.fits(text.length + bytes.length)) return this.#putLarge(text, bytes);
    this.#outbox.add(text);
    this.#outbox.add(bytes);
    return undefined;
  }

  async #putLarge(text: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#flush();
    this.#outbox.add(text);
    if (this.#outbox.fits(bytes.length)) return this.#outbox.add(bytes);
    await this.#flush();
    await this.#writeAll(bytes);
  }

  async #flush(): Promise<void> {
    await this.#outbox.flush((bytes) => this.#writeAll(bytes));
  }

  async #writeAll(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      this.#enter("writing");
      rest = rest.subarray(await this.#stream.write(rest));
    }
  }

  async #refuse({ status, message }: HttpFault): Promise<void> {
    const bytes = utf8(`Cannot read the request: ${message}\n`);
    const head = formatAnswerHead({ status, headers: [["content-type", "text/plain"]] }, {
      framing: { length: bytes.length },
      keepsAlive: false,
      isHttp11: true,
      nowMs: Date.now(),
    });
    await this.#put(head, bytes);
  }

  /** Lets the client read the answer: closing with unread input would reset the connection. */
  async #leave(source: ByteSource): Promise<void> {
    this.#enter("lingering");
    await this.#stream.closeWrite();
    for (let read = 0; read < LEAVING_BYTES_MAX;) {
      read += source.length;
      source.skip(source.length);
      if (!await source.fill()) return;
    }
  }

  #enter(phase: Phase): void {
    [this.#phase, this.#sinceMs] = [phase, this.#options.now()];
  }
}

function nextHead(heads: HeadReader): RequestHead | HttpFault | undefined {
  try {
    return heads.next();
  } catch (error) {
    if (error instanceof HttpFault) return error;
    throw error;
  }
}

/** Notices that the client is gone while it waits for the server. */
function heedEnd(source: ByteSource, exchange: Exchange): void {
  if (source.length > 0) return;
  source.fill().then((isMore) => isMore || exchange.giveUp(), () => exchange.giveUp());
}

function framingOf(
  status: number,
  body: Exclude<HttpAnswer["body"], string>,
  { isHttp11 }: RequestHead,
): AnswerFraming {
  if (status === 204 || status === 304) return "nothing";
  if (body instanceof ReadableStream) return isHttp11 ? "chunks" : "close";
  return { length: body.length };
}

const FAULT: HttpAnswer = {
  status: 500,
  headers: [["content-type", "text/plain"]],
  body: "Cannot respond: internal error\n",
};
const CONTINUE = utf8("HTTP/1.1 100 Continue\r\n\r\n");
const NOTHING: Uint8Array<ArrayBuffer> = new Uint8Array(0);
