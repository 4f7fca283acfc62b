import { systemClock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import { isLocalHost, isLoopback } from "../model/bind_address.ts";
import { formatStatusAddress, type StatusAddress } from "../model/status_address.ts";

/** What is said of how the process stands. */
export interface StatusAnswers {
  /** The whole status, as JSON. */
  status(): unknown;
  /** Whether it does its work, and what to say of that, as JSON. */
  health(): { readonly isFailing: boolean; readonly said: unknown };
}

/** What a {@linkcode StatusServer} is made of. */
export interface StatusServerOptions {
  readonly address: StatusAddress;
  readonly answers: StatusAnswers;
  readonly log: Logger;
}

/** The status may be asked for by whoever runs the process, and nobody else. */
const SOCKET_MODE = 0o600;
/** How long requests may go on once the process ends. */
const GRACE_MS = 500;
/** After so long it listens again if the listening was ended by a fault. */
const AGAIN_MS = 1_000;

/**
 * Serves how the process stands over HTTP, to be read: `GET /status` and
 * `GET /health`. It takes nothing in and changes nothing. Whoever reaches the
 * address may read it; a server of loopback refuses a foreign `Host`, so that
 * no web page can.
 */
export class StatusServer implements AsyncDisposable {
  readonly #log: Logger;
  readonly #handle: (request: Request) => Response;
  readonly #stop = new AbortController();
  #address: StatusAddress;
  /** Resolves when nothing is served any more; never rejects. */
  #finished: Promise<void> = Promise.resolve();
  #socket: Socket | undefined;
  /** Why the listening was last ended by a fault. */
  #told: string | undefined;

  private constructor({ address, answers, log }: StatusServerOptions) {
    [this.#address, this.#log] = [address, log];
    const checksHost = !("path" in address) && isLoopback(address.host);
    this.#handle = (request) => answer(request, { answers, checksHost, log });
  }

  /** Listens. Throws an error that names the address if it cannot be had. */
  static async start(options: StatusServerOptions): Promise<StatusServer> {
    const server = new StatusServer(options);
    try {
      await server.#listen();
      return server;
    } catch (error) {
      server.#stop.abort();
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot serve the status at ${formatStatusAddress(options.address)}: ${why}`);
    }
  }

  /** Where it listens. */
  get address(): StatusAddress {
    return this.#address;
  }

  /** Ends, and takes its socket file with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, GRACE_MS);
    await Promise.race([this.#finished, late.promise]);
    clearTimeout(timer);
    // Another process may have taken the path meanwhile.
    const { path, inode } = this.#socket ?? {};
    if (path !== undefined && await inodeOf(path) === inode) await Deno.remove(path).catch(() => {});
  }

  async #listen(): Promise<void> {
    const listening = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, listening.signal]);
    const common = { signal, onListen() {}, onError: () => new Response(null, { status: 500 }) };
    const address = this.#address;
    let serving: Promise<void>;
    if ("path" in address) {
      const { socket, finished } = await listenAtSocket(
        address.path,
        (path) => Deno.serve({ ...common, path }, this.#handle).finished,
      );
      [this.#socket, serving] = [socket, finished];
    } else {
      const server = Deno.serve({ ...common, hostname: address.host, port: address.port }, this.#handle);
      [this.#address, serving] = [{ ...address, port: server.addr.port }, server.finished];
    }
    this.#finished = serving.catch((error) => {
      // The connections that are open may be what it had too many of.
      listening.abort();
      return this.#listenAgain(error);
    });
  }

  /** Goes on after what ended the listening, as too many connections do: the daemon has other work than this. */
  async #listenAgain(error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const at = formatStatusAddress(this.#address);
    const reason = error instanceof Error ? error.message : String(error);
    this.#log[reason === this.#told ? "debug" : "error"]("The status is not served for a moment", { at, reason });
    this.#told = reason;
    await delay(AGAIN_MS, { clock: systemClock, signal: this.#stop.signal }).catch(() => {});
    if (this.#stop.signal.aborted) return;
    await this.#listen().catch((error) => this.#listenAgain(error));
  }
}

/** The file of a socket. */
interface Socket {
  readonly path: string;
  readonly inode: number | null;
}

/**
 * Listens at a socket. It is made under another name, where nobody looks for
 * it, given its mode, and then put in place of an old one that nobody answers at.
 */
async function listenAtSocket(
  path: string,
  listen: (path: string) => Promise<void>,
): Promise<{ readonly socket: Socket; readonly finished: Promise<void> }> {
  await refuseTaken(path);
  const made = `${path}.${crypto.randomUUID().slice(0, 8)}`;
  const finished = listen(made);
  try {
    await Deno.chmod(made, SOCKET_MODE);
    await Deno.rename(made, path);
  } catch (error) {
    await Deno.remove(made).catch(() => {});
    throw error;
  }
  return { socket: { path, inode: await inodeOf(path) ?? null }, finished };
}

/** Throws if something is there that is not an old socket. */
async function refuseTaken(path: string): Promise<void> {
  const there = await Deno.lstat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (there === undefined) return;
  if (there.isSocket !== true) throw new Error("there is a file that is no socket");
  const connection = await Deno.connect({ transport: "unix", path }).catch(() => undefined);
  connection?.close();
  if (connection !== undefined) throw new Error("another process answers there");
}

async function inodeOf(path: string): Promise<number | null | undefined> {
  return (await Deno.lstat(path).catch(() => undefined))?.ino;
}

function answer(
  request: Request,
  { answers, checksHost, log }: {
    readonly answers: StatusAnswers;
    readonly checksHost: boolean;
    readonly log: Logger;
  },
): Response {
  const { method, url } = request;
  const respond = (status: number, said: unknown, headers: Readonly<Record<string, string>> = {}) =>
    new Response(method === "HEAD" ? null : `${JSON.stringify(said, null, 2)}\n`, {
      status,
      headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
    });
  const refuse = (status: number, error: string, headers?: Readonly<Record<string, string>>) =>
    respond(status, { error }, headers);

  const start = url.indexOf("/", url.indexOf("//") + 2);
  const host = url.slice(url.indexOf("//") + 2, start);
  if (checksHost && !isLocalHost(host)) {
    return refuse(421, "Cannot serve this host name as only this machine is served");
  }
  if (method !== "GET" && method !== "HEAD") {
    return refuse(405, `Cannot ${method}: there are GET and HEAD`, { allow: "GET, HEAD" });
  }
  try {
    switch (url.slice(start).replace(/[?#].*$/s, "")) {
      case "/status":
        return respond(200, answers.status());
      case "/health": {
        const { isFailing, said } = answers.health();
        return respond(isFailing ? 503 : 200, said);
      }
      default:
        return refuse(404, "Cannot find that: there are /status and /health");
    }
  } catch (error) {
    log.error("The status cannot be told", { reason: error instanceof Error ? error.stack : String(error) });
    return refuse(500, "Cannot answer for a fault of Lighthouse itself");
  }
}
