/** A request posted to an {@linkcode EventSink}. */
export interface Posted {
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A real HTTP server that receives what notifiers post. */
export class EventSink implements AsyncDisposable {
  readonly posted: Posted[] = [];
  /** The status of its answers. */
  status = 200;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const body = await request.text();
      if (this.status === 200) {
        this.posted.push({ path: new URL(request.url).pathname, headers: request.headers, body });
      }
      return new Response(this.status === 200 ? "ok" : "not now", { status: this.status });
    });
  }

  /** Its URL: `http://127.0.0.1:PORT`. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The events of all posts of the notifier `webhook`. */
  get events(): readonly {
    readonly event: string;
    readonly level: string;
    readonly fields: Record<string, unknown>;
  }[] {
    return this.posted.flatMap(({ body }) => JSON.parse(body).events);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
