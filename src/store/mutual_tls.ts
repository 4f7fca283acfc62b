import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";

/** Something that listens. */
export interface Listener {
  readonly port: number;
  /** Takes no more requests, and resolves when those at hand are answered. */
  shutdown(): Promise<void>;
}

/** What {@linkcode listenWithClientCertificates} needs; certificates and key are PEM. */
export interface MutualTlsOptions {
  readonly cert: string;
  readonly key: string;
  /** The authority that clients' certificates must be of. */
  readonly clientCa: string;
  readonly host: string;
  readonly port: number;
  readonly handle: (request: Request) => Response | Promise<Response>;
}

/**
 * Listens for clients that have a certificate of the authority; others do not
 * get past the handshake. `Deno.serve` asks no client for a certificate, but
 * Deno's `node:https` does.
 */
export async function listenWithClientCertificates(options: MutualTlsOptions): Promise<Listener> {
  const { cert, key, clientCa, host, port, handle } = options;
  const server: Server = createServer(
    { cert, key, ca: clientCa, requestCert: true, rejectUnauthorized: true },
    (incoming, outgoing) => void answer(incoming, outgoing, handle),
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, host, resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    shutdown: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeIdleConnections();
      }),
  };
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handle: MutualTlsOptions["handle"],
): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const { method = "GET", url = "/", headers } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  try {
    const response = await handle(
      new Request(new URL(`https://${headers.host ?? "localhost"}${url}`), {
        method,
        headers: Object.entries(headers).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, String(value)] as [string, string]]
        ),
        body: hasBody ? Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>> : null,
        signal: gone.signal,
      }),
    );
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    for await (const chunk of method === "HEAD" ? [] : response.body ?? []) {
      if (gone.signal.aborted) break;
      if (!outgoing.write(chunk)) {
        await new Promise((resolve) => outgoing.once("drain", resolve).once("close", resolve));
      }
    }
    outgoing.end();
  } catch {
    // The handler never throws: this is a client that went away, or no HTTP.
    outgoing.destroy();
  }
}
