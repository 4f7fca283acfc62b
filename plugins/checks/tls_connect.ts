/**
 * TLS for checks. A module of its own, so that only a TLS check
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

/** TLS settings of a connection. */
export interface TlsOptions {
  /** Whether the server's certificate must be valid. */
  readonly verify: boolean;
  /** The CA file (PEM), instead of the known authorities. */
  readonly ca?: string | undefined;
  /** The name for SNI and verification; by default the target's host. */
  readonly serverName?: string | undefined;
  /** A negotiation before the handshake, for protocols that start without TLS. */
  readonly request?: TlsRequest | undefined;
}

/** How to request TLS in the server's own protocol. */
export interface TlsRequest {
  /** The request. */
  readonly bytes: Uint8Array;
  /** The positive answer, in ASCII, before the handshake. */
  readonly accepted: string;
  /** Explains another answer; an empty one is the end of the connection. */
  readonly refused: (answer: string) => Error;
}

/** Thrown for a certificate that is unusable even without verification. */
class UnsupportedKeyError extends Error {
  override name = "UnsupportedKeyError";
  readonly code = "ERR_SSL_UNSUPPORTED_KEY";

  constructor() {
    super("unsupported certificate key, such as RSA with fewer than 2048 bits");
  }
}

/** Settings of a handshake: {@linkcode TlsOptions} with the contents of files. */
export interface HandshakeOptions extends TlsOptions {
  /** The trusted authorities (PEM), instead of the known ones. */
  readonly caCertificates?: string | undefined;
  /** The offered protocols (ALPN). */
  readonly protocols?: readonly string[] | undefined;
}

/** Connects and performs the handshake. Closes an unfinished connection when the signal is aborted. */
export async function connectTls(
  address: HostPort,
  options: HandshakeOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  return new TlsStream(await connectTlsSocket(address, options, signal), () => {});
}

/** Like {@linkcode connectTls}; returns the socket of `node:tls`, which is closed by destroying it. */
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
    // Not verified, so trust is not the reason: the signature of the handshake could not be checked.
    throw !verify && isCertificateCode(code) ? new UnsupportedKeyError() : error;
  }
}

/** Requests TLS; resolves when the server agrees without sending anything else, and closes the connection if it does not. */
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
    // Bytes after the answer were sent before TLS, and are not authenticated.
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

/** Maximum size of a quoted answer. */
const ANSWER_BYTES_MAX = 80;
