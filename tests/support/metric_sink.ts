/** A server that receives lines of metrics, over UDP like StatsD, or over TCP like OpenTSDB and Graphite. */
export class MetricSink implements AsyncDisposable {
  /** All lines received. */
  readonly lines: string[] = [];
  /** Its answer once a connection has been read to its end. */
  answer: string;
  readonly #port: number;
  readonly #close: () => void;
  readonly #done: Promise<unknown>;

  private constructor(
    port: number,
    { answer = "", take, close }: {
      readonly answer?: string | undefined;
      readonly take: (sink: MetricSink) => Promise<unknown>;
      readonly close: () => void;
    },
  ) {
    this.answer = answer;
    this.#port = port;
    this.#close = close;
    this.#done = take(this);
  }

  /** Listens for datagrams. */
  static udp(): MetricSink {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    return new MetricSink((socket.addr as Deno.NetAddr).port, {
      take: async (sink) => {
        for await (const [bytes] of socket) sink.#add(new TextDecoder().decode(bytes));
      },
      close: () => socket.close(),
    });
  }

  /** Listens for connections; one that does not read keeps them open. */
  static tcp({ reads = true, answer }: { readonly reads?: boolean; readonly answer?: string } = {}): MetricSink {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const open = new Set<Deno.TcpConn>();
    return new MetricSink(listener.addr.port, {
      answer,
      take: async (sink) => {
        for await (const connection of listener) {
          open.add(connection);
          if (reads) void sink.#read(connection).catch(() => {}).finally(() => open.delete(connection));
        }
      },
      close: () => {
        listener.close();
        for (const connection of open) connection.close();
      },
    });
  }

  /** Its address. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.#done;
  }

  async #read(connection: Deno.TcpConn): Promise<void> {
    using _connection = connection;
    let text = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
      text += decoder.decode(buffer.subarray(0, read), { stream: true });
    }
    this.#add(text);
    if (this.answer !== "") await connection.write(new TextEncoder().encode(this.answer));
  }

  #add(text: string): void {
    this.lines.push(...text.split("\n").filter((line) => line !== ""));
  }
}
