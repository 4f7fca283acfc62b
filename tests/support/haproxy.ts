import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { HaproxyCluster, HaproxyConfig, HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import type { Observed } from "../../plugins/balancers/haproxy/observe.ts";
import { type Applied, Writer } from "../../src/balance/writer.ts";
import { Executor } from "../../src/balance/executor.ts";
import type { BalancerEffects } from "../../src/balance/effects.ts";
import { RuntimeSocket } from "../../src/balance/runtime_socket.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import type { Logger } from "../../src/kernel/logger.ts";
import type { Node } from "../../src/model/node.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { assertKnown, type Fields, isEvent, type LoggedEvent, toEvent, untilEvent } from "./logged_events.ts";
import { TempDir } from "./temp_dir.ts";
import { PROMPT } from "../../plugins/balancers/haproxy/sources.ts";
import { wantedNode } from "../../src/membership/wanted.ts";
import type { WantedNode } from "../../src/plugin/contract.ts";

/** The name of the tests' own host. */
export const TEST_FQDN = "lb.test";

/** Returns a node on loopback. */
export function localNode(port: number, host = "app.test"): Node {
  return { host, ip: "127.0.0.1", port, metadata: {} };
}

/** Validates a balancer's config as the program does, and fails the test if it is rejected. */
export function haproxyConfig(file: Record<string, unknown>): HaproxyConfig {
  const result = haproxy.config["~standard"].validate(file);
  assert(!(result instanceof Promise));
  if (result.issues !== undefined) assert.fail(result.issues.map((issue) => issue.message).join("\n"));
  return result.value;
}

/** Validates a cluster's section as the program does, and fails the test if it is rejected. */
export function haproxyCluster(section: Record<string, unknown>): HaproxyCluster {
  const result = haproxy.cluster["~standard"].validate(section);
  assert(!(result instanceof Promise));
  if (result.issues !== undefined) assert.fail(result.issues.map((issue) => issue.message).join("\n"));
  return result.value;
}

/** Checks a file with HAProxy, and fails the test if it is rejected. */
export async function checkConfig(text: string): Promise<void> {
  await using dir = new TempDir();
  const args = ["-c", "-f", await dir.write("haproxy.cfg", text), "-L", TEST_FQDN];
  const { success, stderr, stdout } = await new Deno.Command("haproxy", { args, stdin: "null" }).output();
  assert(success, new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout));
}

/** A cluster in a test's notation. */
export interface TestCluster {
  /** The `haproxy` section of its file. */
  readonly section?: Record<string, unknown>;
  /** Its members: nodes as a registry has them, or with their shares. */
  readonly nodes?: readonly (Node | WantedNode)[];
  /** Its meta cluster. */
  readonly metaCluster?: string;
}

/**
 * A directory for one HAProxy: config file, socket and pid file. Every HAProxy
 * started from that directory, by whomever, is killed when it is disposed of.
 */
export class HaproxyBox implements AsyncDisposable {
  readonly #dir = new TempDir("lighthouse-haproxy-");
  /** The contents of `balancers/haproxy.yaml`. */
  readonly file: Record<string, unknown>;

  /** `file`: additional keys of that file. */
  constructor(file: Record<string, unknown> = {}) {
    this.file = {
      config_file: this.#dir.file("haproxy.cfg"),
      socket_file: this.#dir.file("haproxy.sock"),
      pid_file: this.#dir.file("haproxy.pid"),
      defaults: ["mode http", "timeout connect 2s", "timeout client 20s", "timeout server 20s"],
      bind_address: "127.0.0.1",
      ...file,
    };
  }

  /** The config file's path. */
  get configFile(): string {
    return this.#dir.file("haproxy.cfg");
  }

  /** The socket's path. */
  get socketFile(): string {
    return this.#dir.file("haproxy.sock");
  }

  /** The pid file's path. */
  get pidFile(): string {
    return this.#dir.file("haproxy.pid");
  }

  /** Another file in the directory. */
  path(name: string): string {
    return this.#dir.file(name);
  }

  /** Returns a desired state of this HAProxy. */
  wanted(clusters: Record<string, TestCluster>, file: Record<string, unknown> = {}): HaproxyWanted {
    return {
      config: haproxyConfig({ ...this.file, ...file }),
      host: { fqdn: TEST_FQDN, ip: "127.0.0.1" },
      clusters: Object.entries(clusters).map(([name, { section = {}, nodes = [], metaCluster }]) => ({
        name,
        metaCluster,
        config: haproxyCluster(section),
        nodes: nodes.map((node) => "node" in node ? node : wantedNode(node)),
      })),
    };
  }

  /** Asks the running HAProxy; returns one answer per command. */
  async ask(...commands: string[]): Promise<readonly string[]> {
    using socket = await RuntimeSocket.connect(this.socketFile, {
      dialect: PROMPT,
      signal: new AbortController().signal,
    });
    return await socket.ask(commands);
  }

  /** The pid of the process that answers. */
  async pid(): Promise<number> {
    const pid = haproxy.pid(await this.ask("show info"));
    assert(pid !== undefined);
    return pid;
  }

  /** The plugin's observation. */
  async observe(): Promise<Observed> {
    const config = haproxyConfig(this.file);
    const seen = await new Executor().observe(haproxy.sources(config), haproxy.pid, new AbortController().signal);
    return haproxy.observe(seen, config);
  }

  /** The servers of a backend that get requests, as `name address:port`, sorted. */
  async serving(backend: string): Promise<readonly string[]> {
    const { running } = await this.observe();
    return [...running?.backends.get(backend)?.values() ?? []]
      .filter((server) => !server.inMaintenance && !server.draining)
      .map((server) => `${server.name} ${server.address}:${server.port}`)
      .toSorted();
  }

  /** Runs HAProxy with these arguments, in the box's directory; returns its output. Fails on an error exit. */
  async run(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("haproxy", { args }).output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert(success, output);
    return output;
  }

  /** The pids of all HAProxy processes started from this directory. */
  processes(): number[] {
    const pids: number[] = [];
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^[0-9]+$/.test(name)) continue;
      try {
        const isHaproxy = /\/haproxy[^/]*$/.test(Deno.readLinkSync(`/proc/${name}/exe`).replace(/ \(deleted\)$/, ""));
        if (isHaproxy && Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(`${this.#dir.path}/`)) {
          pids.push(Number(name));
        }
      } catch {
        // It ended meanwhile, or belongs to somebody else.
      }
    }
    return pids;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await eventually("all HAProxy processes of the test are gone", () => {
      const pids = this.processes();
      for (const pid of pids) kill(pid);
      return pids.length === 0;
    });
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Kills a process that may have ended. */
export function kill(pid: number, signal: Deno.Signal = "SIGKILL"): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** A running writer, with everything that it logged and did. */
export class RunningWriter implements AsyncDisposable {
  /** Its log, one record per line: `info text`. */
  readonly log: string[] = [];
  /** The same, with the fields. */
  readonly records: LoggedEvent[] = [];
  /** Its turns. */
  readonly turns: Applied[] = [];
  /** The writer. */
  readonly writer: Writer<HaproxyConfig, HaproxyCluster, Observed>;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #generation = 0;

  constructor({ effects = new Executor(), reconcileMs }: { effects?: BalancerEffects; reconcileMs?: number } = {}) {
    const record = (level: string) => (text: string, properties?: Readonly<Record<string, unknown>>) => {
      const { event: _, ...fields } = properties ?? {};
      this.log.push([level, text, ...Object.entries(fields).map(([key, value]) => `${key}=${value}`)].join(" "));
      this.records.push(toEvent(level, text, properties));
    };
    const log: Logger = {
      debug: record("debug"),
      info: record("info"),
      warn: record("warn"),
      error: record("error"),
    };
    this.writer = new Writer({
      balancer: haproxy,
      effects,
      clock: systemClock,
      random: systemRandom,
      log,
      ...reconcileMs === undefined ? {} : { reconcileMs },
      onApplied: (applied) => this.turns.push(applied),
    });
    this.#ended = this.writer.run(this.#stop.signal);
  }

  /** The number of reloads and starts. */
  get reloads(): number {
    return this.turns.reduce((sum, turn) => sum + turn.reloads, 0);
  }

  /** Sets a desired state and waits until it is applied. */
  async apply(wanted: HaproxyWanted): Promise<void> {
    const generation = ++this.#generation;
    this.writer.put(wanted, { generation });
    const isInForce = () => this.turns.some((turn) => turn.generation === generation && turn.converged);
    await eventually("the desired state is applied", isInForce).catch((error) => {
      throw new Error(`${error.message}\n${this.log.join("\n")}`);
    });
  }

  /** Waits until the log has an event with such fields; returns the record. */
  event(
    event: string,
    fields?: Fields,
    options?: { readonly times?: number; readonly after?: LoggedEvent },
  ): Promise<LoggedEvent> {
    return untilEvent(() => this.records, event, fields, options).catch((error) => {
      throw new Error(`${error.message}\n${this.log.join("\n")}`);
    });
  }

  /** The number of such events in the log. */
  count(event: string, fields?: Fields): number {
    return this.records.filter((record) => isEvent(record, event, fields)).length;
  }

  /** Waits until the log has a line. */
  logged(pattern: RegExp): Promise<string> {
    return eventually(`the log has ${pattern}`, () => this.log.find((line) => pattern.test(line))).catch((error) => {
      throw new Error(`${error.message}\n${this.log.join("\n")}`);
    });
  }

  /** Stops it and waits for its end. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    assertKnown(this.records);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** A web server on loopback whose answer is its own name. */
export class NamedServer implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** `isFine`: whether a request gets a 200; all do by default. */
  constructor(readonly name: string, isFine: (request: Request) => boolean = () => true) {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => new Response(name, { status: isFine(request) ? 200 : 503 }),
    );
  }

  /** Its port. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** Its node. */
  get node(): Node {
    return localNode(this.port, this.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

export { freePort };
