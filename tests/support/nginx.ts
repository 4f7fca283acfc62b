import assert from "node:assert/strict";
import type { NginxCluster, NginxConfig, NginxWanted } from "../../plugins/balancers/nginx/config.ts";
import nginx from "../../plugins/balancers/nginx/mod.ts";
import type { Observed } from "../../plugins/balancers/nginx/observe.ts";
import { hashIn, parseStatus, type Status } from "../../plugins/balancers/nginx/status.ts";
import { Executor } from "../../src/balance/executor.ts";
import { askOverHttp } from "../../src/balance/http_socket.ts";
import { type Applied, Writer } from "../../src/balance/writer.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { systemRandom } from "../../src/kernel/random.ts";
import { wantedNode } from "../../src/membership/wanted.ts";
import type { Node } from "../../src/model/node.ts";
import type { WantedNode } from "../../src/plugin/contract.ts";
import { eventually } from "./eventually.ts";
import { kill, TEST_FQDN } from "./haproxy.ts";
import { assertKnown, type Fields, isEvent, type LoggedEvent, toEvent, untilEvent } from "./logged_events.ts";
import { TempDir } from "./temp_dir.ts";

/** Validates a balancer's config as the program does; an invalid one fails the test. */
export function nginxConfig(file: Record<string, unknown>): NginxConfig {
  const result = nginx.config["~standard"].validate(file);
  assert(!(result instanceof Promise));
  if (result.issues !== undefined) assert.fail(result.issues.map((issue) => issue.message).join("\n"));
  return result.value;
}

/** Validates a cluster's section as the program does; an invalid one fails the test. */
export function nginxCluster(section: Record<string, unknown>): NginxCluster {
  const result = nginx.cluster["~standard"].validate(section);
  assert(!(result instanceof Promise));
  if (result.issues !== undefined) assert.fail(result.issues.map((issue) => issue.message).join("\n"));
  return result.value;
}

/** A cluster in a test's notation. */
export interface NginxTestCluster {
  /** The `nginx` section of its file. */
  readonly section?: Record<string, unknown>;
  /** Its members: nodes as a registry has them, or with their shares. */
  readonly nodes?: readonly (Node | WantedNode)[];
}

/** Converts a test's notation to the plugin's input. */
export function nginxWanted(
  file: Record<string, unknown>,
  clusters: Record<string, NginxTestCluster>,
): NginxWanted {
  return {
    config: nginxConfig(file),
    host: { fqdn: TEST_FQDN, ip: "127.0.0.1" },
    clusters: Object.entries(clusters).map(([name, { section = {}, nodes = [] }]) => ({
      name,
      config: nginxCluster(section),
      nodes: nodes.map((node) => "node" in node ? node : wantedNode(node)),
    })),
  };
}

/** A directory for one nginx, whose processes are killed when it is disposed of. */
export class NginxBox implements AsyncDisposable {
  readonly #dir = new TempDir("lighthouse-nginx-");
  /** The contents of `balancers/nginx.yaml`. */
  readonly file: Record<string, unknown>;

  /** `file`: additional keys of that file. */
  constructor(file: Record<string, unknown> = {}) {
    this.file = {
      config_file: this.configFile,
      pid_file: this.path("nginx.pid"),
      status_socket: this.socketFile,
      reload_interval: 0,
      main: [`error_log ${this.path("error.log")}`],
      http: ["access_log off"],
      ...file,
    };
  }

  /** The config file's path. */
  get configFile(): string {
    return this.path("nginx.conf");
  }

  /** The status socket's path. */
  get socketFile(): string {
    return this.path("nginx.sock");
  }

  /** A file in its directory. */
  path(name: string): string {
    return this.#dir.file(name);
  }

  /** A desired state of this nginx. */
  wanted(clusters: Record<string, NginxTestCluster>, file: Record<string, unknown> = {}): NginxWanted {
    return nginxWanted({ ...this.file, ...file }, clusters);
  }

  /** The config on disk. */
  text(): Promise<string> {
    return Deno.readTextFile(this.configFile);
  }

  /** The answer of a worker. */
  async status(): Promise<Status> {
    const [answer = ""] = await askOverHttp(this.socketFile, ["/lighthouse"], { signal: AbortSignal.timeout(5_000) });
    return parseStatus(answer) ?? assert.fail(answer);
  }

  /** The master of the worker that answers. */
  async master(): Promise<number> {
    const { pid } = await this.status();
    const [, parent] = /\) \S ([0-9]+) /.exec(await Deno.readTextFile(`/proc/${pid}/stat`)) ?? [];
    return Number(parent);
  }

  /** Waits until nginx serves a config with exactly these members. */
  async untilServing(ports: readonly number[]): Promise<void> {
    const wanted = JSON.stringify(ports.toSorted());
    let seen: unknown;
    await eventually(`nginx is served by ${wanted}`, async () => {
      const text = await this.text();
      const { hash } = await this.status();
      seen = [...text.matchAll(/^ *server [^ ]+:([0-9]+); #/gm)].map(([, port]) => Number(port)).toSorted();
      return hashIn(text) === hash && JSON.stringify(seen) === wanted;
    }).catch((error) => {
      throw new Error(`${error.message}: last seen ${JSON.stringify(seen)}`);
    });
  }

  /** Runs nginx with these arguments and this config file; returns its output. */
  async run(...args: string[]): Promise<string> {
    const command = new Deno.Command("nginx", { args: ["-c", this.configFile, ...args], stdin: "null" });
    const { success, stdout, stderr } = await command.output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert(success, output);
    return output;
  }

  /** The pids of all nginx processes that have files of this directory open, or were started with one. */
  processes(): readonly number[] {
    return [...Deno.readDirSync("/proc")].map(({ name }) => name).filter((name) => {
      try {
        if (!/^[0-9]+$/.test(name) || Deno.readTextFileSync(`/proc/${name}/comm`) !== "nginx\n") return false;
        if (Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(`${this.#dir.path}/`)) return true;
        return [...Deno.readDirSync(`/proc/${name}/fd`)].some((fd) =>
          Deno.readLinkSync(`/proc/${name}/fd/${fd.name}`).startsWith(`${this.#dir.path}/`)
        );
      } catch {
        return false;
      }
    }).map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await eventually("all nginx processes of the test are gone", () => {
      const pids = this.processes();
      for (const pid of pids) kill(pid);
      return pids.length === 0;
    });
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** A running writer of an nginx, with everything that it logged and did. */
export class NginxWriter implements AsyncDisposable {
  /** Its log. */
  readonly records: LoggedEvent[] = [];
  /** Its turns. */
  readonly turns: Applied[] = [];
  /** The writer. */
  readonly writer: Writer<NginxConfig, NginxCluster, Observed>;
  readonly #effects = new Executor();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #generation = 0;

  constructor({ reconcileMs }: { readonly reconcileMs?: number } = {}) {
    const record = (level: string) => (text: string, properties?: Readonly<Record<string, unknown>>) =>
      void this.records.push(toEvent(level, text, properties));
    this.writer = new Writer({
      balancer: nginx,
      effects: this.#effects,
      clock: systemClock,
      random: systemRandom,
      log: { debug: record("debug"), info: record("info"), warn: record("warn"), error: record("error") },
      ...reconcileMs !== undefined && { reconcileMs },
      onApplied: (applied) => void this.turns.push(applied),
    });
    this.#ended = this.writer.run(this.#stop.signal);
  }

  /** The number of reloads and starts. */
  get reloads(): number {
    return this.turns.reduce((sum, turn) => sum + turn.reloads, 0);
  }

  /** Its log as text. */
  get log(): string {
    return this.records.map((record) => JSON.stringify(record)).join("\n");
  }

  /** Sets a desired state, without waiting. */
  put(wanted: NginxWanted): number {
    const generation = ++this.#generation;
    this.writer.put(wanted, { generation });
    return generation;
  }

  /** Sets a desired state, and waits until it is applied. */
  async apply(wanted: NginxWanted): Promise<void> {
    const generation = this.put(wanted);
    const isApplied = () => this.turns.some((turn) => turn.generation === generation && turn.converged);
    await eventually("the desired state is applied", isApplied).catch((error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
  }

  /** Waits until the log has an event with such fields; returns the record. */
  event(event: string, fields?: Fields, options?: { readonly times?: number }): Promise<LoggedEvent> {
    return untilEvent(() => this.records, event, fields, options).catch((error) => {
      throw new Error(`${error.message}\n${this.log}`);
    });
  }

  /** The number of such events in the log. */
  count(event: string, fields?: Fields): number {
    return this.records.filter((record) => isEvent(record, event, fields)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#effects[Symbol.dispose]();
    assertKnown(this.records);
  }
}
