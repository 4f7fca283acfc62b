import own from "../../deno.json" with { type: "json" };
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { eventually } from "./eventually.ts";
import { HaproxyBox } from "./haproxy.ts";
import { endOf, ProcessLog } from "./logged_events.ts";
import { TempDir } from "./temp_dir.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";

/** The checkout whose program runs: this one, unless `CHECKOUT` names one that a benchmark compares with. */
const ROOT = Deno.env.get("CHECKOUT")?.replace(/\/?$/, "/") ?? new URL("../..", import.meta.url).pathname;
const config: typeof own = Deno.env.has("CHECKOUT") ? JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`)) : own;

/** The `deno` arguments of the task `lighthouse`: the tests run what users run. */
export const TASK_ARGS: readonly string[] = config.tasks.lighthouse.command.split(" ").slice(1, -1);
/** The program of the task. */
const PROGRAM: string = config.tasks.lighthouse.command.split(" ").at(-1) ?? "";

/** The V8 flags among them. */
export const V8_FLAGS: readonly string[] = TASK_ARGS.filter((arg) => arg.startsWith("--v8-flags="));

/** The name and the address that the tests announce. */
export const ANNOUNCED = { host: "test.host", ip: "127.0.0.1" } as const;

/** A real lighthouse process. */
export class Lighthouse extends ProcessLog implements AsyncDisposable {
  /** Its standard output so far. */
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;

  private constructor(child: Deno.ChildProcess) {
    super();
    this.#child = child;
    this.#read = Promise.all([
      this.#collect(child.stderr, (text) => this.log += text),
      this.#collect(child.stdout, (text) => this.output += text),
    ]);
  }

  /** Starts `lighthouse ROLE DIR`, which announces {@linkcode ANNOUNCED} unless it must detect its own identity. */
  static start(
    role: "writer" | "reporter" | "run",
    configDir: string,
    flags: readonly string[] = [],
    { isTold = true, within = [], preload }: {
      readonly isTold?: boolean;
      /** A module of the test that runs in the process first. */
      readonly preload?: string;
      /** A prefix of the command line: a program that runs another. */
      readonly within?: readonly string[];
    } = {},
  ): Lighthouse {
    const announced = isTold ? ["--host", ANNOUNCED.host, "--ip", ANNOUNCED.ip] : [];
    const [program = "", ...args] = [
      ...within,
      Deno.execPath(),
      ...TASK_ARGS,
      ...preload === undefined ? [] : [`--preload=${preload}`],
      `${ROOT}${PROGRAM}`,
      role,
      configDir,
      ...announced,
      ...flags,
    ];
    return new Lighthouse(
      new Deno.Command(program, { args, cwd: ROOT, stdin: "null", stdout: "piped", stderr: "piped" }).spawn(),
    );
  }

  /** Starts any command, with exactly these arguments. */
  static startCommand(args: readonly string[]): Lighthouse {
    return new Lighthouse(
      new Deno.Command(Deno.execPath(), {
        args: [...TASK_ARGS, `${ROOT}${PROGRAM}`, ...args],
        cwd: ROOT,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  }

  /**
   * Starts writer and reporter with a test's own check plugins: `data:` modules
   * by name. With a status server, a worker that is out of service for two seconds is a failure.
   */
  static startWith(
    modules: Readonly<Record<string, string>>,
    configDir: string,
    { status }: { readonly status?: string } = {},
  ): Lighthouse {
    const flags = status === undefined ? [] : [`--status=${status}`];
    const given = [...flags, ...Object.entries(modules).map(([name, module]) => `${name}=${module}`)];
    const args = [...TASK_ARGS, `${ROOT}tests/support/app_with_plugins.ts`, configDir, ...given];
    return new Lighthouse(
      new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdin: "null", stdout: "piped", stderr: "piped" }).spawn(),
    );
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Sends it a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits for its end; returns its exit code. */
  ended(): Promise<number> {
    return endOf(this.#child, { read: this.#read, log: () => this.log });
  }

  /** Stops it and waits for its end. */
  async stop(): Promise<number> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) take(text);
  }
}

/** A host of its own: a config directory, a HAProxy, and a directory as the registry. */
export class TestHost implements AsyncDisposable {
  /** The directory of everything. */
  readonly dir: TempDir = new TempDir("lighthouse-host-");
  /** The HAProxy that the writer manages. */
  readonly haproxy: HaproxyBox = new HaproxyBox();

  /** The config directory. */
  get configDir(): string {
    return this.dir.file("config");
  }

  /** The directory that serves as the registry. */
  get registryDir(): string {
    return this.dir.file("registry");
  }

  /** Writes a file of the config directory: `services/web`. */
  async write(name: string, contents: unknown): Promise<void> {
    // JSON is YAML too, and needs no care for indentation.
    await this.dir.write(`config/${name}.yaml`, typeof contents === "string" ? contents : JSON.stringify(contents));
  }

  /** Removes a file of the config directory. */
  async remove(name: string): Promise<void> {
    await Deno.remove(`${this.configDir}/${name}.yaml`);
  }

  /** Writes the common start of all tests: this HAProxy, and the registry in a directory. */
  async configure(balancer: Record<string, unknown> = {}): Promise<void> {
    await this.write("balancers/haproxy", { ...this.haproxy.file, ...balancer });
    await this.write("discovery/file", { path: this.registryDir, ttl: 2 });
  }

  /** Returns the ports of the servers of a cluster that HAProxy sends requests to, sorted. */
  async serving(cluster: string): Promise<readonly number[]> {
    using socket = await RuntimeSocket.connect(this.haproxy.socketFile, {
      dialect: PROMPT,
      signal: AbortSignal.timeout(5_000),
    });
    const [servers = ""] = await socket.ask([`show servers state ${cluster}`]);
    return servers.split("\n").map((line) => line.split(" ")).filter((columns) =>
      columns[1] === cluster && columns[5] === "2" && columns[6] === "0"
    ).map((columns) => Number(columns[18])).toSorted();
  }

  /** Waits until HAProxy sends a cluster's requests to exactly these ports. */
  async untilServing(cluster: string, ports: readonly number[]): Promise<void> {
    const wanted = JSON.stringify(ports.toSorted());
    let seen: unknown;
    await eventually(`${cluster} is served by ${wanted}`, async () => {
      seen = await this.serving(cluster);
      return JSON.stringify(seen) === wanted;
    }).catch((error) => {
      throw new Error(`${error.message}: last seen ${JSON.stringify(seen)}`);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.haproxy[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A small web service whose health a test decides. */
export class WebService implements AsyncDisposable {
  /** Whether its check passes. */
  healthy = true;
  /** The number of probes so far. */
  probes = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor({ port = 0 }: { readonly port?: number } = {}) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, (request) => {
      if (new URL(request.url).pathname !== "/health") return new Response(`hello from ${this.port}\n`);
      this.probes++;
      return new Response(null, { status: this.healthy ? 200 : 503 });
    });
  }

  /** Its port. */
  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}
