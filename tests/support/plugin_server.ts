import { hashGraph } from "../../src/plugin/hash.ts";

/** The answer of a {@linkcode PluginServer} at a path: a module's source, or any response. */
export type Served = string | ((request: Request) => Response | Promise<Response>);

/** A web server on loopback with the modules of plugins, whose contents a test changes as it runs. */
export class PluginServer implements AsyncDisposable {
  /** The contents, by path: `/mod.ts`. */
  readonly files: Map<string, Served>;
  /** The paths requested so far. */
  readonly asked: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #scheme: string;

  constructor(
    files: Readonly<Record<string, Served>>,
    { port = 0, tls }: { readonly port?: number; readonly tls?: { readonly cert: string; readonly key: string } } = {},
  ) {
    this.files = new Map(Object.entries(files));
    this.#scheme = tls === undefined ? "http" : "https";
    const options = { hostname: "127.0.0.1", port, onListen() {}, ...tls };
    this.#server = Deno.serve(options, (request) => {
      const { pathname } = new URL(request.url);
      this.asked.push(pathname);
      const served = this.files.get(pathname);
      if (served === undefined) return new Response("nothing here", { status: 404 });
      return typeof served === "string" ? new Response(served) : served(request);
    });
  }

  /** Its port. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** The URL of a path. */
  url(path: string): string {
    return `${this.#scheme}://127.0.0.1:${this.port}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/**
 * The modules of a check in TypeScript, which connects to its target. `version`
 * is part of its detail, and so of its hash.
 */
export function checkSource(
  { version = 1, permissions = "{ net: [target] }", members = "" }: {
    readonly version?: number;
    readonly permissions?: string;
    readonly members?: string;
  } = {},
): Readonly<Record<string, string>> {
  return {
    "mod.ts": `import type { CheckPlugin } from "lighthouse";
import { connect } from "./lib/connect.ts";

interface Config {
  readonly port?: number;
}

const plugin: CheckPlugin<Config> = {
  kind: "check",
  apiVersion: 1,
  name: "memcached",
  summary: "Connects, version ${version}.",
  stability: "experimental",
  example: {},
  config: {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: unknown) =>
        typeof value === "object" && value !== null ? { value } : { issues: [{ message: "must be a map" }] },
    },
  },
  permissions: (config: Config, { target }) => (${permissions}),
  async probe(config: Config, { target, log }) {
    await connect(target);
    log.info("version ${version} has probed");
    return { status: "pass" };
  },
  ${members}
};
export default plugin;
`,
    "lib/connect.ts": `type Port = number;
export async function connect(target: string): Promise<void> {
  const [hostname, port] = target.split(":");
  (await Deno.connect({ hostname: hostname!, port: Number(port) as Port })).close();
}
`,
  };
}

/** The same as a {@linkcode PluginServer} serves it below a folder. */
export function servedBelow(folder: string, source: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(source).map(([path, text]) => [`${folder}/${path}`, text]));
}

/** The hash of a plugin whose entry is `mod.ts`. */
export function hashOf(source: Readonly<Record<string, string>>): Promise<string> {
  return hashGraph({ entry: "mod.ts", modules: new Map(Object.entries(source)) });
}
