/**
 * An in-memory registry for the tests of this plugin;
 * `deno run --allow-net=127.0.0.1 registry.ts` serves it at 127.0.0.1:8500.
 *
 * `GET /CLUSTER?after=VERSION` answers when there is a newer version,
 * `PUT /CLUSTER/NAME?owner=ID` registers a node, `DELETE` removes it (with
 * `owner`: only if it belongs to that owner), `DELETE /?owner=ID` removes all nodes of an owner.
 *
 * @module
 */

interface Registration {
  readonly owner: string;
  readonly node: unknown;
}

/** A registry on loopback. */
export class Registry implements AsyncDisposable {
  readonly #clusters = new Map<string, Map<string, Registration>>();
  /** A restarted registry has another history: missing nodes may return soon. */
  readonly #epoch = crypto.randomUUID();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #version = 1;
  #isClosing = false;
  #changed = Promise.withResolvers<void>();

  constructor(port = 0) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, (request) => this.#answer(request));
  }

  /** Its address: `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    this.#changed.resolve();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [cluster = "", name = ""] = pathname.slice(1).split("/").map(decodeURIComponent);
    const owner = searchParams.get("owner");
    if (request.method === "GET") return await this.#read(cluster, Number(searchParams.get("after")));
    const nodes = this.#clusters.get(cluster) ?? new Map<string, Registration>();
    if (request.method === "PUT") {
      this.#clusters.set(cluster, nodes.set(name, { owner: owner ?? "", node: await request.json() }));
    } else if (cluster !== "") {
      if (owner === null || nodes.get(name)?.owner === owner) nodes.delete(name);
    } else {
      for (const each of this.#clusters.values()) {
        for (const [key, entry] of each) if (entry.owner === owner) each.delete(key);
      }
    }
    this.#version++;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
    return new Response(null, { status: 204 });
  }

  async #read(cluster: string, after: number): Promise<Response> {
    while (after >= this.#version && !this.#isClosing) await this.#changed.promise;
    if (this.#isClosing) return new Response(null, { status: 503 });
    const nodes = [...this.#clusters.get(cluster)?.values() ?? []].map(({ node }) => node);
    return Response.json({ version: this.#version, epoch: this.#epoch, nodes });
  }
}

if (import.meta.main) new Registry(8500);
