import type { ClusterName } from "../model/topology.ts";
import type { Origin, Wanted, WantedCluster } from "../plugin/contract.ts";

/** What to bring about, after what was refused has been put aside. */
export interface Target<Config, ClusterConfig> {
  /** What is wanted, or as much of it as the balancer takes. */
  readonly wanted: Wanted<Config, ClusterConfig>;
  /**
   * Whether its structure has to wait: something that serves now was changed to
   * what the balancer refuses, and what it was before is not known.
   */
  readonly held: boolean;
}

/** What becomes of something that was refused. */
export type Fate =
  /** Its lines are left out, and the rest of it is served. */
  | "left out"
  /** It keeps the form that was last accepted. */
  | "kept"
  /** It is not served. */
  | "put aside"
  /** There is nothing else to try. */
  | "nothing";

/** No more refused lines are remembered. */
const LINES_MAX = 10_000;

/** A config that the balancer did not take. */
interface Refusal {
  /** The config in question; another one is tried at once. */
  readonly fingerprint: string;
  /** When the same one is tried again, in case that what it lacked has come. */
  readonly retryAt: number;
  /** How often the same one was refused. */
  readonly times: number;
}

/** A line of a config, or a part, without which the balancer may take the rest. */
interface RefusedLine extends Refusal {
  readonly origin: Origin;
}

/**
 * What the balancer took and what it rejected. Whatever was applied before (a
 * cluster, the balancer's own file) keeps the last form that was accepted, a
 * cluster with its members of today. What is new is served without the lines
 * that were rejected; if no line can be told, or it does not help, a new
 * cluster is put aside.
 */
export interface Acceptance<Config, ClusterConfig> {
  /** What was last seen applied; `undefined` if nothing ever was. */
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

/** The earliest time at which something that was rejected is to be tried again. */
export function retryAt({ clusters, lines, whole }: Acceptance<unknown, unknown>, now: number): number {
  const refusals = [...clusters.values(), ...lines.values(), ...whole === undefined ? [] : [whole]];
  return Math.min(...refusals.map(({ retryAt }) => retryAt).filter((at) => at > now), Infinity);
}

/** Notes that the balancer was seen to serve a target. */
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

/** Forgets what was rejected and is desired in that form no more: it was fixed, or is gone. */
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

/** What was last applied, with the members that are desired now; `undefined` if nothing was. */
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

/** Makes a target of a desired state. `served` names the clusters that the balancer serves, whatever their form. */
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
 * Notes that the balancer rejected a target made of `wanted`: because of lines
 * without which it may take the rest, because of a cluster, or for whatever
 * reason if neither is known. Answers also what becomes of it, in general.
 */
export function withRejected<C, K>(
  acceptance: Acceptance<C, K>,
  wanted: Wanted<C, K>,
  target: Wanted<C, K>,
  { cluster: name, lines, retryAt }: {
    readonly cluster: ClusterName | undefined;
    readonly lines: readonly Origin[];
    /** When to try again what was rejected so many times. */
    readonly retryAt: (times: number) => number;
  },
): readonly [acceptance: Acceptance<C, K>, fate: Fate] {
  const { accepted, whole, clusters } = acceptance;
  const leftOut = new Set(target.leftOut?.map(printOrigin));
  // What is in the target in a previous form, or left out already, is not to blame for the desired state.
  const fresh = lines.filter((origin) =>
    printOwner(wanted, origin) === printOwner(target, origin) && !leftOut.has(printOrigin(origin))
  );
  if (fresh.length > 0) {
    const known = new Map(acceptance.lines);
    for (const origin of fresh) {
      // What explains a rejection may make lines up, new ones each time.
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
  // That the previous form fails too says nothing of the desired one, which keeps its time.
  const refusal = wasFallback ? whole : again(whole, fingerprint, retryAt);
  return [{ ...acceptance, whole: refusal }, hasOther ? "kept" : "nothing"];
}

function rejectsAny({ whole, clusters, lines }: Acceptance<unknown, unknown>): boolean {
  return whole !== undefined || clusters.size > 0 || lines.size > 0;
}

/**
 * The lines of a cluster, or of the balancer's own file, that were rejected as
 * they are desired now. When one is to be tried again all are: some may have
 * made no sense without it.
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

/** Whether a cluster, or the balancer's own file, was applied in another form than the one that is desired. */
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

/** All of what a line belongs to: its cluster but for its members, or the balancer's own file; `undefined` if it is gone. */
function printOwner({ config, clusters }: Wanted, { cluster: name }: Origin): string | undefined {
  if (name === undefined) return JSON.stringify(config);
  const cluster = clusters.find((cluster) => cluster.name === name);
  return cluster === undefined ? undefined : printCluster(cluster);
}

/** All of a cluster but its members. */
function printCluster<K>({ name, metaCluster, config }: WantedCluster<K>): string {
  return JSON.stringify([name, metaCluster, config]);
}

/** All that is wanted but the members. */
function printWhole<C, K>({ config, clusters, leftOut = [] }: Wanted<C, K>): string {
  return JSON.stringify([config, clusters.map(printCluster), leftOut]);
}
