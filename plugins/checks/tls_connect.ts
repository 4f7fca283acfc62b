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
import { connectTcp } from "../../src/system/tcp.ts";
import { TcpSocket } from "../../src/system/tcp_socket.ts";
import { TlsStream } from "../../src/system/tls_stream.ts";
import type { ByteStream } from "../../src/system/byte_stream.ts";
import { isCertificateCode } from "./certificate_error.ts";

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

/** Raised for a certificate that is not verified and cannot be used all the same. */
class UnsupportedKeyError extends Error {
  override name = "UnsupportedKeyError";
  readonly code = "ERR_SSL_UNSUPPORTED_KEY";

  constructor() {
    super("the key of its certificate is not supported, such as RSA with fewer than 2048 bits");
  }
}

/** How a handshake is done: {@linkcode TlsOptions}, with all that was read from files. */
export interface HandshakeOptions extends TlsOptions {
  /** The authorities (PEM) that are trusted, instead of the known ones. */
  readonly caCertificates?: string | undefined;
  /** The protocols that are offered (ALPN). */
  readonly protocols?: readonly string[] | undefined;
}

/** Connects and shakes hands; resolves when both are done. Closes what it has begun when the signal is aborted. */
export async function connectTls(
  address: HostPort,
  options: HandshakeOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  return new TlsStream(await connectTlsSocket(address, options, signal), () => {});
}

/** As {@linkcode connectTls}; answers the socket of `node:tls`, which is closed by destroying it. */
export async function connectTlsSocket(
  { host, port }: HostPort,
  { verify, caCertificates, serverName = host, request, protocols }: HandshakeOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const connection = await connectTcp({ host, port }, signal);
  if (request !== undefined) await askForTls(connection, request, signal);
  const plain = new TcpSocket(connection);
  const socket = connect({
    host,
    port,
    socket: plain,
    rejectUnauthorized: verify,
    ...(caCertificates !== undefined && { ca: caCertificates }),
    ...(protocols !== undefined && { ALPNProtocols: [...protocols] }),
    // An address has no place in SNI; without a name the certificate is held against the host.
    ...(!isIpv4(serverName) && !isIpv6(serverName) && { servername: serverName }),
  });
  socket.once("close", () => plain.destroy());
  // Stay for good: an error that comes while nobody reads must not be an uncaught one.
  plain.on("error", (error) => socket.destroy(error));
  return await new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      plain.destroy();
      const { code } = error as { readonly code?: unknown };
      // Nobody has verified it, so it was not distrust: the signature of the handshake could not be checked.
      reject(!verify && isCertificateCode(code) ? new UnsupportedKeyError() : error);
    };
    const abort = () => fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    socket.on("error", fail);
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", abort);
      resolve(socket);
    });
  });
}

/** Asks for TLS; resolves when the server agrees and has said nothing else, and closes the connection if it does not. */
async function askForTls(
  connection: Deno.TcpConn,
  { bytes, accepted, refused }: TlsRequest,
  signal: AbortSignal,
): Promise<void> {
  let isOpen = true;
  const close = () => {
    if (isOpen) connection.close();
    isOpen = false;
  };
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await connection.write(rest));
    const buffer = new Uint8Array(ANSWER_BYTES_MAX);
    const count = await connection.read(buffer) ?? 0;
    // What is more than the answer came from somebody who is not under the seal of TLS yet.
    const answer = String.fromCharCode(...buffer.subarray(0, count));
    if (answer !== accepted) throw refused(answer);
  } catch (error) {
    close();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", close);
  }
}

/** So much of an answer is shown. */
const ANSWER_BYTES_MAX = 80;
