/** What was sent so far, and what came of it. */
export interface TrafficCount {
  readonly sent: number;
  readonly failed: number;
  /** Why some failed, at most ten. */
  readonly reasons: readonly string[];
  /** Answers by the instance that gave them. */
  readonly answers: ReadonlyMap<string, number>;
}

/** How long one request may take. */
const REQUEST_DEADLINE_MS = 10_000;

/** Sends requests all the while, each over a connection of its own: the hardest way for a balancer. */
export class Traffic implements AsyncDisposable {
  readonly #target: { readonly hostname: string; readonly path: string };
  readonly #port: number;
  readonly #clients: Promise<void>[];
  readonly #stop = new AbortController();
  readonly #reasons: string[] = [];
  readonly #answers = new Map<string, number>();
  #sent = 0;
  #failed = 0;
  #inFlight = 0;
  #gate: PromiseWithResolvers<void> | undefined;

  /** Begins at once: `clients` at a time, each with a short pause between its requests. */
  constructor(
    { hostname = "127.0.0.1", port, path = "/", clients, pauseMs }: {
      readonly hostname?: string;
      readonly path?: string;
      readonly port: number;
      readonly clients: number;
      readonly pauseMs: number;
    },
  ) {
    [this.#target, this.#port] = [{ hostname, path }, port];
    this.#clients = Array.from({ length: clients }, () => this.#client(pauseMs));
  }

  /** The counts so far. */
  get count(): TrafficCount {
    return { sent: this.#sent, failed: this.#failed, reasons: this.#reasons, answers: new Map(this.#answers) };
  }

  /** Does something while no request is in flight. */
  async between<T>(job: () => Promise<T>): Promise<T> {
    this.#gate = Promise.withResolvers<void>();
    try {
      while (this.#inFlight > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      return await job();
    } finally {
      this.#gate.resolve();
      this.#gate = undefined;
    }
  }

  /** Sends no more, and waits for what is in flight. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#clients);
  }

  async #client(pauseMs: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#gate?.promise;
      this.#inFlight++;
      this.#sent++;
      try {
        const from = await ask(this.#port, this.#target);
        this.#answers.set(from, (this.#answers.get(from) ?? 0) + 1);
      } catch (error) {
        this.#failed++;
        if (this.#reasons.length < 10) this.#reasons.push(error instanceof Error ? error.message : String(error));
      } finally {
        this.#inFlight--;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/** Sends one request over a new connection; answers who answered; throws for anything but a 200. */
export async function ask(
  port: number,
  { hostname = "127.0.0.1", path = "/" }: { readonly hostname?: string; readonly path?: string } = {},
): Promise<string> {
  using connection = await Deno.connect({ hostname, port });
  const timer = setTimeout(() => connection.close(), REQUEST_DEADLINE_MS);
  try {
    await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n`));
    const answer = await new Response(connection.readable).text();
    const [status = ""] = answer.split("\r\n", 1);
    if (!status.includes(" 200 ")) throw new Error(`Got ${JSON.stringify(status)}, want a 200`);
    return /^served-by: (\S+)/im.exec(answer)?.[1] ?? /hello from (\S+)/.exec(answer)?.[1] ?? "?";
  } finally {
    clearTimeout(timer);
  }
}
