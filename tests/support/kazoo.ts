/** Debian's Python: another one on the PATH may lack kazoo. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("kazoo_peer.py", import.meta.url).pathname;

/** A znode as kazoo sees it. */
export interface SeenZnode {
  /** Its bytes in base64. */
  readonly data: string;
  /** The session that owns it, in decimal; "0" if it is persistent. */
  readonly ephemeralOwner: string;
  /** The version of its data. */
  readonly version: number;
  /** Permissions, scheme and id of each entry. */
  readonly acl: readonly (readonly [number, string, string])[];
}

/** The result of polling one znode. */
export interface Observed {
  /** The number of polls. */
  readonly looks: number;
  /** How often it was absent. */
  readonly absent: number;
  /** The sessions that owned it, in decimal, in order. */
  readonly owners: readonly string[];
}

/** A client of kazoo, the ZooKeeper library that 1.0 uses, in a process of its own. */
export class KazooPeer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Starts a client and waits until it is connected. */
  static async start(
    address: string,
    { timeoutMs = 10_000, tls }: {
      readonly timeoutMs?: number;
      readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
    } = {},
  ): Promise<KazooPeer> {
    const options = tls === undefined
      ? []
      : [JSON.stringify({ use_ssl: true, ca: tls.ca, certfile: tls.cert, keyfile: tls.key })];
    const peer = new KazooPeer(
      new Deno.Command(PYTHON, {
        args: [SCRIPT, address, String(timeoutMs / 1_000), ...options],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn(),
    );
    await peer.ask("start");
    return peer;
  }

  /** Reads a znode; `null` if there is none. */
  async look(path: string): Promise<SeenZnode | null> {
    return await this.ask("look", { path }) as SeenZnode | null;
  }

  /** Creates an ephemeral znode, takes it over, or sets its data. */
  async write(how: "put" | "take_over" | "set", path: string, data: Uint8Array): Promise<void> {
    await this.ask(how, { path, data: data.toBase64() });
  }

  /** Creates a znode of any kind, sequential if asked; returns its path. */
  async make(
    path: string,
    text: string,
    kind: { readonly ephemeral?: boolean; readonly sequence?: boolean } = {},
  ): Promise<string> {
    return await this.ask("make", { path, text, ...kind }) as string;
  }

  /** The data of all children of a znode, by name. */
  async readAll(path: string): Promise<Readonly<Record<string, string>>> {
    return await this.ask("read_all", { path }) as Record<string, string>;
  }

  /** Returns a node's data in 1.0's form, written by Python itself. */
  async payload(
    port: number,
    { host = "localhost", metadata = {} }: { readonly host?: string; readonly metadata?: Record<string, unknown> } = {},
  ): Promise<Uint8Array> {
    return Uint8Array.fromBase64(await this.ask("payload", { host, port, metadata }) as string);
  }

  /** The results of `observe` so far. */
  async observed(): Promise<Observed> {
    return await this.ask("observed") as Observed;
  }

  /** Has the script run a command; throws what the command threw. */
  async ask(what: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify({ do: what, ...parameters })}\n`));
    const answer = JSON.parse(await this.#readLine());
    if ("error" in answer) throw new Error(`kazoo: ${answer.error}`);
    return answer.ok;
  }

  /** Kills it: its session lives on until its timeout. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#writer.close().catch(() => {});
    await this.#lines.cancel();
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #readLine(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\n");
      if (end >= 0) {
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        return line;
      }
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("The kazoo process has ended");
      this.#rest += value;
    }
  }
}
