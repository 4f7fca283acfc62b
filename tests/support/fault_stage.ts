import assert from "node:assert/strict";
import { Traffic } from "../../examples/demo/traffic.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./free_port.ts";
import { Lighthouse, TestHost, WebService } from "./lighthouse.ts";
import type { StatusClient } from "./status_client.ts";

/** The setup of the stage. */
export interface FaultStageOptions {
  /** `discovery/zookeeper.yaml`; if absent, a directory of the host is the registry. */
  readonly zookeeper?: {
    readonly hosts: readonly string[];
    readonly session_timeout?: number;
    readonly tls?: Readonly<Record<string, string>>;
  } | undefined;
  /** `discovery/lighthouse.yaml`, if a store is the registry. */
  readonly store?: { readonly hosts: readonly string[]; readonly ttl?: number } | undefined;
  /** The file of another registry, by its plugin's name: `etcd`, `serf`. */
  readonly registry?: { readonly type: string; readonly config: Readonly<Record<string, unknown>> } | undefined;
  /** The files of several registries, by name: the cluster and the service name all of them. */
  readonly registries?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
  /** Additional keys of the balancer's file. */
  readonly balancer?: Record<string, unknown>;
  /** Additional keys of the cluster's file. */
  readonly cluster?: Record<string, unknown>;
  /** Additional keys of the service's file. */
  readonly service?: Record<string, unknown>;
  /** The number of instances of the web service. */
  readonly instances?: number;
  /** Asks the first writer for its status; absent if it serves none. */
  readonly status?: StatusClient | undefined;
  /** A prefix of the command line of each Lighthouse process. */
  readonly within?: readonly string[];
  /** Prepares the host before anything runs on it; returns what to dispose of when Lighthouse has ended. */
  readonly prepare?: (host: TestHost) => Promise<AsyncDisposable | void>;
}

/** The effect of a fault on clients. */
export interface Aftermath {
  /** Requests sent during the fault and shortly after. */
  readonly sent: number;
  /** The number of requests without a 200 answer. */
  readonly failed: number;
  /** The number of those sent after recovery. */
  readonly failedAfterwards: number;
  /** Their reasons, at most ten. */
  readonly reasons: readonly string[];
  /** The time from the fault to recovery, in milliseconds; the duration of the fault if none is needed. */
  readonly tookMs: number;
}

/** This many requests show whether something is wrong afterwards. */
const SHOWS = 150;

/**
 * A host in service: three instances of a web service, a reporter and a writer
 * as processes of their own, a HAProxy under traffic. The host suffers faults,
 * and the errors that clients see are counted.
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

  /** Starts everything: resolves when all instances are served, under traffic. */
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
    // A connection to a server that is ending is retried once, at another server.
    const backend = ["mode http", "option redispatch", "retries 3"];
    await host.write("clusters/web", { discovery, haproxy: { port, backend }, ...cluster });
    const writer = stack.use(Lighthouse.start("writer", host.configDir, status?.flags ?? [], { within }));
    const reporter = stack.use(Lighthouse.start("reporter", host.configDir, [], { within }));
    await host.untilServing("web", ports).catch((error) => {
      throw new Error(`${error.message}\n${writer.log}\n${reporter.log}`);
    });
    // A HAProxy that is started while the writer starts one is asked to exit: the writer's start must be complete.
    await writer.event("balancer.serving", { balancer: "haproxy" });
    const traffic = stack.use(new Traffic({ port, clients: 3, pauseMs: 10 }));
    return new FaultStage({ host, services, port, writer, reporter, traffic }, stack.move());
  }

  /** The ports of all instances. */
  get ports(): readonly number[] {
    return this.services.map((service) => service.port);
  }

  /**
   * Starts a fault on the host and waits until it has `healed`; returns what
   * clients saw, up to a good number of requests after it.
   */
  async during(fault: () => Promise<void>, healed: () => Promise<void> = () => Promise.resolve()): Promise<Aftermath> {
    const before = this.traffic.count;
    const began = performance.now();
    await fault();
    await healed();
    const tookMs = performance.now() - began;
    // Requests in progress were sent earlier.
    const between = await this.traffic.between(() => Promise.resolve(this.traffic.count));
    await eventually("requests continue", () => this.traffic.count.sent > between.sent + SHOWS);
    const after = this.traffic.count;
    return {
      sent: after.sent - before.sent,
      failed: after.failed - before.failed,
      failedAfterwards: after.failed - between.failed,
      reasons: after.reasons,
      tookMs,
    };
  }

  /** Kills and replaces a Lighthouse process; nobody does its work during `meanwhile`. */
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

/** Asserts that a change still reaches HAProxy, in both directions. */
export async function changesReach({ host, services, ports }: FaultStage): Promise<void> {
  const [first] = services;
  assert.ok(first !== undefined);
  first.healthy = false;
  await host.untilServing("web", ports.slice(1));
  first.healthy = true;
  await host.untilServing("web", ports);
}

/** Asserts that no client saw an error, and prints the number of requests. */
export function assertUnnoticed({ name }: Pick<Deno.TestContext, "name">, aftermath: Aftermath): void {
  const { failed, reasons, sent } = aftermath;
  assert.deepEqual({ failed, reasons }, { failed: 0, reasons: [] });
  assert.ok(sent > SHOWS);
  say(name, aftermath);
}

/** Asserts that no client sees an error after recovery; prints how many did during the fault. */
export function assertHealed({ name }: Pick<Deno.TestContext, "name">, aftermath: Aftermath): void {
  const { failedAfterwards, reasons } = aftermath;
  assert.equal(failedAfterwards, 0, reasons.join("\n"));
  say(name, aftermath);
}

function say(name: string, { sent, failed, tookMs }: Aftermath): void {
  // deno-lint-ignore no-console -- the figures are part of a release's report
  console.log(`faults: ${name}: ${sent} requests, ${failed} failed, ${(tookMs / 1000).toFixed(1)} s`);
}
