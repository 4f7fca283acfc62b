/**
 * TLS for checks, by `node:tls` and not by `Deno.startTls`: that one cannot
 * leave a certificate unverified, and a connection whose handshake is given up
 * stays open in it until the other side closes, so that a hung service would
 * use up the reporter's files. A module of its own, so that only a check that
 * speaks TLS pays for it.
 *
 * @module
 */
import { connect as connectPlain, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { type HostPort, isIpv4, isIpv6 } from "../../src/model/endpoint.ts";
import type { ByteStream } from "./byte_stream.ts";

/** How a connection is secured. */
export interface TlsOptions {
  /** Whether the server's certificate must be valid. */
  readonly verify: boolean;
  /** The file of the authorities (PEM) that are trusted, instead of the known ones. */
  readonly ca?: string | undefined;
  /** The name that is asked for (SNI) and that the certificate must bear; the target's host unless given. */
  readonly serverName?: string | undefined;
  /** What comes before the handshake, where a protocol begins without TLS. */
  readonly request?: TlsRequest | undefined;
}

/** How a server is asked for TLS in words of its own protocol. */
export interface TlsRequest {
  /** What is sent. */
  readonly bytes: Uint8Array;
  /** What it must answer, in ASCII, before it waits for the handshake. */
  readonly accepted: string;
  /** Says what is wrong with another answer; an empty one is the end of the connection. */
  readonly refused: (answer: string) => Error;
}

/** Connects and shakes hands; resolves when both are done. Closes what it has begun when the signal is aborted. */
export async function connectTls(
  { host, port }: HostPort,
  { verify, caCertificates, serverName = host, request }: TlsOptions & { readonly caCertificates?: string | undefined },
  signal: AbortSignal,
): Promise<ByteStream> {
  const plain = request === undefined ? undefined : await askForTls({ host, port }, request, signal);
  const socket = connect({
    host,
    port,
    ...(plain !== undefined && { socket: plain }),
    rejectUnauthorized: verify,
    ...(caCertificates !== undefined && { ca: caCertificates }),
    // An address has no place in SNI; without a name the certificate is held against the host.
    ...(!isIpv4(serverName) && !isIpv6(serverName) && { servername: serverName }),
  });
  return await new Promise((resolve, reject) => {
    const destroy = () => {
      socket.destroy();
      plain?.destroy();
    };
    const abort = () => {
      destroy();
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    // Stays for good: an error that comes while nobody reads must not be an uncaught one.
    socket.on("error", (error) => {
      signal.removeEventListener("abort", abort);
      destroy();
      reject(error);
    });
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", abort);
      resolve(new SocketStream(socket, plain));
    });
  });
}

/** Connects, asks for TLS, and resolves when the server agrees and has said nothing else. */
function askForTls(address: HostPort, { bytes, accepted, refused }: TlsRequest, signal: AbortSignal): Promise<Socket> {
  const socket = connectPlain(address);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      reject(error);
    };
    const abort = () => fail(signal.reason);
    const ended = () => fail(refused(""));
    signal.addEventListener("abort", abort, { once: true });
    // Stays for good, as below.
    socket.on("error", fail);
    socket.once("end", ended);
    socket.once("connect", () => socket.write(bytes));
    socket.once("data", (answer: Uint8Array) => {
      // What is more than the answer came from somebody who is not under the seal of TLS yet.
      const text = String.fromCharCode(...answer.subarray(0, 80));
      if (text !== accepted) return fail(refused(text));
      signal.removeEventListener("abort", abort);
      socket.removeListener("end", ended);
      socket.pause();
      resolve(socket);
    });
  });
}

class SocketStream implements ByteStream {
  readonly #socket: TLSSocket;
  /** What the TLS was laid over, if that was there before. */
  readonly #plain: Socket | undefined;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = new Uint8Array(0);

  constructor(socket: TLSSocket, plain: Socket | undefined) {
    this.#socket = socket;
    this.#plain = plain;
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
    this.#plain?.destroy();
  }
}
