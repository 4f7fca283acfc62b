import { Executor } from "../balance/executor.ts";
import { type Preview, preview } from "../balance/preview.ts";
import { systemClock } from "../kernel/clock.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Logger } from "../kernel/logger.ts";
import { systemRandom } from "../kernel/random.ts";
import type { Node } from "../model/node.ts";
import { sourceKey, UNION } from "../model/registry_source.ts";
import type { ClusterName, ClusterSnapshot } from "../model/topology.ts";
import type { HostFacts } from "../plugin/contract.ts";
import { combineAtOnce, type Contribution } from "../membership/combine.ts";
import { LiveTopology } from "../membership/live_topology.ts";
import type { ClusterSourceKey, SourceKey } from "../membership/source_members.ts";
import { watchesOf } from "../membership/watches.ts";
import { Fleet } from "../supervisor/fleet.ts";
import { groupInstances } from "../supervisor/reconcile.ts";
import { discoveryId, discoveryOf } from "../config/accept.ts";
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import { type DecidedShares, Traffic } from "../membership/traffic.ts";
import { FollowedPrefixes, placesOf } from "../membership/followed_prefixes.ts";
import { clusterNames, composeWanted, type FindKeys, needsNoMetadata, type Share } from "../membership/wanted.ts";
import { type Pause, pauseOf } from "../model/override.ts";
import { keptOrders, keptSightings } from "./kept_files.ts";
import { tryWanted } from "./try_balancers.ts";

/** How long a balancer may take to answer. */
const OBSERVE_DEADLINE_MS = 30_000;

/** A watch that failed is begun again after this time. */
const RETRY_MS = 500;

/** What the writer would do to one balancer. */
export interface BalancerDryRun extends Preview {
  /** The balancer's name. */
  readonly balancer: string;
  /** What its nodes get now, by cluster; only of those that share by a policy or an override. */
  readonly shares: ReadonlyMap<ClusterName, DecidedShares["nodes"]>;
  /** The pause of its management: the writer would do nothing until that ends. */
  readonly pause: Pause | undefined;
}

/** What the writer would do. */
export interface DryRun {
  readonly balancers: readonly BalancerDryRun[];
  /** The clusters of which no registry has spoken in time: they stand as last known. */
  readonly silent: readonly ClusterName[];
  /** The prefixes whose keys no registry has reported in time, as `DISCOVERY:PREFIX`. */
  readonly silentKeys: readonly string[];
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
  const { keys, ...heard } = await readRegistries(accepted, live, { waitMs, log });
  const { overrides, pauses } = await keptOrders(accepted, Date.now());
  using traffic = new Traffic({ live, clock: systemClock, wallNow: Date.now, isWarm: true, onDue() {} });
  const { sightings, knownAtMs } = await keptSightings(accepted);
  traffic.restore(sightings, knownAtMs);
  traffic.apply(accepted);
  for (const name of clusterNames(accepted)) if (live.heard(name)) traffic.note(name);
  const balancers: BalancerDryRun[] = [];
  for (const [name, balancer] of accepted.balancers) {
    if (traffic.asksForDown) traffic.noteDown(name, await findDown(balancer));
    const share: Share = (request) => traffic.share(request);
    const { target } = await tryWanted(
      composeWanted(name, balancer, accepted, live.topology.clusters, host, share, overrides, {
        keys,
        isUnheard: ({ cluster }) => heard.silent.includes(cluster.name) && !live.topology.clusters.has(cluster.name),
      }),
      balancer,
    );
    const seen = await preview(target, {
      balancer: balancer.plugin,
      effects: new Executor(),
      signal: AbortSignal.timeout(OBSERVE_DEADLINE_MS),
    });
    const shares = new Map(
      [...clusterNames(accepted)].toSorted().flatMap((cluster) => {
        const decided = traffic.decided(name, cluster);
        return decided === undefined ? [] : [[cluster, decided.nodes] as const];
      }),
    );
    balancers.push({ ...seen, balancer: name, shares, pause: pauseOf(pauses, name) });
  }
  return { balancers, ...heard };
}

/** The nodes that a balancer finds down; none if it does not say, which the look that follows reports. */
async function findDown({ plugin, config }: AcceptedBalancer): Promise<ReadonlyMap<ClusterName, readonly string[]>> {
  try {
    const pidOf = (answers: readonly string[]) => plugin.pid(answers);
    const signal = AbortSignal.timeout(OBSERVE_DEADLINE_MS);
    const seen = await new Executor().observe(await plugin.sources(config), pidOf, signal);
    return await plugin.nodesDown?.(await plugin.observe(seen, config)) ?? new Map();
  } catch {
    return new Map();
  }
}

/** Watches each cluster, and follows each prefix, until it has been heard of once; answers those that were not in time. */
async function readRegistries(
  accepted: Accepted,
  live: LiveTopology,
  { waitMs, log }: { readonly waitMs: number; readonly log: Logger },
): Promise<Pick<DryRun, "silent" | "silentKeys" | "unreachable"> & { readonly keys: FindKeys }> {
  const clusters = [...accepted.clusters.values()].map(({ cluster }) => cluster);
  const watches = watchesOf([...accepted.clusters.values()], { discovery: accepted.discovery });
  const watchOf = (key: string, id: string) => watches.get(discoveryOf(key) ?? "")?.get(id);
  /** What each source said, by cluster and source. */
  const said = new Map<ClusterName, Map<SourceKey, readonly Node[]>>();
  const hear = ({ cluster, source }: ClusterSourceKey, { nodes, exists }: ClusterSnapshot) => {
    const { sources = [], combine: policy = UNION } = clusters.find(({ name }) => name === cluster) ?? {};
    const known = said.get(cluster) ?? new Map<SourceKey, readonly Node[]>();
    said.set(cluster, known.set(source, nodes));
    const sinceMs = Date.now();
    if (sources.length < 2) {
      const [only] = sources;
      return exists ? void live.replace({ cluster, nodes }, { sourceOf: () => only?.name, sinceMs }) : undefined;
    }
    const contributions = sources.map((each): Contribution => {
      const own = known.get(sourceKey(each));
      return { source: each.name, nodes: own ?? adopted.get(cluster), isOwn: own !== undefined };
    });
    const combined = combineAtOnce(contributions, policy);
    if (combined.nodes === undefined) return;
    const sourceOf = (name: string) => combined.sources.get(name)?.[0];
    live.replace({ cluster, nodes: combined.nodes }, { sourceOf, sinceMs });
  };
  const adopted = live.topology.clusters;

  /** What was last heard of the connection to each registry, by its worker. */
  const reached = new Map<string, { readonly isReached: boolean; readonly detail: string }>();
  const isSilent = ({ cluster, source }: ClusterSourceKey) =>
    clusters.find(({ name }) => name === cluster)?.sources.length === 1
      ? !live.heard(cluster)
      : said.get(cluster)?.has(source) !== true;
  const unheard = () =>
    clusters.flatMap(({ name, sources }) =>
      sources.filter((each) => isSilent({ cluster: name, source: sourceKey(each) }))
        .map(({ discovery }) => ({ name, discovery }))
    );
  const heard = Promise.withResolvers<void>();
  const cancelRetries: (() => void)[] = [];
  const withoutMetadata = needsNoMetadata(accepted);
  const watch = (key: string, id: string) => {
    const { cluster, config } = watchOf(key, id) ?? { cluster: id };
    fleet.post(key, {
      type: "watch",
      cluster: id,
      ...id !== cluster && { of: cluster },
      withoutMetadata,
      ...config !== undefined && { config },
    });
  };
  const hearWhole = () => {
    if (unheard().length === 0 && prefixes.silent.length === 0) heard.resolve();
  };
  await using fleet = new Fleet({
    clock: systemClock,
    random: systemRandom,
    log,
    events: {
      onEvent(key, event) {
        if (event.type === "snapshot") {
          const watched = watchOf(key, event.snapshot.cluster);
          if (watched !== undefined) hear(watched, event.snapshot);
        }
        if (event.type === "connection") {
          reached.set(key, { isReached: event.state === "connected", detail: event.detail });
        }
        if (event.type === "log") log[event.level](event.message, event.properties);
        if (event.type === "lost") {
          const { cluster } = event;
          cancelRetries.push(systemClock.after(RETRY_MS, () => watch(key, cluster)));
        }
        hearWhole();
      },
      onReady(key) {
        for (const id of watches.get(discoveryOf(key) ?? "")?.keys() ?? []) watch(key, id);
      },
      onDown() {},
      onStuck() {},
    },
  });
  await using prefixes = new FollowedPrefixes({
    follow: ({ discovery, prefix }, signal) => fleet.keys(discoveryId(discovery), prefix, signal),
    clock: systemClock,
    random: systemRandom,
    log,
    onChange: hearWhole,
  });
  if (clusters.length === 0 && placesOf(accepted).length === 0) {
    return { silent: [], silentKeys: [], unreachable: [], keys: () => undefined };
  }
  fleet.apply(groupInstances([...accepted.discovery.values()].map(({ instance }) => instance), "worker"));
  prefixes.apply(accepted);
  const cancel = systemClock.after(waitMs, () => heard.resolve());
  await heard.promise;
  for (const cancelRetry of [cancel, ...cancelRetries]) cancelRetry();
  const names = new Set(unheard().map(({ name }) => name));
  const silentPlaces = placesOf(accepted).filter((place) => prefixes.find(place) === undefined);
  const known = new Map(
    placesOf(accepted).map((place) => [`${place.discovery}:${place.prefix}`, prefixes.find(place)]),
  );
  const asked = new Set([...unheard(), ...silentPlaces].map(({ discovery }) => discovery));
  const unreachable = [...asked].filter((name) => accepted.discovery.has(name)).flatMap((discovery) => {
    const { isReached, detail } = reached.get(discoveryId(discovery)) ??
      { isReached: false, detail: `no response within ${formatDuration(waitMs)}` };
    return isReached ? [] : [{ discovery, detail }];
  });
  return {
    silent: [...names],
    silentKeys: silentPlaces.map(({ discovery, prefix }) => `${discovery}:${prefix}`),
    unreachable,
    keys: ({ discovery, prefix }) => known.get(`${discovery}:${prefix}`),
  };
}
