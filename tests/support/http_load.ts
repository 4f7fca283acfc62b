import { eventually } from "./eventually.ts";

const REQUEST = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");

/** Sends a request to a port on loopback over a connection of its own; returns the body, or fails with what was received. */
export async function get(port: number): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(REQUEST);
  const answer = await new Response(connection.readable).text();
  if (!answer.startsWith("HTTP/1.1 200 ")) throw new Error(`Not 200: ${answer.slice(0, 40)}`);
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

/** The pause of a client between two requests: without one, the load alone would take a core from what it tests. */
const PAUSE_MS = 2;

/** Clients that send one request per connection, one after the other with a short pause. */
export class HttpLoad {
  #done = 0;
  readonly #failed: string[] = [];
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(port: number, clients = 4) {
    this.#clients = Array.from({ length: clients }, () => this.#client(port));
  }

  /** Waits until this many more requests were answered. */
  async more(count: number): Promise<void> {
    const until = this.#done + count;
    await eventually(`${count} more requests`, () => this.#done >= until);
  }

  /** Stops; returns the number of requests, and the failures. */
  async stop(): Promise<{ done: number; failed: readonly string[] }> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    return { done: this.#done, failed: this.#failed };
  }

  async #client(port: number): Promise<void> {
    while (!this.#stopped) {
      await get(port).catch((error) => void this.#failed.push(String(error)));
      this.#done++;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** Sends this many requests over a few keep-alive connections; returns how often each body was received. Fails at the first that is not 200. */
export async function countAnswers(port: number, requests: number, connections = 8): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const each = Math.ceil(requests / connections);
  await Promise.all(Array.from({ length: connections }, async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const [decoder, buffer] = [new TextDecoder(), new Uint8Array(4_096)];
    for (let i = 0; i < each; i++) {
      await connection.write(KEPT);
      let answer = "";
      for (;;) {
        const read = await connection.read(buffer);
        if (read === null) throw new Error(`The connection ended: ${answer.slice(0, 40)}`);
        answer += decoder.decode(buffer.subarray(0, read), { stream: true });
        const [head = "", body] = answer.split("\r\n\r\n");
        const length = Number(/^content-length: ([0-9]+)/mi.exec(head)?.[1] ?? NaN);
        if (body === undefined || body.length < length) continue;
        if (!head.startsWith("HTTP/1.1 200 ")) throw new Error(`Not 200: ${head.slice(0, 40)}`);
        counts[body] = (counts[body] ?? 0) + 1;
        break;
      }
    }
  }));
  return counts;
}

const KEPT = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: test\r\n\r\n");

/** What clients with keep-alive connections saw. */
export interface KeptCount {
  /** Requests that were sent. */
  readonly sent: number;
  /** Requests without an answer because their connection had ended, which most clients would retry. */
  readonly cut: number;
  /** Other failures: an answer that is not 200, a connection refused, half an answer. */
  readonly failed: readonly string[];
}

/** Clients that send sequential requests over keep-alive connections, and reconnect when one ends. */
export class KeptLoad {
  #sent = 0;
  #cut = 0;
  readonly #failed: string[] = [];
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(port: number, clients = 8) {
    this.#clients = Array.from({ length: clients }, () => this.#client(port));
  }

  /** Stops; returns the counts. */
  async stop(): Promise<KeptCount> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    return { sent: this.#sent, cut: this.#cut, failed: this.#failed };
  }

  async #client(port: number): Promise<void> {
    while (!this.#stopped) {
      try {
        using connection = await Deno.connect({ hostname: "127.0.0.1", port });
        while (!this.#stopped && await this.#ask(connection));
      } catch (error) {
        this.#failed.push(String(error));
      }
    }
  }

  /** Sends one request; returns whether the connection stays open. */
  async #ask(connection: Deno.TcpConn): Promise<boolean> {
    const [decoder, buffer] = [new TextDecoder(), new Uint8Array(4_096)];
    let answer = "";
    this.#sent++;
    try {
      await connection.write(KEPT);
      for (;;) {
        const read = await connection.read(buffer);
        if (read === null) throw new Error("the connection ended");
        answer += decoder.decode(buffer.subarray(0, read), { stream: true });
        const [head = "", body] = answer.split("\r\n\r\n");
        const length = Number(/^content-length: ([0-9]+)/mi.exec(head)?.[1] ?? NaN);
        if (body === undefined || body.length < length) continue;
        if (!head.startsWith("HTTP/1.1 200 ")) this.#failed.push(head.slice(0, 40));
        return !/^connection: close/mi.test(head);
      }
    } catch (error) {
      if (answer === "") this.#cut++;
      else this.#failed.push(`${error}: ${answer.slice(0, 40)}`);
      return false;
    }
  }
}
