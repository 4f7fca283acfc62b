import { eventually } from "./eventually.ts";

const REQUEST = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");

/** Asks a port on loopback over a connection of its own; answers the body, or fails with what came instead. */
export async function get(port: number): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(REQUEST);
  const answer = await new Response(connection.readable).text();
  if (!answer.startsWith("HTTP/1.1 200 ")) throw new Error(`Not 200: ${answer.slice(0, 40)}`);
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

/** Clients that ask one request a connection, as fast as they are answered. */
export class HttpLoad {
  #done = 0;
  readonly #failed: string[] = [];
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(port: number, clients = 4) {
    this.#clients = Array.from({ length: clients }, () => this.#client(port));
  }

  /** Waits until so many more requests were answered. */
  async more(count: number): Promise<void> {
    const until = this.#done + count;
    await eventually(`${count} more requests`, () => this.#done >= until);
  }

  /** Stops; answers how many requests there were, and how those failed that did. */
  async stop(): Promise<{ done: number; failed: readonly string[] }> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    return { done: this.#done, failed: this.#failed };
  }

  async #client(port: number): Promise<void> {
    while (!this.#stopped) {
      await get(port).catch((error) => void this.#failed.push(String(error)));
      this.#done++;
    }
  }
}
