/**
 * TLS by `node:tls` and not by `Deno.startTls`: that one cannot leave a
 * certificate unverified, and a connection whose handshake is given up stays
 * open in it until the other side closes, so that a hung server would use up
 * this process' files. A module of its own, so that only what speaks TLS pays
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

/** How a handshake is done; all is PEM. */
export interface HandshakeOptions {
  /** The authorities that are trusted; those of the system if there are none. */
  readonly ca?: string | undefined;
  /** The certificate that is shown, with its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name that is asked for (SNI) and that the certificate must bear; the host that is connected to unless given. */
  readonly serverName?: string | undefined;
  /** Whether the server's certificate must be valid; `true` if absent. */
  readonly verify?: boolean | undefined;
  /** The protocols that are offered (ALPN). */
  readonly protocols?: readonly string[] | undefined;
}

/** Connects and shakes hands; resolves when both are done. Closes what it has begun when the signal is aborted. */
export async function connectTls(
  address: TcpAddress,
  options: HandshakeOptions,
  signal: AbortSignal,
): Promise<ByteStream> {
  const connection = await connectTcp(address, signal);
  return new TlsStream(await shakeHands(connection, { ...options, ...address }, signal), () => {});
}

/** Secures a connection, which it closes if that fails or the signal is aborted; destroying the answer closes it too. */
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
    // An address has no place in SNI; without a name the certificate is checked against the host.
    ...isIP(serverName) === 0 && { servername: serverName },
  });
  socket.once("close", () => plain.destroy());
  // Stay for good: an error that comes while nobody reads must not be an uncaught one.
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
