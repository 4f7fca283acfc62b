/** What the proxy does with what it is sent. */
type Mode = "forward" | "silent" | "refuse";

/** A connection and its other half. */
interface Pair {
  readonly client: Deno.TcpConn;
  readonly server: Deno.TcpConn;
}

/**
 * A network between a client and a server on loopback, with faults at hand: it
 * can cut connections, stall, and reject them. The port stays the same.
 */
export class TcpProxy implements AsyncDisposable {
  /** Where clients connect to. */
  readonly port: number;
  readonly #at: string;
  readonly #target: { readonly hostname: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  readonly #jobs = new Set<Promise<void>>();
  #listener: Deno.TcpListener | undefined;
  #mode: Mode = "forward";
  #flowing: PromiseWithResolvers<void> | undefined;
  #accepted = 0;

  private constructor(listener: Deno.TcpListener, target: { readonly hostname: string; readonly port: number }) {
    this.port = listener.addr.port;
    this.#at = listener.addr.hostname;
    this.#target = target;
    this.#listen(listener);
  }

  /** Stands between clients and the server at a port; both sides are on loopback unless told. */
  static start(
    port: number,
    { hostname = "127.0.0.1", at = { hostname: "127.0.0.1", port: 0 } }: {
      readonly hostname?: string;
      readonly at?: { readonly hostname: string; readonly port: number };
    } = {},
  ): TcpProxy {
    return new TcpProxy(Deno.listen(at), { hostname, port });
  }

  /** `127.0.0.1:port`, or the given address. */
  get address(): string {
    return `${this.#at}:${this.port}`;
  }

  /** How many connections stand now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** How many connections were ever taken. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Closes all connections; new ones are welcome. */
  cut(): void {
    for (const pair of this.#pairs) closePair(pair);
  }

  /** Falls silent: connections stand and are taken, but not a byte goes through, in either direction. */
  pause(): void {
    this.#mode = "silent";
    this.#flowing ??= Promise.withResolvers<void>();
  }

  /** Cuts all connections and rejects new ones. */
  refuse(): void {
    this.#release();
    this.#mode = "refuse";
    this.#listener?.close();
    this.#listener = undefined;
    this.cut();
  }

  /** Ends a pause or a refusal: held data passes now. */
  resume(): void {
    if (this.#listener === undefined) this.#listen(Deno.listen({ hostname: this.#at, port: this.port }));
    this.#mode = "forward";
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    while (this.#jobs.size > 0) await Promise.allSettled(this.#jobs);
  }

  #release(): void {
    this.#flowing?.resolve();
    this.#flowing = undefined;
  }

  #listen(listener: Deno.TcpListener): void {
    this.#listener = listener;
    this.#track(this.#accept(listener));
  }

  #track(job: Promise<void>): void {
    const tracked = job.catch(() => {}).finally(() => this.#jobs.delete(tracked));
    this.#jobs.add(tracked);
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    for await (const client of listener) {
      this.#accepted++;
      this.#track(this.#join(client));
    }
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect(this.#target);
    } catch {
      return client.close();
    }
    const pair = { client, server };
    this.#pairs.add(pair);
    if (this.#mode === "refuse") closePair(pair);
    await Promise.allSettled([this.#copy(client, server, pair), this.#copy(server, client, pair)]);
    this.#pairs.delete(pair);
  }

  async #copy(from: Deno.TcpConn, to: Deno.TcpConn, pair: Pair): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) return;
        while (this.#flowing !== undefined) await this.#flowing.promise;
        for (let sent = 0; sent < count;) sent += await to.write(buffer.subarray(sent, count));
      }
    } finally {
      closePair(pair);
    }
  }
}

function closePair({ client, server }: Pair): void {
  for (const half of [client, server]) {
    try {
      half.close();
    } catch {
      // The other direction has closed it already.
    }
  }
}
