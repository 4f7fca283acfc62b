/**
 * TLS for accepted connections, by `node:tls`: it requests client
 * certificates, which `Deno.listenTls` does not, and an aborted
 * handshake leaves no file open, since the connection below is ours.
 * Loaded with the first TLS connection: `node:tls` is a large part of a server without TLS.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { createServer } from "node:tls";
import { type ByteStream, closeQuietly } from "../system/byte_stream.ts";
import { TlsStream } from "../system/tls_stream.ts";
import type { TlsPem } from "./tls.ts";

const READ_BYTES = 16 * 1024;

/** Performs the handshake with a client; rejects if it fails, also for lack of a certificate. */
export function shakeHands(raw: ByteStream, { cert, key, clientCa }: TlsPem): Promise<ByteStream> {
  // One server per connection: a shared one would not reveal whose handshake is over.
  const server = createServer({
    cert,
    key,
    ALPNProtocols: ["http/1.1"],
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  });
  return new Promise((resolve, reject) => {
    const below = new RawDuplex(raw);
    below.on("error", reject);
    below.once("close", () => reject(new Error("connection closed during the TLS handshake")));
    server.once("tlsClientError", reject);
    server.once("secureConnection", (socket) => resolve(new TlsStream(socket, () => closeQuietly(raw))));
    server.emit("connection", below);
  });
}

/** A connection in the form that `node:tls` needs. */
class RawDuplex extends Duplex {
  readonly #raw: ByteStream;

  constructor(raw: ByteStream) {
    super({ allowHalfOpen: true });
    this.#raw = raw;
  }

  override _read(): void {
    const buffer = new Uint8Array(READ_BYTES);
    this.#raw.read(buffer).then(
      (count) => this.push(count === null ? null : buffer.subarray(0, count)),
      (error) => this.destroy(error),
    );
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#writeAll(bytes).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#raw.closeWrite().then(() => done(), () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    closeQuietly(this.#raw);
    done(error);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await this.#raw.write(rest));
  }
}
