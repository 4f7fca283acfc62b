/** What has gone through a {@linkcode CountingProxy}. */
export interface Count {
  /** Bytes to the server. */
  readonly sent: number;
  /** Bytes from it. */
  readonly received: number;
  /** Connections that were ever made. */
  readonly connections: number;
}

/** A way to a server of loopback that counts what goes along it. */
export class CountingProxy implements AsyncDisposable {
  readonly #listener: Deno.TcpListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: number;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #accepting: Promise<void>;
  #sent = 0;
  #received = 0;
  #connections = 0;
  /** Set while nothing goes through. */
  #paused: PromiseWithResolvers<void> | undefined;

  constructor(port: number) {
    this.#target = port;
    this.#accepting = this.#accept();
  }

  /** Where clients connect to. */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** How many connections stand now. */
  get open(): number {
    return this.#open.size / 2;
  }

  /** Lets nothing through: connections stand. */
  pause(): void {
    this.#paused ??= Promise.withResolvers();
  }

  /** Lets all through again that waits. */
  resume(): void {
    this.#paused?.resolve();
    this.#paused = undefined;
  }

  get count(): Count {
    return { sent: this.#sent, received: this.#received, connections: this.#connections };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume();
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) void this.#serve(client).catch(() => {});
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    this.#connections++;
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    const both = [client, server];
    for (const each of both) this.#open.add(each);
    const pass = async (from: Deno.TcpConn, to: Deno.TcpConn, take: (bytes: number) => void) => {
      const buffer = new Uint8Array(65_536);
      for (;;) {
        const length = await from.read(buffer);
        if (length === null) return;
        await this.#paused?.promise;
        take(length);
        for (let rest = buffer.subarray(0, length); rest.length > 0;) rest = rest.subarray(await to.write(rest));
      }
    };
    await Promise.race([
      pass(client, server, (bytes) => this.#sent += bytes),
      pass(server, client, (bytes) => this.#received += bytes),
    ]).catch(() => {});
    for (const each of both) {
      if (!this.#open.delete(each)) continue;
      try {
        each.close();
      } catch {
        // It is closed already.
      }
    }
  }
}
