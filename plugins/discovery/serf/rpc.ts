import { Decoder, Encoder } from "@msgpack/msgpack";
import type { Clock } from "../../../src/kernel/clock.ts";
import { within } from "../../../src/kernel/within.ts";
import { isRecord, quote } from "../../../src/model/node.ts";
import { connectTcp, type TcpAddress } from "../../../src/system/tcp.ts";

/** How an agent is connected to. */
export interface RpcOptions {
  readonly address: TcpAddress;
  /** The agent's `rpc_auth`. */
  readonly authKey?: string | undefined;
  /** How long the agent has to answer. */
  readonly answerMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Raised when the agent understood a command and rejected it. */
export class RejectedError extends Error {
  override name = "RejectedError";
}

/** A command whose answer is awaited. */
interface Waiting {
  readonly hasBody: boolean;
  readonly done: PromiseWithResolvers<unknown>;
}

/** The version of the protocol. */
const VERSION = 1;
/** How an agent is decoded: with limits, as a member has at most 512 bytes of tags. */
const DECODING = {
  context: undefined,
  // Without a decoder of its own for keys, the library throws at a tag `__proto__`, which any member may
  // have.
  keyDecoder: {
    canBeCached: () => true,
    decode(bytes: Uint8Array, offset: number, length: number): string {
      const key = new TextDecoder().decode(bytes.subarray(offset, offset + length));
      return key === "__proto__" ? "__proto__ " : key;
    },
  },
  maxStrLength: 65_536,
  maxBinLength: 65_536,
  maxArrayLength: 1_000_000,
  maxMapLength: 4_096,
  maxExtLength: 64,
} as const;

/**
 * An agent's answers are nested no deeper: its members are maps in a list in a map, with tags and an address.
 */
const DEPTH_MAX = 8;

/**
 * Makes a decoder that limits the depth too. The library allocates a list when its length arrives, ahead of
 * its entries: a few kilobytes of list headers would take gigabytes.
 */
function boundedDecoder(): Decoder<undefined> {
  const decoder = new Decoder(DECODING);
  // Private to TypeScript only: there is no option for it.
  const stack: Record<"pushArrayState" | "pushMapState", (size: number) => void> & { readonly length: number } =
    decoder["stack"];
  for (const push of ["pushArrayState", "pushMapState"] as const) {
    const original = stack[push].bind(stack);
    stack[push] = (size: number) => {
      if (stack.length >= DEPTH_MAX) throw new Error(`response nested deeper than ${DEPTH_MAX} levels`);
      original(size);
    };
  }
  return decoder;
}

/**
 * One connection to a serf agent: MessagePack objects one after the other, a header with the number of the
 * request and, for some, a body. After an error it is unknown whether a body follows where one was requested,
 * so it ends the connection; elsewhere the agent rejects only the command.
 */
export class SerfRpc implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly #clock: Clock;
  readonly #answerMs: number;
  readonly #encoder = new Encoder();
  readonly #waiting = new Map<number, Waiting>();
  readonly #streams = new Map<number, () => void>();
  readonly #ended = Promise.withResolvers<Error>();
  #fault: Error | undefined;
  #seq = 0;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(connection: Deno.TcpConn, { clock, answerMs }: RpcOptions) {
    [this.#connection, this.#clock, this.#answerMs] = [connection, clock, answerMs];
    void this.#read();
  }

  /** Connects, and authenticates. Throws if the agent is unreachable, silent, or rejects the key. */
  static async connect(options: RpcOptions): Promise<SerfRpc> {
    const { address, authKey, answerMs, clock, signal } = options;
    const overdue = new AbortController();
    const cancel = clock.after(answerMs, () => overdue.abort(new Error(`no response within ${answerMs}ms`)));
    let connection: Deno.TcpConn;
    try {
      connection = await connectTcp(address, AbortSignal.any([signal, overdue.signal]));
    } finally {
      cancel();
    }
    const rpc = new SerfRpc(connection, options);
    try {
      await rpc.call("handshake", { Version: VERSION });
      if (authKey !== undefined) await rpc.call("auth", { AuthKey: authKey });
    } catch (error) {
      rpc[Symbol.dispose]();
      throw error;
    }
    return rpc;
  }

  /** Resolves, with the reason, when the connection is over. */
  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  /** Whether it is over. */
  get hasEnded(): boolean {
    return this.#fault !== undefined;
  }

  /**
   * Sends one command; returns the body of the answer where there is one. Throws when the connection ends
   * first.
   *
   * @throws {RejectedError} if the agent rejects a command without a body
   */
  async call(command: string, body?: unknown, { hasBody = false, answerMs = this.#answerMs } = {}): Promise<unknown> {
    const done = Promise.withResolvers<unknown>();
    this.#send(command, body, (seq) => this.#waiting.set(seq, { hasBody, done }), done);
    try {
      const late = () => new Error(`no response to ${command} within ${answerMs}ms`);
      return await within(done.promise, answerMs, { clock: this.#clock, late });
    } catch (error) {
      if (error instanceof RejectedError) throw error;
      // Whatever else is wrong, the next answer could be taken for one to another command.
      this.#end(error instanceof Error ? error : new Error(String(error)));
      throw this.#fault ?? error;
    }
  }

  /** Subscribes to events; their contents are not read, for some may be lost. */
  async stream(type: string, onEvent: () => void): Promise<void> {
    this.#streams.set(this.#seq, onEvent);
    await this.call("stream", { Type: type });
  }

  [Symbol.dispose](): void {
    this.#end(new Error("The connection is closed"));
  }

  #send(command: string, body: unknown, keep: (seq: number) => void, done: PromiseWithResolvers<unknown>): void {
    if (this.#fault !== undefined) return done.reject(this.#fault);
    const seq = this.#seq++;
    keep(seq);
    const header = this.#encoder.encode({ Command: command, Seq: seq });
    const parts = body === undefined ? [header] : [header, this.#encoder.encode(body)];
    this.#writing = this.#writing.then(async () => {
      for (const part of parts) {
        for (let rest = part; rest.length > 0;) rest = rest.subarray(await this.#connection.write(rest));
      }
    }).catch((error) => this.#end(error));
  }

  async #read(): Promise<void> {
    try {
      const objects = boundedDecoder().decodeStream(this.#connection.readable);
      for (;;) {
        const { done, value: header } = await objects.next();
        if (done) throw new Error("the agent closed the connection");
        const { seq, error } = readHeader(header);
        const waiting = this.#waiting.get(seq);
        if (waiting === undefined) {
          const onEvent = this.#streams.get(seq);
          if (onEvent === undefined) throw new Error(`the agent responded to an unknown request: Seq ${seq}`);
          await objects.next();
          onEvent();
          continue;
        }
        if (error !== "" && waiting.hasBody) throw new Error(`the agent reports: ${error}`);
        const body = waiting.hasBody ? await objects.next() : undefined;
        if (body?.done) throw new Error("the agent closed the connection");
        this.#waiting.delete(seq);
        if (error === "") waiting.done.resolve(body?.value);
        else waiting.done.reject(new RejectedError(`the agent reports: ${error}`));
      }
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #end(reason: Error): void {
    if (this.#fault !== undefined) return;
    this.#fault = reason;
    try {
      this.#connection.close();
    } catch {
      // The stream of its bytes has closed it.
    }
    for (const { done } of this.#waiting.values()) {
      done.promise.catch(() => {});
      done.reject(reason);
    }
    this.#waiting.clear();
    this.#ended.resolve(reason);
  }
}

function readHeader(value: unknown): { readonly seq: number; readonly error: string } {
  if (isRecord(value) && typeof value.Seq === "number" && typeof value.Error === "string") {
    return { seq: value.Seq, error: value.Error.slice(0, 200) };
  }
  throw new Error(`invalid response from the serf agent: expected a map with Seq and Error, got ${quote(value)}`);
}
