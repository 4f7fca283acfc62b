/**
 * TLS by `node:tls` and not by `Deno.startTls`, which cannot skip
 * certificate verification, and keeps a connection whose handshake was aborted
 * open until the other side closes it, so that a hung server would exhaust
 * this process's files. A module of its own, so that only users of TLS pay
 * for it.
 *
 * @module
 */
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { ByteStream } from "./byte_stream.ts";
import { connectTcp, type TcpAddress } from "./tcp.ts";
import { TcpSocket } from "./tcp_socket.ts";
import { TlsStream } from "./tls_stream.ts";

/** Settings of a handshake; all PEM. */
export interface HandshakeOptions {
  /** The trusted authorities; by default those of the system. */
  readonly ca?: string | undefined;
  /** The client certificate, with its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name for SNI and verification; by default the host of the connection. */
  readonly serverName?: string | undefined;
  /** Whether the server's certificate must be valid; `true` if absent. */
  readonly verify?: boolean | undefined;
  /** The offered protocols (ALPN). */
  readonly protocols?: readonly string[] | undefined;
}

/** Connects and performs the handshake. Closes an unfinished connection when the signal is aborted. */
export async function connectTls(
  address: TcpAddress,
  options: HandshakeOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  const connection = await connectTcp(address, signal);
  return new TlsStream(await shakeHands(connection, { ...options, ...address }, signal), () => {});
}

/**
 * Secures a connection, which it closes on failure or when the signal is aborted; destroying the
 * result closes it too.
 */
export async function shakeHands(
  connection: Deno.TcpConn,
  { host, port, ca, cert, key, serverName = host, verify = true, protocols }: HandshakeOptions & TcpAddress,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const plain = new TcpSocket(connection);
  const socket = connect({
    host,
    port,
    socket: plain,
    rejectUnauthorized: verify,
    ...ca !== undefined && { ca },
    ...cert !== undefined && key !== undefined && { cert, key },
    ...protocols !== undefined && { ALPNProtocols: [...protocols] },
    // SNI allows no addresses; without a name the certificate is verified against the host.
    ...isIP(serverName) === 0 && { servername: serverName },
  });
  socket.once("close", () => plain.destroy());
  // Stays registered: an error while nobody reads must not be an uncaught one.
  plain.on("error", (error) => socket.destroy(error));
  return await new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      plain.destroy();
      reject(error);
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
