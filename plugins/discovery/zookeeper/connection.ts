import type { Endpoint } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import {
  type Acl,
  ERROR,
  errorName,
  FrameCutter,
  OPERATION,
  type Stat,
  type WatchEvent,
  WireReader,
  WireWriter,
  XID,
} from "./wire.ts";

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

/** Raised when a server takes a connection and then hangs up without a word: it is out of its ensemble, or out of date. */
export class HandshakeRefusedError extends Error {
  override name = "HandshakeRefusedError";
}

/** Raised when a server does not let a client in within the time it has. */
export class HandshakeOverdueError extends Error {
  override name = "HandshakeOverdueError";
}

/** Raised when the ensemble says that the session is over. */
export class SessionOverError extends Error {
  override name = "SessionOverError";
}

/** How a client proves who it is. */
export interface Credential {
  /** ZooKeeper's name of the method, `digest` in most places. */
  readonly scheme: string;
  /** What the method wants; for `digest` it is `user:password`. Never printed. */
  readonly secret: string;
}

/** What makes a connection part of a session. */
export interface SessionTicket {
  /** 0 asks for a new session. */
  readonly id: bigint;
  /** What proves that the session is ours. */
  readonly password: Uint8Array;
  /** The newest transaction seen; a server that is behind it refuses, so that time never goes back. */
  readonly lastZxid: bigint;
}

/** What a connection is made with. */
export interface ConnectionOptions {
  /** The session to go on with. */
  readonly ticket: SessionTicket;
  /** Asked for; the server may answer another. */
  readonly sessionTimeoutMs: number;
  /** How long connecting and being let in may take. */
  readonly deadlineMs: number;
  /** Sent right after the handshake. */
  readonly auth?: Credential | undefined;
  readonly clock: Clock;
  /** Gives up connecting. */
  readonly signal: AbortSignal;
  /** Called for each watch that fires. */
  readonly onEvent: (event: WatchEvent) => void;
}

/** Silence is counted in parts of the session's timeout. */
const TICKS_PER_TIMEOUT = 6;
/** A ping goes out every third of the timeout. */
const TICKS_PER_PING = 2;
/** A server that said nothing for two thirds of the timeout counts as gone: a third is left to find another. */
const SILENT_TICKS_MAX = 4;
/** A request without an answer for three times the timeout means the same, though pings are answered. */
const REQUEST_TICKS_MAX = 3 * TICKS_PER_TIMEOUT;
/** Bytes read at once. */
const READ_BYTES = 65_536;

interface InFlight {
  readonly xid: number;
  readonly what: string;
  readonly tick: number;
  readonly read: (reader: WireReader) => unknown;
  readonly result: PromiseWithResolvers<unknown>;
}

/**
 * One TCP connection that was let in by a server. Requests are pipelined and
 * answered in order. It ends by itself when the server hangs up, falls silent
 * or talks nonsense; then everything in flight rejects.
 */
export class Connection {
  /** The server. */
  readonly endpoint: Endpoint;
  /** The session's timeout as the server granted it. */
  readonly timeoutMs: number;
  /** Resolves, with the cause, when the connection is over. */
  readonly closed: Promise<Error>;
  readonly #socket: Deno.TcpConn;
  readonly #cutter: FrameCutter;
  readonly #options: ConnectionOptions;
  readonly #session: Pick<SessionTicket, "id" | "password">;
  readonly #inFlight: InFlight[] = [];
  readonly #closing = Promise.withResolvers<Error>();
  readonly #outbox: Uint8Array[] = [];
  #flushing = false;
  #cause: Error | undefined;
  #xid = 0;
  #lastZxid: bigint;
  #tick = 0;
  #heardTick = 0;
  #cancelTick: () => void = () => {};

  private constructor(
    endpoint: Endpoint,
    socket: Deno.TcpConn,
    cutter: FrameCutter,
    options: ConnectionOptions,
    welcome: {
      readonly timeoutMs: number;
      readonly id: bigint;
      readonly password: Uint8Array;
    },
  ) {
    [this.endpoint, this.#socket, this.#cutter, this.#options] = [endpoint, socket, cutter, options];
    this.timeoutMs = welcome.timeoutMs;
    this.#session = welcome;
    this.#lastZxid = options.ticket.lastZxid;
    this.closed = this.#closing.promise;
    if (options.auth !== undefined) {
      const { scheme, secret } = options.auth;
      this.#send(new WireWriter().int(XID.auth).int(OPERATION.auth).int(0).text(scheme).text(secret));
    }
    this.#scheduleTick();
    void this.#listen();
  }

  /**
   * Connects and is let in. Throws {@linkcode SessionOverError},
   * {@linkcode HandshakeRefusedError}, {@linkcode HandshakeOverdueError}, or
   * what the network says.
   */
  static async open(endpoint: Endpoint, options: ConnectionOptions): Promise<Connection> {
    const { ticket, sessionTimeoutMs, deadlineMs, clock, signal } = options;
    signal.throwIfAborted();
    const { host: hostname, port } = parseEndpoint(endpoint) ?? { host: "", port: 0 };
    const giveUp = new AbortController();
    let socket: Deno.TcpConn | undefined;
    const abort = () => {
      giveUp.abort(new HandshakeOverdueError(`${endpoint} did not answer within ${Math.round(deadlineMs)} ms`));
      closeQuietly(socket);
    };
    const cancel = clock.after(deadlineMs, abort);
    signal.addEventListener("abort", abort, { once: true });
    try {
      socket = await Deno.connect({ hostname, port, signal: giveUp.signal });
      giveUp.signal.throwIfAborted();
      socket.setNoDelay(true);
      const hello = new WireWriter().int(0).long(ticket.lastZxid).int(sessionTimeoutMs).long(ticket.id)
        .bytes(ticket.password).flag(false);
      await writeAll(socket, hello.frame());
      const cutter = new FrameCutter();
      const answer = await readFrame(socket, cutter);
      if (answer === undefined) throw new HandshakeRefusedError(`${endpoint} hung up without an answer`);
      answer.int(); // The protocol's version, which is 0 everywhere.
      const welcome = { timeoutMs: answer.int(), id: answer.long(), password: answer.bytes() };
      if (welcome.timeoutMs <= 0) throw new SessionOverError(`${endpoint} says that the session has expired`);
      return new Connection(endpoint, socket, cutter, options, welcome);
    } catch (error) {
      closeQuietly(socket);
      throw giveUp.signal.aborted ? giveUp.signal.reason : error;
    } finally {
      cancel();
      signal.removeEventListener("abort", abort);
    }
  }

  /** What another connection needs to go on with the session. */
  get ticket(): SessionTicket {
    return { id: this.#session.id, password: this.#session.password, lastZxid: this.#lastZxid };
  }

  /** Creates a znode: one that ends with the session, or one that stays. */
  create(
    path: string,
    data: Uint8Array,
    { ephemeral, acl }: { ephemeral: boolean; acl: readonly Acl[] },
  ): Promise<void> {
    return this.#request(
      `create ${path}`,
      OPERATION.create,
      (to) => writeCreate(to, path, data, ephemeral, acl),
      () => {},
    );
  }

  /** Deletes a znode whatever its version. */
  delete(path: string): Promise<void> {
    return this.#request(`delete ${path}`, OPERATION.delete, (to) => to.text(path).int(-1), () => {});
  }

  /** Puts an ephemeral znode of this session in the place of another's, all or nothing. */
  async replace(
    path: string,
    data: Uint8Array,
    { version, acl }: { version: number; acl: readonly Acl[] },
  ): Promise<void> {
    const what = `replace ${path}`;
    const errors = await this.#request(what, OPERATION.multi, (to) => {
      to.int(OPERATION.delete).flag(false).int(-1).text(path).int(version);
      writeCreate(to.int(OPERATION.create).flag(false).int(-1), path, data, true, acl);
      to.int(-1).flag(true).int(-1);
    }, readMultiErrors);
    const code = errors.find((error) => error !== 0);
    if (code !== undefined) throw new ZooKeeperError(code, what);
  }

  /** Looks whether a znode is there; with `watch`, its coming, going and change will be reported once. */
  async exists(path: string, { watch }: { watch: boolean }): Promise<boolean> {
    try {
      await this.#request(`look for ${path}`, OPERATION.exists, (to) => to.text(path).flag(watch), () => {});
      return true;
    } catch (error) {
      if (error instanceof ZooKeeperError && error.code === ERROR.noNode) return false;
      throw error;
    }
  }

  /** Reads a znode's data; with `watch`, its going or change will be reported once. */
  getData(path: string, { watch }: { watch: boolean }): Promise<{ readonly data: Uint8Array; readonly stat: Stat }> {
    return this.#request(
      `read ${path}`,
      OPERATION.getData,
      (to) => to.text(path).flag(watch),
      (from) => ({ data: from.bytes(), stat: from.stat() }),
    );
  }

  /** Changes a znode's data if it still has that version. */
  setData(path: string, data: Uint8Array, { version }: { version: number }): Promise<void> {
    return this.#request(`change ${path}`, OPERATION.setData, (to) => to.text(path).bytes(data).int(version), () => {});
  }

  /** Lists the names of a znode's children; with `watch`, the next change of the list will be reported once. */
  getChildren(path: string, { watch }: { watch: boolean }): Promise<readonly string[]> {
    return this.#request(
      `list ${path}`,
      OPERATION.getChildren,
      (to) => to.text(path).flag(watch),
      (from) => from.texts(),
    );
  }

  /** Waits until the server knows all that its leader knew when it was asked: another server may be behind. */
  sync(path: string): Promise<void> {
    return this.#request(`sync ${path}`, OPERATION.sync, (to) => to.text(path), () => {});
  }

  /** Ends the session: what it had registered vanishes at once. */
  closeSession(): Promise<void> {
    return this.#request("close the session", OPERATION.closeSession, () => {}, () => {});
  }

  /** Hangs up. The session goes on. */
  hangUp(reason: string): void {
    this.#end(new ConnectionLostError(reason));
  }

  #request<T>(
    what: string,
    operation: number,
    write: (to: WireWriter) => void,
    read: (from: WireReader) => T,
  ): Promise<T> {
    if (this.#cause !== undefined) return Promise.reject(this.#cause);
    const xid = ++this.#xid;
    const result = Promise.withResolvers<T>();
    // The result resolves with what `read` answers, so the types fit.
    const entry = { xid, what, tick: this.#tick, read, result: result as PromiseWithResolvers<unknown> };
    this.#inFlight.push(entry);
    const to = new WireWriter().int(xid).int(operation);
    write(to);
    this.#send(to);
    return result.promise;
  }

  #send(message: WireWriter): void {
    this.#outbox.push(message.frame());
    if (this.#flushing) return;
    this.#flushing = true;
    // What is asked for in one turn goes out in one piece.
    queueMicrotask(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    try {
      while (this.#outbox.length > 0 && this.#cause === undefined) {
        await writeAll(this.#socket, join(this.#outbox.splice(0)));
      }
    } catch (error) {
      this.#end(new ConnectionLostError(`Cannot write to ${this.endpoint}: ${messageOf(error)}`));
    } finally {
      this.#flushing = false;
    }
  }

  async #listen(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      while (this.#cause === undefined) {
        const count = await this.#socket.read(buffer);
        if (count === null) return this.#end(new ConnectionLostError(`${this.endpoint} hung up`));
        this.#heardTick = this.#tick;
        for (const frame of this.#cutter.push(buffer.subarray(0, count))) this.#receive(new WireReader(frame));
      }
    } catch (error) {
      this.#end(new ConnectionLostError(`Cannot read from ${this.endpoint}: ${messageOf(error)}`));
    }
  }

  #receive(from: WireReader): void {
    const [xid, zxid, code] = [from.int(), from.long(), from.int()];
    if (zxid > this.#lastZxid) this.#lastZxid = zxid;
    switch (xid) {
      case XID.ping:
        return;
      case XID.notification:
        return this.#options.onEvent(from.watchEvent());
      case XID.auth:
        if (code === 0) return;
        return this.#end(new SessionOverError(`${this.endpoint} does not accept the credential: ${errorName(code)}`));
    }
    const entry = this.#inFlight.shift();
    if (entry?.xid !== xid) {
      entry?.result.reject(new ConnectionLostError(`${this.endpoint} answered out of turn`));
      return this.#end(new ConnectionLostError(`${this.endpoint} answered out of turn`));
    }
    if (code === ERROR.sessionExpired) {
      entry.result.reject(new SessionOverError("The session has expired"));
      return this.#end(new SessionOverError(`${this.endpoint} says that the session has expired`));
    }
    if (code !== 0) return entry.result.reject(new ZooKeeperError(code, entry.what));
    try {
      entry.result.resolve(entry.read(from));
    } catch (error) {
      const cause = new ConnectionLostError(`${this.endpoint} answered what cannot be read: ${messageOf(error)}`);
      entry.result.reject(cause);
      this.#end(cause);
    }
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#options.clock.after(this.timeoutMs / TICKS_PER_TIMEOUT, () => {
      // Counted in ticks and not in time, so that a pause of this process is not taken for the server's silence.
      this.#tick++;
      if (this.#tick - this.#heardTick >= SILENT_TICKS_MAX) {
        return this.#end(new ConnectionLostError(`${this.endpoint} is silent`));
      }
      const [oldest] = this.#inFlight;
      if (oldest !== undefined && this.#tick - oldest.tick >= REQUEST_TICKS_MAX) {
        return this.#end(new ConnectionLostError(`${this.endpoint} gave no answer to: ${oldest.what}`));
      }
      if (this.#tick % TICKS_PER_PING === 0) this.#send(new WireWriter().int(XID.ping).int(OPERATION.ping));
      this.#scheduleTick();
    });
  }

  #end(cause: Error): void {
    if (this.#cause !== undefined) return;
    this.#cause = cause;
    this.#cancelTick();
    closeQuietly(this.#socket);
    for (const { result } of this.#inFlight.splice(0)) result.reject(cause);
    this.#closing.resolve(cause);
  }
}

function writeCreate(to: WireWriter, path: string, data: Uint8Array, ephemeral: boolean, acl: readonly Acl[]): void {
  to.text(path).bytes(data).acl(acl).int(ephemeral ? 1 : 0);
}

/** Reads what became of each part of a transaction: 0 where all is well. */
function readMultiErrors(from: WireReader): number[] {
  const errors: number[] = [];
  for (;;) {
    const [type, done] = [from.int(), from.flag()];
    from.int(); // The error again, for those results that have none of their own.
    if (done) return errors;
    if (type === -1) errors.push(from.int());
    else if (type === OPERATION.create) from.text();
  }
}

async function readFrame(socket: Deno.TcpConn, cutter: FrameCutter): Promise<WireReader | undefined> {
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    let count: number | null;
    try {
      count = await socket.read(buffer);
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return undefined;
      throw error;
    }
    if (count === null) return undefined;
    const [frame] = cutter.push(buffer.subarray(0, count));
    if (frame !== undefined) return new WireReader(frame);
  }
}

async function writeAll(socket: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await socket.write(bytes.subarray(sent));
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

function closeQuietly(socket: Deno.TcpConn | undefined): void {
  try {
    socket?.close();
  } catch {
    // It is closed already.
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
