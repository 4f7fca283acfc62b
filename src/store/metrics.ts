/** A figure of a store in the words of Prometheus. */
export interface Metric {
  /** Its name, with the unit at its end. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "summary";
  /** Its values by what is written behind the name: a suffix, or labels; `""` for the one value there is. */
  readonly samples: Readonly<Record<string, number>>;
}

/** What a store counts from its start on. */
export interface Counts {
  /** `GET /data` that were answered. */
  reads: number;
  /** Transactions that became a version, or changed nothing. */
  commits: number;
  /** Those that were refused, as somebody else was quicker. */
  conflicts: number;
  /** Those that were refused for another reason. */
  failures: number;
  /** Versions that became current: commits, leases, and what came from other instances. */
  versions: number;
  /** Snapshots that were written. */
  snapshots: number;
  /** How long that took. */
  snapshotSeconds: number;
  /** How large the last one was. */
  snapshotBytes: number;
}

/** Counts from nothing. */
export function newCounts(): Counts {
  return {
    reads: 0,
    commits: 0,
    conflicts: 0,
    failures: 0,
    versions: 0,
    snapshots: 0,
    snapshotSeconds: 0,
    snapshotBytes: 0,
  };
}

/** What a store is at present. */
export interface Standing {
  readonly sequence: number;
  readonly isAvailable: boolean;
  readonly isLocked: boolean;
  readonly watchers: number;
  readonly leases: number;
  readonly leasedKeys: number;
  readonly peers: number;
  readonly peersReachable: number;
  readonly lost: number;
}

/** Answers the figures of a store. */
export function metricsOf(counts: Counts, now: Standing): readonly Metric[] {
  const gauge = (name: string, help: string, value: number | boolean): Metric => ({
    name: `lighthouse_store_${name}`,
    help,
    type: "gauge",
    samples: { "": Number(value) },
  });
  const counter = (name: string, help: string, samples: Metric["samples"]): Metric => ({
    name: `lighthouse_store_${name}_total`,
    help,
    type: "counter",
    samples,
  });
  return [
    gauge("version_sequence", "The sequence of the current version.", now.sequence),
    gauge("available", "1 if the document is served, 0 while a newer one may be elsewhere.", now.isAvailable),
    gauge("lock_held", "1 if somebody holds the lock.", now.isLocked),
    gauge("watchers", "Requests that wait for a change.", now.watchers),
    gauge("leases", "Leases that are alive.", now.leases),
    gauge("leased_keys", "Keys that leases hold.", now.leasedKeys),
    gauge("peers", "Other instances that are known.", now.peers),
    gauge("peers_reachable", "Other instances that answered when last asked.", now.peersReachable),
    gauge("lost_versions", "Versions that have lost against others and are kept.", now.lost),
    counter("reads", "Reads of the document that were answered.", { "": counts.reads }),
    counter("commits", "Transactions that were to be committed.", {
      '{result="done"}': counts.commits,
      '{result="conflict"}': counts.conflicts,
      '{result="refused"}': counts.failures,
    }),
    counter("versions", "Versions that became current, by commits, leases and other instances.", {
      "": counts.versions,
    }),
    gauge("snapshot_bytes", "The size of the last snapshot that was written.", counts.snapshotBytes),
    {
      name: "lighthouse_store_snapshot_write_seconds",
      help: "How long snapshots took to be on the disk.",
      type: "summary",
      samples: { _sum: counts.snapshotSeconds, _count: counts.snapshots },
    },
  ];
}

/** Writes metrics in the text format of Prometheus, version 0.0.4. */
export function formatMetrics(metrics: readonly Metric[]): string {
  return metrics.map(({ name, help, type, samples }) => {
    const lines = Object.entries(samples).map(([suffix, value]) => `${name}${suffix} ${value}\n`);
    return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
  }).join("");
}
