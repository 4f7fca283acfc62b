/**
 * Every metric, once: name, kind, unit, labels and help. docs/metrics.md is made
 * from this table. Names follow Prometheus' conventions: base units, `_total` for
 * counters. A label has few values: a cluster, a check, a reason; never the
 * address of a node.
 *
 * An age is a gauge in seconds, not a timestamp: it is computed when it is asked
 * for, so it cannot stand still, and it needs no common clock.
 *
 * @module
 */

/** What a metric is. */
export interface MetricDefinition {
  /** The heading of the docs page that it stands under. */
  readonly part: string;
  readonly kind: "counter" | "gauge" | "histogram";
  /** The base unit that its name ends with; absent for a plain number. */
  readonly unit?: "seconds" | "bytes";
  readonly labels: readonly string[];
  /** One sentence. */
  readonly help: string;
  /** The upper bounds of a histogram's buckets, ascending; `+Inf` is implied. */
  readonly buckets?: readonly number[];
}

/** From a command on a local socket (0.5 ms) to a large reload. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** All metrics, in the order in which they are exposed. */
export const METRICS = {
  lighthouse_build_info: {
    part: "The process",
    kind: "gauge",
    labels: ["version", "role"],
    help: "1; its labels say which version runs, and as what.",
  },
  process_start_time_seconds: {
    part: "The process",
    kind: "gauge",
    unit: "seconds",
    labels: [],
    help: "When the process started, in seconds since 1970.",
  },
  process_cpu_seconds_total: {
    part: "The process",
    kind: "counter",
    unit: "seconds",
    labels: [],
    help: "CPU time used, all threads, user and system.",
  },
  process_resident_memory_bytes: {
    part: "The process",
    kind: "gauge",
    unit: "bytes",
    labels: [],
    help: "Resident memory.",
  },
  process_open_fds: {
    part: "The process",
    kind: "gauge",
    labels: [],
    help: "Open file descriptors, counted every 10 s.",
  },
  process_max_fds: {
    part: "The process",
    kind: "gauge",
    labels: [],
    help: "The limit of open file descriptors.",
  },
  lighthouse_event_loop_delay_seconds: {
    part: "The process",
    kind: "histogram",
    unit: "seconds",
    labels: [],
    help: "How late a timer of one second fired on the main thread.",
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
  lighthouse_health_findings: {
    part: "The process",
    kind: "gauge",
    labels: ["severity"],
    help: "Findings of /health by severity: failing, degraded.",
  },
  lighthouse_metric_series_omitted: {
    part: "The process",
    kind: "gauge",
    labels: ["metric"],
    help: "Series that are not exposed as the metric has too many.",
  },
  lighthouse_config_reads_total: {
    part: "The config",
    kind: "counter",
    labels: ["result"],
    help: "Reads of the config directory by result: changed, unchanged, unreadable.",
  },
  lighthouse_config_findings: {
    part: "The config",
    kind: "gauge",
    labels: ["severity"],
    help: "Findings in the config by severity: error, warning.",
  },
  lighthouse_config_readable: {
    part: "The config",
    kind: "gauge",
    labels: [],
    help: "1 if the config directory could be read the last time.",
  },
  lighthouse_config_read_age_seconds: {
    part: "The config",
    kind: "gauge",
    unit: "seconds",
    labels: [],
    help: "Since the config directory was last read.",
  },
  lighthouse_config_apply_duration_seconds: {
    part: "The config",
    kind: "histogram",
    unit: "seconds",
    labels: [],
    help: "From the beginning of the read of a changed config to its being applied.",
    buckets: SECONDS,
  },
  lighthouse_probes_total: {
    part: "Checks and services",
    kind: "counter",
    labels: ["service", "check", "result"],
    help: "Probes by service port, check and result: pass, fail, unknown.",
  },
  lighthouse_node_probes_total: {
    part: "Checks and services",
    kind: "counter",
    labels: ["cluster", "check", "result"],
    help: "Probes of the nodes of clusters (traffic.health) by check and result: pass, fail, unknown.",
  },
  lighthouse_probe_duration_seconds: {
    part: "Checks and services",
    kind: "histogram",
    unit: "seconds",
    labels: ["check"],
    help: "Duration of probes by check.",
    buckets: SECONDS,
  },
  lighthouse_check_passing: {
    part: "Checks and services",
    kind: "gauge",
    labels: ["service", "check"],
    help: "1 if the check passes by rise and fall, 0 if it fails; absent until it is known.",
  },
  lighthouse_service_up: {
    part: "Checks and services",
    kind: "gauge",
    labels: ["service"],
    help: "1 if the service port is up, 0 if it is down; absent while it is unknown.",
  },
  lighthouse_registrations_total: {
    part: "Checks and services",
    kind: "counter",
    labels: ["discovery", "operation", "result"],
    help: "Changes asked of registries by operation (register, deregister, deregisterOwn) and result: ok, error.",
  },
  lighthouse_registration_duration_seconds: {
    part: "Checks and services",
    kind: "histogram",
    unit: "seconds",
    labels: ["discovery", "operation"],
    help: "Duration of changes asked of registries.",
    buckets: SECONDS,
  },
  lighthouse_registration_pending: {
    part: "Checks and services",
    kind: "gauge",
    labels: ["service"],
    help: "1 while the registry has not confirmed what the service port is to be: present or absent.",
  },
  lighthouse_registration_contested: {
    part: "Checks and services",
    kind: "gauge",
    labels: ["service"],
    help: "1 while another host registers the same node.",
  },
  lighthouse_registry_connected: {
    part: "Registries",
    kind: "gauge",
    labels: ["discovery"],
    help: "1 if the registry is connected.",
  },
  lighthouse_registry_connects_total: {
    part: "Registries",
    kind: "counter",
    labels: ["discovery"],
    help: "Connections to the registry that were established, the first one included.",
  },
  lighthouse_registry_disconnects_total: {
    part: "Registries",
    kind: "counter",
    labels: ["discovery"],
    help: "Connections to the registry that were lost.",
  },
  lighthouse_snapshots_total: {
    part: "Clusters",
    kind: "counter",
    labels: ["cluster", "result"],
    help: "Snapshots of a cluster from its registry by result: changed, unchanged, held.",
  },
  lighthouse_cluster_holds_total: {
    part: "Clusters",
    kind: "counter",
    labels: ["cluster", "cause"],
    help: "Membership changes held by a guard by cause: empty, few, many, shrunk, missing, behind.",
  },
  lighthouse_watch_failures_total: {
    part: "Clusters",
    kind: "counter",
    labels: ["cluster"],
    help: "Watches of a cluster that failed.",
  },
  lighthouse_cluster_members: {
    part: "Clusters",
    kind: "gauge",
    labels: ["cluster", "state"],
    help: "Members of the cluster that are accepted, by state: ready, drain.",
  },
  lighthouse_cluster_state: {
    part: "Clusters",
    kind: "gauge",
    labels: ["cluster", "state"],
    help: "1 for the state that the cluster is in: current, stale, held, last-known, unknown.",
  },
  lighthouse_cluster_age_seconds: {
    part: "Clusters",
    kind: "gauge",
    unit: "seconds",
    labels: ["cluster"],
    help: "Since the registry last confirmed the members: 0 while it is watched.",
  },
  lighthouse_propagation_seconds: {
    part: "Clusters",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer", "cluster"],
    help: "From the arrival of a membership change to the balancer seen serving it.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  lighthouse_balancer_in_sync: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "1 if the balancer was last seen serving the desired state.",
  },
  lighthouse_balancer_out_of_sync_seconds: {
    part: "Balancers",
    kind: "gauge",
    unit: "seconds",
    labels: ["balancer"],
    help: "For how long the balancer has not reached the desired state: 0 while it is in sync.",
  },
  lighthouse_balancer_members: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer", "cluster"],
    help: "Members of the cluster that the balancer was last seen serving.",
  },
  lighthouse_balancer_old_workers: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "Old workers of the balancer that drain their last connections.",
  },
  lighthouse_balancer_file_behind: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "1 while the balancer's file cannot be written and is behind what runs.",
  },
  lighthouse_balancer_connections: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer", "state"],
    help: "Open connections as the balancer counts them, by state; nginx: active, reading, writing, waiting.",
  },
  lighthouse_balancer_connections_accepted_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Connections that the balancer accepted since its start, as it counts them; nginx alone.",
  },
  lighthouse_balancer_connections_handled_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Accepted connections that the balancer did not drop for a limit; nginx alone.",
  },
  lighthouse_balancer_requests_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Requests to the balancer since its start, as it counts them; nginx alone.",
  },
  lighthouse_balancer_notices: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "Notices of the balancer's config: nodes and lines left out, clusters without nodes.",
  },
  lighthouse_balancer_reloads_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer", "reason"],
    help: "Reloads that went well by reason: structure, members, forced, other.",
  },
  lighthouse_balancer_starts_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Starts of the balancer that went well.",
  },
  lighthouse_balancer_steps_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer", "step", "result"],
    help: "Steps by kind (command, install, start, reload, notify, supervise) and result: ok, or why it failed.",
  },
  lighthouse_balancer_step_duration_seconds: {
    part: "Balancers",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer", "step"],
    help: "Duration of steps that went well; commands sent together count once.",
    buckets: SECONDS,
  },
  lighthouse_balancer_look_duration_seconds: {
    part: "Balancers",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer", "result"],
    help: "Latency of a look at the balancer, over its socket if it has one, by result: ok, down, error.",
    buckets: SECONDS,
  },
  lighthouse_balancer_turn_duration_seconds: {
    part: "Balancers",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer"],
    help: "Duration of the writer's turns that had a new desired state or changed the balancer.",
    buckets: SECONDS,
  },
  lighthouse_balancer_drift_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Times that the balancer was found changed by someone else.",
  },
  lighthouse_balancer_config_rejections_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Configs that the balancer rejected.",
  },
  lighthouse_workers: {
    part: "Workers",
    kind: "gauge",
    labels: ["kind", "state"],
    help: "Workers by kind and state: serving, down.",
  },
  lighthouse_worker_boots_total: {
    part: "Workers",
    kind: "counter",
    labels: ["kind", "result"],
    help: "Workers that were started, by kind and result: ok, error.",
  },
  lighthouse_worker_boot_duration_seconds: {
    part: "Workers",
    kind: "histogram",
    unit: "seconds",
    labels: ["kind"],
    help: "From the start of a worker to its service.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  lighthouse_worker_restarts_total: {
    part: "Workers",
    kind: "counter",
    labels: ["worker"],
    help: "Workers that ended by themselves, or were ended for cause, and were replaced.",
  },
  lighthouse_worker_rejected_messages_total: {
    part: "Workers",
    kind: "counter",
    labels: ["kind"],
    help: "Nodes and messages of workers that were rejected as invalid.",
  },
  lighthouse_worker_dropped_log_records_total: {
    part: "Workers",
    kind: "counter",
    labels: ["kind"],
    help: "Log records of workers that were dropped for their rate.",
  },
  lighthouse_stuck_threads: {
    part: "Workers",
    kind: "gauge",
    labels: [],
    help: "Threads of workers that cannot be stopped; each burns a core.",
  },
  lighthouse_hung_plugins: {
    part: "Workers",
    kind: "gauge",
    labels: [],
    help: "Plugins that are kept out, across restarts, as they hung.",
  },
  lighthouse_notifications_total: {
    part: "Notifications",
    kind: "counter",
    labels: ["notifier", "result"],
    help: "Events by notifier and result: delivered, dropped; and attempts that failed: failed.",
  },
  lighthouse_published_samples_total: {
    part: "Publishers",
    kind: "counter",
    labels: ["publisher", "result"],
    help: "Samples by publisher and result: sent, dropped.",
  },
  lighthouse_store_version_sequence: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "The sequence of the current version.",
  },
  lighthouse_store_available: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "1 if the document is served, 0 while a newer one may be elsewhere and requests are answered with 503.",
  },
  lighthouse_store_lock_held: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "1 if somebody holds the lock.",
  },
  lighthouse_store_watchers: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "Requests that wait for a change.",
  },
  lighthouse_store_leases: { part: "The store", kind: "gauge", labels: [], help: "Leases that are alive." },
  lighthouse_store_leased_keys: { part: "The store", kind: "gauge", labels: [], help: "Keys that leases hold." },
  lighthouse_store_peers: { part: "The store", kind: "gauge", labels: [], help: "Other instances that are known." },
  lighthouse_store_peers_reachable: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "Other instances that answered when last asked.",
  },
  lighthouse_store_lost_versions: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "Versions that have lost against others and are kept.",
  },
  lighthouse_store_reads_total: {
    part: "The store",
    kind: "counter",
    labels: [],
    help: "Reads of the document that were answered.",
  },
  lighthouse_store_commits_total: {
    part: "The store",
    kind: "counter",
    labels: ["result"],
    help: "Transactions by result: done, conflict (409), rejected.",
  },
  lighthouse_store_versions_total: {
    part: "The store",
    kind: "counter",
    labels: [],
    help: "Versions that became current: commits, leases, and copies of other instances.",
  },
  lighthouse_store_snapshot_bytes: {
    part: "The store",
    kind: "gauge",
    unit: "bytes",
    labels: [],
    help: "The size of the last snapshot that was written.",
  },
  lighthouse_store_snapshot_write_seconds: {
    part: "The store",
    kind: "histogram",
    unit: "seconds",
    labels: [],
    help: "How long snapshots took to be on the disk.",
    buckets: SECONDS,
  },
} as const satisfies Record<string, MetricDefinition>;

/** The name of a metric of a kind. */
export type MetricName<Kind extends MetricDefinition["kind"] = MetricDefinition["kind"]> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never;
}[keyof typeof METRICS];

/** The labels of a metric, each with its value. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<(typeof METRICS)[Name]["labels"][number], string>>;
