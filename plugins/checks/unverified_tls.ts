/**
 * TLS to a server whose certificate is not looked at. `Deno.startTls` cannot
 * do that; `node:tls` can, within the same permission. A module of its own, so
 * that only a check with `verify: false` pays for it.
 *
 * @module
 */
import { connect, type TLSSocket } from "node:tls";
import type { HostPort } from "../../src/model/endpoint.ts";
import type { ByteStream } from "./connection.ts";

/**
 * Starts to connect; the first read or write waits until the connection
 * stands, and fails if it cannot. `serverName` is what SNI asks for.
 */
export function connectUnverified({ host, port }: HostPort, serverName: string | undefined): ByteStream {
  const name = serverName === undefined ? {} : { servername: serverName };
  return new SocketStream(connect({ host, port, rejectUnauthorized: false, ...name }));
}

class SocketStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0);

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    // An error that comes while nobody reads must not be an uncaught one; the next read fails with it.
    socket.on("error", () => {});
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
