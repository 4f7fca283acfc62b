/**
 * One call of `grpc.health.v1.Health/Check` over one HTTP/2 connection, by
 * `node:http2`. A module of its own, so that only a probing worker pays
 * for it. The connection is always closed at the end.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ClientHttp2Session, connect } from "node:http2";
import type { Endpoint } from "../../../mod.ts";
import type { HostPort } from "../../../src/model/endpoint.ts";
import { connectTcp } from "../../../src/system/tcp.ts";
import { TcpSocket } from "../../../src/system/tcp_socket.ts";
import { ProbeError } from "../connection.ts";
import { connectTlsSocket, type HandshakeOptions } from "../tls_connect.ts";
import { formatRequest } from "./message.ts";

/** Maximum size of an answer; a HealthCheckResponse has seven bytes. */
const ANSWER_BYTES_MAX = 4_096;

/** The answer. */
export interface Reply {
  /** The HTTP status. */
  readonly status?: number | undefined;
  /** The media type. */
  readonly contentType?: string | undefined;
  /** The gRPC status, in digits. */
  readonly grpcStatus?: string | undefined;
  /** The server's message. */
  readonly grpcMessage?: string | undefined;
  /** The frame of the answer. */
  readonly body: Uint8Array;
}

export interface CallOptions {
  /** Closes the connection when it is aborted. */
  readonly signal: AbortSignal;
  /** Uses TLS if given. */
  readonly tls?: HandshakeOptions | undefined;
}

/**
 * Calls, and reads the answer to its end.
 *
 * @throws the signal's reason when it is aborted; the error of node:http2 for a failed connection
 * @throws {ProbeError} if the answer is too long
 */
export async function callCheck(
  service: string,
  target: Endpoint,
  address: HostPort,
  { signal, tls }: CallOptions,
): Promise<Reply> {
  const session = await open(target, address, { signal, tls });
  return await new Promise((resolve, reject) => {
    const headers: Record<string, unknown> = {};
    const chunks: Uint8Array[] = [];
    let [size, over] = [0, false];
    let [sessionFault, streamFault]: (unknown | undefined)[] = [];
    const abort = () => {
      session.destroy();
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    // Last, as the error of the connection says more than its effect on the stream.
    session.once("close", () => {
      signal.removeEventListener("abort", abort);
      const fault = sessionFault ?? (over ? undefined : streamFault);
      if (fault !== undefined) reject(fault);
      else resolve(toReply(headers, chunks));
    });
    session.on("error", (error) => sessionFault ??= error);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      ...(tls?.serverName !== undefined && { ":authority": `${tls.serverName}:${address.port}` }),
      "content-type": "application/grpc",
      "te": "trailers",
      "user-agent": "lighthouse/2",
    });
    stream.on("response", (received) => Object.assign(headers, received));
    stream.on("trailers", (received) => Object.assign(headers, received));
    stream.on("data", (chunk: Uint8Array) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= ANSWER_BYTES_MAX) return;
      sessionFault ??= new ProbeError(`Got a response of more than ${ANSWER_BYTES_MAX} bytes from ${target}`);
      session.destroy();
    });
    stream.on("error", (error) => streamFault ??= error);
    stream.once("end", () => over = true);
    stream.once("close", () => session.destroy());
    stream.end(formatRequest(service));
  });
}

async function open(target: Endpoint, address: HostPort, { signal, tls }: CallOptions): Promise<ClientHttp2Session> {
  const socket = tls === undefined
    ? new TcpSocket(await connectTcp(address, signal))
    : await connectTlsSocket(address, { ...tls, protocols: ["h2"] }, signal);
  const session = connect(`${tls === undefined ? "http" : "https"}://${target}`, { createConnection: () => socket });
  session.once("close", () => socket.destroy());
  return session;
}

function toReply(headers: Readonly<Record<string, unknown>>, chunks: readonly Uint8Array[]): Reply {
  const text = (name: string) => {
    const value = headers[name];
    return typeof value === "string" ? value : undefined;
  };
  const status = headers[":status"];
  return {
    status: typeof status === "number" ? status : undefined,
    contentType: text("content-type"),
    grpcStatus: text("grpc-status"),
    grpcMessage: text("grpc-message"),
    body: new Uint8Array(Buffer.concat(chunks)),
  };
}
