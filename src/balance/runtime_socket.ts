import { assert } from "../kernel/assert.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Dialect } from "../plugin/contract.ts";

/** How long a batch of commands may take. The dialect limits its length. */
const DEADLINE_MS = 5_000;

/** The size limit of the answers of one exchange. */
const ANSWERS_BYTES_MAX = 64 * 1024 * 1024;

/** Raised when nobody listens at a socket: the balancer does not run. */
export class NobodyListensError extends Error {
  override name = "NobodyListensError";
}

/** Raised when a socket does not answer in time, or closes in the middle of an answer. */
export class SocketSilentError extends Error {
  override name = "SocketSilentError";
}

export interface RuntimeSocketOptions {
  /** Aborts the exchange. */
  readonly signal: AbortSignal;
  /** How commands are written there. */
  readonly dialect: Dialect;
  /** How long connecting, and then each batch, may take. */
  readonly deadlineMs?: number;
}

/**
 * A connection to a balancer's Unix socket: commands are pipelined, and answers are separated by their
 * terminator. A connection serves one process: after a reload it still speaks to the old one.
 */
export class RuntimeSocket implements Disposable {
  readonly #connection: Deno.UnixConn;
  readonly #path: string;
  readonly #signal: AbortSignal;
  readonly #dialect: Dialect;
  readonly #deadlineMs: number;
  readonly #decoder = new TextDecoder();
  readonly #chunk = new Uint8Array(65_536);
  #received = "";
  #closed = false;
  #exchanges = 0;
  /** Whether somebody waits for the connection to end. */
  #isHeld = false;
  /** A read that waits while nothing is asked: it resolves when the other side closes the connection. */
  #idleRead: Promise<number | null> | undefined;
  readonly #ended = Promise.withResolvers<void>();

  private constructor(
    connection: Deno.UnixConn,
    path: string,
    { signal, dialect, deadlineMs }: Required<RuntimeSocketOptions>,
  ) {
    [this.#connection, this.#path, this.#signal, this.#deadlineMs] = [connection, path, signal, deadlineMs];
    this.#dialect = dialect;
  }

  /**
   * Connects, and sends the dialect's opening. Throws {@linkcode NobodyListensError} or {@linkcode
   * SocketSilentError}.
   */
  static async connect(
    path: string,
    { signal, dialect, deadlineMs = DEADLINE_MS }: RuntimeSocketOptions,
  ): Promise<RuntimeSocket> {
    signal.throwIfAborted();
    let connection: Deno.UnixConn;
    try {
      connection = await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.ConnectionRefused) {
        throw new NobodyListensError(`No process listens on ${path}`, { cause: error });
      }
      throw error;
    }
    const socket = new RuntimeSocket(connection, path, { signal, dialect, deadlineMs });
    try {
      if (dialect.opening !== undefined) await socket.#exchange(`${dialect.opening}\n`, 1);
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Sends commands and returns their answers, in order and trimmed. Throws {@linkcode SocketSilentError} when
   * they do not arrive in time: then it is unknown which of the commands were carried out.
   */
  async ask(commands: readonly string[]): Promise<readonly string[]> {
    for (const command of commands) {
      // A line break or a semicolon would make two commands of one.
      assert(isOneCommand(command), `one command at a time: ${JSON.stringify(command.slice(0, 80))}`);
    }
    const answers: string[] = [];
    for (const batch of batches(commands, this.#dialect.batchBytesMax)) {
      answers.push(...await this.#exchange(batch.map((command) => `${command}\n`).join(""), batch.length));
    }
    return answers;
  }

  /**
   * Resolves when the other side closes the connection or says something unasked, and when this connection is
   * closed.
   */
  get ended(): Promise<void> {
    this.#isHeld = true;
    if (this.#exchanges === 0) this.#listen();
    return this.#ended.promise;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ended.resolve();
    this.#connection.close();
  }

  /** Waits for the end while nothing is asked; the first read of the next exchange is this one. */
  #listen(): void {
    if (this.#closed || this.#idleRead !== undefined) return;
    const read = this.#idleRead = this.#connection.read(this.#chunk).catch(() => null);
    void read.then(() => {
      if (this.#exchanges === 0) this.#ended.resolve();
    });
  }

  async #exchange(lines: string, answersExpected: number): Promise<readonly string[]> {
    this.#signal.throwIfAborted();
    this.#exchanges++;
    let late = false;
    const giveUp = () => this[Symbol.dispose]();
    const timer = setTimeout(() => {
      late = true;
      giveUp();
    }, this.#deadlineMs);
    this.#signal.addEventListener("abort", giveUp, { once: true });
    try {
      const [, answers] = await Promise.all([this.#write(lines), this.#read(answersExpected)]);
      return answers;
    } catch (error) {
      this[Symbol.dispose]();
      this.#signal.throwIfAborted();
      if (late) {
        throw new SocketSilentError(`No response at ${this.#path} within ${formatDuration(this.#deadlineMs)}`, {
          cause: error,
        });
      }
      if (error instanceof SocketSilentError) throw error;
      throw new SocketSilentError(`Connection to ${this.#path} lost: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener("abort", giveUp);
      if (--this.#exchanges === 0 && this.#isHeld) this.#listen();
    }
  }

  async #write(lines: string): Promise<void> {
    const bytes = new TextEncoder().encode(lines);
    for (let sent = 0; sent < bytes.length;) sent += await this.#connection.write(bytes.subarray(sent));
  }

  async #read(answersExpected: number): Promise<readonly string[]> {
    const answers: string[] = [];
    const { ending } = this.#dialect;
    /** How many bytes of a terminator may precede the next chunk. */
    const tail = (text: string) => text.slice(Math.max(0, text.length - ending.length + 1));
    let [bytes, searched, fresh] = [0, "", this.#received];
    for (;;) {
      // Only what is new is searched: a long answer would be copied and searched again for each of its
      // chunks.
      const hasEnding = (searched + fresh).includes(ending);
      while (hasEnding && answers.length < answersExpected) {
        const end = this.#received.indexOf(ending);
        if (end < 0) break;
        answers.push(this.#received.slice(0, end).trim());
        this.#received = this.#received.slice(end + ending.length);
      }
      if (answers.length === answersExpected) return answers;
      if (bytes > ANSWERS_BYTES_MAX) {
        throw new SocketSilentError(`Responses at ${this.#path} longer than ${ANSWERS_BYTES_MAX} bytes`);
      }
      const idleRead = this.#idleRead;
      this.#idleRead = undefined;
      const length = await (idleRead ?? this.#connection.read(this.#chunk));
      if (length === null) {
        throw new SocketSilentError(`Connection to ${this.#path} closed in the middle of a response`);
      }
      bytes += length;
      searched = tail(hasEnding ? this.#received : searched + fresh);
      fresh = this.#decoder.decode(this.#chunk.subarray(0, length), { stream: true });
      this.#received += fresh;
    }
  }
}

/** Whether a string is one command and nothing else. */
export function isOneCommand(text: string): boolean {
  return text !== "" && !/[\r\n;]/.test(text);
}

function* batches(commands: readonly string[], bytesMax: number): Generator<readonly string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const command of commands) {
    const length = command.length + 1;
    if (batch.length > 0 && bytes + length > bytesMax) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(command);
    bytes += length;
  }
  if (batch.length > 0) yield batch;
}
