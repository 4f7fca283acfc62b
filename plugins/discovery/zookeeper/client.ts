import type { Endpoint } from "../../../mod.ts";
import { backoffMs } from "../../../src/kernel/backoff.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import type { Random } from "../../../src/kernel/random.ts";
import { abortable } from "../../../src/kernel/within.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { connectTcp, type TcpAddress } from "../../../src/system/tcp.ts";
import type { TlsFiles } from "../tls_files.ts";
import {
  type ByteChannel,
  Connection,
  type Credential,
  SessionOverError,
  type SessionTicket,
  UnansweredError,
  type WatchEvent,
} from "./connection.ts";

export type { Credential } from "./connection.ts";

export interface ClientOptions {
  /** The servers of the ensemble; tried in a random order. */
  readonly hosts: readonly Endpoint[];
  /** How long the ensemble keeps the session of an unreachable client; it may grant another time. */
  readonly sessionTimeoutMs: number;
  readonly auth?: Credential | undefined;
  /** Read again for each connection, so that certificates may be replaced; no TLS without it. */
  readonly tls?: TlsFiles | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Called for each watch that fires. */
  readonly onEvent: (event: WatchEvent) => void;
  /** Called when a connection is established. */
  readonly onConnected: (connection: Connection) => void;
  /**
   * Called when the ensemble becomes unreachable, with the cause; not for each attempt after that. With TLS
   * once for each other cause too: the lost connection says nothing about the certificate that prevents the
   * next one.
   */
  readonly onDisconnected: (cause: string) => void;
  /** Called once when there will be no connection any more. */
  readonly onOver: () => void;
}

/**
 * The waits after each failed round of all servers. Short: a session is short-lived, and each server is asked
 * once a round.
 */
const RETRY_BACKOFF = { firstMs: 100, maxMs: 1_000 };
/** The least time that a server has to accept a client, however short the session's timeout. */
const CONNECT_MIN_MS = 250;
/**
 * How many times longer than at first a server may have in the end; the session's timeout is the limit all
 * the same.
 */
const PATIENCE_MAX = 64;
/** A session that servers rejected for so many timeouts is given up: they have lost it, or their data. */
const REFUSED_TIMEOUTS_MAX = 2;
/** Rejections further apart than the timeout and this are unrelated. */
const REFUSED_GAP_MS = 5_000;
/** How many causes of one outage are reported at most. */
const CAUSES_MAX = 8;
/** Silence is counted in parts of the session's timeout; the server is pinged after a third of it. */
const TICKS_PER_TIMEOUT = 6;
/** A server that was silent for two thirds of the timeout counts as gone: a third is left to find another. */
const SILENT_TICKS_MAX = 4;
/**
 * A continued session whose first request has no answer after a third of the timeout is taken for one that has
 * ended; another attempt finds out. Earlier than silence, as its registrations are gone meanwhile.
 */
const FIRST_ANSWER_TICKS_MAX = 2;
/** A request without an answer for three times the timeout means the same, although pings are answered. */
const REQUEST_TICKS_MAX = 3 * TICKS_PER_TIMEOUT;
/** The shortest tick, whatever timeout a server grants. */
const TICK_MIN_MS = 10;
/** The longest that closing takes when no server answers. */
const CLOSE_DEADLINE_MS = 2_000;

/**
 * One ZooKeeper session over as many connections as it takes: decides when and where to connect, and when to
 * leave a silent server. A server's name stands for all of its addresses. An ended session stays ended, and
 * another client is needed then.
 */
export class ZooKeeperClient implements AsyncDisposable {
  /** Resolves, with the reason, when the session is over; not when it is closed from here. */
  readonly ended: Promise<string>;
  readonly #options: ClientOptions;
  readonly #hosts: readonly Endpoint[];
  readonly #ending = Promise.withResolvers<string>();
  readonly #running: Promise<void>;
  /** Ends a wait, or an attempt to connect. */
  readonly #stop = new AbortController();
  #connection: Connection | undefined;
  #waiting = Promise.withResolvers<void>();
  #over: SessionOverError | undefined;
  #cause = "not connected yet";
  /** What was reported since the ensemble was last reachable. */
  readonly #causes = new Set<string>();
  /** The session, once there is one. */
  #ticket: SessionTicket | undefined;
  /** The requested or granted timeout. */
  #timeoutMs: number;
  /** Attempts so far, and those in a row that failed. */
  #tries = 0;
  #failures = 0;
  /** Since when servers reject the session, and when one did last. */
  #refused: { readonly sinceMs: number; readonly lastMs: number } | undefined;
  /** How many times longer than at first a server has to accept a client and to answer its first request. */
  #patience = 1;
  #cancelTick: () => void = () => {};
  #closed: Promise<void> | undefined;

  /** Starts connecting. */
  constructor(options: ClientOptions) {
    this.#options = options;
    this.ended = this.#ending.promise;
    this.#hosts = shuffle(options.hosts, options.random);
    this.#timeoutMs = options.sessionTimeoutMs;
    this.#scheduleTick();
    this.#running = this.#run();
  }

  /**
   * Returns an established connection, waiting for one if necessary. Throws {@linkcode SessionOverError} when
   * there never will be one again; when the signal is aborted first, an error that says why ZooKeeper is
   * unreachable.
   */
  async connected(signal: AbortSignal): Promise<Connection> {
    for (;;) {
      if (this.#over !== undefined) throw this.#over;
      if (this.#connection !== undefined) return this.#connection;
      await abortable(this.#waiting.promise, signal, () => new Error(`ZooKeeper unreachable: ${this.#cause}`));
    }
  }

  /** Disconnects at once and leaves the session to its timeout. */
  abandon(): void {
    this.#finish("given up");
  }

  /**
   * Closes the session, so that its registrations vanish at once; takes two seconds at most. Safe to call
   * twice.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const { clock } = this.#options;
    const deadline = new AbortController();
    const cancel = clock.after(CLOSE_DEADLINE_MS, () => deadline.abort());
    try {
      // A session that never existed needs no closing; one that did is worth an attempt, even during an
      // outage.
      if (this.#over === undefined && this.#ticket !== undefined) {
        const connection = await this.connected(deadline.signal);
        await abortable(connection.close(), deadline.signal, () => new Error("No response in time"));
      }
    } catch {
      // Its timeout will close it.
    } finally {
      cancel();
    }
    this.#finish("closed");
    await this.#running;
  }

  /** Connects while a session is possible, one attempt after the other. */
  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    while (this.#over === undefined) {
      const round = Math.floor(this.#failures / this.#hosts.length);
      const isNextRound = round > 0 && this.#failures % this.#hosts.length === 0;
      try {
        const waitMs = isNextRound ? backoffMs(round - 1, RETRY_BACKOFF, random) : 0;
        await delay(waitMs, { clock, signal: this.#stop.signal });
      } catch {
        return;
      }
      const startedMs = clock.now();
      const connection = await this.#connect(this.#hosts[this.#tries++ % this.#hosts.length] as Endpoint);
      await connection?.closed;
      // A server that closes the connection at once is no better than one that rejects it.
      const lasted = connection !== undefined && clock.now() - startedMs >= this.#timeoutMs / 3;
      this.#failures = lasted ? 0 : this.#failures + 1;
    }
  }

  /** Tries one server; returns the connection if it has accepted the session. */
  async #connect(endpoint: Endpoint): Promise<Connection | undefined> {
    const { clock, auth, onEvent, sessionTimeoutMs } = this.#options;
    const timeoutMs = this.#timeoutMs;
    // At first there is time to ask every server more than once before the session expires: one that is just
    // starting may accept a connection and forget it. Patience grows with each that is overdue, for servers
    // under load are slow.
    const firstMs = Math.max(CONNECT_MIN_MS, timeoutMs / this.#hosts.length / 4);
    const deadlineMs = Math.min(firstMs * this.#patience, Math.max(firstMs, timeoutMs));
    const attempt = new AbortController();
    const late = new Error(`${endpoint} did not respond within ${Math.round(deadlineMs)}ms`);
    const cancel = clock.after(deadlineMs, () => attempt.abort(late));
    const stop = () => attempt.abort(this.#over);
    this.#stop.signal.addEventListener("abort", stop, { once: true });
    if (this.#over !== undefined) stop();
    let isReached = false;
    try {
      const channel = await this.#dial(parseEndpoint(endpoint) ?? { host: "", port: 0 }, attempt.signal);
      isReached = true;
      const connection = await Connection.open(channel, {
        endpoint,
        timeoutMs: sessionTimeoutMs,
        ticket: this.#ticket,
        auth,
        signal: attempt.signal,
      });
      connection.listen({
        onEvent,
        onAuthFailed: () => this.#expire("authentication failed: the ensemble rejects the credential"),
        onEnd: (cause) => this.#lose(connection, cause),
      });
      this.#take(connection);
      return connection;
    } catch (error) {
      if (this.#over !== undefined) return undefined;
      if (error instanceof SessionOverError) this.#expire(error.message);
      else if (error === late) this.#waitLonger();
      this.#miss(isReached || error === late ? messageOf(error) : `${endpoint}: ${messageOf(error)}`);
      if (isReached && error !== late) this.#countRefusal();
      return undefined;
    } finally {
      cancel();
      this.#stop.signal.removeEventListener("abort", stop);
    }
  }

  /** Connects; a client without TLS does not load it. */
  async #dial(address: TcpAddress, signal: AbortSignal): Promise<ByteChannel> {
    const { tls } = this.#options;
    if (tls === undefined) return await connectTcp(address, signal);
    const [{ readTls }, { connectTls }] = await Promise.all([
      import("../tls_files.ts"),
      import("../../../src/system/tls_connect.ts"),
    ]);
    return await connectTls(address, await readTls(tls), signal);
  }

  #take(connection: Connection): void {
    this.#connection = connection;
    this.#refused = undefined;
    this.#causes.clear();
    [this.#ticket, this.#timeoutMs] = [connection.ticket, connection.timeoutMs];
    this.#scheduleTick();
    this.#waiting.resolve();
    this.#options.onConnected(connection);
  }

  #lose(connection: Connection, cause: Error): void {
    if (cause instanceof UnansweredError) this.#waitLonger();
    else this.#patience = 1;
    this.#ticket = connection.ticket;
    this.#connection = undefined;
    if (this.#over !== undefined) return;
    this.#waiting = Promise.withResolvers();
    this.#miss(cause.message);
  }

  #waitLonger(): void {
    this.#patience = Math.min(2 * this.#patience, PATIENCE_MAX);
  }

  /** Notes that there is no connection: one was lost, or an attempt failed. */
  #miss(cause: string): void {
    this.#cause = cause;
    if (this.#over !== undefined || this.#closed !== undefined) return;
    const causesMax = this.#options.tls === undefined ? 1 : CAUSES_MAX;
    if (this.#causes.has(cause) || this.#causes.size >= causesMax) return;
    this.#causes.add(cause);
    this.#options.onDisconnected(cause);
  }

  /** Notes that a server was reached and has not accepted the session. */
  #countRefusal(): void {
    if (this.#ticket === undefined) return;
    const nowMs = this.#options.clock.now();
    const timeoutMs = this.#timeoutMs;
    const { sinceMs, lastMs } = this.#refused ?? { sinceMs: nowMs, lastMs: nowMs };
    // Between rejections servers may be down for long; that says nothing about the session.
    const isOngoing = nowMs - lastMs < timeoutMs + REFUSED_GAP_MS;
    this.#refused = { sinceMs: isOngoing ? sinceMs : nowMs, lastMs: nowMs };
    const refusedMs = nowMs - this.#refused.sinceMs;
    if (refusedMs > REFUSED_TIMEOUTS_MAX * timeoutMs) {
      this.#expire(`no server has accepted the session for ${Math.round(refusedMs / 1_000)}s`);
    }
  }

  #scheduleTick(): void {
    this.#cancelTick();
    const tickMs = Math.max(TICK_MIN_MS, this.#timeoutMs / TICKS_PER_TIMEOUT);
    this.#cancelTick = this.#options.clock.after(tickMs, () => {
      this.#connection?.tick({
        silentMax: SILENT_TICKS_MAX,
        owedMax: REQUEST_TICKS_MAX,
        firstMax: FIRST_ANSWER_TICKS_MAX * this.#patience,
      });
      if (this.#over === undefined) this.#scheduleTick();
    });
  }

  #expire(reason: string): void {
    if (this.#over !== undefined) return;
    this.#finish(reason);
    this.#ending.resolve(reason);
  }

  #finish(reason: string): void {
    if (this.#over !== undefined) return;
    this.#over = new SessionOverError(`Session ended: ${reason}`);
    this.#stop.abort(this.#over);
    this.#cancelTick();
    this.#connection?.end(this.#over);
    this.#waiting.resolve();
    this.#options.onOver();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A random order, so that a fleet spreads over its servers. */
function shuffle<T>(items: readonly T[], random: Random): readonly T[] {
  return items.map((item) => ({ item, at: random() })).toSorted((a, b) => a.at - b.at).map(({ item }) => item);
}
