/**
 * TLS for checks. A module of its own, so that only a check that speaks TLS
 * pays for it.
 *
 * @module
 */
import type { TLSSocket } from "node:tls";
import type { HostPort } from "../../src/model/endpoint.ts";
import { connectTcp } from "../../src/system/tcp.ts";
import { shakeHands } from "../../src/system/tls_connect.ts";
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
  address: HostPort,
  { verify, caCertificates: ca, serverName, request, protocols }: HandshakeOptions,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const connection = await connectTcp(address, signal);
  if (request !== undefined) await askForTls(connection, request, signal);
  try {
    return await shakeHands(connection, { ...address, verify, ca, serverName, protocols }, signal);
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    // Nobody has verified it, so it was not distrust: the signature of the handshake could not be checked.
    throw !verify && isCertificateCode(code) ? new UnsupportedKeyError() : error;
  }
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
