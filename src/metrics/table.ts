/**
 * Every metric: name, kind, unit, labels and help. docs/metrics.md is generated
 * from this table. Names follow the Prometheus conventions: base units, `_total`
 * for counters. A label has few values, such as a cluster, a check or a reason;
 * node addresses are never label values.
 *
 * An age is a gauge in seconds, not a timestamp. The scrape computes the age, so
 * the value is never stale and does not depend on synchronized clocks.
 *
 * @module
 */

/** The definition of a metric. */
export interface MetricDefinition {
  /** The section of the docs page. */
  readonly part: string;
  readonly kind: "counter" | "gauge" | "histogram";
  /** The base unit, which is the suffix of the name; absent for a plain number. */
  readonly unit?: "seconds" | "bytes";
  readonly labels: readonly string[];
  /** One sentence. */
  readonly help: string;
  /** The upper bounds of a histogram's buckets, ascending; `+Inf` is implied. */
  readonly buckets?: readonly number[];
}

/** From a command on a local socket (0.5 ms) to a large reload. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** All metrics, in exposition order. */
export const METRICS = {
  lighthouse_build_info: {
    part: "The process",
    kind: "gauge",
    labels: ["version", "role"],
    help: "Always 1; the labels are the version and role of the process.",
  },
  process_start_time_seconds: {
    part: "The process",
    kind: "gauge",
    unit: "seconds",
    labels: [],
    help: "Start time of the process, in seconds since the Unix epoch.",
  },
  process_cpu_seconds_total: {
    part: "The process",
    kind: "counter",
    unit: "seconds",
    labels: [],
    help: "User and system CPU time of all threads.",
  },
  process_resident_memory_bytes: {
    part: "The process",
    kind: "gauge",
    unit: "bytes",
    labels: [],
    help: "Resident memory size.",
  },
  process_open_fds: {
    part: "The process",
    kind: "gauge",
    labels: [],
    help: "Open file descriptors, counted every 10s.",
  },
  process_max_fds: {
    part: "The process",
    kind: "gauge",
    labels: [],
    help: "Maximum number of open file descriptors.",
  },
  lighthouse_event_loop_delay_seconds: {
    part: "The process",
    kind: "histogram",
    unit: "seconds",
    labels: [],
    help: "Delay of a one-second timer on the main thread.",
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
    help: "Series omitted because the metric exceeds the series limit.",
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
    help: "Errors and warnings in the config, by severity: error, warning.",
  },
  lighthouse_config_readable: {
    part: "The config",
    kind: "gauge",
    labels: [],
    help: "1 if the last read of the config directory succeeded.",
  },
  lighthouse_config_read_age_seconds: {
    part: "The config",
    kind: "gauge",
    unit: "seconds",
    labels: [],
    help: "Time since the last read of the config directory.",
  },
  lighthouse_config_apply_duration_seconds: {
    part: "The config",
    kind: "histogram",
    unit: "seconds",
    labels: [],
    help: "Time to read and apply a changed config.",
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
    help: "Probes of cluster nodes (traffic.health) by check and result: pass, fail, unknown.",
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
    help: "1 if the check is up, 0 if it is down (according to rise and fall); absent while unknown.",
  },
  lighthouse_service_up: {
    part: "Checks and services",
    kind: "gauge",
    labels: ["service"],
    help: "1 if the service port is up, 0 if it is down; absent while unknown.",
  },
  lighthouse_registrations_total: {
    part: "Checks and services",
    kind: "counter",
    labels: ["discovery", "operation", "result"],
    help: "Changes sent to registries by operation (register, deregister, deregisterOwn) and result: ok, error.",
  },
  lighthouse_registration_duration_seconds: {
    part: "Checks and services",
    kind: "histogram",
    unit: "seconds",
    labels: ["discovery", "operation"],
    help: "Duration of changes sent to registries.",
    buckets: SECONDS,
  },
  lighthouse_registration_pending: {
    part: "Checks and services",
    kind: "gauge",
    labels: ["service"],
    help: "1 until the registry confirms the desired state of the service port (registered or deregistered).",
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
    help: "Connections established to the registry, including the first.",
  },
  lighthouse_registry_disconnects_total: {
    part: "Registries",
    kind: "counter",
    labels: ["discovery"],
    help: "Lost connections to the registry.",
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
    help: "Membership changes held by guards, by cause: empty, few, many, shrunk, missing, behind.",
  },
  lighthouse_watch_failures_total: {
    part: "Clusters",
    kind: "counter",
    labels: ["cluster"],
    help: "Watch failures for the cluster.",
  },
  lighthouse_cluster_members: {
    part: "Clusters",
    kind: "gauge",
    labels: ["cluster", "state"],
    help: "Accepted members of the cluster by state: ready, drain.",
  },
  lighthouse_cluster_state: {
    part: "Clusters",
    kind: "gauge",
    labels: ["cluster", "state"],
    help: "1 for the state of the cluster, otherwise 0, by state: current, stale, held, last-known, unknown.",
  },
  lighthouse_cluster_age_seconds: {
    part: "Clusters",
    kind: "gauge",
    unit: "seconds",
    labels: ["cluster"],
    help: "Time since the registry last confirmed the members; 0 while the watch is up.",
  },
  lighthouse_propagation_seconds: {
    part: "Clusters",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer", "cluster"],
    help: "Time from the arrival of a membership change until the balancer is confirmed to serve the change.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  lighthouse_balancer_in_sync: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "1 if the balancer's state matched the desired state at the last read.",
  },
  lighthouse_balancer_out_of_sync_seconds: {
    part: "Balancers",
    kind: "gauge",
    unit: "seconds",
    labels: ["balancer"],
    help: "Time since the balancer was last in sync with the desired state; 0 while in sync.",
  },
  lighthouse_balancer_members: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer", "cluster"],
    help: "Members of the cluster that the balancer served when its state was last read.",
  },
  lighthouse_balancer_old_workers: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "Old workers of the balancer that are still draining connections.",
  },
  lighthouse_balancer_file_behind: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "1 while the balancer's file cannot be written and is older than the running config.",
  },
  lighthouse_balancer_connections: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer", "state"],
    help: "Open connections by state, as counted by the balancer; nginx: active, reading, writing, waiting.",
  },
  lighthouse_balancer_connections_accepted_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Connections accepted since the balancer started, as counted by the balancer; nginx only.",
  },
  lighthouse_balancer_connections_handled_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Connections handled, that is, accepted and not dropped at a limit; nginx only.",
  },
  lighthouse_balancer_requests_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Requests since the balancer started, as counted by the balancer; nginx only.",
  },
  lighthouse_balancer_notices: {
    part: "Balancers",
    kind: "gauge",
    labels: ["balancer"],
    help: "Notices about the balancer's config: skipped nodes and lines, clusters without nodes.",
  },
  lighthouse_balancer_reloads_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer", "reason"],
    help: "Successful reloads by reason: structure, members, forced, other.",
  },
  lighthouse_balancer_starts_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Successful starts of the balancer.",
  },
  lighthouse_balancer_steps_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer", "step", "result"],
    help:
      "Reconcile steps by kind (command, install, start, reload, notify, supervise) and result: ok, or the kind of failure.",
  },
  lighthouse_balancer_step_duration_seconds: {
    part: "Balancers",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer", "step"],
    help: "Duration of successful steps; a batch of commands counts once.",
    buckets: SECONDS,
  },
  lighthouse_balancer_look_duration_seconds: {
    part: "Balancers",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer", "result"],
    help: "Duration of reads of the balancer's state (over the socket, if configured) by result: ok, down, error.",
    buckets: SECONDS,
  },
  lighthouse_balancer_turn_duration_seconds: {
    part: "Balancers",
    kind: "histogram",
    unit: "seconds",
    labels: ["balancer"],
    help: "Duration of reconciles with a new desired state, or with changes to the balancer.",
    buckets: SECONDS,
  },
  lighthouse_balancer_drift_total: {
    part: "Balancers",
    kind: "counter",
    labels: ["balancer"],
    help: "Detected drift: changes to the balancer that Lighthouse did not make.",
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
    help: "Worker starts by kind and result: ok, error.",
  },
  lighthouse_worker_boot_duration_seconds: {
    part: "Workers",
    kind: "histogram",
    unit: "seconds",
    labels: ["kind"],
    help: "Time from the start of a worker until it is in service.",
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  lighthouse_worker_restarts_total: {
    part: "Workers",
    kind: "counter",
    labels: ["worker"],
    help: "Worker restarts after a crash or a forced stop.",
  },
  lighthouse_worker_rejected_messages_total: {
    part: "Workers",
    kind: "counter",
    labels: ["kind"],
    help: "Rejected nodes and messages from workers.",
  },
  lighthouse_worker_dropped_log_records_total: {
    part: "Workers",
    kind: "counter",
    labels: ["kind"],
    help: "Log records from workers that the rate limit dropped.",
  },
  lighthouse_stuck_threads: {
    part: "Workers",
    kind: "gauge",
    labels: [],
    help: "Stuck worker threads; each uses a full CPU core.",
  },
  lighthouse_hung_plugins: {
    part: "Workers",
    kind: "gauge",
    labels: [],
    help: "Plugins disabled because they hung; they stay disabled across restarts.",
  },
  lighthouse_notifications_total: {
    part: "Notifications",
    kind: "counter",
    labels: ["notifier", "result"],
    help: "Events by notifier and result: delivered, dropped, failed (delivery attempts).",
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
    help: "Sequence number of the current version.",
  },
  lighthouse_store_available: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "1 if the document is served; 0 while another instance may have a newer version, and requests get 503.",
  },
  lighthouse_store_lock_held: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "1 if the transaction lock is held.",
  },
  lighthouse_store_watchers: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "Watch requests waiting for a change.",
  },
  lighthouse_store_leases: { part: "The store", kind: "gauge", labels: [], help: "Active leases." },
  lighthouse_store_leased_keys: { part: "The store", kind: "gauge", labels: [], help: "Keys bound to leases." },
  lighthouse_store_peers: { part: "The store", kind: "gauge", labels: [], help: "Known peer instances." },
  lighthouse_store_peers_reachable: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "Peer instances that responded to the last request.",
  },
  lighthouse_store_lost_versions: {
    part: "The store",
    kind: "gauge",
    labels: [],
    help: "Saved versions that lost a conflict.",
  },
  lighthouse_store_reads_total: {
    part: "The store",
    kind: "counter",
    labels: [],
    help: "Successful reads of the document.",
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
    help: "Versions that became current: commits, leases and copies from other instances.",
  },
  lighthouse_store_snapshot_bytes: {
    part: "The store",
    kind: "gauge",
    unit: "bytes",
    labels: [],
    help: "Size of the last snapshot written.",
  },
  lighthouse_store_snapshot_write_seconds: {
    part: "The store",
    kind: "histogram",
    unit: "seconds",
    labels: [],
    help: "Duration of snapshot writes, until the data is on disk.",
    buckets: SECONDS,
  },
} as const satisfies Record<string, MetricDefinition>;

/** The names of all metrics of a kind. */
export type MetricName<Kind extends MetricDefinition["kind"] = MetricDefinition["kind"]> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never;
}[keyof typeof METRICS];

/** The label values of a metric. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<(typeof METRICS)[Name]["labels"][number], string>>;
