/** Maximum size of an answer. */
const ANSWER_LENGTH_MAX = 100_000;

/**
 * Sends a command, and returns the lines of the answer, up to the one that is
 * `last`. The connection is closed at the end, and at once when the signal is
 * aborted.
 */
export async function ask(
  target: string,
  text: string,
  last: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const colon = target.lastIndexOf(":");
  const hostname = target.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const connection = await Deno.connect({ hostname, port: Number(target.slice(colon + 1)) });
  const close = () => connection.close();
  signal.addEventListener("abort", close, { once: true });
  try {
    signal.throwIfAborted();
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4_096);
    let answer = "";
    while (answer.length < ANSWER_LENGTH_MAX && !answer.endsWith(`${last}\r\n`)) {
      const count = await connection.read(buffer);
      if (count === null) break;
      answer += decoder.decode(buffer.subarray(0, count), { stream: true });
      // Another server may never send the last line.
      if (/^(?!VERSION )[^]*\n/.test(answer)) break;
    }
    return answer.split("\r\n");
  } finally {
    signal.removeEventListener("abort", close);
    if (!signal.aborted) close();
  }
}
