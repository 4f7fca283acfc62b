import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { replaceDirectory } from "./replace_directory.ts";
import { TempDir } from "./temp_dir.ts";
import { endChild } from "./server_process.ts";

/** The setup of a server. */
export interface EtcdOptions {
  /** Additional arguments. */
  readonly args?: readonly string[];
  /** The listening address, as a name in the config resolves to it; 127.0.0.1 by default. */
  readonly hostname?: string;
  /** The scheme of its clients' URLs. */
  readonly scheme?: "http" | "https";
  /** Whether an HTTP request can show that it serves; not where every request needs a certificate. */
  readonly isOpen?: boolean;
}

/** One of several members, before they start. */
interface Membership {
  readonly name: string;
  readonly peerPort: number;
  /** All of them. */
  readonly initial: string;
}

/** A real etcd (Debian's) on free ports of loopback, with data in a temporary directory. */
export class Etcd implements AsyncDisposable {
  /** The port for clients, the same after each restart. */
  readonly port: number;
  readonly #options: EtcdOptions;
  readonly #member: Membership;
  readonly #dir = new TempDir("lighthouse-etcd-");
  #child: Deno.ChildProcess | undefined;

  private constructor(options: EtcdOptions, member?: Membership) {
    this.#options = options;
    this.port = freePort();
    const peerPort = freePort();
    this.#member = member ?? { name: "one", peerPort, initial: `one=http://127.0.0.1:${peerPort}` };
  }

  /** Starts a server and waits until it answers. */
  static async start(options: EtcdOptions = {}): Promise<Etcd> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(new Etcd(options));
    await server.start();
    stack.move();
    return server;
  }

  /** Starts three members of one cluster. */
  static async cluster(options: EtcdOptions = {}): Promise<readonly Etcd[] & AsyncDisposable> {
    await using stack = new AsyncDisposableStack();
    const peers = ["one", "two", "three"].map((name) => ({ name, peerPort: freePort() }));
    const initial = peers.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(",");
    const members = peers.map((peer) => stack.use(new Etcd(options, { ...peer, initial })));
    await Promise.all(members.map((member) => member.start()));
    const all = stack.move();
    return Object.assign(members, { [Symbol.asyncDispose]: () => all.disposeAsync() });
  }

  /** `host:port` for clients. */
  get address(): string {
    return `${this.#options.hostname ?? "127.0.0.1"}:${this.port}`;
  }

  /** The process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts the server again, on the same ports and data, and waits until it answers. */
  async start(): Promise<void> {
    const { args = [], scheme = "http", isOpen = true } = this.#options;
    const { name, peerPort, initial } = this.#member;
    const client = `${scheme}://${this.address}`;
    const peer = `http://127.0.0.1:${peerPort}`;
    const child = new Deno.Command("etcd", {
      args: [
        ...["--name", name, "--data-dir", this.#dir.file("data"), "--unsafe-no-fsync"],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", initial],
        ...args,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#child = child;
    let ended: number | undefined;
    void child.status.then(({ code }) => ended = code);
    await eventually(`etcd answers at ${this.address}`, async () => {
      if (ended !== undefined) return true;
      if (!isOpen) {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
        return true;
      }
      const response = await fetch(`${client}/health`, { signal: AbortSignal.timeout(2_000) });
      return (await response.text()).includes("true");
    });
    if (ended === undefined) return;
    this.#child = undefined;
    throw new Error(`Cannot start etcd: exit status ${ended}`);
  }

  /** Ends the server in order, or at once; its data stays. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    await endChild(child, signal);
  }

  /** Ends the server and deletes its data: the next start has an empty store. */
  async wipe(): Promise<void> {
    await this.end("SIGKILL");
    await Deno.remove(this.#dir.file("data"), { recursive: true });
  }

  /** Backs up the data of a server that does not run. */
  async backUp(): Promise<void> {
    await replaceDirectory(this.#dir.file("data"), this.#dir.file("backup"));
  }

  /** Restores the data from the backup. */
  async restore(): Promise<void> {
    await replaceDirectory(this.#dir.file("backup"), this.#dir.file("data"));
  }

  /** Stops the server from answering: connections stay open and are even accepted. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Resumes a paused server. */
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Whether it leads its cluster. */
  async leads(): Promise<boolean> {
    const [status] = JSON.parse(await this.ctl("endpoint", "status", "--write-out=json"));
    return status.Status.leader === status.Status.header.member_id;
  }

  /** Runs etcdctl against the server; returns its output. */
  async ctl(...args: readonly string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("etcdctl", {
      args: [`--endpoints=${this.#options.scheme ?? "http"}://${this.address}`, ...args],
      env: { ETCDCTL_API: "3" },
      stdin: "null",
    }).output();
    if (!success) throw new Error(`etcdctl ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout);
  }

  /** The keys with a prefix, as etcdctl lists them. */
  async keys(prefix: string): Promise<readonly string[]> {
    const text = await this.ctl("get", "--prefix", "--keys-only", prefix);
    return text.split("\n").filter((line) => line !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
    await this.#dir[Symbol.asyncDispose]();
  }
}
