import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { Accepted } from "../../src/config/accepted.ts";
import { type ConfigSource, type Taken, UNREAD } from "../../src/config/reading.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings_schema.ts";
import { Latest } from "../../src/kernel/latest.ts";
import { CLUSTER_DEFAULTS, GUARD_DEFAULTS } from "../../src/model/cluster.ts";
import { DEFAULT_LOGGING } from "../../src/logging/plan.ts";
import type { BalancerPlugin } from "../../src/plugin/contract.ts";
import { haproxyCluster, haproxyConfig } from "../support/haproxy.ts";
import { onlySource } from "../../src/model/registry_source.ts";

/** The least time between two reloads. */
export const RELOAD_INTERVAL_MS = 2_000;
/** The time from one probe to the next. */
export const INTERVAL_MS = 1_000;
/** How long the last verdict stands while a check cannot be made: longer than any fault that prevents it. */
export const UNKNOWN_GRACE_MS = 120_000;

/** The part of a host's config directory that the simulation changes. */
export interface SimDesired {
  /** The clusters that it consumes. */
  readonly clusters: ReadonlySet<string>;
  /** The services that it offers, and their ports. */
  readonly services: ReadonlyMap<string, readonly number[]>;
  /** Counts the edits that require a reload. */
  readonly structure: number;
  /** Counts the edits of the discovery's file: each requires a new worker. */
  readonly discovery: number;
  /** Counts the edits of the services' metadata. */
  readonly metadata: number;
}

const BALANCER = haproxyConfig({
  config_file: "/sim/cfg",
  socket_file: "/sim/sock",
  pid_file: "/sim/pid",
  restart_interval: RELOAD_INTERVAL_MS / 1_000,
});

/** The cluster that has a guard against partial lists. */
export const GUARDED = "guarded";
/** The cluster whose servers are drained before they go. */
export const DRAINED = "web";
/** For how long the guard holds a doubtful change. */
export const SHRINK_GRACE_MS = 10_000;

/** Makes the config that a config directory would load as. `plugin` may be one with a bug, for canaries. */
export function acceptedOf(
  { clusters, services, structure, discovery, metadata }: SimDesired,
  plugin: BalancerPlugin = haproxy as never,
  unknownGraceMs = UNKNOWN_GRACE_MS,
): Accepted {
  const instance = { module: "builtin:discovery/sim", scope: { instance: "sim" }, granted: {} };
  return {
    settings: DEFAULT_SETTINGS,
    host: {},
    logging: DEFAULT_LOGGING,
    plugins: new Map(),
    discovery: new Map([["sim", {
      file: { name: "sim", type: "sim", config: {} },
      instance: { ...instance, id: "discovery sim", kind: "discovery", config: { discovery } },
      traits: { capabilities: ["watch", "register"], sections: [] },
    }]]),
    balancers: new Map([["haproxy", {
      file: { name: "haproxy", type: "haproxy", config: {} },
      plugin,
      config: BALANCER,
    }]]),
    clusters: new Map(
      [...clusters].toSorted().map((name, index) => {
        const guard = name === GUARDED
          ? { ...GUARD_DEFAULTS, maxShrinkPercent: 50, shrinkGraceMs: SHRINK_GRACE_MS }
          : GUARD_DEFAULTS;
        const cluster = { ...CLUSTER_DEFAULTS, name, guard, sources: [onlySource("sim")], balancers: new Map() };
        const section = haproxyCluster({
          port: 9_000 + index,
          backend: ["mode http", `retries ${structure}`],
          ...name === DRAINED && { drain_timeout: 3, close_after_drain: true },
        });
        return [name, { cluster, sections: new Map([["haproxy", section]]) }];
      }),
    ),
    notifiers: new Map(),
    unknownClusters: [],
    services: new Map([...services].map(([name, ports]) => {
      const check = { name: "sim", type: "sim", rise: 2, fall: 2, timeoutMs: 500, config: {} };
      const service = {
        name,
        sources: [onlySource("sim")],
        host: "127.0.0.1",
        ports,
        metadata: { edit: metadata },
        intervalMs: INTERVAL_MS,
        unknownGraceMs,
        checks: [check],
      };
      const probes = ports.map((port) => ({
        port,
        check,
        instance: {
          ...instance,
          id: `check ${name}:${port}/sim`,
          kind: "check" as const,
          module: "builtin:check/sim",
          config: {},
        },
      }));
      return [name, { service, probes }];
    })),
  };
}

/** A config directory that a simulation edits. */
export class SimConfigs implements ConfigSource {
  readonly reading = UNREAD;
  readonly #slot = new Latest<Taken>();

  /** Applies another config. */
  put(accepted: Accepted): void {
    this.#slot.put({ accepted, sources: new Map() });
  }

  async *configs(signal: AbortSignal): AsyncGenerator<Taken> {
    for (;;) {
      const taken = await this.#slot.take(signal).catch(() => undefined);
      if (taken === undefined) return;
      yield taken;
    }
  }

  lookAgain(): void {}
}
