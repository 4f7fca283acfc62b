import { Executor } from "../balance/executor.ts";
import { type Preview, preview } from "../balance/preview.ts";
import { systemClock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Logger } from "../kernel/logger.ts";
import { systemRandom } from "../kernel/random.ts";
import type { ClusterName } from "../model/topology.ts";
import type { HostFacts } from "../plugin/contract.ts";
import { LiveTopology } from "../membership/live_topology.ts";
import { Fleet } from "../supervisor/fleet.ts";
import { groupInstances } from "../supervisor/reconcile.ts";
import { discoveryId } from "../config/accept.ts";
import type { Accepted } from "../config/accepted.ts";
import { composeWanted, needsNoMetadata } from "../membership/wanted.ts";
import { tryWanted } from "./try_balancers.ts";

/** How long a balancer may take to answer. */
const OBSERVE_DEADLINE_MS = 30_000;

/** A watch that failed is begun again after this time. */
const RETRY_MS = 500;

/** What the writer would do to one balancer. */
export interface BalancerDryRun extends Preview {
  /** The balancer's name. */
  readonly balancer: string;
}

/** What the writer would do. */
export interface DryRun {
  readonly balancers: readonly BalancerDryRun[];
  /** The clusters of which no registry has spoken in time: they stand as last known. */
  readonly silent: readonly ClusterName[];
  /** The registries that could not be reached in time, and why. */
  readonly unreachable: readonly { readonly discovery: string; readonly detail: string }[];
}

/** Looks at the registries and the balancers as the writer does, and says what it would do. Touches nothing. */
export async function dryRun(
  accepted: Accepted,
  { host, waitMs, log }: { readonly host: HostFacts; readonly waitMs: number; readonly log: Logger },
): Promise<DryRun> {
  const live = new LiveTopology();
  for (const { plugin, config } of accepted.balancers.values()) {
    const { file, moreFiles = [] } = await plugin.sources(config);
    const files = await Promise.all(
      [file, ...moreFiles].map(async (path) => [path, await Deno.readTextFile(path).catch(() => "")] as const),
    );
    for (const [cluster, nodes] of await plugin.adopt(new Map(files), config)) live.adopt(cluster, nodes);
  }
  const heard = await readRegistries(accepted, live, { waitMs, log });
  const balancers: BalancerDryRun[] = [];
  for (const [name, balancer] of accepted.balancers) {
    const { target } = await tryWanted(
      composeWanted(name, balancer, accepted, live.topology.clusters, host),
      balancer,
    );
    const seen = await preview(target, {
      balancer: balancer.plugin,
      effects: new Executor(),
      signal: AbortSignal.timeout(OBSERVE_DEADLINE_MS),
    });
    balancers.push({ ...seen, balancer: name });
  }
  return { balancers, ...heard };
}

/** Watches each cluster until it has been heard of once; answers those that were not in time. */
async function readRegistries(
  accepted: Accepted,
  live: LiveTopology,
  { waitMs, log }: { readonly waitMs: number; readonly log: Logger },
): Promise<Pick<DryRun, "silent" | "unreachable">> {
  const clusters = [...accepted.clusters.values()].map(({ cluster }) => cluster);
  const options = new Map([...accepted.clusters.values()].map(({ cluster, options }) => [cluster.name, options]));
  if (clusters.length === 0) return { silent: [], unreachable: [] };
  /** What was last heard of the connection to each registry, by its worker. */
  const reached = new Map<string, { readonly isReached: boolean; readonly detail: string }>();
  const silent = () => clusters.map(({ name }) => name).filter((name) => !live.heard(name));
  const heard = Promise.withResolvers<void>();
  const cancelRetries: (() => void)[] = [];
  const withoutMetadata = needsNoMetadata(accepted);
  const watch = (key: string, cluster: ClusterName) => {
    const config = options.get(cluster);
    fleet.post(key, { type: "watch", cluster, withoutMetadata, ...config !== undefined && { config } });
  };
  await using fleet = new Fleet({
    clock: systemClock,
    random: systemRandom,
    log,
    events: {
      onEvent(key, event) {
        if (event.type === "snapshot" && event.snapshot.exists) live.replace(event.snapshot);
        if (event.type === "connection") {
          reached.set(key, { isReached: event.state === "connected", detail: event.detail });
        }
        if (event.type === "log") log[event.level](event.message, event.properties);
        if (event.type === "lost") {
          const { cluster } = event;
          cancelRetries.push(systemClock.after(RETRY_MS, () => watch(key, cluster)));
        }
        if (silent().length === 0) heard.resolve();
      },
      onReady(key) {
        for (const { name, discovery } of clusters) {
          if (discoveryId(discovery) === key) watch(key, name);
        }
      },
      onDown() {},
      onStuck() {},
    },
  });
  fleet.apply(groupInstances([...accepted.discovery.values()].map(({ instance }) => instance), "worker"));
  const cancel = systemClock.after(waitMs, () => heard.resolve());
  await heard.promise;
  for (const cancelRetry of [cancel, ...cancelRetries]) cancelRetry();
  const names = new Set(silent());
  const asked = new Set(clusters.filter(({ name }) => names.has(name)).map(({ discovery }) => discovery));
  const unreachable = [...asked].filter((name) => accepted.discovery.has(name)).flatMap((discovery) => {
    const { isReached, detail } = reached.get(discoveryId(discovery)) ??
      { isReached: false, detail: `no answer within ${formatDuration(waitMs)}` };
    return isReached ? [] : [{ discovery, detail }];
  });
  return { silent: [...names], unreachable };
}
