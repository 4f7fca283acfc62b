import { Duplex } from "node:stream";

/** Maximum size of one read. */
const READ_BYTES_MAX = 65_536;

/** A connection over TCP, or to a Unix socket. */
type Stream = Deno.TcpConn | Deno.UnixConn;

/**
 * A connection of {@linkcode connectTcp}, or to a Unix socket, in the form that `node:tls`, `node:http` and `node:http2`
 * need, instead of a socket of `node:net`, which tries only the first address of a name. A module of
 * its own, as `node:stream` costs memory that a plain connection does not need.
 */
export class TcpSocket extends Duplex {
  readonly #connecting: Stream | Promise<Stream>;
  #connection: Stream | undefined;

  /** Takes over a connection, or a pending one: it is closed with the socket. */
  constructor(connection: Stream | Promise<Stream>) {
    super({ allowHalfOpen: false });
    this.#connecting = connection;
    // A late error, when nobody listens any more, must not be an uncaught one.
    this.on("error", () => {});
  }

  /** Nothing is read or written before this is done. */
  override _construct(done: (error?: Error | null) => void): void {
    const connect = async () => {
      this.#connection = await this.#connecting;
      // A head and a body in two writes must not wait for the other side's acknowledgement.
      if ("setNoDelay" in this.#connection) this.#connection.setNoDelay();
    };
    connect().then(() => done(), done);
  }

  override _read(): void {
    const buffer = new Uint8Array(READ_BYTES_MAX);
    this.#connected.read(buffer).then(
      (count) => this.push(count === null ? null : buffer.subarray(0, count)),
      (error) => this.destroy(error),
    );
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#writeAll(chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    // The other side may be gone already, which only a read reveals.
    this.#connected.closeWrite().then(() => done(), () => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#connection?.close();
    done(error);
  }

  /** Called by an agent. Without effect: a lost server is noticed at the deadline of the next request. */
  setKeepAlive(): this {
    return this;
  }

  /** Called by an agent before there is a connection; always set. */
  setNoDelay(): this {
    return this;
  }

  /** Called by an agent. Without effect: every request has a signal. */
  setTimeout(): this {
    return this;
  }

  /** Called by an agent: the process lives for as long as the socket is open. */
  ref(): this {
    this.#connection?.ref();
    return this;
  }

  /** Called by an agent for an idle connection: it does not keep the process alive. */
  unref(): this {
    this.#connection?.unref();
    return this;
  }

  get #connected(): Stream {
    if (this.#connection === undefined) throw new Error("stream used before it is constructed");
    return this.#connection;
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await this.#connected.write(rest));
  }
}
