/**
 * The worker of `requests.ts`: sends requests over connections that stay open, several at once on each, and counts what
 * comes of them in memory that it shares.
 *
 * @module
 */

/** What it is asked to do. */
export interface ClientOrder {
  readonly port: number;
  readonly connections: number;
  /** How many requests a connection sends before it reads the answers. */
  readonly atOnce: number;
  readonly requests: number;
  /** How many requests were answered, and how many of them otherwise than by 200, or not at all. */
  readonly counts: Int32Array<SharedArrayBuffer>;
}

const host = self as unknown as { onmessage: ((event: MessageEvent<ClientOrder>) => void) | null };
/** What an answer ends in. */
const END = "\r\n\r\nok";

host.onmessage = async ({ data: { port, connections, atOnce, requests, counts } }) => {
  const batch = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(atOnce));
  const isOver = () => Atomics.load(counts, 0) >= requests;
  const client = async () => {
    while (!isOver()) {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const [buffer, decoder] = [new Uint8Array(65_536), new TextDecoder()];
      let isOpen = true;
      while (isOpen && !isOver()) {
        await connection.write(batch);
        let [answered, text] = [0, ""];
        while (answered < atOnce && isOpen) {
          const length = await connection.read(buffer).catch(() => null);
          isOpen = length !== null;
          text += decoder.decode(buffer.subarray(0, length ?? 0));
          const answers = text.split(END);
          text = answers.pop() ?? "";
          for (const answer of answers) if (!/^HTTP\/1\.1 200 /.test(answer)) Atomics.add(counts, 1, 1);
          Atomics.add(counts, 0, answers.length);
          answered += answers.length;
          // An answer of HAProxy itself ends otherwise.
          if (/^HTTP\/1\.1 [^2]/.test(text)) isOpen = false;
        }
        Atomics.add(counts, 1, atOnce - answered);
        Atomics.add(counts, 0, atOnce - answered);
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
};
