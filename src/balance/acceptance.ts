import type { ClusterName } from "../model/topology.ts";
import type { Origin, Wanted, WantedCluster } from "../plugin/contract.ts";

/** What to apply, once rejected parts are left out. */
export interface Target<Config, ClusterConfig> {
  /** The desired state, or as much of it as the balancer accepts. */
  readonly wanted: Wanted<Config, ClusterConfig>;
  /**
   * Whether a change of structure has to wait: something that serves now was changed to a form that the
   * balancer rejects, and its previous form is unknown.
   */
  readonly held: boolean;
}

/** What happens to something that was rejected. */
export type Fate =
  /** Its rejected lines are left out, and the rest of it is served. */
  | "left out"
  /** It keeps the form that was last accepted. */
  | "kept"
  /** It is not served. */
  | "put aside"
  /** There is nothing else to try. */
  | "nothing";

/** How many rejected lines are remembered. */
const LINES_MAX = 10_000;

/** A config that the balancer rejected. */
interface Refusal {
  /** The config in question; a different one is tried at once. */
  readonly fingerprint: string;
  /** When the same one is tried again, in case what it lacked has appeared. */
  readonly retryAt: number;
  /** How often the same one was rejected. */
  readonly times: number;
}

/** A line of a config, or a part, without which the balancer may accept the rest. */
interface RefusedLine extends Refusal {
  readonly origin: Origin;
}

/**
 * What the balancer accepted and what it rejected. What was applied already (a cluster, the balancer's own
 * file) keeps the last accepted form, a cluster with its current members. What is new is served without its
 * rejected lines; if the faulty line cannot be identified, or leaving it out does not help, a new cluster is
 * not served.
 */
export interface Acceptance<Config, ClusterConfig> {
  /** What was last seen applied; `undefined` if nothing was. */
  readonly accepted: Wanted<Config, ClusterConfig> | undefined;
  readonly whole: Refusal | undefined;
  readonly clusters: ReadonlyMap<ClusterName, Refusal>;
  readonly lines: ReadonlyMap<string, RefusedLine>;
}

/** The acceptance of a writer that has tried nothing. */
export const NOTHING_TRIED: Acceptance<never, never> = {
  accepted: undefined,
  whole: undefined,
  clusters: new Map(),
  lines: new Map(),
};

/** The earliest time at which something rejected is to be tried again. */
export function retryAt({ clusters, lines, whole }: Acceptance<unknown, unknown>, now: number): number {
  const refusals = [...clusters.values(), ...lines.values(), ...whole === undefined ? [] : [whole]];
  return Math.min(...refusals.map(({ retryAt }) => retryAt).filter((at) => at > now), Infinity);
}

/** Notes that the balancer was seen serving a target. */
export function withAccepted<C, K>(
  acceptance: Acceptance<C, K>,
  wanted: Wanted<C, K>,
): Acceptance<C, K> {
  const { clusters, lines, whole } = acceptance;
  if (!rejectsAny(acceptance)) return { ...acceptance, accepted: wanted };
  const forms = new Map(wanted.clusters.map((cluster) => [cluster.name, cluster]));
  const leftOut = new Set(wanted.leftOut?.map(printOrigin));
  return {
    accepted: wanted,
    whole: whole?.fingerprint === printWhole(wanted) ? undefined : whole,
    clusters: keep(clusters, (name, { fingerprint }) => {
      const form = forms.get(name);
      return form === undefined || printCluster(form) !== fingerprint;
    }),
    lines: keep(
      lines,
      (key, { origin, fingerprint }) => leftOut.has(key) || printOwner(wanted, origin) !== fingerprint,
    ),
  };
}

/** Forgets rejections of forms that are no longer desired, as they were fixed or removed. */
export function withoutOther<C, K>(
  acceptance: Acceptance<C, K>,
  wanted: Wanted<C, K>,
): Acceptance<C, K> {
  if (!rejectsAny(acceptance)) return acceptance;
  const { clusters, lines, whole } = acceptance;
  const forms = new Map(wanted.clusters.map((cluster) => [cluster.name, cluster]));
  return {
    ...acceptance,
    whole: whole?.fingerprint === printWhole(wanted) ? whole : undefined,
    clusters: keep(clusters, (name, { fingerprint }) => {
      const form = forms.get(name);
      return form !== undefined && printCluster(form) === fingerprint;
    }),
    lines: keep(lines, (_, { origin, fingerprint }) => printOwner(wanted, origin) === fingerprint),
  };
}

/** What was last applied, with the members that are desired now; `undefined` if nothing was applied. */
export function lastApplied<C, K>(
  { accepted }: Acceptance<C, K>,
  wanted: Wanted<C, K>,
): Wanted<C, K> | undefined {
  if (accepted === undefined) return undefined;
  const today = new Map(wanted.clusters.map((cluster) => [cluster.name, cluster.nodes]));
  return {
    ...wanted,
    config: accepted.config,
    leftOut: accepted.leftOut,
    clusters: accepted.clusters.map((cluster) => ({ ...cluster, nodes: today.get(cluster.name) ?? cluster.nodes })),
  };
}

/**
 * Makes a target of a desired state. `served` names the clusters that the balancer serves, in whatever form.
 */
export function compose<C, K>(
  acceptance: Acceptance<C, K>,
  wanted: Wanted<C, K>,
  { now, served }: { readonly now: number; readonly served: ReadonlySet<ClusterName> },
): Target<C, K> {
  const { accepted, whole, clusters: rejected } = acceptance;
  if (!rejectsAny(acceptance)) return { wanted, held: false };
  if (whole !== undefined && applies(whole, printWhole(wanted), now)) {
    const fallback = lastApplied(acceptance, wanted);
    return { wanted: fallback ?? wanted, held: fallback === undefined };
  }
  const own = rejectedLines(acceptance, wanted, undefined, now);
  const keepsConfig = own.length > 0 && hasOtherForm(acceptance, wanted, undefined);
  const leftOut = [...keepsConfig ? leftOutOf(accepted, undefined) : own];
  let held = false;
  let changed = own.length > 0;
  const clusters = wanted.clusters.flatMap((cluster) => {
    const { name, nodes } = cluster;
    const lines = rejectedLines(acceptance, wanted, name, now);
    const refusal = rejected.get(name);
    const isRejected = refusal !== undefined && applies(refusal, printCluster(cluster), now);
    if (!isRejected && lines.length === 0) return [cluster];
    changed = true;
    const known = accepted?.clusters.find((other) => other.name === name);
    if (known !== undefined && (isRejected || hasOtherForm(acceptance, wanted, name))) {
      leftOut.push(...leftOutOf(accepted, name));
      return [{ ...known, nodes }];
    }
    if (isRejected) {
      held ||= served.has(name);
      return [];
    }
    leftOut.push(...lines);
    return [cluster];
  });
  if (held || !changed) return { wanted, held };
  const config = keepsConfig && accepted !== undefined ? accepted.config : wanted.config;
  return { wanted: { ...wanted, config, clusters, leftOut }, held };
}

/**
 * Notes that the balancer rejected a target made of `wanted`: because of lines without which it may accept
 * the rest, because of a cluster, or for an unknown reason if neither is given. Returns also what happens to
 * it.
 */
export function withRejected<C, K>(
  acceptance: Acceptance<C, K>,
  wanted: Wanted<C, K>,
  target: Wanted<C, K>,
  { cluster: name, lines, retryAt }: {
    readonly cluster: ClusterName | undefined;
    readonly lines: readonly Origin[];
    /** When to try again what was rejected that often. */
    readonly retryAt: (times: number) => number;
  },
): readonly [acceptance: Acceptance<C, K>, fate: Fate] {
  const { accepted, whole, clusters } = acceptance;
  const leftOut = new Set(target.leftOut?.map(printOrigin));
  // What is in the target in its previous form, or left out already, cannot have caused the rejection.
  const fresh = lines.filter((origin) =>
    printOwner(wanted, origin) === printOwner(target, origin) && !leftOut.has(printOrigin(origin))
  );
  if (fresh.length > 0) {
    const known = new Map(acceptance.lines);
    for (const origin of fresh) {
      // The plugin that explains a rejection may invent lines, new ones each time.
      if (known.size >= LINES_MAX) known.clear();
      const key = printOrigin(origin);
      known.set(key, { origin, ...again(known.get(key), printOwner(wanted, origin), retryAt) });
    }
    const keeps = fresh.some(({ cluster }) => hasOtherForm(acceptance, wanted, cluster));
    return [{ ...acceptance, lines: known }, keeps ? "kept" : "left out"];
  }
  const asked = wanted.clusters.find((cluster) => cluster.name === name);
  const tried = target.clusters.find((cluster) => cluster.name === name);
  if (asked !== undefined && tried !== undefined && printCluster(asked) === printCluster(tried)) {
    const refusal = again(clusters.get(asked.name), printCluster(asked), retryAt);
    const fate = accepted?.clusters.some((cluster) => cluster.name === name) ? "kept" : "put aside";
    return [{ ...acceptance, clusters: new Map([...clusters, [asked.name, refusal]]) }, fate];
  }
  const fingerprint = printWhole(wanted);
  const wasFallback = whole?.fingerprint === fingerprint && printWhole(target) !== fingerprint;
  const hasOther = !wasFallback && accepted !== undefined && printWhole(accepted) !== printWhole(target);
  // That the previous form fails too says nothing about the desired one, whose retry time stays.
  const refusal = wasFallback ? whole : again(whole, fingerprint, retryAt);
  return [{ ...acceptance, whole: refusal }, hasOther ? "kept" : "nothing"];
}

function rejectsAny({ whole, clusters, lines }: Acceptance<unknown, unknown>): boolean {
  return whole !== undefined || clusters.size > 0 || lines.size > 0;
}

/**
 * The rejected lines of a cluster, or of the balancer's own file, in their current form. When one is due for
 * a retry, all are: some may have made no sense without it.
 */
function rejectedLines<C, K>(
  { lines }: Acceptance<C, K>,
  wanted: Wanted<C, K>,
  cluster: ClusterName | undefined,
  now: number,
): readonly Origin[] {
  const own = [...lines.values()].filter(({ origin, fingerprint }) =>
    origin.cluster === cluster && fingerprint === printOwner(wanted, origin)
  );
  return own.every(({ retryAt }) => now < retryAt) ? own.map(({ origin }) => origin) : [];
}

/** Whether a cluster, or the balancer's own file, is applied in a form other than the desired one. */
function hasOtherForm<C, K>(
  { accepted }: Acceptance<C, K>,
  wanted: Wanted<C, K>,
  cluster: ClusterName | undefined,
): boolean {
  const origin: Origin = { cluster, path: [] };
  if (accepted === undefined) return false;
  const form = printOwner(accepted, origin);
  return form !== undefined && form !== printOwner(wanted, origin);
}

function keep<K, V>(map: ReadonlyMap<K, V>, isKept: (key: K, value: V) => boolean): ReadonlyMap<K, V> {
  return new Map([...map].filter(([key, value]) => isKept(key, value)));
}

function applies(refusal: Refusal, fingerprint: string, now: number): boolean {
  return refusal.fingerprint === fingerprint && now < refusal.retryAt;
}

function again(
  before: Refusal | undefined,
  fingerprint: string | undefined,
  retryAt: (times: number) => number,
): Refusal {
  const times = before?.fingerprint === fingerprint ? (before?.times ?? 0) + 1 : 1;
  return { fingerprint: fingerprint ?? "", retryAt: retryAt(times), times };
}

function leftOutOf(wanted: Wanted | undefined, cluster: ClusterName | undefined): readonly Origin[] {
  return wanted?.leftOut?.filter((origin) => origin.cluster === cluster) ?? [];
}

function printOrigin({ cluster, path }: Origin): string {
  return JSON.stringify([cluster ?? null, path]);
}

/**
 * What a line belongs to: its cluster without the members, or the balancer's own file; `undefined` if it is
 * gone.
 */
function printOwner({ config, clusters }: Wanted, { cluster: name }: Origin): string | undefined {
  if (name === undefined) return JSON.stringify(config);
  const cluster = clusters.find((cluster) => cluster.name === name);
  return cluster === undefined ? undefined : printCluster(cluster);
}

/** A cluster without its members. */
function printCluster<K>({ name, metaCluster, config }: WantedCluster<K>): string {
  return JSON.stringify([name, metaCluster, config]);
}

/** The desired state without the members. */
function printWhole<C, K>({ config, clusters, leftOut = [] }: Wanted<C, K>): string {
  return JSON.stringify([config, clusters.map(printCluster), leftOut]);
}
