import type { ClusterName } from "../model/topology.ts";
import type { Origin, Wanted, WantedCluster } from "../plugin/contract.ts";

/** What to bring about, after what was refused has been put aside. */
export interface Target<Config, ClusterConfig> {
  /** The wish, or as much of it as the balancer takes. */
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
 * Remembers what the balancer took and what it refused, and makes of a wish
 * something that it will take. Whatever was in force before (a cluster, the
 * balancer's own file) keeps the last form that was accepted, a cluster with
 * its members of today. What is new is served without the lines that were
 * refused; if no line can be told, or it does not help, a new cluster is put
 * aside. Pure but for its memory.
 */
export class Acceptance<Config, ClusterConfig> {
  #accepted: Wanted<Config, ClusterConfig> | undefined;
  #whole: Refusal | undefined;
  readonly #clusters = new Map<ClusterName, Refusal>();
  readonly #lines = new Map<string, RefusedLine>();

  /** Whether anything was ever seen in force. */
  get some(): boolean {
    return this.#accepted !== undefined;
  }

  /** Whether a cluster is refused as it is wanted, so that `served` is of interest to {@linkcode compose}. */
  get refusesCluster(): boolean {
    return this.#clusters.size > 0;
  }

  /** The earliest time at which something that was refused is to be tried again. */
  retryAt(now: number): number {
    const refusals = [
      ...this.#clusters.values(),
      ...this.#lines.values(),
      ...this.#whole === undefined ? [] : [this.#whole],
    ];
    return Math.min(...refusals.map(({ retryAt }) => retryAt).filter((at) => at > now), Infinity);
  }

  /** Notes that the balancer was seen to serve a target. */
  accept(wanted: Wanted<Config, ClusterConfig>): void {
    this.#accepted = wanted;
    for (const cluster of wanted.clusters) {
      if (this.#clusters.get(cluster.name)?.fingerprint === printCluster(cluster)) this.#clusters.delete(cluster.name);
    }
    const leftOut = new Set(wanted.leftOut?.map(printOrigin));
    for (const [key, { origin, fingerprint }] of this.#lines) {
      if (!leftOut.has(key) && printOwner(wanted, origin) === fingerprint) this.#lines.delete(key);
    }
    if (this.#whole?.fingerprint === printWhole(wanted)) this.#whole = undefined;
  }

  /** What was last in force, with the members that are wanted now; `undefined` if nothing was. */
  inForce(wanted: Wanted<Config, ClusterConfig>): Wanted<Config, ClusterConfig> | undefined {
    const accepted = this.#accepted;
    if (accepted === undefined) return undefined;
    const today = new Map(wanted.clusters.map((cluster) => [cluster.name, cluster.nodes]));
    return {
      ...wanted,
      config: accepted.config,
      leftOut: accepted.leftOut,
      clusters: accepted.clusters.map((cluster) => ({ ...cluster, nodes: today.get(cluster.name) ?? cluster.nodes })),
    };
  }

  /** Makes a target of a wish. `served` names the clusters that the balancer serves, whatever their form. */
  compose(
    wanted: Wanted<Config, ClusterConfig>,
    { now, served }: { readonly now: number; readonly served: () => ReadonlySet<ClusterName> },
  ): Target<Config, ClusterConfig> {
    if (!this.#refusesAny) return { wanted, held: false };
    this.#forgetOther(wanted);
    if (!this.#refusesAny) return { wanted, held: false };
    if (this.#whole !== undefined && applies(this.#whole, printWhole(wanted), now)) {
      const fallback = this.inForce(wanted);
      return { wanted: fallback ?? wanted, held: fallback === undefined };
    }
    const own = this.#refusedOf(wanted, undefined, now);
    const accepted = this.#accepted;
    const keepsConfig = own.length > 0 && this.#hasOtherForm(wanted, undefined);
    const leftOut = [...keepsConfig ? leftOutOf(accepted, undefined) : own];
    let held = false;
    let changed = own.length > 0;
    const clusters = wanted.clusters.flatMap((cluster) => {
      const { name, nodes } = cluster;
      const refused = this.#refusedOf(wanted, name, now);
      const refusal = this.#clusters.get(name);
      const isRefused = refusal !== undefined && applies(refusal, printCluster(cluster), now);
      if (!isRefused && refused.length === 0) return [cluster];
      changed = true;
      const known = accepted?.clusters.find((other) => other.name === name);
      if (known !== undefined && (isRefused || this.#hasOtherForm(wanted, name))) {
        leftOut.push(...leftOutOf(accepted, name));
        return [{ ...known, nodes }];
      }
      if (isRefused) {
        held ||= served().has(name);
        return [];
      }
      leftOut.push(...refused);
      return [cluster];
    });
    if (held || !changed) return { wanted, held };
    const config = keepsConfig && accepted !== undefined ? accepted.config : wanted.config;
    return { wanted: { ...wanted, config, clusters, leftOut }, held };
  }

  /**
   * Notes that the balancer refused a target made of `wanted`: because of lines
   * without which it may take the rest, because of a cluster, or for whatever
   * reason if neither is known. Answers what becomes of it, in general.
   */
  refuse(
    wanted: Wanted<Config, ClusterConfig>,
    target: Wanted<Config, ClusterConfig>,
    { cluster: name, lines, retryAt }: {
      readonly cluster: ClusterName | undefined;
      readonly lines: readonly Origin[];
      /** When to try again what was refused so many times. */
      readonly retryAt: (times: number) => number;
    },
  ): Fate {
    const leftOut = new Set(target.leftOut?.map(printOrigin));
    // What is in the target in a form of before, or left out already, is not to blame for a wish.
    const fresh = lines.filter((origin) =>
      printOwner(wanted, origin) === printOwner(target, origin) && !leftOut.has(printOrigin(origin))
    );
    if (fresh.length > 0) {
      for (const origin of fresh) {
        // What explains a refusal may make lines up, new ones each time.
        if (this.#lines.size >= LINES_MAX) this.#lines.clear();
        const key = printOrigin(origin);
        this.#lines.set(key, { origin, ...again(this.#lines.get(key), printOwner(wanted, origin), retryAt) });
      }
      const keeps = fresh.some(({ cluster }) => this.#hasOtherForm(wanted, cluster));
      return keeps ? "kept" : "left out";
    }
    const asked = wanted.clusters.find((cluster) => cluster.name === name);
    const tried = target.clusters.find((cluster) => cluster.name === name);
    if (asked !== undefined && tried !== undefined && printCluster(asked) === printCluster(tried)) {
      this.#clusters.set(asked.name, again(this.#clusters.get(asked.name), printCluster(asked), retryAt));
      return this.#accepted?.clusters.some((cluster) => cluster.name === name) ? "kept" : "put aside";
    }
    const fingerprint = printWhole(wanted);
    const wasFallback = this.#whole !== undefined && this.#whole.fingerprint === fingerprint &&
      printWhole(target) !== fingerprint;
    this.#whole = again(this.#whole, fingerprint, retryAt);
    const accepted = this.#accepted;
    return !wasFallback && accepted !== undefined && printWhole(accepted) !== printWhole(target) ? "kept" : "nothing";
  }

  get #refusesAny(): boolean {
    return this.#whole !== undefined || this.#clusters.size > 0 || this.#lines.size > 0;
  }

  /** Forgets what was refused and is wanted in that form no more: it was fixed, or is gone. */
  #forgetOther(wanted: Wanted<Config, ClusterConfig>): void {
    const forms = new Map(wanted.clusters.map((cluster) => [cluster.name, cluster]));
    for (const [name, { fingerprint }] of this.#clusters) {
      const form = forms.get(name);
      if (form === undefined || printCluster(form) !== fingerprint) this.#clusters.delete(name);
    }
    for (const [key, { origin, fingerprint }] of this.#lines) {
      if (printOwner(wanted, origin) !== fingerprint) this.#lines.delete(key);
    }
    if (this.#whole !== undefined && this.#whole.fingerprint !== printWhole(wanted)) this.#whole = undefined;
  }

  /**
   * The lines of a cluster, or of the balancer's own file, that were refused as
   * they are wanted now. When one is to be tried again all are: some may have
   * made no sense without it.
   */
  #refusedOf(wanted: Wanted<Config, ClusterConfig>, cluster: ClusterName | undefined, now: number): readonly Origin[] {
    const own = [...this.#lines.values()].filter(({ origin, fingerprint }) =>
      origin.cluster === cluster && fingerprint === printOwner(wanted, origin)
    );
    return own.every(({ retryAt }) => now < retryAt) ? own.map(({ origin }) => origin) : [];
  }

  /** Whether a cluster, or the balancer's own file, was in force in another form than the one that is wanted. */
  #hasOtherForm(wanted: Wanted<Config, ClusterConfig>, cluster: ClusterName | undefined): boolean {
    const accepted = this.#accepted;
    const origin: Origin = { cluster, path: [] };
    if (accepted === undefined) return false;
    const form = printOwner(accepted, origin);
    return form !== undefined && form !== printOwner(wanted, origin);
  }
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

/** All of a wish but its members. */
function printWhole<C, K>({ config, clusters, leftOut = [] }: Wanted<C, K>): string {
  return JSON.stringify([config, clusters.map(printCluster), leftOut]);
}
