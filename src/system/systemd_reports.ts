/** What systemd gives a service of `Type=notify` in its environment: sd_notify(3). */
export interface SystemdRequest {
  /** `NOTIFY_SOCKET`: a path, or a name that begins with `@`. */
  readonly socket: string;
  /** `WATCHDOG_USEC`: so long may it be silent, in microseconds. */
  readonly watchdogMicroseconds?: number | undefined;
}

/**
 * Reports to the service manager by datagrams on its Unix socket. A report that
 * cannot be sent is dropped: the manager restarts whoever is silent for too long.
 */
export class SystemdReports implements Disposable {
  readonly #to: Deno.UnixAddr;
  readonly #from: Deno.DatagramConn;
  /** The time between two signs of life; `undefined` if none is wanted. */
  readonly aliveEveryMs: number | undefined;

  private constructor(request: SystemdRequest, from: Deno.DatagramConn) {
    this.#to = { transport: "unixpacket", path: request.socket.replace(/^@/, "\0") };
    this.#from = from;
    const micros = request.watchdogMicroseconds;
    // systemd.service(5) recommends half of the time.
    this.aliveEveryMs = micros === undefined || !(micros > 0) ? undefined : micros / 2_000;
  }

  /** Opens a socket to report from; `undefined` if nobody asks for reports, or there can be no such socket. */
  static open(request: SystemdRequest | undefined, name: string): SystemdReports | undefined {
    if (request === undefined || !/^[/@]./.test(request.socket)) return undefined;
    try {
      // A name without a file: nothing is left behind.
      return new SystemdReports(request, Deno.listenDatagram({ transport: "unixpacket", path: `\0${name}` }));
    } catch {
      return undefined;
    }
  }

  /** Sends a report such as `READY=1`, one assignment a line. */
  report(state: Readonly<Record<string, string>>): void {
    const text = Object.entries(state).map(([key, value]) => `${key}=${value.replaceAll("\n", " ")}`).join("\n");
    this.#from.send(new TextEncoder().encode(text), this.#to).catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#from.close();
  }
}
