import { FrameReader, JuteError, JuteReader, JuteWriter, OP, XID } from "./jute.ts";

/** ZooKeeper's error codes that matter here (`KeeperException.Code`). */
export const ERROR = {
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  sessionExpired: -112,
  authFailed: -115,
} as const;

/** The names of ZooKeeper's error codes in its manual. */
const ERROR_NAMES: ReadonlyMap<number, string> = new Map([
  [-1, "system error"],
  [-2, "runtime inconsistency"],
  [-3, "data inconsistency"],
  [-4, "connection loss"],
  [-5, "marshalling error"],
  [-6, "unimplemented"],
  [-7, "operation timeout"],
  [-8, "bad arguments"],
  [-13, "new config no quorum"],
  [-14, "reconfig in progress"],
  [-100, "API error"],
  [-101, "no node"],
  [-102, "no auth"],
  [-103, "bad version"],
  [-108, "no children for ephemerals"],
  [-110, "node exists"],
  [-111, "not empty"],
  [-112, "session expired"],
  [-113, "invalid callback"],
  [-114, "invalid ACL"],
  [-115, "auth failed"],
  [-118, "session moved"],
  [-119, "not read only"],
  [-120, "ephemeral on local session"],
  [-121, "no watcher"],
  [-122, "request timeout"],
  [-123, "reconfig disabled"],
  [-124, "session closed require SASL auth"],
  [-125, "quota exceeded"],
  [-127, "throttled"],
]);

/** Raised when ZooKeeper rejects a request. */
export class ZooKeeperError extends Error {
  override name = "ZooKeeperError";
  /** One of `ERROR`, or another of ZooKeeper's codes. */
  readonly code: number;

  constructor(code: number, what: string) {
    super(`Cannot ${what}: ${ERROR_NAMES.get(code) ?? `ZooKeeper error ${code}`}`);
    this.code = code;
  }
}

/** Raised for all that is in flight when a connection is lost; its outcome is unknown. */
export class ConnectionLostError extends Error {
  override name = "ConnectionLostError";
}

/** Raised when a server continues a session and then answers no request of it. */
export class UnansweredError extends ConnectionLostError {
  override name = "UnansweredError";
}

/** Raised when the ensemble reports that the session is over. */
export class SessionOverError extends Error {
  override name = "SessionOverError";
}

/** The permissions of a znode. */
export interface Acl {
  /** A sum of ZooKeeper's permission bits; 31 is all of them. */
  readonly permissions: number;
  /** `world`, `auth`, `digest`… */
  readonly scheme: string;
  /** The id within the scheme. */
  readonly id: string;
}

/** What is known about a znode besides its data. */
export interface Stat {
  /** Grows with each change of the data. */
  readonly version: number;
  /** The session of an ephemeral znode; 0 for a persistent one. */
  readonly ephemeralOwner: bigint;
}

/** A watch that fired: a hint to look again. */
export interface WatchEvent {
  /** ZooKeeper's number of the event (`Watcher.Event.EventType`). */
  readonly type: number;
  /** The path that the watch was set on. */
  readonly path: string;
}

/** How a client authenticates. */
export interface Credential {
  /** ZooKeeper's name of the scheme, usually `digest`. */
  readonly scheme: string;
  /** The credential of the scheme; for `digest` it is `user:password`. Never printed. */
  readonly secret: string;
}

/** A session as the ensemble knows it: what a client takes from one connection to the next. */
export interface SessionTicket {
  readonly id: bigint;
  readonly password: Uint8Array;
  /** The last change that the client has seen: a server that is behind it rejects the client. */
  readonly zxid: bigint;
}

export interface ConnectionOptions {
  /** The server, for messages. */
  readonly endpoint: string;
  /** The timeout to request. */
  readonly timeoutMs: number;
  /** The session to continue; without it a new one is requested. */
  readonly ticket: SessionTicket | undefined;
  readonly auth: Credential | undefined;
  /** Disconnects if it is aborted before the server has accepted the session. */
  readonly signal: AbortSignal;
}

/** Receives what a server sends unasked. */
export interface ConnectionListener {
  /** Called for each watch that fires. */
  readonly onEvent: (event: WatchEvent) => void;
  /** Called when the server rejects the credential. */
  readonly onAuthFailed: () => void;
  /** Called once, when it has ended, before what is in flight is rejected. */
  readonly onEnd: (cause: Error) => void;
}

/** The transport: of `Deno.Conn` no more than this. */
export type ByteChannel = Pick<Deno.Conn, "read" | "write" | "close">;

/** One request that was sent and not answered yet. */
interface InFlight {
  readonly xid: number;
  readonly what: string;
  readonly tick: number;
  readonly answer: (reader: JuteReader) => void;
  readonly reject: (cause: Error) => void;
}

/**
 * The most bytes of a request: ZooKeeper's own default (`jute.maxbuffer`); a server closes the connection at
 * more.
 */
const REQUEST_BYTES_MAX = 1_048_575;
/**
 * The most bytes of an answer. A list of children may be long, and no server limits it; this is a million of
 * them.
 */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** The most bytes of the answer to the handshake, which has 37. */
const HANDSHAKE_BYTES_MAX = 1_024;
/** How many ticks are between pings. */
const TICKS_PER_PING = 2;
/** The least bytes of a string in a list: its length. */
const STRING_BYTES_MIN = 4;

/**
 * One connection to one server, from the handshake on: each request is answered on it, or rejects with
 * {@linkcode ConnectionLostError} when it ends. Watches end with it as well, so they are set again on the
 * next one: there is no list of watches to send, which could grow too long.
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
  readonly #channel: ByteChannel;
  readonly #frames: FrameReader;
  readonly #auth: Credential | undefined;
  readonly #password: Uint8Array;
  readonly #inFlight: Set<InFlight> = new Set();
  readonly #outgoing: Uint8Array[] = [];
  readonly #closing = Promise.withResolvers<void>();
  #isWriting = false;
  #xid = 0;
  #zxid: bigint;
  #tick = 0;
  #heardTick = 0;
  /** Whether it has continued a session and has not answered a request yet. */
  #isUnproven: boolean;
  #cause: Error | undefined;
  #listener: ConnectionListener | undefined;

  private constructor(
    channel: ByteChannel,
    frames: FrameReader,
    options: ConnectionOptions,
    granted: { readonly id: bigint; readonly password: Uint8Array; readonly timeoutMs: number },
  ) {
    [this.#channel, this.#frames, this.#auth, this.#password] = [channel, frames, options.auth, granted.password];
    [this.endpoint, this.sessionId, this.timeoutMs] = [options.endpoint, granted.id, granted.timeoutMs];
    this.#zxid = options.ticket?.zxid ?? 0n;
    this.#isUnproven = options.ticket !== undefined;
    this.closed = this.#closing.promise;
  }

  /**
   * Performs the handshake on a channel, which it closes if that fails.
   *
   * @throws {SessionOverError} if the ensemble no longer knows the session
   * @throws {ConnectionLostError} if the server does not accept the client
   * @throws the signal's reason
   */
  static async open(channel: ByteChannel, options: ConnectionOptions): Promise<Connection> {
    const { endpoint, timeoutMs, ticket, signal } = options;
    let isOpen = true;
    const close = () => {
      if (isOpen) channel.close();
      isOpen = false;
    };
    signal.addEventListener("abort", close, { once: true });
    try {
      signal.throwIfAborted();
      const hello = new JuteWriter().int(0).long(ticket?.zxid ?? 0n).int(timeoutMs).long(ticket?.id ?? 0n)
        .buffer(ticket?.password ?? new Uint8Array(16)).bool(false);
      await writeAll(channel, hello.frame());
      let heard = () => {};
      const frames = new FrameReader(async (buffer) => {
        const count = await channel.read(buffer);
        heard();
        return count;
      });
      const answer = await frames.next(HANDSHAKE_BYTES_MAX);
      signal.throwIfAborted();
      if (answer === undefined) throw new ConnectionLostError(`${endpoint} closed the connection without a response`);
      const reader = new JuteReader(answer);
      reader.int();
      const granted = { timeoutMs: reader.int(), id: reader.long(), password: reader.buffer() };
      if (granted.timeoutMs <= 0) throw new SessionOverError("the session has expired");
      const connection = new Connection(channel, frames, options, granted);
      heard = () => connection.#heardTick = connection.#tick;
      return connection;
    } catch (error) {
      close();
      signal.throwIfAborted();
      if (error instanceof SessionOverError || error instanceof ConnectionLostError) throw error;
      throw new ConnectionLostError(`${endpoint}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  /** Starts to receive; to be called at once, and before the first request. */
  listen(listener: ConnectionListener): void {
    this.#listener = listener;
    if (this.#auth !== undefined) this.#sendAuth(this.#auth);
    void this.#readAll();
  }

  /** What to take to the next connection. */
  get ticket(): SessionTicket {
    return { id: this.sessionId, password: this.#password, zxid: this.#zxid };
  }

  /** Ends it: everything in flight rejects, and all requests from now on. */
  end(cause: Error): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#channel.close();
    this.#listener?.onEnd(cause);
    this.#closing.resolve();
    for (const { reject } of this.#inFlight) reject(cause);
    this.#inFlight.clear();
    this.#outgoing.length = 0;
  }

  /**
   * Counts a part of the session's timeout, and pings periodically. Ends when the server was silent for
   * `silentMax` of them, or owes an answer for more than `owedMax`; for the first answer of a session that it
   * continues, `firstMax`: a session that ended at that moment looks continued, and each of its requests is
   * dropped. Counted in ticks and not in time, so that a pause of this process is not taken for the server's
   * silence.
   */
  tick(
    { silentMax, owedMax, firstMax }: {
      readonly silentMax: number;
      readonly owedMax: number;
      readonly firstMax: number;
    },
  ): void {
    this.#tick++;
    // They were sent in this order, so the first is the oldest.
    const [oldest] = this.#inFlight;
    const owed = oldest === undefined ? 0 : this.#tick - oldest.tick;
    if (this.#isUnproven && owed >= firstMax) {
      this.end(new UnansweredError(`${this.endpoint} continued the session, but does not answer its requests`));
    } else if (this.#tick - this.#heardTick >= silentMax) {
      this.end(new ConnectionLostError(`${this.endpoint} stopped responding`));
    } else if (oldest !== undefined && owed > owedMax) {
      this.end(new ConnectionLostError(`no response from ${this.endpoint} to: ${oldest.what}`));
    } else if (this.#tick % TICKS_PER_PING === 0) {
      this.#send(new JuteWriter().int(XID.ping).int(OP.ping).frame());
    }
  }

  /** Closes the session: its registrations vanish. The server closes the connection when it has done so. */
  async close(): Promise<void> {
    await this.#ask("close the session", OP.close, () => {}, () => {});
  }

  /**
   * Creates a znode, ephemeral or persistent; a sequential one gets ten digits appended to its path. Returns
   * its path.
   */
  create(path: string, data: Uint8Array, options: CreateOptions): Promise<string> {
    return this.#ask(
      `create ${path}`,
      OP.create,
      (to) => writeCreate(to, path, data, options),
      (from) => from.string(),
    );
  }

  /** Deletes a znode if it still has that version; without one, whatever its version. */
  async delete(path: string, { version = -1 }: { version?: number } = {}): Promise<void> {
    await this.#ask(`delete ${path}`, OP.delete, (to) => to.string(path).int(version), () => {});
  }

  /**
   * Replaces another session's ephemeral znode by one of this session, all or nothing. The new znode never
   * has the version of the old one, so that a client that has read the old one cannot delete the new one by
   * mistake.
   */
  async replace(
    path: string,
    data: Uint8Array,
    { version, acl }: { version: number; acl: readonly Acl[] },
  ): Promise<void> {
    // A new znode's version is 0; each change of its data adds one. The data is sent once in either case.
    const isChanged = version === 0;
    const code = await this.#ask(
      `replace ${path}`,
      OP.multi,
      (to) => {
        writeMultiHeader(to, OP.delete).string(path).int(version);
        writeCreate(writeMultiHeader(to, OP.create), path, isChanged ? new Uint8Array(0) : data, {
          ephemeral: true,
          acl,
        });
        if (isChanged) writeMultiHeader(to, OP.setData).string(path).buffer(data).int(-1);
        to.int(-1).bool(true).int(-1);
      },
      readMultiError,
    );
    if (code !== undefined) throw new ZooKeeperError(code, `replace ${path}`);
  }

  /** Checks whether a znode exists; with `watch`, its creation, deletion and change is reported once. */
  async exists(path: string, { watch }: { watch: boolean }): Promise<boolean> {
    try {
      return await this.#ask(`look for ${path}`, OP.exists, (to) => to.string(path).bool(watch), () => true);
    } catch (error) {
      if (error instanceof ZooKeeperError && error.code === ERROR.noNode) return false;
      throw error;
    }
  }

  /** Reads a znode's data; with `watch`, its deletion or change is reported once. */
  async getData(
    path: string,
    { watch }: { watch: boolean },
  ): Promise<{ readonly data: Uint8Array; readonly stat: Stat }> {
    return await this.#ask(
      `read ${path}`,
      OP.getData,
      (to) => to.string(path).bool(watch),
      (from) => ({ data: from.buffer(), stat: readStat(from) }),
    );
  }

  /** Changes a znode's data if it still has that version. */
  async setData(path: string, data: Uint8Array, { version }: { version: number }): Promise<void> {
    await this.#ask(`change ${path}`, OP.setData, (to) => to.string(path).buffer(data).int(version), () => {});
  }

  /** Lists the names of a znode's children; with `watch`, the next change of the list is reported once. */
  getChildren(path: string, { watch }: { watch: boolean }): Promise<readonly string[]> {
    return this.#ask(
      `list ${path}`,
      OP.getChildren,
      (to) => to.string(path).bool(watch),
      (from) => from.vector(STRING_BYTES_MIN, () => from.string()),
    );
  }

  /**
   * Waits until the server knows all that its leader knew at the time of the request: a new server may be
   * behind.
   */
  async sync(): Promise<void> {
    await this.#ask("catch up with the leader", OP.sync, (to) => to.string("/"), () => {});
  }

  #ask<T>(
    what: string,
    op: number,
    write: (to: JuteWriter) => void,
    read: (from: JuteReader) => T,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (this.#cause !== undefined) {
      reject(this.#cause);
      return promise;
    }
    const xid = this.#xid = (this.#xid + 1) & 0x7fffffff;
    const request = new JuteWriter().int(xid).int(op);
    write(request);
    const frame = request.frame();
    const length = frame.length - 4;
    if (length > REQUEST_BYTES_MAX) {
      reject(new Error(`Cannot ${what}: request of ${length} bytes exceeds jute.maxbuffer (${REQUEST_BYTES_MAX})`));
      return promise;
    }
    this.#inFlight.add({
      xid,
      what,
      tick: this.#tick,
      reject,
      answer: (reader) => {
        const code = reader.int();
        if (code === ERROR.sessionExpired) reject(new SessionOverError("The session has expired"));
        else if (code !== 0) reject(new ZooKeeperError(code, what));
        else resolve(read(reader));
      },
    });
    this.#send(frame);
    return promise;
  }

  #sendAuth({ scheme, secret }: Credential): void {
    const auth = new JuteWriter().int(XID.auth).int(OP.auth).int(0).string(scheme);
    this.#send(auth.buffer(new TextEncoder().encode(secret)).frame());
  }

  #send(frame: Uint8Array): void {
    this.#outgoing.push(frame);
    if (!this.#isWriting) void this.#flush();
  }

  /** Writes queued requests; those that are queued meanwhile are sent together. */
  async #flush(): Promise<void> {
    this.#isWriting = true;
    try {
      while (this.#outgoing.length > 0) await writeAll(this.#channel, join(this.#outgoing.splice(0)));
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isWriting = false;
    }
  }

  async #readAll(): Promise<void> {
    try {
      for (;;) {
        const frame = await this.#frames.next(ANSWER_BYTES_MAX);
        if (frame === undefined) break;
        this.#take(new JuteReader(frame));
      }
      this.end(new ConnectionLostError(`${this.endpoint} closed the connection`));
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const cause = error instanceof JuteError
      ? `${this.endpoint} sent an invalid frame: ${message}`
      : `${this.endpoint}: ${message}`;
    this.end(new ConnectionLostError(cause));
  }

  /** Interprets one frame. */
  #take(reader: JuteReader): void {
    const xid = reader.int();
    const zxid = reader.long();
    if (xid === XID.ping) return;
    if (xid === XID.auth) {
      if (reader.int() !== 0) this.#listener?.onAuthFailed();
      return;
    }
    if (xid === XID.event) {
      reader.int();
      const type = reader.int();
      reader.int();
      const path = reader.string();
      // Other events concern the connection itself, which is known better here.
      if (type > 0) this.#listener?.onEvent({ type, path });
      return;
    }
    const [oldest] = this.#inFlight;
    if (oldest === undefined || oldest.xid !== xid) throw new JuteError(`reply out of order, xid ${xid}`);
    if (zxid > this.#zxid) this.#zxid = zxid;
    this.#isUnproven = false;
    oldest.answer(reader);
    // Only now: a reply that cannot be parsed leaves its request in flight, which rejects as everything does.
    this.#inFlight.delete(oldest);
  }
}

/** The flags that a znode is created with. */
interface CreateOptions {
  readonly ephemeral: boolean;
  readonly isNumbered?: boolean | undefined;
  readonly acl: readonly Acl[];
}

function writeCreate(
  to: JuteWriter,
  path: string,
  data: Uint8Array,
  { ephemeral, isNumbered = false, acl }: CreateOptions,
): void {
  to.string(path).buffer(data);
  to.vector(acl, ({ permissions, scheme, id }) => to.int(permissions).string(scheme).string(id));
  to.int((ephemeral ? 1 : 0) + (isNumbered ? 2 : 0));
}

function writeMultiHeader(to: JuteWriter, op: number): JuteWriter {
  return to.int(op).bool(false).int(-1);
}

/** Returns the code of the operation that a transaction failed for; `undefined` if it did not. */
function readMultiError(from: JuteReader): number | undefined {
  let failed: number | undefined;
  for (;;) {
    const op = from.int();
    const isLast = from.bool();
    from.int();
    if (isLast) return failed;
    if (op === OP.create) from.string();
    else if (op === OP.setData) readStat(from);
    else if (op === OP.error) {
      const code = from.int();
      // Operations before the failed one report 0, those after it "runtime inconsistency".
      if (code !== 0 && (failed === undefined || failed === RUNTIME_INCONSISTENCY)) failed = code;
    } else if (op !== OP.delete) throw new JuteError(`unknown operation ${op} in a multi reply`);
  }
}

const RUNTIME_INCONSISTENCY = -2;

function readStat(from: JuteReader): Stat {
  for (let times = 0; times < 4; times++) from.long();
  const version = from.int();
  from.int();
  from.int();
  const ephemeralOwner = from.long();
  from.int();
  from.int();
  from.long();
  return { version, ephemeralOwner };
}

function join(frames: readonly Uint8Array[]): Uint8Array {
  const [first] = frames;
  if (frames.length === 1 && first !== undefined) return first;
  const joined = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const frame of frames) {
    joined.set(frame, at);
    at += frame.length;
  }
  return joined;
}

async function writeAll(channel: ByteChannel, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await channel.write(rest));
}
