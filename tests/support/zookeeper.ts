import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { replaceDirectory } from "./replace_directory.ts";
import { TempDir } from "./temp_dir.ts";
import { endChild } from "./server_process.ts";

/** Debian's path of the server; the jar's manifest names the other jars it needs. */
const SERVER_JAR = "/usr/share/java/zookeeper.jar";

/** Additional jars for TLS, which the manifest leaves out. */
const TLS_JARS = ["codec", "resolver", "transport-native-unix-common"].map((name) =>
  `/usr/share/java/netty-${name}.jar`
);

/** Writes the log; without it ZooKeeper logs nothing, which is fine too. */
const LOG_JAR = "/usr/share/java/slf4j-simple.jar";

/** The deadline of a four letter command. */
const ANSWER_MS = 1_000;

/** The setup of a server. */
export interface ZooKeeperOptions {
  /** ZooKeeper's heartbeat, and the granularity of session expiry. */
  readonly tickTimeMs?: number;
  /** Additional lines of `zoo.cfg`. */
  readonly config?: readonly string[];
  /** Its number in an ensemble. */
  readonly id?: number;
  /** Enables TLS on a port of its own. */
  readonly tls?: ZooKeeperTls | undefined;
  /** Its network namespace; by default this process's own. */
  readonly namespace?: { readonly name: string; readonly address: string };
}

/** The files (PEM) of a server with TLS that requires a client certificate. */
export interface ZooKeeperTls {
  readonly cert: string;
  readonly key: string;
  /** The authority of clients. */
  readonly ca: string;
}

/**
 * A real ZooKeeper 3.8 (Debian's) on a free port of loopback, with data in a
 * temporary directory. It starts in a quarter of a second and uses 50 MB;
 * sessions may be as short as two ticks.
 */
export class ZooKeeper implements AsyncDisposable {
  /** The port, the same after each restart. */
  readonly port: number;
  /** The TLS port, if enabled. */
  readonly securePort: number;
  readonly #directory: TempDir;
  readonly #options: ZooKeeperOptions;
  #child: Deno.ChildProcess | undefined;

  private constructor(port: number, directory: TempDir, options: ZooKeeperOptions) {
    [this.port, this.#directory, this.#options] = [port, directory, options];
    this.securePort = options.tls === undefined ? 0 : freePort();
  }

  /** Starts a server and waits until it answers. */
  static async start(options: ZooKeeperOptions = {}): Promise<ZooKeeper> {
    const server = new ZooKeeper(freePort(), new TempDir("lighthouse-zookeeper-"), options);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `127.0.0.1:port`, or the address in its namespace. */
  get address(): string {
    return `${this.#hostname}:${this.port}`;
  }

  get #hostname(): string {
    return this.#options.namespace?.address ?? "127.0.0.1";
  }

  /** The process id while it runs. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The server's log since the last start. */
  async log(): Promise<string> {
    return await Deno.readTextFile(this.#directory.file("log")).catch(() => "");
  }

  /** Starts the server again, on the same port and data, and waits until it answers. */
  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error("Cannot start ZooKeeper: it is running");
    if (this.#options.id !== undefined) await this.#directory.write("data/myid", `${this.#options.id}\n`);
    const file = await this.#directory.write(
      "zoo.cfg",
      serverConfig({
        address: this.#hostname,
        port: this.port,
        dataDir: this.#directory.file("data"),
        tickTimeMs: this.#options.tickTimeMs,
        more: [...this.#options.config ?? [], ...await this.#tlsConfig()],
      }),
    );
    const { namespace } = this.#options;
    const [program = "", ...within] = [
      ...namespace === undefined ? [] : ["ip", "netns", "exec", namespace.name],
      "java",
    ];
    const child = new Deno.Command(program, {
      args: [
        ...within,
        ...serverArgs({
          configFile: file,
          logFile: this.#directory.file("log"),
          isMember: this.#options.id !== undefined,
          jars: this.#options.tls === undefined ? [] : TLS_JARS,
        }),
      ],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    this.#child = child;
    let exited: number | undefined;
    const ended = child.status.then(({ code }) => exited = code);
    await eventually(`ZooKeeper answers at ${this.address}`, async () => {
      if (exited !== undefined) return true;
      return (await this.ask("srvr")).includes("Mode: ");
    });
    if (exited === undefined) return;
    await ended;
    this.#child = undefined;
    throw new Error(`Cannot start ZooKeeper: exit status ${exited}: ${await this.log()}`);
  }

  async #tlsConfig(): Promise<readonly string[]> {
    const { tls } = this.#options;
    if (tls === undefined) return [];
    const pems = await Promise.all([tls.key, tls.cert].map((path) => Deno.readTextFile(path)));
    return [
      `secureClientPort=${this.securePort}`,
      `secureClientPortAddress=${this.#hostname}`,
      "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
      `ssl.keyStore.location=${await this.#directory.write("server.pem", pems.join(""))}`,
      "ssl.keyStore.type=PEM",
      `ssl.trustStore.location=${tls.ca}`,
      "ssl.trustStore.type=PEM",
      "ssl.clientAuth=need",
    ];
  }

  /** Ends the server in order; its data stays. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends the server at once; its data stays. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends the server and deletes its data: the next start has an empty registry. */
  async wipe(): Promise<void> {
    await this.kill();
    await Deno.remove(this.#directory.file("data"), { recursive: true });
  }

  /** Keeps a copy of the data of a server that does not run. */
  async backUp(): Promise<void> {
    await replaceDirectory(this.#directory.file("data"), this.#directory.file("backup"));
  }

  /** Puts the copy in the place of the data. */
  async restore(): Promise<void> {
    await replaceDirectory(this.#directory.file("backup"), this.#directory.file("data"));
  }

  /** Stops the server from answering: connections stay open and are even accepted. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** Resumes a paused server. */
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** The same as {@linkcode ask}, from within its namespace: independent of faults of the network. */
  async askWithin(command: string): Promise<string> {
    const { namespace } = this.#options;
    if (namespace === undefined) return await this.ask(command);
    const script = `exec 3<>/dev/tcp/${namespace.address}/${this.port}; printf %s ${command} >&3; cat <&3`;
    const args = ["netns", "exec", namespace.name, "timeout", `${ANSWER_MS / 1_000}`, "bash", "-c", script];
    const { stdout } = await new Deno.Command("ip", { args, stdin: "null", stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  }

  /** Sends a four letter command (`mntr`, `cons`, `wchs`, …) and returns the answer. */
  async ask(command: string): Promise<string> {
    // A server that is just starting may accept a connection and then drop it.
    using connection = await Deno.connect({ hostname: this.#hostname, port: this.port });
    using _deadline = deadline(ANSWER_MS, () => connection.close());
    await connection.write(new TextEncoder().encode(command));
    const answer = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    let text = "";
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) return text;
      text += answer.decode(buffer.subarray(0, count), { stream: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#directory[Symbol.asyncDispose]();
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    await endChild(child, signal);
  }
}

/** The text of `zoo.cfg` for a standalone server. */
export function serverConfig(
  { address, port, dataDir, tickTimeMs = 100, more = [] }: {
    readonly address: string;
    readonly port: number;
    readonly dataDir: string;
    readonly tickTimeMs?: number | undefined;
    /** Additional lines. */
    readonly more?: readonly string[] | undefined;
  },
): string {
  return [
    `tickTime=${tickTimeMs}`,
    "minSessionTimeout=200",
    "maxSessionTimeout=60000",
    `dataDir=${dataDir}`,
    `clientPort=${port}`,
    `clientPortAddress=${address}`,
    "maxClientCnxns=0",
    "admin.enableServer=false",
    "4lw.commands.whitelist=*",
    ...more,
    "",
  ].join("\n");
}

/** The arguments of `java` for a server. */
export function serverArgs(
  { configFile, logFile, isMember = false, jars = [] }: {
    readonly configFile: string;
    readonly logFile: string;
    /** Whether it belongs to an ensemble. */
    readonly isMember?: boolean;
    /** Additional jars. */
    readonly jars?: readonly string[];
  },
): readonly string[] {
  return [
    "-Xmx128m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    "-Dzookeeper.forceSync=no",
    "-Dzookeeper.preAllocSize=64",
    "-Dzookeeper.jmx.log4j.disable=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    `-Dorg.slf4j.simpleLogger.logFile=${logFile}`,
    "-cp",
    [SERVER_JAR, LOG_JAR, ...jars].join(":"),
    `org.apache.zookeeper.server.${isMember ? "quorum.QuorumPeerMain" : "ZooKeeperServerMain"}`,
    configFile,
  ];
}

function deadline(ms: number, callback: () => void): Disposable {
  const timer = setTimeout(callback, ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
