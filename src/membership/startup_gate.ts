import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { sourceKey } from "../model/registry_source.ts";
import type { LiveTopology } from "./live_topology.ts";
import type { MembershipGuard } from "./membership_guard.ts";
import type { Accepted } from "../config/accepted.ts";

export interface StartupGateOptions {
  /** Knows the clusters that have members. */
  readonly live: Pick<LiveTopology, "nodes">;
  /** Knows which sources of clusters have reported. */
  readonly membership: Pick<MembershipGuard, "heard" | "hold">;
  readonly clock: Clock;
  /** Receives the clusters that were not reported in time. */
  readonly log: Logger;
  /** Called when the wait ends. */
  readonly onDue: () => void;
}

/** How long the writer waits for the registries' first answers before it serves what it knows. */
const FIRST_ANSWER_MS = 2_000;

/**
 * The start: waits a short while for the registries' first answers, so that a balancer is not first given
 * clusters without members. A registry that does not answer in time does not delay the others.
 */
export class StartupGate implements Disposable {
  readonly #options: StartupGateOptions;
  #isOver = false;
  #dueAt: number | undefined;
  #cancel: (() => void) | undefined;

  /** The wait starts with the first question. */
  constructor(options: StartupGateOptions) {
    this.#options = options;
  }

  /**
   * Whether the balancers may be given what is known. `isServed`: whether one of them ran before this process
   * started; `silentKeys`: the prefixes whose keys no registry has reported.
   */
  mayServe(
    { clusters, discovery }: Pick<Accepted, "clusters" | "discovery">,
    isServed: boolean,
    silentKeys: readonly string[] = [],
  ): boolean {
    if (this.#isOver) return true;
    const { live, membership, clock, log, onDue } = this.#options;
    const silent = [...clusters.values()].map(({ cluster }) => cluster).filter(({ name, sources }) =>
      sources.some((each) =>
        discovery.has(each.discovery) && !membership.heard({ cluster: name, source: sourceKey(each) })
      )
    );
    this.#dueAt ??= clock.now() + FIRST_ANSWER_MS;
    // Where nothing runs, the last known members are served at once: waiting would help nobody.
    const isReady = !isServed && silent.every(({ name }) => live.nodes(name) !== undefined);
    const waits = silentKeys.length > 0 || (silent.length > 0 && !isReady);
    if (waits && clock.now() < this.#dueAt) {
      this.#cancel ??= clock.after(this.#dueAt - clock.now() + 1, onDue);
      return false;
    }
    // A registry whose report is held has responded; the hold is logged.
    const names = silent.map(({ name }) => name).filter((name) => membership.hold(name) === undefined);
    if (names.length > 0) {
      const unknown = names.filter((name) => live.nodes(name) === undefined);
      log.warn("No registry data for some clusters", {
        event: "cluster.silent",
        clusters: names.join(", "),
        ...unknown.length > 0 && { unknown: unknown.join(", ") },
      });
    }
    this.#isOver = true;
    this.#cancel?.();
    return true;
  }

  /** Stops waiting. */
  [Symbol.dispose](): void {
    this.#cancel?.();
  }
}
