/**
 * A slow link to a server: bytes sent at one end arrive at the other after a
 * delay, in order. It stands between two programs as a TCP proxy, since not every
 * kernel can delay packets.
 */
export class SlowLink implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #target: Deno.ConnectOptions;
  /** The delay of each direction; bytes in transit keep the delay they were sent with. */
  delayMs: number;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #running: Promise<void>;

  /** `address`: the server, as `127.0.0.1:port`; `delayMs`: the initial delay of each direction. */
  constructor(address: string, { delayMs }: { readonly delayMs: number }) {
    const [hostname = "", port = ""] = address.split(":");
    [this.#target, this.delayMs] = [{ hostname, port: Number(port) }, delayMs];
    this.#running = this.#accept();
  }

  /** Its address, as `127.0.0.1:port`. */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) connection.close();
    await this.#running;
  }

  async #accept(): Promise<void> {
    const carried: Promise<void>[] = [];
    try {
      for await (const near of this.#listener) carried.push(this.#carry(near));
    } finally {
      await Promise.all(carried);
    }
  }

  async #carry(near: Deno.TcpConn): Promise<void> {
    this.#open.add(near);
    const far = await Deno.connect(this.#target).catch(() => undefined);
    if (far !== undefined) {
      this.#open.add(far);
      await Promise.all([this.#pump(near, far), this.#pump(far, near)]);
    }
    for (const connection of [near, far]) {
      if (connection !== undefined && this.#open.delete(connection)) close(connection);
    }
  }

  /** Forwards one direction; an end on one side is an end on the other when everything before it has arrived. */
  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    let arrived = Promise.resolve();
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const length = await from.read(buffer).catch(() => null);
      const bytes = length === null ? undefined : buffer.slice(0, length);
      const due = new Promise<void>((resolve) => setTimeout(resolve, this.delayMs));
      arrived = arrived.then(() => due).then(() => bytes === undefined ? to.closeWrite() : send(to, bytes)).catch(
        () => {},
      );
      if (length === null) return await arrived;
    }
  }
}

async function send(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await to.write(bytes.subarray(sent));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It was closed with the link.
  }
}
