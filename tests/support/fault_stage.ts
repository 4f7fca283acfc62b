import assert from "node:assert/strict";
import { Traffic } from "../../examples/demo/traffic.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { Lighthouse, TestHost, WebService } from "./lighthouse.ts";
import type { StatusClient } from "./status_client.ts";

/** How the stage is set. */
export interface FaultStageOptions {
  /** `discovery/zookeeper.yaml`, or the directory of the host as the registry if it is absent. */
  readonly zookeeper?: {
    readonly hosts: readonly string[];
    readonly session_timeout?: number;
    readonly tls?: Readonly<Record<string, string>>;
  } | undefined;
  /** `discovery/lighthouse.yaml`, if a store is the registry. */
  readonly store?: { readonly hosts: readonly string[]; readonly ttl?: number } | undefined;
  /** The file of another registry, by its plugin's name: `etcd`, `serf`. */
  readonly registry?: { readonly type: string; readonly config: Readonly<Record<string, unknown>> } | undefined;
  /** The files of several registries, by name: cluster and service name all of them. */
  readonly registries?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  /** More keys of the balancer's file. */
  readonly balancer?: Record<string, unknown>;
  /** More keys of the cluster's file. */
  readonly cluster?: Record<string, unknown>;
  /** More keys of the service's file. */
  readonly service?: Record<string, unknown>;
  /** How many instances of the web service there are. */
  readonly instances?: number;
  /** What the first writer is asked for its status by; it serves none if this is absent. */
  readonly status?: StatusClient | undefined;
  /** What stands before the command line of each process of Lighthouse. */
  readonly within?: readonly string[];
  /** Makes the host ready before anything runs on it; answers what is to be disposed of when Lighthouse has ended. */
  readonly prepare?: (host: TestHost) => Promise<AsyncDisposable | void>;
}

/** What came of a fault. */
export interface Aftermath {
  /** Requests sent while it lasted and shortly after. */
  readonly sent: number;
  /** How many of them were not answered with a 200. */
  readonly failed: number;
  /** How many of those were sent when all had healed. */
  readonly failedAfterwards: number;
  /** Why, at most ten. */
  readonly reasons: readonly string[];
  /** From the fault to when all was as it should be, in milliseconds; as long as the fault itself if it needs no healing. */
  readonly tookMs: number;
}

/** So many requests show whether something is wrong afterwards. */
const SHOWS = 150;

/**
 * A host in service: three instances of a web service, a reporter and a writer
 * as processes of their own, a HAProxy under traffic. Faults befall it, and
 * what clients notice is counted.
 */
export class FaultStage implements AsyncDisposable {
  readonly host: TestHost;
  readonly services: readonly WebService[];
  /** The cluster's local port. */
  readonly port: number;
  writer: Lighthouse;
  reporter: Lighthouse;
  readonly traffic: Traffic;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<FaultStage, "host" | "services" | "port" | "writer" | "reporter" | "traffic">,
    stack: AsyncDisposableStack,
  ) {
    ({ host: this.host, services: this.services, port: this.port } = parts);
    ({ writer: this.writer, reporter: this.reporter, traffic: this.traffic } = parts);
    this.#stack = stack;
  }

  /** Sets the stage: resolves when all instances are served, under traffic. */
  static async set(options: FaultStageOptions = {}): Promise<FaultStage> {
    await using stack = new AsyncDisposableStack();
    const { zookeeper, store, registry, registries = {}, balancer = {}, cluster = {}, service = {} } = options;
    const { instances = 3, status, prepare, within = [] } = options;
    const host = stack.use(new TestHost());
    const prepared = await prepare?.(host);
    if (prepared !== undefined) stack.use(prepared);
    const services = Array.from({ length: instances }, () => stack.use(new WebService()));
    const port = freePort();
    const named = zookeeper !== undefined ? "zookeeper" : store !== undefined ? "lighthouse" : "file";
    const several = Object.keys(registries);
    const discovery = several.length > 0 ? several : registry?.type ?? named;
    await host.configure(balancer);
    const server = zookeeper ?? store;
    if (server !== undefined) {
      await host.remove("discovery/file");
      await host.write(`discovery/${discovery}`, { path: "/lighthouse/services", ...server });
    }
    if (registry !== undefined) {
      await host.remove("discovery/file");
      await host.write(`discovery/${discovery}`, registry.config);
    }
    if (several.length > 0) await host.remove("discovery/file");
    for (const [name, config] of Object.entries(registries)) await host.write(`discovery/${name}`, config);
    const ports = services.map((service) => service.port);
    const checks = { interval: 0.2, http: { uri: "/health", rise: 1, fall: 2 } };
    await host.write("services/web", { discovery, ports, checks, ...service });
    // A connection that meets a server at its end is tried once more, at another.
    const backend = ["mode http", "option redispatch", "retries 3"];
    await host.write("clusters/web", { discovery, haproxy: { port, backend }, ...cluster });
    const writer = stack.use(Lighthouse.start("writer", host.configDir, status?.flags ?? [], { within }));
    const reporter = stack.use(Lighthouse.start("reporter", host.configDir, [], { within }));
    await host.untilServing("web", ports).catch((error) => {
      throw new Error(`${error.message}\n${writer.log}\n${reporter.log}`);
    });
    // Whoever starts a HAProxy while the writer starts one is asked to leave: its start must be over.
    await writer.event("balancer.serving", { balancer: "haproxy" });
    const traffic = stack.use(new Traffic({ port, clients: 3, pauseMs: 5 }));
    return new FaultStage({ host, services, port, writer, reporter, traffic }, stack.move());
  }

  /** The ports of all instances. */
  get ports(): readonly number[] {
    return this.services.map((service) => service.port);
  }

  /**
   * Lets something befall the host and waits until it has `healed`; answers
   * what clients noticed, until a good number of requests after it.
   */
  async during(fault: () => Promise<void>, healed: () => Promise<void> = () => Promise.resolve()): Promise<Aftermath> {
    const before = this.traffic.count;
    const began = performance.now();
    await fault();
    await healed();
    const tookMs = performance.now() - began;
    // What is under way was sent before.
    const between = await this.traffic.between(() => Promise.resolve(this.traffic.count));
    await eventually("requests go on", () => this.traffic.count.sent > between.sent + SHOWS);
    const after = this.traffic.count;
    return {
      sent: after.sent - before.sent,
      failed: after.failed - before.failed,
      failedAfterwards: after.failed - between.failed,
      reasons: after.reasons,
      tookMs,
    };
  }

  /** Kills and replaces a process of Lighthouse; `meanwhile` nobody does its work. */
  async replace(
    role: "writer" | "reporter",
    signal: Deno.Signal,
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    this[role].kill(signal);
    await this[role].ended();
    await meanwhile();
    this[role] = this.#stack.use(Lighthouse.start(role, this.host.configDir));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Holds that a change still reaches HAProxy, in both directions. */
export async function changesReach({ host, services, ports }: FaultStage): Promise<void> {
  const [first] = services;
  assert.ok(first !== undefined);
  first.healthy = false;
  await host.untilServing("web", ports.slice(1));
  first.healthy = true;
  await host.untilServing("web", ports);
}

/** Holds that no client noticed, and says with how many requests. */
export function assertUnnoticed({ name }: Pick<Deno.TestContext, "name">, aftermath: Aftermath): void {
  const { failed, reasons, sent } = aftermath;
  assert.deepEqual({ failed, reasons }, { failed: 0, reasons: [] });
  assert.ok(sent > SHOWS);
  say(name, aftermath);
}

/** Holds that no client notices any more when all has healed; says how many did before. */
export function assertHealed({ name }: Pick<Deno.TestContext, "name">, aftermath: Aftermath): void {
  const { failedAfterwards, reasons } = aftermath;
  assert.equal(failedAfterwards, 0, reasons.join("\n"));
  say(name, aftermath);
}

function say(name: string, { sent, failed, tookMs }: Aftermath): void {
  // deno-lint-ignore no-console -- the figures are what is told of a release
  console.log(`faults: ${name}: ${sent} requests, ${failed} failed, ${(tookMs / 1000).toFixed(1)} s`);
}
