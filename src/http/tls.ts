/**
 * TLS for connections that were accepted already, by `node:tls`: it asks for
 * certificates of clients, which `Deno.listenTls` does not, and a handshake
 * that is given up leaves no file open, since the connection below is ours.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { createServer, type TLSSocket } from "node:tls";
import { type ByteStream, closeQuietly } from "./byte_stream.ts";

/** Certificates and key to listen with, PEM. */
export interface TlsPem {
  readonly cert: string;
  readonly key: string;
  /** The authority that clients' certificates must be of; without it none is asked for. */
  readonly clientCa?: string | undefined;
}

/** So much goes into one write, so that a slow reader shows that it reads at all. */
const WRITE_BYTES_MAX = 64 * 1024;
const READ_BYTES = 16 * 1024;

/** Throws an error that says why certificates cannot be used: `node:tls` would fail at each handshake alone. */
export function tryCertificates({ cert, key, clientCa }: TlsPem): void {
  Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  if (clientCa !== undefined && !clientCa.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Error("Cannot use the authority of clients as there is no certificate (PEM) in its file");
  }
}

/** Shakes hands with who has connected; rejects if that fails, for want of a certificate too. */
export function shakeHands(raw: ByteStream, { cert, key, clientCa }: TlsPem): Promise<ByteStream> {
  // A server of its own for each connection: with a common one nobody could tell whose handshake is over.
  const server = createServer({
    cert,
    key,
    ALPNProtocols: ["http/1.1"],
    ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  });
  return new Promise((resolve, reject) => {
    const below = new RawDuplex(raw);
    below.on("error", reject);
    below.once("close", () => reject(new Error("The connection was closed during the TLS handshake")));
    server.once("tlsClientError", reject);
    server.once("secureConnection", (socket) => resolve(new TlsStream(socket, raw)));
    server.emit("connection", below);
  });
}

/** A connection as `node:tls` wants it. */
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

/** A secured connection, read as it comes. */
class TlsStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #raw: ByteStream;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0);

  constructor(socket: TLSSocket, raw: ByteStream) {
    [this.#socket, this.#raw] = [socket, raw];
    // Stays for good: an error that comes while nobody reads must not be an uncaught one.
    socket.on("error", () => this.close());
    this.#pieces = socket[Symbol.asyncIterator]();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      const next = await this.#pieces.next();
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
    closeQuietly(this.#raw);
  }
}
