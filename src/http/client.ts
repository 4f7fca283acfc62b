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
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  /** The path with the query, escaped. */
  readonly path: string;
  readonly body?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** A longer answer is refused. */
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** What was answered, whole. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** How TLS is spoken; all is PEM. */
export interface ClientTls {
  /** The authority that is believed; those of the system if there is none. */
  readonly ca?: string | undefined;
  /** The certificate that is shown, with its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
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

  /** Asks one server. Throws if it is out of reach, answers no HTTP or too much, or the signal is aborted. */
  async ask({ host, port }: HttpAddress, asked: HttpRequest): Promise<HttpAnswer> {
    const { method, path, body, bytesMax, signal } = asked;
    signal.throwIfAborted();
    const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const headers = { ...asked.headers, ...(bytes === undefined ? {} : { "content-length": String(bytes.length) }) };
    const asking = request({ host, port, method, path, headers, agent: this.#agent, signal });
    this.#open.add(asking);
    const abort = () => {
      reject(signal.reason);
      asking.destroy();
    };
    signal.addEventListener("abort", abort, { once: true });
    // Stays for good: an error that comes when all is over must not be an uncaught one.
    asking.on("error", reject);
    asking.once("response", (response) => {
      collect(response, bytesMax).then(
        (text) => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        (error) => {
          reject(error);
          asking.destroy();
        },
      );
    });
    asking.end(bytes);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#open.delete(asking);
    }
  }

  /** Gives up what is under way, and closes what is kept open. */
  [Symbol.dispose](): void {
    for (const asking of this.#open) asking.destroy(new Error("The client is closed"));
    this.#agent.destroy();
  }
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
    const { ca, cert, key } = this.#tls;
    const socket = secure({
      ...address,
      socket: plain,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && key !== undefined && { cert, key }),
      // An address has no place in SNI; without a name the certificate is held against the host.
      ...(isIP(address.host) === 0 && { servername: address.host }),
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
