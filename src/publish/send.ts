import { lookup } from "node:dns/promises";
import { quote } from "../kernel/quote.ts";
import { abortable } from "../kernel/within.ts";
import { connectTcp } from "../system/tcp.ts";
import type { PublisherTarget } from "./target.ts";

/** A datagram that passes every network whole. */
const DATAGRAM_BYTES_MAX = 1_432;
/** A server's complaint is read so far, and no longer than this once everything is sent. */
const ANSWER_BYTES_MAX = 4_096, ANSWER_TIMEOUT_MS = 1_000;
const encoder = new TextEncoder();

/** Sends lines to a server until the signal is aborted. Throws why it cannot. */
export async function sendLines(
  { type, host, port }: Pick<PublisherTarget, "type" | "host" | "port">,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (type === "statsd") await sendDatagrams({ host, port }, datagramsOf(lines), signal);
  else await sendStream({ host, port }, lines, signal);
}

/** Joins lines to datagrams. Pure. */
export function datagramsOf(lines: readonly string[]): readonly Uint8Array<ArrayBuffer>[] {
  const datagrams: string[] = [];
  let [joined, size] = ["", 0];
  for (const line of lines) {
    const bytes = encoder.encode(line).length;
    if (joined !== "" && size + 1 + bytes > DATAGRAM_BYTES_MAX) {
      datagrams.push(joined);
      [joined, size] = ["", 0];
    }
    [joined, size] = joined === "" ? [line, bytes] : [`${joined}\n${line}`, size + 1 + bytes];
  }
  if (joined !== "") datagrams.push(joined);
  return datagrams.map((text) => encoder.encode(text));
}

async function sendDatagrams(
  { host, port }: { readonly host: string; readonly port: number },
  datagrams: readonly Uint8Array<ArrayBuffer>[],
  signal: AbortSignal,
): Promise<void> {
  const { address: hostname, family } = await abortable(lookup(host), signal);
  using open = new DisposableStack();
  const from = { transport: "udp", hostname: family === 6 ? "::" : "0.0.0.0", port: 0 } as const;
  const socket = open.adopt(Deno.listenDatagram(from), (socket) => socket.close());
  for (const datagram of datagrams) {
    await abortable(socket.send(datagram, { transport: "udp", hostname, port }), signal);
  }
}

async function sendStream(
  { host, port }: { readonly host: string; readonly port: number },
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  using connection = await connectTcp({ host, port }, signal);
  const rest = { bytes: encoder.encode(lines.map((line) => `${line}\n`).join("")) };
  while (rest.bytes.length > 0) {
    rest.bytes = rest.bytes.subarray(await abortable(connection.write(rest.bytes), signal));
  }
  // Half closed, so that the server reads to the end: a connection that is reset takes what was sent with it.
  await connection.closeWrite();
  const complaint = await readAnswer(connection, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]));
  if (complaint !== "") throw new Error(`Unexpected response from the server: ${quote(complaint)}`);
}

/** Reads what OpenTSDB says of lines that it rejects; a server that takes everything says nothing. */
async function readAnswer(connection: Deno.TcpConn, signal: AbortSignal): Promise<string> {
  const buffer = new Uint8Array(ANSWER_BYTES_MAX);
  let size = 0;
  try {
    while (size < buffer.length) {
      const read = await abortable(connection.read(buffer.subarray(size)), signal);
      if (read === null) break;
      size += read;
    }
  } catch {
    // It keeps the connection open, or resets it: everything was sent.
  }
  const [first = ""] = new TextDecoder().decode(buffer.subarray(0, size)).trim().split("\n");
  return first.slice(0, 200);
}
