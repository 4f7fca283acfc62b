import { freePort } from "./free_port.ts";
import { TestHost } from "./lighthouse.ts";
import type { ZooKeeper } from "./zookeeper.ts";

/** The base path of 1.0's examples. */
export const BASE_PATH = "/lighthouse/services";

/** Checks that are fast enough for a test. */
const CHECKS = { interval: 0.1, http: { uri: "/health", rise: 1, fall: 1 } };

/** A host of a fleet that shares one ensemble with hosts of 1.0. */
export class FleetHost extends TestHost {
  /** The local port of the cluster `web`. */
  readonly port: number;

  constructor({ port = freePort() }: { readonly port?: number } = {}) {
    super();
    this.port = port;
  }

  /** Writes what both roles need: the ensemble, with a session of two seconds by default, and HAProxy. */
  async join(
    ensemble: ZooKeeper,
    { sessionTimeout = 2, balancer = {}, path = BASE_PATH }: {
      /** In seconds. */
      readonly sessionTimeout?: number;
      readonly balancer?: Record<string, unknown>;
      readonly path?: string;
    } = {},
  ): Promise<void> {
    await this.write("balancers/haproxy", { ...this.haproxy.file, ...balancer });
    await this.write("discovery/zookeeper", {
      hosts: [ensemble.address],
      path,
      session_timeout: sessionTimeout,
    });
  }

  /** Consumes the cluster `web`. */
  async consume(section: Record<string, unknown> = {}): Promise<void> {
    const haproxy = { port: this.port, backend: ["mode http"], ...section };
    await this.write("clusters/web", { discovery: "zookeeper", haproxy });
  }

  /** The current lines of HAProxy's file. */
  async fileLines(): Promise<readonly string[]> {
    return (await Deno.readTextFile(this.haproxy.configFile)).split("\n");
  }

  /** Offers ports of this host as nodes of `web`. */
  async offer(ports: readonly number[], metadata: Record<string, unknown> = {}): Promise<void> {
    await this.write("services/web", { discovery: "zookeeper", ports, metadata, checks: CHECKS });
  }
}
