import { Agent, type ClientRequest, type ClientRequestArgs, type IncomingMessage, request } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as secure } from "node:tls";
import { connectTcp } from "../system/tcp.ts";
import { TcpSocket } from "../system/tcp_socket.ts";

/** Where a server is. */
export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** One request; the server has so long for its whole answer as the signal says. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE" | "POST";
  /** The path with the query, escaped. */
  readonly path: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** A longer answer is rejected; of an answer that is read line by line, a longer line. */
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** What was answered, whole. */
export interface HttpAnswer {
  readonly status: number;
  /** What the server calls the status, as in `Service Unavailable`. */
  readonly statusText: string;
  /** Names in lower case. */
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** An answer whose body has no end in sight. */
export interface HttpLines {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: IncomingMessage["headers"];
  /**
   * The body's lines as they come, without empty ones. Ends when the server ends the body, throws when the connection
   * breaks or the request's signal is aborted. Returning from it closes the connection.
   */
  readonly lines: AsyncGenerator<string, void, void>;
}

/** How TLS is spoken; all is PEM. */
export interface ClientTls {
  /** The authority that is believed; those of the system if there is none. */
  readonly ca?: string | undefined;
  /** The certificate that is shown, with its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name in SNI and in the server's certificate, if not the host that is connected to. */
  readonly serverName?: string | undefined;
}

/**
 * Asks servers over HTTP, over connections that it keeps. By `node:http` and
 * not by `fetch`, which would ask the proxy of `HTTP_PROXY` for a server on
 * this very machine, and refuses some ports.
 */
export class HttpClient implements Disposable {
  readonly #agent: TcpAgent;
  readonly #open: Set<ClientRequest> = new Set();

  /** Speaks TLS if it is told with what. */
  constructor({ tls }: { readonly tls?: ClientTls | undefined } = {}) {
    this.#agent = new TcpAgent(tls);
  }

  /** Asks one server. Throws if it is unreachable, answers no HTTP or too much, or the signal is aborted. */
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
   * Asks one server for an answer that is read line by line as it comes. The signal holds for the whole of it: who does
   * not read the lines to their end aborts it. Throws as {@linkcode ask}.
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
    const headers = { ...asked.headers, ...(bytes === undefined ? {} : { "content-length": String(bytes.length) }) };
    const asking = request({ host, port, method, path, headers, agent: this.#agent, signal });
    this.#open.add(asking);
    const abort = () => {
      fail(signal.reason);
      asking.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    // Stays for good: an error that comes when all is over must not be an uncaught one.
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
        if (bytes > bytesMax) throw new Error(`A line of the answer has more than ${bytesMax} bytes`);
      }
      if (!response.complete) throw new Error("The answer was cut off");
      const last = waiting.join("") + decoder.decode();
      if (last.trim() !== "") yield last;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      exchange.asking.destroy();
      exchange.end();
    }
  }

  /** Gives up what is under way, and closes what is kept open. */
  [Symbol.dispose](): void {
    for (const asking of this.#open) asking.destroy(new Error("The client is closed"));
    this.#agent.destroy();
  }
}

/** A request that was sent. */
interface Exchange {
  readonly asking: ClientRequest;
  readonly response: Promise<IncomingMessage>;
  /** Rejects when the connection breaks, or the signal is aborted. */
  readonly failed: Promise<never>;
  /** Lets go of the signal. */
  readonly end: () => void;
}

/** Keeps connections that were made by {@linkcode connectTcp}, so that a name stands for all of its addresses. */
class TcpAgent extends Agent {
  readonly #tls: ClientTls | undefined;
  /** Ends what is being connected. */
  readonly #stop = new AbortController();

  constructor(tls: ClientTls | undefined) {
    super({ keepAlive: true });
    this.#tls = tls;
  }

  override createConnection({ host, port, signal }: ClientRequestArgs): Duplex {
    const either = AbortSignal.any([this.#stop.signal, ...(signal === undefined ? [] : [signal])]);
    const address = { host: String(host), port: Number(port) };
    const plain = new TcpSocket(connectTcp(address, either));
    if (this.#tls === undefined) return plain;
    const { ca, cert, key, serverName } = this.#tls;
    const socket = secure({
      ...address,
      socket: plain,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && key !== undefined && { cert, key }),
      // An address has no place in SNI; without a name the certificate is checked against the host.
      ...(serverName !== undefined
        ? { servername: serverName }
        : isIP(address.host) === 0 && { servername: address.host }),
    });
    socket.once("close", () => plain.destroy());
    plain.on("error", (error) => socket.destroy(error));
    return socket;
  }

  override destroy(): void {
    this.#stop.abort(new Error("The client is closed"));
    super.destroy();
  }
}

async function collect(response: IncomingMessage, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error(`The answer has more than ${bytesMax} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  if (!response.complete) throw new Error("The answer was cut off");
  return text + decoder.decode();
}
