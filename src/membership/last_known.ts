import type { BalancerEffects } from "../balance/effects.ts";
import type { Clock } from "../kernel/clock.ts";
import { Coalescer } from "../kernel/coalescer.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import { Serial } from "../kernel/serial.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { type Disk, OWN_DISK } from "./disk.ts";
import type { LiveTopology, Origins } from "./live_topology.ts";
import type { SourceMembers } from "./source_members.ts";
import { type Confirmed, decodeTopology, encodeTopology, type Members, type SourcesOf } from "./topology_file.ts";
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import type { Traffic } from "./traffic.ts";
import { clusterNames } from "./wanted.ts";

export interface LastKnownOptions {
  readonly live: LiveTopology;
  /** Knows since when nodes are members. */
  readonly traffic?: Pick<Traffic, "sightings" | "restore"> | undefined;
  /** The last good members of each source. */
  readonly members: SourceMembers;
  readonly clock: Clock;
  /** The time of day in milliseconds: what is written to disk outlives the clock. */
  readonly wallNow: () => number;
  readonly log: Logger;
  /** Makes an observer of a balancer. */
  readonly makeEffects: () => BalancerEffects;
  /** Where the files are: this machine's disk, unless a simulation has another. */
  readonly disk?: Disk | undefined;
}

/** How long the balancer may take to list its members. */
const ADOPT_DEADLINE_MS = 3_000;
/** How long a change of members waits for further ones before it is written, and how long at most. */
const QUIET_MS = 200, MAX_MS = 1_000;
/**
 * A file that takes long to build is built less often: it takes this share of the time at most, up to an
 * interval.
 */
const SHARE_MAX = 1 / 20, SLOW_INTERVAL_MAX_MS = 10_000;
/** When a failed write is retried although no members have changed. */
const RETRY_MS = 10_000;
/**
 * How often the file is written although no members have changed: it holds the time at which they were last
 * confirmed.
 */
const REFRESH_MS = 3_600_000;
/** How long members of an earlier run are served before that is logged, unless the config says otherwise. */
export const MAX_AGE_MS = 7 * 86_400_000;

/**
 * What is known about clusters before their registries have reported: the members that the balancer has now,
 * by its file and by the process, and those in the topology file of an earlier run, with all that a registry
 * says about a node. While the process runs, this keeps that file up to date.
 */
export class LastKnown implements AsyncDisposable {
  readonly #options: LastKnownOptions;
  readonly #disk: Disk;
  readonly #coalescer: Coalescer;
  readonly #writing = new Serial();
  #path: string | undefined;
  #remembered: Members = new Map();
  #confirmed: Confirmed = new Map();
  #origins: ReadonlyMap<ClusterName, Origins> = new Map();
  /** What each source had in an earlier run. */
  #sources: SourcesOf = new Map();
  /** The clusters of the config, and those of them with several sources. */
  #wanted: ReadonlySet<ClusterName> = new Set();
  #combined: ReadonlySet<ClusterName> = new Set();
  #maxAgeMs = MAX_AGE_MS;
  /** What the file holds, and when it was written. */
  #written: { readonly values: readonly unknown[]; readonly atMs: number } | undefined;
  #failure: string | undefined;
  /** Aborted when nothing is built piece by piece any more. */
  readonly #ending = new AbortController();
  #cancelNext = () => {};

  constructor(options: LastKnownOptions) {
    this.#options = options;
    const { clock, disk = OWN_DISK } = options;
    this.#disk = disk;
    this.#coalescer = new Coalescer(() => void this.#write(), { quietMs: QUIET_MS, maxMs: MAX_MS, clock });
  }

  /**
   * Sets the path of the topology file, which is read before the first members are adopted from it; an
   * invalid file is logged and ignored.
   */
  async at(path: string): Promise<void> {
    if (path === this.#path) return;
    const isFirst = this.#path === undefined;
    this.#path = path;
    if (!isFirst) return this.note();
    const text = await this.#read(path);
    if (text === undefined) return;
    const decoded = await decodeTopology(text);
    if (decoded.ok) {
      [this.#remembered, this.#confirmed, this.#origins] = [decoded.members, decoded.confirmed, decoded.origins];
      // All of them were members when the file was written, as its confirmations show.
      this.#options.traffic?.restore(decoded.sightings, Math.max(-Infinity, ...decoded.confirmed.values()));
      this.#sources = decoded.sources;
    } else {
      const at = { path, reason: decoded.reason };
      this.#options.log.warn("Cannot use the last known good members; starting without them", {
        event: "last_known.unusable",
        ...at,
      });
    }
  }

  /**
   * Takes the clusters of the config, and the maximum age of members: other clusters are forgotten when they
   * are older.
   */
  apply(accepted: Pick<Accepted, "clusters">, maxAgeMs: number): void {
    [this.#wanted, this.#maxAgeMs] = [clusterNames(accepted), maxAgeMs];
    const clusters = [...accepted.clusters.values()].map(({ cluster }) => cluster);
    this.#combined = new Set(clusters.filter(({ sources }) => sources.length > 1).map(({ name }) => name));
  }

  /**
   * Gives each cluster that no registry has reported the members that were served last; `wanted` are the
   * clusters of the config. Returns whether the balancer runs.
   */
  async adopt({ plugin, config }: AcceptedBalancer, wanted: ReadonlySet<ClusterName>): Promise<boolean> {
    const [inFile, running] = await Promise.all([
      this.#adoptFile(plugin, config),
      this.#adoptRunning(plugin, config),
    ]);
    for (const known of [both(inFile, running ?? new Map()), this.#remembered]) {
      for (const [cluster, nodes] of known) {
        if (nodes.length === 0 || this.#options.live.nodes(cluster) !== undefined) continue;
        const ageMs = this.#ageMs(cluster);
        const confirmedMs = this.#options.clock.now() - ageMs;
        this.#options.live.adopt(cluster, this.#enrich(cluster, nodes), confirmedMs, this.#originsOf(cluster, nodes));
        // A cluster that is not in the config now may be once its file is fixed.
        const level = wanted.has(cluster) ? "info" : "debug";
        const at = { cluster, nodes: nodes.length, age: `${Math.round(ageMs / 1_000)}s` };
        this.#options.log[level]("Serving last known good members", { event: "cluster.last_known", ...at });
        if (ageMs <= this.#maxAgeMs || !wanted.has(cluster)) continue;
        this.#options.log.warn("Last known good members are older than max_age", { event: "cluster.outdated", ...at });
      }
    }
    for (const [cluster, sources] of this.#sources) {
      for (const [source, nodes] of sources) this.#options.members.adopt({ cluster, source }, nodes);
    }
    this.#sources = new Map();
    return running !== undefined;
  }

  /** Notes that members have changed. */
  note(): void {
    this.#coalescer.trigger();
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#coalescer[Symbol.dispose]();
    this.#ending.abort();
    await this.#write({ isLast: true });
    this.#cancelNext();
  }

  /** How long ago a registry confirmed the members of an earlier run; 0 if that run did not record it. */
  #ageMs(cluster: ClusterName): number {
    const { wallNow } = this.#options;
    return Math.max(0, wallNow() - (this.#confirmed.get(cluster) ?? Infinity));
  }

  /** Reads what an earlier run wrote; `undefined` if there is nothing, or nothing readable. */
  async #read(path: string): Promise<string | undefined> {
    try {
      return await this.#disk.read(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.warn("Cannot read the last known good members; starting without them", {
        event: "last_known.unusable",
        path,
        reason,
      });
      return undefined;
    }
  }

  /** The origins of nodes that an earlier run knew. */
  #originsOf(cluster: ClusterName, nodes: readonly Node[]): Origins {
    const known = this.#origins.get(cluster);
    return new Map(nodes.flatMap((node) => {
      const origin = known?.get(nodeName(node));
      return origin === undefined ? [] : [[nodeName(node), origin] as const];
    }));
  }

  /** Adds to nodes what the balancer does not know about them: peer and metadata. */
  #enrich(cluster: ClusterName, nodes: readonly Node[]): readonly Node[] {
    const before = new Map(this.#remembered.get(cluster)?.map((node) => [nodeName(node), node]));
    return nodes.map((node) => {
      const remembered = before.get(nodeName(node));
      return remembered?.ip === node.ip ? remembered : node;
    });
  }

  /**
   * Reads the members from the balancer's file. If there are none, or it cannot be read, the process is
   * asked.
   */
  async #adoptFile(plugin: Decider, config: unknown): Promise<Members> {
    try {
      const { file, moreFiles = [] } = await plugin.sources(config);
      const read = await Promise.all(
        [file, ...moreFiles].map(async (path) => [path, await this.#disk.read(path).catch(() => "")] as const),
      );
      return await plugin.adopt(new Map(read), config);
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      this.#options.log.debug("Cannot read members from the balancer's file", {
        event: "last_known.unread",
        reason: error.message,
      });
      return new Map();
    }
  }

  /** Asks the process for its members; `undefined` if it does not answer. */
  async #adoptRunning(plugin: Decider, config: unknown): Promise<Members | undefined> {
    const { clock, makeEffects, log } = this.#options;
    try {
      const sources = await plugin.sources(config);
      using late = deadline(ADOPT_DEADLINE_MS, { clock });
      const seen = await makeEffects().observe(sources, (answers) => plugin.pid(answers), late.signal);
      if (seen.answers === undefined) return undefined;
      return await plugin.adoptRunning?.(await plugin.observe(seen, config)) ?? new Map();
    } catch (error) {
      log.debug("Cannot read members from the running balancer", {
        event: "last_known.unread",
        reason: String(error),
      });
      return undefined;
    }
  }

  async #write({ isLast = false } = {}): Promise<void> {
    await this.#writing.run(async () => {
      const path = this.#path;
      if (path === undefined) return;
      this.#cancelNext();
      const { live, members: ofSources, clock, wallNow } = this.#options;
      const nowMs = clock.now();
      live.forget(this.#wanted, { beforeMs: nowMs - this.#maxAgeMs, nowMs });
      const { clusters } = live.topology;
      // A run without any report does not overwrite what an earlier one knew.
      if (clusters.size === 0) return;
      const sightings = this.#options.traffic?.sightings ?? new Map();
      ofSources.retain(new Set([...clusters.keys(), ...this.#wanted]));
      const combined = [...clusters.keys()].filter((cluster) => this.#combined.has(cluster));
      const sources = new Map(combined.map((cluster) => [cluster, ofSources.members(cluster)]));
      const values = [
        ...[...clusters].flat(),
        ...[...sightings].flat(),
        ...[...sources].flatMap(([cluster, each]) => [cluster, ...[...each].flat()]),
      ];
      this.#cancelNext = clock.after(REFRESH_MS, () => this.note());
      const isFresh = this.#written !== undefined && isSameList(values, this.#written.values) &&
        nowMs - this.#written.atMs < REFRESH_MS;
      if (isFresh && !isLast) return;
      const confirmed = [...clusters.keys()].map((cluster): [ClusterName, number] => [
        cluster,
        wallNow() - nowMs + (live.confirmedMs(cluster, nowMs) ?? nowMs),
      ]);
      const origins = [...clusters.keys()].map((cluster) => [cluster, live.origins(cluster)] as const);
      const text = await encodeTopology(clusters, {
        confirmed: new Map(confirmed),
        origins: new Map(origins),
        sightings,
        sources,
      }, isLast ? undefined : () => delay(0, { clock, signal: this.#ending.signal }).catch(() => {}));
      const tookMs = clock.now() - nowMs;
      const maxMs = Math.max(MAX_MS, Math.min(tookMs / SHARE_MAX, SLOW_INTERVAL_MAX_MS));
      this.#coalescer.pace({ quietMs: QUIET_MS, maxMs });
      try {
        await this.#disk.write(path, text);
        this.#written = { values, atMs: nowMs };
        if (this.#failure !== undefined) {
          this.#options.log.info("Last known good members can be saved again", { event: "last_known.written", path });
        }
        this.#failure = undefined;
      } catch (error) {
        // The candidate has another name each time.
        const reason = (error instanceof Error ? error.message : String(error)).replace(
          /\.lighthouse-[0-9a-f-]{36}/,
          "",
        );
        this.#cancelNext();
        this.#cancelNext = clock.after(RETRY_MS, () => this.note());
        // The same failure is logged once.
        const level = reason === this.#failure ? "debug" : "warn";
        this.#options.log[level]("Cannot save the last known good members to disk", {
          event: "last_known.unwritten",
          path,
          reason,
        });
        this.#failure = reason;
      }
    });
  }
}

/**
 * The members in the file, and those that only run: a member that joined in the second before the writer was
 * killed is not in the file, which alone knows peers.
 */
function both(inFile: Members, running: Members): Members {
  const clusters = new Set([...inFile.keys(), ...running.keys()]);
  return new Map([...clusters].map((cluster) => {
    const written = inFile.get(cluster) ?? [];
    const names = new Set(written.map(nodeName));
    return [cluster, [...written, ...(running.get(cluster) ?? []).filter((node) => !names.has(nodeName(node)))]];
  }));
}

/** Whether two lists have identical values: whatever has changed is another value. */
function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((each, at) => each === other[at]);
}
