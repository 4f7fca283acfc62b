/** What a scripted server does with each connection; the connection is closed when it is through. */
export type Script = (connection: Deno.TcpConn) => Promise<void>;

/** A TCP server on loopback that does with each connection what its script says, however rude. */
export class ScriptedServer implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #serving: Promise<void>;
  #accepted = 0;

  constructor(script: Script, hostname = "127.0.0.1") {
    this.#listener = Deno.listen({ hostname, port: 0 });
    this.#serving = this.#serve(script);
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Where it listens, as a check's target. */
  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** How many connections were made to it. */
  get accepted(): number {
    return this.#accepted;
  }

  /** How many connections the other side has not closed yet. */
  get open(): number {
    return this.#connections.size;
  }

  async #serve(script: Script): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#accepted++;
      this.#connections.add(connection);
      all.push(
        // A client that hangs up in the middle is part of many tests.
        script(connection).catch(() => {}).finally(() => {
          if (this.#connections.delete(connection)) connection.close();
        }),
      );
    }
    await Promise.all(all);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) {
      this.#connections.delete(connection);
      connection.close();
    }
    await this.#serving;
  }
}

/** Sends each piece by itself, then closes. */
export function sends(...pieces: readonly string[]): Script {
  return async (connection) => {
    for (const piece of pieces) await connection.write(new TextEncoder().encode(piece));
  };
}

/** Waits for a request up to an empty line, then sends the answer and closes. */
export function answers(...pieces: readonly string[]): Script {
  return async (connection) => {
    await receive(connection, "\r\n\r\n");
    await sends(...pieces)(connection);
  };
}

/** Says nothing and waits until the other side hangs up. */
export const isSilent: Script = async (connection) => {
  const buffer = new Uint8Array(1_024);
  while (await connection.read(buffer) !== null);
};

/** Reads until what came ends with `end`, or to the end; answers all of it. */
export async function receive(connection: Deno.Conn, end: string): Promise<string> {
  const buffer = new Uint8Array(4_096);
  let text = "";
  while (!text.endsWith(end)) {
    const count = await connection.read(buffer);
    if (count === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}
