import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import zookeeper from "node-zookeeper-client";
import type { Endpoint } from "../../../mod.ts";
import { assert } from "../../../src/kernel/assert.ts";
import { backoffMs } from "../../../src/kernel/backoff.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { abortable } from "../../../src/kernel/within.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { type Client, Connection, ConnectionLostError, SessionOverError, type WatchEvent } from "./connection.ts";

/** How a client proves who it is. */
export interface Credential {
  /** ZooKeeper's name of the method, `digest` in most places. */
  readonly scheme: string;
  /** What the method wants; for `digest` it is `user:password`. Never printed. */
  readonly secret: string;
}

/** What a client is made with. */
export interface ClientOptions {
  /** The servers of the ensemble; tried in a random order. */
  readonly hosts: readonly Endpoint[];
  /** How long the ensemble keeps the session of a client that is out of reach; it may grant another time. */
  readonly sessionTimeoutMs: number;
  readonly auth?: Credential | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Called for each watch that fires. */
  readonly onEvent: (event: WatchEvent) => void;
  /** Called when a connection stands. */
  readonly onConnected: (connection: Connection) => void;
  /** Called once when the ensemble gets out of reach, with the cause; not for each try after that. */
  readonly onDisconnected: (cause: string) => void;
  /** Called once when there will be no connection any more. */
  readonly onOver: () => void;
}

/** What the library says of a session: one of `zookeeper.State`. */
interface State {
  readonly code: number;
}

/**
 * What of the library's inside is used here: it has no other way to choose when
 * and where to connect, to hang up and keep the session, or to stop.
 */
interface Manager {
  /** What was asked for and not sent yet; it would be sent on the next connection, where nobody waits for it. */
  readonly packetQueue: { shift(): unknown };
  /** The begin of an answer whose rest has not come yet; it would be taken for a part of the next connection. */
  pendingBuffer: unknown;
  findNextServer: (callback: (server: { readonly host: string; readonly port: number }) => void) => void;
  connectTimeout: number;
  readonly connectTimeoutHandler: number | null;
  readonly socket: Socket;
}

/** One try to connect to one server, and the connection that may come of it. */
interface Attempt {
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  /** Whether TCP connected; a server that then hangs up has refused the handshake. */
  reached: boolean;
  /** What stands once the server has let the session in. */
  connection?: Connection;
  /** Why it ended, as far as that is known. */
  cause?: string;
  /** Whether the server took longer than it had. */
  isOverdue: boolean;
}

/** The waits after each round of all servers that fails. Short: a session is short-lived, and each server is asked once a round. */
const RETRY_BACKOFF = { firstMs: 100, maxMs: 1_000 };
/** A server has at least this long to let a client in, however short the session's timeout. */
const CONNECT_MIN_MS = 250;
/** How many times longer than at first a server may have in the end; the session's timeout is the limit all the same. */
const PATIENCE_MAX = 64;
/** A session that servers refused for so many timeouts is given up: they have lost it, or their data. */
const REFUSED_TIMEOUTS_MAX = 2;
/** Refusals further apart than the timeout and this are two stories. */
const REFUSED_GAP_MS = 5_000;
/** Silence is counted in parts of the session's timeout; the library pings after a third of it. */
const TICKS_PER_TIMEOUT = 6;
/** A server that said nothing for two thirds of the timeout counts as gone: a third is left to find another. */
const SILENT_TICKS_MAX = 4;
/** A request without an answer for three times the timeout means the same, though pings are answered. */
const REQUEST_TICKS_MAX = 3 * TICKS_PER_TIMEOUT;
/** The longest that closing takes when nobody answers. */
const CLOSE_DEADLINE_MS = 2_000;

/**
 * One ZooKeeper session over as many connections as it takes. The protocol and
 * the session are `node-zookeeper-client`'s; when and where to connect is
 * decided here, and what the library lacks is done here: it waits without an
 * end for a server that is silent or does not answer a handshake, and cannot be
 * told to stop. Over is for ever, and another client is needed then.
 */
export class ZooKeeperClient implements AsyncDisposable {
  /** Resolves, with the reason, when the session is over; not when it is closed from here. */
  readonly ended: Promise<string>;
  readonly #options: ClientOptions;
  readonly #hosts: readonly Endpoint[];
  readonly #client: Client;
  readonly #manager: Manager;
  readonly #ending = Promise.withResolvers<string>();
  readonly #stop = new AbortController();
  /** One function for all watches: the library keeps one of it for each path. */
  readonly #heard = (event: WatchEvent) => this.#options.onEvent(event);
  #attempt: Attempt | undefined;
  #connection: Connection | undefined;
  #waiting = Promise.withResolvers<void>();
  #over: SessionOverError | undefined;
  #cause = "it was not reached yet";
  #isOutage = false;
  #wasConnected = false;
  /** Tries so far, and those in a row that failed. */
  #tries = 0;
  #failures = 0;
  /** Since when servers refuse the session, and when one did last. */
  #refused: { readonly sinceMs: number; readonly lastMs: number } | undefined;
  /** How many times longer than at first a server has to let a client in. */
  #patience = 1;
  #tick = 0;
  #heardTick = 0;
  #cancelTick: () => void = () => {};
  #closed: Promise<void> | undefined;

  /** Starts connecting. */
  constructor(options: ClientOptions) {
    this.#options = options;
    this.ended = this.#ending.promise;
    const { hosts, sessionTimeoutMs, auth, random } = options;
    this.#hosts = shuffle(hosts, random);
    // The library's own list of servers is never used, and could not have IPv6 addresses.
    this.#client = zookeeper.createClient("ensemble:2181", { sessionTimeout: sessionTimeoutMs, retries: 0 });
    this.#manager = (this.#client as unknown as { readonly connectionManager: Manager }).connectionManager;
    this.#manager.findNextServer = (callback) => void this.#dial(callback);
    if (auth !== undefined) this.#client.addAuthInfo(auth.scheme, Buffer.from(auth.secret));
    this.#client.on("state", (state: State) => this.#onState(state));
    this.#client.connect();
    this.#scheduleTick();
  }

  /**
   * Answers a connection that stands, waiting for one if need be. Throws
   * {@linkcode SessionOverError} when there never will be one again; when the
   * signal is aborted first, an error that says why ZooKeeper is out of reach.
   */
  async connected(signal: AbortSignal): Promise<Connection> {
    for (;;) {
      if (this.#over !== undefined) throw this.#over;
      if (this.#connection !== undefined) return this.#connection;
      await abortable(this.#waiting.promise, signal, () => new Error(`ZooKeeper is out of reach: ${this.#cause}`));
    }
  }

  /** Hangs up at once and leaves the session to its timeout. */
  abandon(): void {
    this.#finish("it was given up");
  }

  /**
   * Closes the session, so that what it had registered vanishes at once; takes
   * two seconds at most. Safe to call twice.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const { clock } = this.#options;
    const deadline = new AbortController();
    const cancel = clock.after(CLOSE_DEADLINE_MS, () => deadline.abort());
    try {
      // A session that never was has nothing to close; one that was is worth a try, even during an outage.
      if (this.#over === undefined && this.#wasConnected) {
        const connection = await this.connected(deadline.signal);
        this.#client.close();
        await abortable(connection.closed, deadline.signal, () => new Error("No answer in time"));
      }
    } catch {
      // Its timeout will close it.
    } finally {
      cancel();
    }
    this.#finish("it was closed");
  }

  /** Chooses the next server for the library, once it is time; once all is over, none. */
  async #dial(callback: (server: { readonly host: string; readonly port: number }) => void): Promise<void> {
    const { clock, random, sessionTimeoutMs } = this.#options;
    const { signal } = this.#stop;
    const round = Math.floor(this.#failures / this.#hosts.length);
    const isNextRound = round > 0 && this.#failures % this.#hosts.length === 0;
    try {
      await delay(isNextRound ? backoffMs(round - 1, RETRY_BACKOFF, random) : 0, { clock, signal });
    } catch {
      return;
    }
    const endpoint = this.#hosts[this.#tries++ % this.#hosts.length] as Endpoint;
    const { host, port } = parseEndpoint(endpoint) ?? { host: "", port: 0 };
    const timeoutMs = this.#wasConnected ? this.#client.getSessionTimeout() : sessionTimeoutMs;
    // At first there is time to ask every server more than once before the session expires: one that is just starting may
    // take a connection and forget it. Patience grows with each that is overdue, for servers that many ask at once are slow.
    const firstMs = Math.max(CONNECT_MIN_MS, timeoutMs / this.#hosts.length / 4);
    const deadlineMs = Math.min(firstMs * this.#patience, Math.max(firstMs, timeoutMs));
    // The library's own deadline ends when TCP connects; ours only when the server has let us in.
    this.#manager.connectTimeout = 2 * deadlineMs;
    this.#manager.pendingBuffer = null;
    callback({ host, port });
    this.#attend({ endpoint, socket: this.#manager.socket, reached: false, isOverdue: false }, deadlineMs);
  }

  #attend(attempt: Attempt, deadlineMs: number): void {
    const { clock } = this.#options;
    const { socket, endpoint } = attempt;
    this.#attempt = attempt;
    const startedMs = clock.now();
    const cancel = clock.after(deadlineMs, () => {
      if (attempt.connection !== undefined) return;
      attempt.isOverdue = true;
      this.#hangUp(`${endpoint} did not answer within ${Math.round(deadlineMs)} ms`);
    });
    socket.once("connect", () => attempt.reached = true);
    socket.on("data", () => this.#heardTick = this.#tick);
    socket.once("error", (error: Error) => attempt.cause ??= error.message);
    socket.once("close", () => {
      cancel();
      clearTimeout(this.#manager.connectTimeoutHandler ?? undefined);
      while (this.#manager.packetQueue.shift() !== undefined);
      // One that hangs up at once is no better than one that refuses.
      const lasted = attempt.connection !== undefined &&
        clock.now() - startedMs >= this.#client.getSessionTimeout() / 3;
      this.#failures = lasted ? 0 : this.#failures + 1;
      this.#lose(attempt);
    });
  }

  #hangUp(cause: string): void {
    if (this.#attempt === undefined) return;
    this.#attempt.cause ??= cause;
    this.#attempt.socket.destroy();
  }

  #onState({ code }: State): void {
    if (this.#over !== undefined) return;
    if (code === zookeeper.State.SYNC_CONNECTED.code) this.#connect();
    else if (code === zookeeper.State.EXPIRED.code) this.#expire("the ensemble says that the session has expired");
    else if (code === zookeeper.State.AUTH_FAILED.code) {
      this.#expire("the ensemble does not accept the credential: authentication failed");
    }
  }

  #connect(): void {
    const attempt = this.#attempt;
    assert(attempt !== undefined, "the library connects where it was told to");
    const connection = new Connection(this.#client, { endpoint: attempt.endpoint, onEvent: this.#heard });
    attempt.connection = connection;
    this.#connection = connection;
    [this.#isOutage, this.#refused, this.#patience, this.#wasConnected] = [false, undefined, 1, true];
    this.#heardTick = this.#tick;
    this.#waiting.resolve();
    this.#options.onConnected(connection);
  }

  /** A connection ended, or a try to make one. */
  #lose({ endpoint, connection, reached, cause, isOverdue }: Attempt): void {
    if (isOverdue) this.#patience = Math.min(2 * this.#patience, PATIENCE_MAX);
    this.#cause = cause ??
      (connection === undefined && reached ? `${endpoint} hung up without an answer` : `${endpoint} hung up`);
    connection?.end(new ConnectionLostError(this.#cause));
    if (this.#connection !== undefined && this.#connection === connection) {
      this.#connection = undefined;
      this.#waiting = Promise.withResolvers();
    }
    if (this.#over !== undefined || this.#closed !== undefined) return;
    if (!this.#isOutage) {
      this.#isOutage = true;
      this.#options.onDisconnected(this.#cause);
    }
    const isRefusal = connection === undefined && reached && !isOverdue && this.#wasConnected;
    if (!isRefusal) return;
    const nowMs = this.#options.clock.now();
    const timeoutMs = this.#client.getSessionTimeout();
    const { sinceMs, lastMs } = this.#refused ?? { sinceMs: nowMs, lastMs: nowMs };
    // Between refusals servers may be down for long; that says nothing of the session.
    const isOngoing = nowMs - lastMs < timeoutMs + REFUSED_GAP_MS;
    this.#refused = { sinceMs: isOngoing ? sinceMs : nowMs, lastMs: nowMs };
    const refusedMs = nowMs - this.#refused.sinceMs;
    if (refusedMs > REFUSED_TIMEOUTS_MAX * timeoutMs) {
      this.#expire(`no server has taken the session back for ${Math.round(refusedMs / 1_000)} s`);
    }
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#options.clock.after(this.#client.getSessionTimeout() / TICKS_PER_TIMEOUT, () => {
      // Counted in ticks and not in time, so that a pause of this process is not taken for the server's silence.
      this.#tick++;
      const isSilent = this.#tick - this.#heardTick >= SILENT_TICKS_MAX;
      if (this.#connection !== undefined) {
        const { endpoint } = this.#connection;
        const overdue = this.#connection.tick(REQUEST_TICKS_MAX);
        if (isSilent) this.#hangUp(`${endpoint} is silent`);
        else if (overdue !== undefined) this.#hangUp(`${endpoint} gave no answer to: ${overdue}`);
      }
      this.#scheduleTick();
    });
  }

  #expire(reason: string): void {
    this.#finish(reason);
    this.#ending.resolve(reason);
  }

  #finish(reason: string): void {
    if (this.#over !== undefined) return;
    this.#over = new SessionOverError(`The session is over: ${reason}`);
    this.#stop.abort(this.#over);
    this.#cancelTick();
    this.#connection?.end(this.#over);
    this.#connection = undefined;
    this.#attempt?.socket.destroy();
    this.#waiting.resolve();
    this.#options.onOver();
  }
}

/** A random order, so that a fleet spreads over its servers. */
function shuffle<T>(items: readonly T[], random: Random): readonly T[] {
  return items.map((item) => ({ item, at: random() })).toSorted((a, b) => a.at - b.at).map(({ item }) => item);
}
