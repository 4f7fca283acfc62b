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

/**
 * Serves how the process stands over HTTP, to be read: `GET /status` and
 * `GET /health`. It takes nothing in and changes nothing. Whoever reaches the
 * address may read it; a server of loopback refuses a foreign `Host`, so that
 * no web page can.
 */
export class StatusServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: StatusAddress;
  readonly #stop: AbortController;
  readonly #finished: Promise<void>;
  readonly #socket: Socket | undefined;

  private constructor(
    address: StatusAddress,
    { stop, finished, socket }: {
      readonly stop: AbortController;
      readonly finished: Promise<void>;
      readonly socket?: Socket;
    },
  ) {
    [this.address, this.#stop, this.#finished, this.#socket] = [address, stop, finished, socket];
  }

  /** Listens. Throws an error that names the address if it cannot be had. */
  static async start({ address, answers, log }: StatusServerOptions): Promise<StatusServer> {
    const stop = new AbortController();
    const { signal } = stop;
    const checksHost = !("path" in address) && isLoopback(address.host);
    const handle = (request: Request) => answer(request, { answers, checksHost, log });
    const common = { signal, onListen() {}, onError: () => new Response(null, { status: 500 }) };
    try {
      if ("path" in address) {
        const { socket, finished } = await listenAtSocket(
          address.path,
          (path) => Deno.serve({ ...common, path }, handle).finished,
        );
        return new StatusServer(address, { stop, finished, socket });
      }
      const { host: hostname, port } = address;
      const server = Deno.serve({ ...common, hostname, port }, handle);
      return new StatusServer({ ...address, port: server.addr.port }, { stop, finished: server.finished });
    } catch (error) {
      stop.abort();
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot serve the status at ${formatStatusAddress(address)}: ${why}`);
    }
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
