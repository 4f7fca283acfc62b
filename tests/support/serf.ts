import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { listens } from "./server_process.ts";

/** The setup of an agent. */
export interface SerfOptions {
  /** The name of its member. */
  readonly name?: string;
  /** The address that it listens on and advertises. */
  readonly ip?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** The agents that it joins at start. */
  readonly join?: readonly Serf[];
  /** Additional arguments. */
  readonly args?: readonly string[];
}

/** A real serf agent (Debian's) on free ports of loopback. */
export class Serf implements AsyncDisposable {
  /** Its RPC port, the same after each restart. */
  readonly rpcPort: number = freePort();
  readonly #gossipPort = freePort();
  readonly #options: SerfOptions;
  #child: Deno.ChildProcess | undefined;

  private constructor(options: SerfOptions) {
    this.#options = options;
  }

  /** Starts an agent and waits until it answers. */
  static async start(options: SerfOptions = {}): Promise<Serf> {
    await using stack = new AsyncDisposableStack();
    const agent = stack.use(new Serf(options));
    await agent.start();
    stack.move();
    return agent;
  }

  /** The name of its member. */
  get name(): string {
    return this.#options.name ?? "one.test";
  }

  /** `127.0.0.1:port` of its RPC. */
  get address(): string {
    return `127.0.0.1:${this.rpcPort}`;
  }

  /** The process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The address for other agents. */
  get gossip(): string {
    return `${this.#options.ip ?? "127.0.0.1"}:${this.#gossipPort}`;
  }

  /** Restarts the agent without any of its state. */
  async start(): Promise<void> {
    const { tags = {}, join = [], args = [] } = this.#options;
    const child = new Deno.Command("serf", {
      args: [
        ...["agent", `-node=${this.name}`, `-bind=${this.gossip}`, `-rpc-addr=${this.address}`, "-profile=local"],
        ...Object.entries(tags).flatMap(([tag, value]) => ["-tag", `${tag}=${value}`]),
        ...join.flatMap(({ gossip }) => [`-retry-join=${gossip}`, "-retry-interval=1s"]),
        ...args,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#child = child;
    let ended = false;
    void child.status.then(() => ended = true);
    await eventually(`serf answers at ${this.address}`, async () => ended || (await listens(this.rpcPort), true));
    if (ended) throw new Error(`Cannot start serf ${this.name}: exited`);
  }

  /** Ends the agent: at once, or after it has left the cluster. */
  async end(signal: "SIGKILL" | "SIGINT"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    try {
      child.kill(signal);
      // A stopped process handles signals other than SIGKILL only once it continues.
      child.kill("SIGCONT");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  }

  /** Stops the agent from answering. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Resumes a paused agent. */
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Runs serf's own command against it; returns its output. */
  async ctl(command: string, ...args: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("serf", {
      args: [command, `-rpc-addr=${this.address}`, ...args],
      stdin: "null",
    }).output();
    if (!success) throw new Error(`serf ${command} failed: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }

  /** The tags of its own member. */
  async tags(): Promise<Readonly<Record<string, string>>> {
    const { members } = JSON.parse(await this.ctl("members", "-format=json", `-name=${this.name}`));
    return members[0]?.tags ?? {};
  }

  /** Waits until it knows this many live members. */
  async knows(count: number): Promise<void> {
    await eventually(`${this.name} knows ${count}`, async () => {
      const { members } = JSON.parse(await this.ctl("members", "-format=json", "-status=alive"));
      return members.length === count;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }
}
