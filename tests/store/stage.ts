import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { LIMITS } from "../../src/store/limits.ts";
import { StoreServer, type StoreServerOptions } from "../../src/store/server.ts";
import { TempDir } from "../support/temp_dir.ts";

/** What is asked for at a time when nothing has to be waited for. */
export const AT_ONCE: Omit<StoreServerOptions, "dataDir"> = {
  version: "2.0.0",
  bind: { host: "127.0.0.1", port: 0 },
  seeds: [],
  loadLimit: undefined,
  removeLimit: { fromNowMs: -7 * 86_400_000 },
  bootstrapLimit: { fromNowMs: 120_000 },
  isInsecure: false,
  clock: systemClock,
  random: systemRandom,
  wallNow: Date.now,
  log: SILENT,
  limits: LIMITS,
};

/** An answer of a store. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** A real store for a test, with a temporary directory. */
export class TestStore implements AsyncDisposable {
  /** The store, which a test may restart. */
  server: StoreServer;
  /** Where its snapshots are. */
  readonly dir: TempDir;
  readonly #options: Partial<StoreServerOptions>;

  private constructor(server: StoreServer, dir: TempDir, options: Partial<StoreServerOptions>) {
    this.server = server;
    this.dir = dir;
    this.#options = options;
  }

  /** Starts a store, with an initial document. */
  static async start(options: Partial<StoreServerOptions> = {}, document?: unknown): Promise<TestStore> {
    const dir = new TempDir("lighthouse-store-");
    const server = await StoreServer.start({ ...AT_ONCE, dataDir: dir.path, ...options });
    const store = new TestStore(server, dir, options);
    if (document !== undefined) await store.commit([["PUT", "", document]]);
    return store;
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.address.port}`;
  }

  /** Requests `METHOD /path`; a body that is not a string is sent as JSON. */
  async ask(line: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const [method = "", path = ""] = line.split(" ");
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers,
      ...(sent === undefined ? {} : { body: sent }),
    });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  /** Commits changes in one transaction: method, path, value. */
  async commit(changes: readonly (readonly ["PUT" | "DELETE", string, unknown?])[]): Promise<void> {
    const expect = async (status: number, line: string, body?: unknown) => {
      const answer = await this.ask(line, body);
      if (answer.status !== status) throw new Error(`${line}: ${answer.status} ${answer.text}`);
    };
    await expect(200, "PUT /lock", "stage");
    for (const [method, path, value] of changes) {
      await expect(
        method === "PUT" ? 201 : 204,
        `${method} /update/stage${path}`,
        method === "PUT" ? JSON.stringify(value) : undefined,
      );
    }
    await expect(200, "PUT /lock/stage");
  }

  /** Restarts it on the same directory. */
  async restart(options: Partial<StoreServerOptions> = {}): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.server = await StoreServer.start({ ...AT_ONCE, dataDir: this.dir.path, ...this.#options, ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}
