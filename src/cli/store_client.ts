import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { type BindAddress, formatBindAddress } from "../model/bind_address.ts";
import { parseJson } from "../store/json_text.ts";
import { LIMITS } from "../store/limits.ts";
import { formatPath, parsePath, type Path } from "../store/path.ts";
import { compactText, type Tree } from "../store/tree.ts";
import { type HttpAnswer, HttpClient } from "../http/client.ts";

/** The connection to a store. */
export interface StoreClientOptions {
  readonly at: BindAddress;
  readonly token?: string | undefined;
  /** The CA (PEM) to trust; enables TLS. */
  readonly ca?: string | undefined;
  /** How long a transaction may wait for the lock, and be tried again. */
  readonly waitMs: number;
  readonly clock: Clock;
  /** Aborts every request. */
  readonly signal: AbortSignal;
}

/** An unreachable store, or a rejected request; the message is for the user of the command. */
export class StoreError extends Error {
  override name = "StoreError";
}

/** A transaction under way. */
export interface StoreTransaction {
  /** Returns the value at a path within the transaction; `undefined` if there is none. */
  read(path: Path): Promise<Tree | undefined>;
  /** Sets the value at a path; `undefined` deletes it. */
  write(path: Path, value: Tree | undefined): Promise<void>;
}

/** How long a store has to answer at once. */
const ANSWER_MS = 30_000;
const ANSWER_BYTES_MAX = 2 * LIMITS.documentBytesMax;
/** The delay before a lock that is taken is requested again. */
const RETRY_MS = 200;
/** Errors that may pass with another attempt. */
const PASSING: ReadonlySet<unknown> = new Set([
  "Locked",
  "Not Locked",
  "Invalid Lock Code",
  "Concurrent Update",
  "Service Unavailable",
]);

/** Raised within a transaction for an error that may pass. */
class PassingError extends StoreError {
  override name = "PassingError";
}

/** A store, as a command sees it. */
export class StoreClient implements Disposable {
  readonly #options: StoreClientOptions;
  readonly #http: HttpClient;

  constructor(options: StoreClientOptions) {
    this.#options = options;
    this.#http = new HttpClient({ tls: options.ca === undefined ? undefined : { ca: options.ca } });
  }

  /** Returns the value at a path; `undefined` if there is none. */
  async read(path: Path): Promise<Tree | undefined> {
    const answer = await this.#ask("GET", `/data${formatPath(path)}`);
    return valueOf(answer, path);
  }

  /** Returns the paths of leased keys, as far as they may be read. */
  async leasedPaths(): Promise<readonly Path[]> {
    const answer = await this.#ask("GET", "/lease");
    if (answer.status !== 200) throw refused("read the leases", answer);
    const leases: readonly { readonly keys: readonly string[] }[] = JSON.parse(answer.text);
    return leases.flatMap(({ keys }) => keys.map((key) => parsePath(key) ?? []));
  }

  /** Yields the value at a path now and after each change; `undefined` while there is none. */
  async *watch(path: Path): AsyncGenerator<Tree | undefined> {
    let etag: string | undefined;
    for (;;) {
      const query = etag === undefined ? "" : `?watch=${encodeURIComponent(etag)}`;
      const answer = await this.#ask("GET", `/data${formatPath(path)}${query}`, { waitsMs: 30_000 });
      etag = answer.headers.etag;
      if (answer.status !== 304) yield valueOf(answer, path);
      if (etag === undefined) {
        throw new StoreError(`No version of ${formatPath(path)} in the response from ${this.#at}`);
      }
    }
  }

  /**
   * Acquires the lock, makes the changes and commits them. Retries, up to the
   * allowed wait, when the lock is taken or the commit conflicts.
   */
  async transact(change: (transaction: StoreTransaction) => Promise<void>): Promise<void> {
    const { clock, waitMs, signal } = this.#options;
    const untilMs = clock.now() + waitMs;
    for (;;) {
      try {
        return await this.#tryOnce(change);
      } catch (error) {
        if (!(error instanceof PassingError) || clock.now() + RETRY_MS > untilMs) throw error;
      }
      await delay(RETRY_MS, { clock, signal });
    }
  }

  [Symbol.dispose](): void {
    this.#http[Symbol.dispose]();
  }

  get #at(): string {
    return formatBindAddress(this.#options.at);
  }

  async #tryOnce(change: (transaction: StoreTransaction) => Promise<void>): Promise<void> {
    const code = crypto.randomUUID();
    await this.#expect("acquire the lock", "PUT", "/lock", code);
    const staged = (path: Path) => `/update/${code}${formatPath(path)}`;
    let isOver = false;
    try {
      await change({
        read: async (path) => {
          const answer = await this.#ask("GET", staged(path));
          return valueOf(answer, path);
        },
        write: async (path, value) => {
          const what = `change ${formatPath(path)}`;
          if (value === undefined) await this.#expect(what, "DELETE", staged(path));
          else await this.#expect(what, "PUT", staged(path), compactText(value));
        },
      });
      await this.#expect("commit", "PUT", `/lock/${code}`);
      isOver = true;
    } finally {
      // A lock that cannot be released expires.
      if (!isOver) await this.#ask("DELETE", `/lock/${code}`).catch(() => {});
    }
  }

  async #expect(what: string, method: "PUT" | "DELETE", path: string, body?: string): Promise<void> {
    const answer = await this.#ask(method, path, { body });
    if (answer.status >= 300) throw refused(what, answer);
  }

  async #ask(method: "GET" | "PUT" | "DELETE", path: string, { body, waitsMs = 0 }: {
    readonly body?: string | undefined;
    readonly waitsMs?: number;
  } = {}): Promise<HttpAnswer> {
    const { at, token, signal } = this.#options;
    try {
      return await this.#http.ask(at, {
        method,
        path,
        body,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        bytesMax: ANSWER_BYTES_MAX,
        signal: AbortSignal.any([signal, AbortSignal.timeout(waitsMs + ANSWER_MS)]),
      });
    } catch (error) {
      signal.throwIfAborted();
      throw new StoreError(`Cannot reach the store at ${this.#at}: ${error instanceof Error ? error.message : error}`);
    }
  }
}

function valueOf(answer: HttpAnswer, path: Path): Tree | undefined {
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refused(`read ${formatPath(path)}`, answer);
  return parseJson(answer.text, { depthMax: LIMITS.depthMax });
}

function refused(what: string, { status, text }: HttpAnswer): StoreError {
  let error: unknown;
  let message: unknown;
  try {
    ({ error, message } = JSON.parse(text) ?? {});
  } catch {
    // Not the answer of a store.
  }
  const said = typeof message === "string" ? message : `Cannot ${what}: HTTP status ${status}`;
  return new (PASSING.has(error) ? PassingError : StoreError)(said);
}
