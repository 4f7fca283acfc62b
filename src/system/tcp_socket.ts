import { Duplex } from "node:stream";

/** The most bytes of one read. */
const READ_BYTES_MAX = 65_536;

/**
 * A connection of {@linkcode connectTcp} as `node:tls`, `node:http` and
 * `node:http2` want one, in the place of a socket of `node:net`, which tries
 * the first address of a name alone. A module of its own, for `node:stream`
 * costs memory that a plain connection need not pay.
 */
export class TcpSocket extends Duplex {
  readonly #connecting: Deno.TcpConn | Promise<Deno.TcpConn>;
  #connection: Deno.TcpConn | undefined;

  /** Takes over a connection, or one that is to come: it is closed with the socket. */
  constructor(connection: Deno.TcpConn | Promise<Deno.TcpConn>) {
    super({ allowHalfOpen: false });
    this.#connecting = connection;
    // An error that comes when nobody listens any more, as of a request that was given up, must not be an uncaught one.
    this.on("error", () => {});
  }

  /** Nothing is read or written before this is done. */
  override _construct(done: (error?: Error | null) => void): void {
    const connect = async () => {
      this.#connection = await this.#connecting;
      // What is written in two pieces, as a head and a body, must not wait for the other side's acknowledgement.
      this.#connection.setNoDelay();
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
    // The other side may be gone already, and that is told by reading.
    this.#connected.closeWrite().then(() => done(), () => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#connection?.close();
    done(error);
  }

  /** Asked for by an agent. Of no use here: a server that is gone is noticed at the deadline of the next request. */
  setKeepAlive(): this {
    return this;
  }

  /** Asked for by an agent, before there is a connection: every one of them has it. */
  setNoDelay(): this {
    return this;
  }

  /** Asked for by an agent. Of no use here: every request has a signal. */
  setTimeout(): this {
    return this;
  }

  /** Asked for by an agent: the process lives for as long as the socket is open. */
  ref(): this {
    this.#connection?.ref();
    return this;
  }

  /** Asked for by an agent that keeps a connection for later: the process need not live for that. */
  unref(): this {
    this.#connection?.unref();
    return this;
  }

  get #connected(): Deno.TcpConn {
    if (this.#connection === undefined) throw new Error("A stream does nothing before it is constructed");
    return this.#connection;
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await this.#connected.write(rest));
  }
}
