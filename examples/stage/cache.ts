import { ADDRESS } from "./respond.ts";

/** The port at which every host reaches the cluster of caches, whoever they are. */
const PORT = 9999;

/** How long a cache may take to answer. */
const DEADLINE_MS = 2_000;

/** What Redis answers. */
export type Reply = string | number | null | readonly Reply[];

/**
 * Sends one command to the cluster of caches, by way of this host's HAProxy:
 * the application knows no other address. Throws if no cache answers in time,
 * or answers with an error.
 */
export async function askCache(...command: readonly string[]): Promise<Reply> {
  using connection = await Deno.connect({ hostname: ADDRESS, port: PORT });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    connection.close();
  }, DEADLINE_MS);
  try {
    const bulks = command.map((word) => `$${new TextEncoder().encode(word).length}\r\n${word}\r\n`);
    await connection.write(new TextEncoder().encode(`*${command.length}\r\n${bulks.join("")}`));
    return await new ReplyReader(connection).read();
  } catch (error) {
    throw late ? new Error(`No cache responded within ${DEADLINE_MS}ms`, { cause: error }) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** Reads what Redis writes. */
class ReplyReader {
  readonly #connection: Deno.Conn;
  #buffer = new Uint8Array(0);

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async read(): Promise<Reply> {
    const line = await this.#line();
    const rest = line.slice(1);
    switch (line[0]) {
      case "+":
        return rest;
      case ":":
        return Number(rest);
      case "$": {
        if (rest === "-1") return null;
        const text = new TextDecoder().decode(await this.#take(Number(rest)));
        await this.#take(2);
        return text;
      }
      case "*": {
        const replies: Reply[] = [];
        while (replies.length < Number(rest)) replies.push(await this.read());
        return replies;
      }
      default:
        throw new Error(`Unexpected response from the cache: ${JSON.stringify(line)}`);
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(10);
      if (end >= 0) return new TextDecoder().decode(await this.#take(end + 1)).trimEnd();
      await this.#more();
    }
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#buffer.length < length) await this.#more();
    const taken = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.slice(length);
    return taken;
  }

  async #more(): Promise<void> {
    const chunk = new Uint8Array(4_096);
    const length = await this.#connection.read(chunk);
    if (length === null) throw new Error("The cache closed the connection without a response");
    const joined = new Uint8Array(this.#buffer.length + length);
    joined.set(this.#buffer);
    joined.set(chunk.subarray(0, length), this.#buffer.length);
    this.#buffer = joined;
  }
}
