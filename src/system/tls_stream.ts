import type { TLSSocket } from "node:tls";
import type { ByteStream } from "./byte_stream.ts";

/** So much goes into one write, so that a slow reader shows that it reads at all. */
const WRITE_BYTES_MAX = 64 * 1024;

/** A connection that `node:tls` has secured, read as its bytes come. */
export class TlsStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #closeBelow: () => void;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0);

  /** Takes over a socket whose handshake is done. `closeBelow` closes what carries it, and may be called twice. */
  constructor(socket: TLSSocket, closeBelow: () => void) {
    [this.#socket, this.#closeBelow] = [socket, closeBelow];
    // Stays for good: an error that comes while nobody reads must not be an uncaught one.
    socket.on("error", () => this.close());
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
    const piece = bytes.subarray(0, WRITE_BYTES_MAX);
    return new Promise((resolve, reject) => {
      // A connection that was closed below calls nobody back.
      const closed = () => reject(new Error("The connection is closed"));
      if (this.#socket.destroyed) return closed();
      this.#socket.once("close", closed);
      this.#socket.write(piece, (error) => {
        this.#socket.removeListener("close", closed);
        if (error) reject(error);
        else resolve(piece.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) return resolve();
      this.#socket.once("close", () => resolve());
      this.#socket.end(() => resolve());
    });
  }

  close(): void {
    this.#socket.destroy();
    this.#closeBelow();
  }
}
