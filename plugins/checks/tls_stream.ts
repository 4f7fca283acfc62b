/**
 * TLS for checks, by `node:tls` and not by `Deno.startTls`: that one cannot
 * leave a certificate unverified, and a connection whose handshake is given up
 * stays open in it until the other side closes, so that a hung service would
 * use up the reporter's files. A module of its own, so that only a check that
 * speaks TLS pays for it.
 *
 * @module
 */
import { connect, type TLSSocket } from "node:tls";
import { type HostPort, isIpv4, isIpv6 } from "../../src/model/endpoint.ts";
import type { ByteStream, TlsOptions } from "./connection.ts";

/** Connects and shakes hands; resolves when both are done. Closes what it has begun when the signal is aborted. */
export function connectTls(
  { host, port }: HostPort,
  { verify, caCertificates, serverName = host }: TlsOptions & { readonly caCertificates?: string | undefined },
  signal: AbortSignal,
): Promise<ByteStream> {
  const socket = connect({
    host,
    port,
    rejectUnauthorized: verify,
    ...(caCertificates !== undefined && { ca: caCertificates }),
    // An address has no place in SNI; without a name the certificate is held against the host.
    ...(!isIpv4(serverName) && !isIpv6(serverName) && { servername: serverName }),
  });
  return new Promise((resolve, reject) => {
    const abort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    // Stays for good: an error that comes while nobody reads must not be an uncaught one.
    socket.on("error", (error) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      reject(error);
    });
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", abort);
      resolve(new SocketStream(socket));
    });
  });
}

class SocketStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0);

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return null;
      this.#rest = new Uint8Array(next.value);
    }
    const count = Math.min(buffer.length, this.#rest.length);
    buffer.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
