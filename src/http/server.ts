/**
 * An HTTP/1.1 server with bounded resources. It has a maximum
 * number of connections: one more closes those that have waited
 * for their clients the longest. Clients have time limits for a handshake, a
 * head, a body, and for reading an answer. A process that runs out of open files makes
 * room in the same way, and accepts again.
 *
 * @module
 */
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import { ownFault } from "../kernel/own_fault.ts";
import { utf8 } from "../kernel/utf8.ts";
import { type ByteStream, closeQuietly } from "../system/byte_stream.ts";
import { Connection } from "./connection.ts";
import type { HttpLimits } from "./limits.ts";
import type { HttpHandle } from "./request.ts";
import { toShed } from "./shedding.ts";
import type { shakeHands } from "./handshake.ts";
import type { TlsPem } from "./tls.ts";
import { Turns } from "./turns.ts";

export interface HttpServerOptions {
  readonly listener: Deno.Listener;
  /** The listening address, for the log and for requests without a host. */
  readonly at: string;
  readonly handle: HttpHandle;
  readonly limits: HttpLimits;
  readonly tls?: TlsPem | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long requests may go on at shutdown. */
  readonly graceMs: number;
}

/** Delay before accepting again after a failure. */
const AGAIN_MS = 100;
/** Minimum time between log records about closed connections. */
const TOLD_EVERY_MS = 60_000;
/** Interval of checks for exceeded time limits. */
const SWEEP_MS = 1_000;
const BUSY = utf8(
  "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
);

/** Serves until it is disposed of. */
export class HttpServer implements AsyncDisposable {
  readonly #options: HttpServerOptions;
  readonly #connections: Map<Connection, Promise<void>> = new Map();
  readonly #stop: AbortController = new AbortController();
  readonly #turns: Turns = new Turns();
  readonly #accepting: Promise<void>;
  #tls: TlsPem | undefined;
  #cancelSweep: () => void = () => {};
  /** Connections closed since the last log record, and when that was. */
  #shed = 0;
  #toldMs = -Infinity;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#tls = options.tls;
    // Loaded before the first connection: later, no file may be left to open.
    if (options.tls !== undefined) void this.#handshake();
    this.#accepting = this.#accept();
    this.#sweepLater();
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Uses other certificates for later handshakes; existing connections are unaffected. */
  useCertificates(tls: TlsPem): void {
    this.#tls = tls;
  }

  /** Stops accepting, lets requests in progress end, and closes the rest. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    closeQuietly(this.#options.listener);
    await this.#accepting;
    for (const connection of this.#connections.keys()) connection.end();
    const { clock, graceMs } = this.#options;
    const late = Promise.withResolvers<void>();
    const cancel = clock.after(graceMs, late.resolve);
    await Promise.race([Promise.all(this.#connections.values()), late.promise]);
    cancel();
    // Until here, also for rejected clients.
    this.#cancelSweep();
    for (const connection of this.#connections.keys()) connection.close();
  }

  /** The handshake; `node:tls` is loaded only by servers with certificates. */
  async #handshake(): Promise<typeof shakeHands> {
    return (await import("./handshake.ts")).shakeHands;
  }

  async #accept(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const stream = await this.#options.listener.accept();
        // Answers are written at once: with Nagle's algorithm they would wait for the client's next packet.
        if ("setNoDelay" in stream) (stream as Deno.TcpConn).setNoDelay();
        this.#admit(stream);
      } catch (error) {
        if (signal.aborted) return;
        // After any error, the next connection may be accepted.
        const lack = ownFault(error);
        if (lack !== undefined) this.#makeRoom(lack);
        await delay(AGAIN_MS, { clock, signal }).catch(() => {});
      }
    }
  }

  #admit(stream: ByteStream): void {
    const { limits: { connectionsMax } } = this.#options;
    if (this.#connections.size >= connectionsMax) this.#makeRoom(`limit of ${connectionsMax} connections reached`);
    if (this.#connections.size >= connectionsMax) return this.#turnAway(stream);
    const { handle, limits, clock, at, log } = this.#options;
    const tls = this.#tls;
    const connection = new Connection(stream, {
      scheme: tls === undefined ? "http" : "https",
      ownHost: at,
      handle,
      limits,
      onFault: (error, { method, url }) =>
        log.error("Request handler failed", {
          event: "http.handler_failed",
          at,
          method,
          url,
          reason: error instanceof Error ? error.stack : String(error),
        }),
      now: () => clock.now(),
      turns: this.#turns,
      secure: tls && (async (raw) => (await this.#handshake())(raw, tls)),
    });
    this.#connections.set(connection, connection.serve().finally(() => this.#connections.delete(connection)));
  }

  /** Closes the connections that have waited for their clients the longest. */
  #makeRoom(reason: string): void {
    const shed = toShed(this.#connections.keys());
    for (const connection of shed) {
      connection.close();
      this.#connections.delete(connection);
    }
    this.#tell(shed.length, reason);
  }

  /** Answers that there is no room, if that is possible before a handshake. */
  #turnAway(stream: ByteStream): void {
    this.#tell(1, "all connections are waiting for a response");
    if (this.#tls !== undefined) return closeQuietly(stream);
    stream.write(BUSY).catch(() => {}).finally(() => closeQuietly(stream));
  }

  #tell(closed: number, reason: string): void {
    this.#shed += closed;
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#toldMs < TOLD_EVERY_MS) return;
    const { at, limits: { connectionsMax }, log } = this.#options;
    log.warn("Closing connections to make room for new ones", {
      event: "http.shed",
      at,
      closed: this.#shed,
      connections: this.#connections.size,
      limit: connectionsMax,
      reason,
    });
    [this.#shed, this.#toldMs] = [0, nowMs];
  }

  #sweepLater(): void {
    const { clock, limits } = this.#options;
    const shortestMs = Math.min(limits.handshakeMs, limits.headMs, limits.bodyMs, limits.stallMs, limits.idleMs);
    this.#cancelSweep = clock.after(Math.min(SWEEP_MS, shortestMs), () => {
      const nowMs = clock.now();
      for (const connection of this.#connections.keys()) if (connection.isOverdue(nowMs)) connection.close();
      this.#sweepLater();
    });
  }
}
