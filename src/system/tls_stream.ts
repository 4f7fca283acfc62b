import type { TLSSocket } from "node:tls";
import type { ByteStream } from "./byte_stream.ts";

/** Maximum size of one write, so that a slow reader shows progress. */
const WRITE_BYTES_MAX = 64 * 1024;

/** A connection encrypted by `node:tls`, as a byte stream. */
export class TlsStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #closeBelow: () => void;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0);

  /**
   * Takes over a socket whose handshake is done. `closeBelow` closes the underlying connection, and
   * may be called twice.
   */
  constructor(socket: TLSSocket, closeBelow: () => void) {
    [this.#socket, this.#closeBelow] = [socket, closeBelow];
    // Stays registered: an error while nobody reads must not be an uncaught one.
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
      // If the underlying connection was closed, there is no callback.
      const closed = () => reject(new Error("connection closed"));
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
