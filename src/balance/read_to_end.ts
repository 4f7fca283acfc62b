import { SocketSilentError } from "./runtime_socket.ts";

/** Reads a connection to its end, as text. Throws a {@linkcode SocketSilentError} for more than the limit. */
export async function readToEnd(connection: Deno.UnixConn, bytesMax: number): Promise<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(65_536);
  let text = "";
  for (let bytes = 0; bytes <= bytesMax;) {
    const length = await connection.read(chunk);
    if (length === null) return text + decoder.decode();
    bytes += length;
    text += decoder.decode(chunk.subarray(0, length), { stream: true });
  }
  throw new SocketSilentError(`Response longer than ${bytesMax} bytes`);
}
