import { Buffer } from "node:buffer";
import zookeeper from "node-zookeeper-client";

/** ZooKeeper's error codes that mean something here (`KeeperException.Code`). */
export const ERROR = {
  connectionLoss: -4,
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  sessionExpired: -112,
  authFailed: -115,
} as const;

/** Raised when ZooKeeper refuses a request. */
export class ZooKeeperError extends Error {
  override name = "ZooKeeperError";
  /** One of `ERROR`, or another of ZooKeeper's codes. */
  readonly code: number;

  constructor(code: number, what: string) {
    super(`Cannot ${what}: ${errorName(code)}`);
    this.code = code;
  }
}

/** Raised for all that is in flight when a connection is lost; what became of it is not known. */
export class ConnectionLostError extends Error {
  override name = "ConnectionLostError";
}

/** Raised when the ensemble says that the session is over. */
export class SessionOverError extends Error {
  override name = "SessionOverError";
}

/** Who may do what with a znode. */
export interface Acl {
  /** A sum of ZooKeeper's permission bits; 31 is all of them. */
  readonly permissions: number;
  /** `world`, `auth`, `digest`… */
  readonly scheme: string;
  /** Whom the scheme is about. */
  readonly id: string;
}

/** What is known of a znode besides its data. */
export interface Stat {
  /** Grows with each change of the data. */
  readonly version: number;
  /** The session that the znode ends with; 0 if it stays. */
  readonly ephemeralOwner: bigint;
}

/** A watch that fired: a hint to look again. */
export interface WatchEvent {
  /** ZooKeeper's number for what happened (`Watcher.Event.EventType`). */
  readonly type: number;
  /** What it was set on. */
  readonly path: string;
}

/** An error of the library that an unknown one is made from. */
const SYSTEM_ERROR = -1;

/**
 * The library throws for a code that it does not know (`throttled`, `quota
 * exceeded`), in a place where nobody could catch it; here it makes an error of it.
 */
const exceptions = zookeeper.Exception as unknown as { create: (code: number, path?: string) => Error };
const createKnown = exceptions.create;
exceptions.create = (code, path) =>
  isKnownCode(code) ? createKnown(code, path) : Object.assign(createKnown(SYSTEM_ERROR, path), { code });

/** The library's client. */
export type Client = ReturnType<typeof zookeeper.createClient>;

/**
 * The time from one "connected" of the library's client to the next
 * "disconnected": what is asked on it is answered on it, or rejects with
 * {@linkcode ConnectionLostError} when it ends. The library would keep what it
 * could not send for the next connection, where nobody waits for it any more.
 */
export class Connection {
  /** The server. */
  readonly endpoint: string;
  /** The session. */
  readonly sessionId: bigint;
  /** The session's timeout as the server granted it. */
  readonly timeoutMs: number;
  /** Resolves when it has ended. */
  readonly closed: Promise<void>;
  readonly #client: Client;
  readonly #onEvent: (event: WatchEvent) => void;
  readonly #inFlight = new Set<
    { readonly what: string; readonly tick: number; readonly reject: (cause: Error) => void }
  >();
  #tick = 0;
  readonly #closing = Promise.withResolvers<void>();
  #cause: Error | undefined;

  /** `onEvent` must be the same function for the life of a client: the library then keeps one of it for each path. */
  constructor(client: Client, { endpoint, onEvent }: { endpoint: string; onEvent: (event: WatchEvent) => void }) {
    [this.#client, this.#onEvent, this.endpoint] = [client, onEvent, endpoint];
    this.closed = this.#closing.promise;
    this.sessionId = client.getSessionId().readBigInt64BE();
    this.timeoutMs = client.getSessionTimeout();
  }

  /** Ends it: everything in flight rejects, and all that is asked from now on. */
  end(cause: Error): void {
    this.#cause ??= cause;
    this.#closing.resolve();
    for (const { reject } of this.#inFlight) reject(cause);
    this.#inFlight.clear();
  }

  /** Counts a part of the session's timeout; answers what is without an answer for more than `ticksMax` of them. */
  tick(ticksMax: number): string | undefined {
    this.#tick++;
    // They were sent in this order, so the first is the oldest.
    const [oldest] = this.#inFlight;
    return oldest !== undefined && this.#tick - oldest.tick > ticksMax ? oldest.what : undefined;
  }

  /** Creates a znode: one that ends with the session, or one that stays. */
  async create(
    path: string,
    data: Uint8Array,
    { ephemeral, acl }: { ephemeral: boolean; acl: readonly Acl[] },
  ): Promise<void> {
    const mode = ephemeral ? zookeeper.CreateMode.EPHEMERAL : zookeeper.CreateMode.PERSISTENT;
    await this.#ask<string>(
      `create ${path}`,
      (answer) => this.#client.create(path, Buffer.from(data), toAcls(acl), mode, answer),
    );
  }

  /** Deletes a znode if it still has that version; without one, whatever its version. */
  async delete(path: string, { version = -1 }: { version?: number } = {}): Promise<void> {
    await this.#ask<void>(`delete ${path}`, (answer) => this.#client.remove(path, version, answer));
  }

  /**
   * Puts an ephemeral znode of this session in the place of another's, all or
   * nothing. The new znode never has the version of the old one, so that who
   * has read the old one cannot delete the new one by mistake.
   */
  async replace(
    path: string,
    data: Uint8Array,
    { version, acl }: { version: number; acl: readonly Acl[] },
  ): Promise<void> {
    const replacing = this.#client.transaction().remove(path, version)
      .create(path, Buffer.from(data), toAcls(acl), zookeeper.CreateMode.EPHEMERAL);
    // A new znode's version is 0; each change of its data adds one.
    if (version === 0) replacing.setData(path, Buffer.from(data), -1);
    await this.#ask<unknown>(`replace ${path}`, (answer) => replacing.commit(answer));
  }

  /** Looks whether a znode is there; with `watch`, its coming, going and change will be reported once. */
  async exists(path: string, { watch }: { watch: boolean }): Promise<boolean> {
    const stat = await this.#ask<unknown>(
      `look for ${path}`,
      (answer) => watch ? this.#client.exists(path, this.#onEvent, answer) : this.#client.exists(path, answer),
    );
    return stat !== null && stat !== undefined;
  }

  /** Reads a znode's data; with `watch`, its going or change will be reported once. */
  async getData(
    path: string,
    { watch }: { watch: boolean },
  ): Promise<{ readonly data: Uint8Array; readonly stat: Stat }> {
    const [data, stat] = await this.#askAll<[Buffer | null, { version: number; ephemeralOwner: Buffer }]>(
      `read ${path}`,
      (answer) => watch ? this.#client.getData(path, this.#onEvent, answer) : this.#client.getData(path, answer),
    );
    const { version, ephemeralOwner } = stat;
    return { data: data ?? new Uint8Array(0), stat: { version, ephemeralOwner: ephemeralOwner.readBigInt64BE() } };
  }

  /** Changes a znode's data if it still has that version. */
  async setData(path: string, data: Uint8Array, { version }: { version: number }): Promise<void> {
    await this.#ask<unknown>(
      `change ${path}`,
      (answer) => this.#client.setData(path, Buffer.from(data), version, answer),
    );
  }

  /** Lists the names of a znode's children; with `watch`, the next change of the list will be reported once. */
  getChildren(path: string, { watch }: { watch: boolean }): Promise<readonly string[]> {
    return this.#ask<readonly string[]>(
      `list ${path}`,
      (answer) =>
        watch ? this.#client.getChildren(path, this.#onEvent, answer) : this.#client.getChildren(path, answer),
    );
  }

  /**
   * Waits until the server knows all that its leader knew when it was asked:
   * another server may be behind. The library has no `sync`; a transaction that
   * changes nothing has to go through the leader just so.
   */
  async sync(): Promise<void> {
    await this.#ask<unknown>(
      "catch up with the leader",
      (answer) => this.#client.transaction().check("/", -1).commit(answer),
    );
  }

  async #ask<T>(what: string, send: (answer: (error: unknown, value: T) => void) => void): Promise<T> {
    const [value] = await this.#askAll<[T]>(what, send as (answer: (error: unknown, ...values: [T]) => void) => void);
    return value;
  }

  #askAll<T extends unknown[]>(
    what: string,
    send: (answer: (error: unknown, ...values: T) => void) => void,
  ): Promise<T> {
    const cause = this.#cause;
    if (cause !== undefined) return Promise.reject(cause);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const entry = { what, tick: this.#tick, reject };
    this.#inFlight.add(entry);
    send((error, ...values) => {
      this.#inFlight.delete(entry);
      if (error === null || error === undefined) resolve(values);
      else reject(toError(error, what));
    });
    return promise;
  }
}

function toError(error: unknown, what: string): Error {
  const { code } = error as { readonly code?: unknown };
  if (typeof code !== "number") return error instanceof Error ? error : new Error(String(error));
  if (code === ERROR.connectionLoss) return new ConnectionLostError(`The connection was lost, trying to ${what}`);
  if (code === ERROR.sessionExpired) return new SessionOverError("The session has expired");
  return new ZooKeeperError(code, what);
}

function isKnownCode(code: number): boolean {
  return Object.values(zookeeper.Exception).includes(code as never);
}

/** Says an error code in the library's words: `no node`. */
function errorName(code: number): string {
  const [name] = Object.entries(zookeeper.Exception).find(([, value]) => value === code) ?? [];
  return name === undefined ? `ZooKeeper's error ${code}` : name.toLowerCase().replaceAll("_", " ");
}

function toAcls(acl: readonly Acl[]) {
  return acl.map(({ permissions, scheme, id }) => new zookeeper.ACL(permissions, new zookeeper.Id(scheme, id)));
}
