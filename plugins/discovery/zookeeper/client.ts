import type { Endpoint } from "../../../mod.ts";
import { backoffMs } from "../../../src/kernel/backoff.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import type { Random } from "../../../src/kernel/random.ts";
import {
  Connection,
  type Credential,
  HandshakeOverdueError,
  HandshakeRefusedError,
  SessionOverError,
  type SessionTicket,
} from "./connection.ts";
import type { WatchEvent } from "./wire.ts";

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
  /** Called when a connection stands; no watch of an earlier one is left. */
  readonly onConnected: (connection: Connection) => void;
  /** Called once when the ensemble gets out of reach, with the cause; not for each try after that. */
  readonly onDisconnected: (cause: string) => void;
  /** Called once when there will be no connection any more. */
  readonly onOver: () => void;
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
/** The longest that closing takes when nobody answers. */
const CLOSE_DEADLINE_MS = 2_000;

/** A new session. */
const NO_TICKET: SessionTicket = { id: 0n, password: new Uint8Array(16), lastZxid: 0n };

/**
 * One ZooKeeper session over as many connections as it takes. It goes on
 * connecting for as long as nobody says that the session is over; over is for
 * ever, and another client is needed then.
 */
export class ZooKeeperClient implements AsyncDisposable {
  /** Resolves, with the reason, when the session is over; not when it is closed from here. */
  readonly ended: Promise<string>;
  readonly #options: ClientOptions;
  readonly #hosts: readonly Endpoint[];
  readonly #ending = Promise.withResolvers<string>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #ticket = NO_TICKET;
  #timeoutMs: number;
  #connection: Connection | undefined;
  #waiting = Promise.withResolvers<void>();
  #over: SessionOverError | undefined;
  #cause = "it was not reached yet";
  #isOutage = false;
  /** Since when servers refuse the session, and when one did last. */
  #refused: { readonly sinceMs: number; readonly lastMs: number } | undefined;
  /** How many times longer than at first a server has to let a client in. */
  #patience = 1;
  #closed: Promise<void> | undefined;

  /** Starts connecting. */
  constructor(options: ClientOptions) {
    this.#options = options;
    this.#timeoutMs = options.sessionTimeoutMs;
    this.#hosts = shuffle(options.hosts, options.random);
    this.ended = this.#ending.promise;
    this.#running = this.#run();
  }

  /** The session's number; 0 before the first connection. */
  get sessionId(): bigint {
    return this.#ticket.id;
  }

  /** The connection that stands now, if one does. */
  get connection(): Connection | undefined {
    return this.#connection;
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
      await race(this.#waiting.promise, signal, () => new Error(`ZooKeeper is out of reach: ${this.#cause}`));
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
      if (this.#over === undefined && this.#ticket.id !== 0n) {
        const connection = await this.connected(deadline.signal);
        await race(connection.closeSession(), deadline.signal, () => new Error("No answer in time"));
      }
    } catch {
      // Its timeout will close it.
    } finally {
      cancel();
    }
    this.#finish("it was closed");
    await this.#running;
  }

  #finish(reason: string): void {
    if (this.#over !== undefined) return;
    this.#over = new SessionOverError(`The session is over: ${reason}`);
    this.#stop.abort(this.#over);
    this.#connection?.hangUp(reason);
    this.#waiting.resolve();
    this.#options.onOver();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { clock, random } = this.#options;
    // Tries without success since the last connection that lasted.
    let failures = 0;
    for (let at = 0; !signal.aborted; at++) {
      const endpoint = this.#hosts[at % this.#hosts.length] as Endpoint;
      try {
        const round = Math.floor(failures / this.#hosts.length);
        if (round > 0 && failures % this.#hosts.length === 0) {
          await delay(backoffMs(round - 1, RETRY_BACKOFF, random), { clock, signal });
        }
        const startedMs = clock.now();
        const cause = await this.#serve(endpoint, signal);
        // One that hangs up at once is no better than one that refuses.
        failures = clock.now() - startedMs < this.#timeoutMs / 3 ? failures + 1 : 0;
        this.#lose(cause);
      } catch (error) {
        failures++;
        if (error instanceof HandshakeOverdueError) this.#patience = Math.min(2 * this.#patience, PATIENCE_MAX);
        this.#lose(error);
      }
    }
  }

  /** Connects to a server and stays until the connection ends; answers why it did. */
  async #serve(endpoint: Endpoint, signal: AbortSignal): Promise<Error> {
    const { sessionTimeoutMs, auth, clock, onEvent, onConnected } = this.#options;
    // At first there is time to ask every server more than once before the session expires: one that is just starting may
    // take a connection and forget it. Patience grows with each that is overdue, for servers that many ask at once are slow.
    const firstMs = Math.max(CONNECT_MIN_MS, this.#timeoutMs / this.#hosts.length / 4);
    const connection = await Connection.open(endpoint, {
      ticket: this.#ticket,
      sessionTimeoutMs,
      deadlineMs: Math.min(firstMs * this.#patience, Math.max(firstMs, this.#timeoutMs)),
      auth,
      clock,
      signal,
      onEvent,
    });
    this.#ticket = connection.ticket;
    this.#timeoutMs = connection.timeoutMs;
    this.#connection = connection;
    [this.#isOutage, this.#refused, this.#patience] = [false, undefined, 1];
    this.#waiting.resolve();
    onConnected(connection);
    const cause = await connection.closed;
    this.#ticket = connection.ticket;
    return cause;
  }

  #lose(cause: unknown): void {
    if (this.#connection !== undefined) {
      this.#connection = undefined;
      this.#waiting = Promise.withResolvers();
    }
    if (this.#stop.signal.aborted) return;
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#cause = message;
    if (!this.#isOutage) {
      this.#isOutage = true;
      this.#options.onDisconnected(message);
    }
    if (cause instanceof SessionOverError) return this.#expire(message);
    if (!(cause instanceof HandshakeRefusedError) || this.#ticket.id === 0n) return;
    const nowMs = this.#options.clock.now();
    const { sinceMs, lastMs } = this.#refused ?? { sinceMs: nowMs, lastMs: nowMs };
    // Between refusals servers may be down for long; that says nothing of the session.
    const isOngoing = nowMs - lastMs < this.#timeoutMs + REFUSED_GAP_MS;
    this.#refused = { sinceMs: isOngoing ? sinceMs : nowMs, lastMs: nowMs };
    const refusedMs = nowMs - this.#refused.sinceMs;
    if (refusedMs > REFUSED_TIMEOUTS_MAX * this.#timeoutMs) {
      this.#expire(`no server has taken the session back for ${Math.round(refusedMs / 1_000)} s`);
    }
  }

  #expire(reason: string): void {
    this.#finish(reason);
    this.#ending.resolve(reason);
  }
}

/** Waits for a promise until the signal is aborted, then throws what `error` makes. */
export async function race<T>(promise: Promise<T>, signal: AbortSignal, error: () => Error): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => {}); // Nobody waits for it any more.
    throw error();
  }
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(error());
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A random order, so that a fleet spreads over its servers. */
function shuffle<T>(items: readonly T[], random: Random): readonly T[] {
  return items.map((item) => ({ item, at: random() })).toSorted((a, b) => a.at - b.at).map(({ item }) => item);
}
