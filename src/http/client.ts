import { Agent, type ClientRequest, type ClientRequestArgs, type IncomingMessage, request } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as secure } from "node:tls";
import { connectTcp } from "../system/tcp.ts";
import { TcpSocket } from "../system/tcp_socket.ts";

/** Address of a server. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** One request; its signal limits the time for the whole answer. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE" | "POST";
  /** The path with the query, escaped. */
  readonly path: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Maximum size of an answer; of an answer that is read line by line, the maximum of a line. */
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** A complete answer. */
export interface HttpAnswer {
  readonly status: number;
  /** The status text, for example `Service Unavailable`. */
  readonly statusText: string;
  /** Names in lower case. */
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** An answer whose body is a stream. */
export interface HttpLines {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: IncomingMessage["headers"];
  /**
   * The body's lines as they arrive, without empty ones. Ends with the body, throws when the connection
   * breaks or the request's signal is aborted. Returning early closes the connection.
   */
  readonly lines: AsyncGenerator<string, void, void>;
}

/** TLS settings, all PEM. */
export interface ClientTls {
  /** The trusted CA; by default those of the system. */
  readonly ca?: string | undefined;
  /** The client certificate, with its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name for SNI and verification, if not the host of the connection. */
  readonly serverName?: string | undefined;
}

/** Idle connections to one server that stay open unless told: as many as wait for changes of many clusters. */
const KEPT_MAX = 256;

/**
 * An HTTP client with persistent connections. Uses `node:http`, not `fetch`, which would use the proxy
 * of `HTTP_PROXY` even for this machine, and blocks some ports.
 */
export class HttpClient implements Disposable {
  readonly #agent: TcpAgent;
  readonly #open: Set<ClientRequest> = new Set();

  /**
   * `tls`: how TLS is spoken, if it is. `socket`: the Unix socket of the server, whatever the address. `keptMax`: how
   * many idle connections to one server stay open.
   */
  constructor({ tls, socket, keptMax = KEPT_MAX }: {
    readonly tls?: ClientTls | undefined;
    readonly socket?: string | undefined;
    readonly keptMax?: number;
  } = {}) {
    this.#agent = new TcpAgent({ tls, socket, keptMax });
  }

  /**
   * Sends a request. Throws if the server is unreachable, the answer is invalid or too large, or the
   * signal is aborted.
   */
  async ask(address: HttpAddress, asked: HttpRequest): Promise<HttpAnswer> {
    const exchange = this.#begin(address, asked);
    try {
      const response = await exchange.response;
      const text = await Promise.race([exchange.failed, collect(response, asked.bytesMax)]);
      const { statusCode: status = 0, statusMessage: statusText = "", headers } = response;
      return { status, statusText, headers, text };
    } catch (error) {
      exchange.asking.destroy();
      throw error;
    } finally {
      exchange.end();
    }
  }

  /**
   * Sends a request and reads the answer line by line. The signal applies to all of it: a caller that
   * does not read to the end must abort it. Throws as {@linkcode ask} does.
   */
  async follow(address: HttpAddress, asked: HttpRequest): Promise<HttpLines> {
    const exchange = this.#begin(address, asked);
    try {
      const response = await exchange.response;
      const lines = this.#lines(exchange, response, asked);
      return { status: response.statusCode ?? 0, headers: response.headers, lines };
    } catch (error) {
      exchange.asking.destroy();
      exchange.end();
      throw error;
    }
  }

  #begin({ host, port }: HttpAddress, asked: HttpRequest): Exchange {
    const { method, path, body, signal } = asked;
    signal.throwIfAborted();
    const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
    const { promise: response, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const failed = Promise.withResolvers<never>();
    for (const promise of [response, failed.promise]) promise.catch(() => {});
    const fail = (error: unknown) => {
      reject(error);
      failed.reject(error);
    };
    const headers = headerList({ host, port }, asked, bytes?.length);
    const asking = request({ host, port, method, path, headers, agent: this.#agent, signal });
    this.#open.add(asking);
    const abort = () => {
      fail(signal.reason);
      asking.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    // Stays registered: a late error must not be an uncaught one.
    asking.on("error", fail);
    asking.once("response", resolve);
    asking.end(bytes);
    const end = () => {
      signal.removeEventListener("abort", abort);
      this.#open.delete(asking);
    };
    return { asking, response, failed: failed.promise, end };
  }

  async *#lines(exchange: Exchange, response: IncomingMessage, asked: HttpRequest): HttpLines["lines"] {
    const { bytesMax, signal } = asked;
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let waiting: string[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response) {
        const [first = "", ...more] = decoder.decode(chunk, { stream: true }).split("\n");
        waiting.push(first);
        bytes += chunk.length;
        if (more.length > 0) {
          const lines = [waiting.join(""), ...more];
          const rest = lines.pop() ?? "";
          [waiting, bytes] = [[rest], new TextEncoder().encode(rest).length];
          for (const line of lines) if (line.trim() !== "") yield line;
        }
        if (bytes > bytesMax) throw new Error(`A line of the response exceeds ${bytesMax} bytes`);
      }
      if (!response.complete) throw new Error("answer truncated");
      const last = waiting.join("") + decoder.decode();
      if (last.trim() !== "") yield last;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      exchange.asking.destroy();
      exchange.end();
    }
  }

  /** Aborts what is in progress, and closes idle connections. */
  [Symbol.dispose](): void {
    for (const asking of this.#open) asking.destroy(new Error("client closed"));
    this.#agent.destroy();
  }
}

/**
 * Makes the headers of a request: a list, name and value by turns, to which `node:http` adds neither host nor length.
 * Of a request with a map of headers the runtime makes a span under `OTEL_DENO`, with the whole URL,
 * and paths may be secrets.
 */
function headerList(
  { host, port }: HttpAddress,
  { method, headers = {} }: HttpRequest,
  length: number | undefined,
): string[] {
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const name = host.includes(":") ? `[${host}]` : host;
  const own = {
    host: port === 80 ? name : `${name}:${port}`,
    ...(length !== undefined || method === "POST" || method === "PUT") && { "content-length": String(length ?? 0) },
  };
  return [...Object.entries(own).filter(([each]) => !given.has(each)), ...Object.entries(headers)].flat();
}

/** A request in progress. */
interface Exchange {
  readonly asking: ClientRequest;
  readonly response: Promise<IncomingMessage>;
  /** Rejects when the connection breaks, or the signal is aborted. */
  readonly failed: Promise<never>;
  /** Unregisters from the signal. */
  readonly end: () => void;
}

/** Keeps connections of {@linkcode connectTcp}, so that all addresses of a name are tried. */
class TcpAgent extends Agent {
  readonly #tls: ClientTls | undefined;
  readonly #socket: string | undefined;
  /** Aborts pending connects. */
  readonly #stop = new AbortController();

  constructor(
    { tls, socket, keptMax }: {
      readonly tls: ClientTls | undefined;
      readonly socket: string | undefined;
      readonly keptMax: number;
    },
  ) {
    super({ keepAlive: true, maxFreeSockets: keptMax });
    [this.#tls, this.#socket] = [tls, socket];
  }

  override createConnection({ host, port, signal }: ClientRequestArgs): Duplex {
    const either = AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]);
    const address = { host: String(host), port: Number(port) };
    const plain = new TcpSocket(
      this.#socket === undefined
        ? connectTcp(address, either)
        : Deno.connect({ transport: "unix", path: this.#socket }),
    );
    if (this.#tls === undefined) return plain;
    const { ca, cert, key, serverName } = this.#tls;
    const socket = secure({
      ...address,
      socket: plain,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && key !== undefined && { cert, key }),
      // SNI allows no addresses; without a name the certificate is verified against the host.
      ...(serverName !== undefined
        ? { servername: serverName }
        : isIP(address.host) === 0 && { servername: address.host }),
    });
    // A request that is aborted before the agent has assigned it the socket destroys it with nobody listening.
    socket.on("error", () => {});
    socket.once("close", () => plain.destroy());
    plain.on("error", (error) => socket.destroy(error));
    return socket;
  }

  override destroy(): void {
    this.#stop.abort(new Error("client closed"));
    super.destroy();
  }
}

async function collect(response: IncomingMessage, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`The response exceeds ${bytesMax} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  if (!response.complete) throw new Error("answer truncated");
  return text + decoder.decode();
}
