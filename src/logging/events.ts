/**
 * Every event that Lighthouse logs: its id, level, fields, meaning and remedy.
 * docs/events.md is generated from this table, and a test compares the log calls
 * of all rooms with it. Log calls name their event as a plain string, because not
 * every room may import this module. An id is stable; a message may be reworded.
 *
 * @module
 */

/** A level: `error`, someone must act; `warn`, degraded or about to be; `info`, a state changed; `debug`, everything else. */
export type EventLevel = "debug" | "info" | "warn" | "error";

/** The description of one event. */
export interface LogEvent {
  readonly level: EventLevel;
  /** Whether repetitions, such as the same failure again, are logged at `debug`. */
  readonly repeats?: boolean;
  /** The fields besides `event`; each is present in some or all records. */
  readonly fields: readonly string[];
  /** The meaning for an operator. */
  readonly meaning: string;
  /** The recommended action. */
  readonly action: string;
  /** The event, or any of the events, that ends the state that this one begins. */
  readonly resolvedBy?: string | readonly string[];
}

const NO_ACTION = "no action";

/** All events by id. */
export const EVENTS: Readonly<Record<string, LogEvent>> = {
  // The process.
  "process.starting": {
    level: "info",
    fields: ["role", "dir"],
    meaning: "the process starts and reads the config in `dir`",
    action: NO_ACTION,
  },
  "process.stopping": {
    level: "info",
    fields: ["role"],
    meaning: "the process was asked to stop, or cannot continue",
    action: NO_ACTION,
  },
  "process.stopped": {
    level: "info",
    fields: ["role"],
    meaning: "the process has stopped; HAProxy keeps running",
    action: NO_ACTION,
  },
  "process.killed": {
    level: "warn",
    fields: ["signal"],
    meaning: "a second signal killed the process before its shutdown was complete",
    action: "check the registry for stale nodes of this host",
  },
  "process.failed": {
    level: "error",
    fields: ["reason"],
    meaning: "an internal error occurred; the process exits with status 70",
    action: "report the bug with `reason`; the service manager restarts the process",
  },
  "process.tools": {
    level: "warn",
    fields: ["missing", "unseen"],
    meaning: "programs that inspect other processes are missing; `unseen` lists the unavailable information",
    action: "install the `missing` programs, or set `master_socket` or `reload_command`",
  },

  // The config.
  "config.applied": {
    level: "info",
    fields: ["clusters", "services", "discovery", "workers"],
    meaning:
      "the config was read and applied; the fields are the numbers of its clusters, services, discoveries and workers",
    action: NO_ACTION,
  },
  "config.reread": {
    level: "info",
    fields: [],
    meaning: "SIGHUP was received; the config directory and the host name are read again",
    action: NO_ACTION,
  },
  "config.invalid": {
    level: "error",
    fields: ["file", "line", "column"],
    meaning: "a file or part of a file is invalid; its last valid version stays active",
    action: "fix the config at the position in the message (file:line:col)",
    resolvedBy: "config.valid",
  },
  "config.valid": {
    level: "info",
    fields: ["file"],
    meaning: "a file that had errors is valid again",
    action: NO_ACTION,
  },
  "config.suspect": {
    level: "warn",
    fields: ["file", "line", "column"],
    meaning: "a valid file contains a setting that is probably a mistake",
    action: "check the config at the position in the message (file:line:col)",
  },
  "config.notice": {
    level: "info",
    fields: ["file", "line", "column"],
    meaning: "an informational note about a valid file",
    action: NO_ACTION,
  },
  "config.obsolete": {
    level: "info",
    fields: ["of", "worker", "balancer", "cluster", "source", "service", "check"],
    meaning:
      "the object of an earlier event was removed from the config; `of` is the id of that event, which is now resolved",
    action: NO_ACTION,
  },
  "config.unwatched": {
    level: "warn",
    fields: ["everyMs", "cause"],
    meaning: "the config directory cannot be watched, and is polled every `everyMs` instead",
    action: "raise `fs.inotify.max_user_watches` or `max_user_instances`, or check the directory",
    resolvedBy: "config.watched",
  },
  "config.watched": {
    level: "info",
    fields: ["rescanMs"],
    meaning: "the config directory is watched again",
    action: NO_ACTION,
  },

  // The host.
  "host.identity": {
    level: "info",
    fields: ["host", "ip", "peerPort"],
    meaning: "the nodes of this host are registered under `host` and `ip`",
    action: NO_ACTION,
  },
  "host.provisional": {
    level: "warn",
    fields: ["host", "ip", "peerPort"],
    meaning:
      "DNS is unavailable or does not resolve this host's FQDN; the short name is used, and the lookup is retried",
    action: "set `name` in host.yaml if the short name is intended; otherwise fix DNS",
    resolvedBy: "host.identity",
  },
  "host.refused": {
    level: "error",
    fields: ["reason"],
    meaning:
      "the host name is `localhost` or similar, or the only address is a loopback address; nothing is registered",
    action: "set `name` (or `ip`) in host.yaml, or pass `--host` (`--ip`)",
    resolvedBy: "host.identity",
  },

  // Checks and services.
  "check.up": {
    level: "info",
    fields: ["service", "check", "passed"],
    meaning: "a check passes after `passed` consecutive successful probes",
    action: NO_ACTION,
  },
  "check.down": {
    level: "warn",
    fields: ["service", "check", "failed", "reason"],
    meaning: "a check fails after `failed` consecutive failed probes",
    action: "fix the service; `reason` is the error of the last probe",
    resolvedBy: "check.up",
  },
  "check.unknown": {
    level: "warn",
    repeats: true,
    fields: ["service", "check", "reason"],
    meaning: "the check cannot run, so the state of the service is unknown; the last result is kept",
    action: "fix the cause in `reason`: the worker, its permissions or a resource limit of the host",
    resolvedBy: "check.known",
  },
  "check.unknown_expired": {
    level: "error",
    fields: ["service", "check", "forMs", "reason"],
    meaning: "the check has not run for `unknown_grace` and now counts as down; the node is deregistered",
    action: "fix the cause in `reason`; the node is registered again when the check passes",
    resolvedBy: "check.known",
  },
  "check.known": {
    level: "info",
    fields: ["service", "check"],
    meaning: "the check is running again",
    action: NO_ACTION,
  },
  "probe.failed": {
    level: "debug",
    fields: ["service", "check", "reason"],
    meaning: "one probe failed",
    action: NO_ACTION,
  },
  "service.up": {
    level: "info",
    fields: ["service"],
    meaning: "all checks of a service port pass; the node is registered",
    action: NO_ACTION,
  },
  "service.down": {
    level: "warn",
    fields: ["service"],
    meaning: "a check of a service port fails; the node is deregistered",
    action: "find the failing check in the preceding `check.down` event",
    resolvedBy: "service.up",
  },
  "service.unchecked": {
    level: "warn",
    fields: ["service"],
    meaning: "a service has no checks and counts as up; logged once, and again if checks are added and later removed",
    action: "add a check to the service",
  },

  // Checks of nodes.
  "node.failing": {
    level: "warn",
    fields: ["cluster", "nodes", "names", "reason"],
    meaning:
      "nodes of a cluster fail the `traffic.health` checks and get no requests, unless too few nodes pass. `nodes` is the number of failing nodes, `names` lists the first five, and `reason` is the first node's error",
    action: "check the nodes; `lighthouse explain` shows the reason per node",
    resolvedBy: "node.passing",
  },
  "node.passing": {
    level: "info",
    fields: ["cluster", "nodes", "names"],
    meaning: "all nodes of a cluster pass their checks again; `nodes` is the number of recovered nodes",
    action: NO_ACTION,
  },
  "node.unknown": {
    level: "warn",
    fields: ["cluster", "nodes", "names", "reason"],
    meaning:
      "nodes of a cluster cannot be checked: this host has a problem, or the nodes lack the checked port. The traffic shares of these nodes are unchanged",
    action: "fix the cause in `reason`",
    resolvedBy: "node.known",
  },
  "node.known": {
    level: "info",
    fields: ["cluster", "nodes", "names"],
    meaning: "all nodes of a cluster can be checked again; `nodes` is the number of passing nodes",
    action: NO_ACTION,
  },
  "node.crowded": {
    level: "error",
    fields: ["cluster", "nodes", "most"],
    meaning:
      "a cluster with `isolation: worker` in `traffic.health` has more than `most` nodes; `nodes` is the number of unchecked nodes",
    action: "remove `isolation`, so that up to 50 nodes share a worker",
  },

  // Registrations.
  "registration.registered": {
    level: "info",
    fields: ["discovery", "cluster", "node"],
    meaning: "a node of this host was registered",
    action: NO_ACTION,
  },
  "registration.deregistered": {
    level: "info",
    fields: ["discovery", "cluster", "node"],
    meaning: "a node of this host was deregistered",
    action: NO_ACTION,
  },
  "registration.broken": {
    level: "error",
    fields: ["reason"],
    meaning:
      "`lighthouse register` had an internal error; the wrapped command keeps running, and the node is registered again",
    action: "report the bug with `reason`",
    resolvedBy: "registration.registered",
  },
  "registration.failed": {
    level: "warn",
    repeats: true,
    fields: ["operation", "discovery", "cluster", "node", "reason"],
    meaning: "the registry rejected a change or did not respond; the change is retried until it succeeds",
    action: "check the registry",
    resolvedBy: ["registration.registered", "registration.deregistered"],
  },
  "registration.taken_over": {
    level: "info",
    fields: ["discovery", "cluster", "node", "ours", "theirs"],
    meaning: "the registry listed the node with another address, `theirs`; the address was replaced with `ours`",
    action: NO_ACTION,
  },
  "registration.contested": {
    level: "warn",
    repeats: true,
    fields: ["discovery", "cluster", "node", "ours", "theirs"],
    meaning:
      "two hosts register the same node name and overwrite each other's entry, so only one host is in the cluster at a time",
    action: "give each host its own `name` in host.yaml; `ours` and `theirs` are the two addresses",
  },
  "registration.draining": {
    level: "info",
    fields: ["graceMs"],
    meaning: "all nodes of this host are deregistered; the process waits for `deregister_grace` while clients drain",
    action: NO_ACTION,
  },
  "registration.kept": {
    level: "info",
    fields: [],
    meaning: "the process exits for a restart; its nodes stay registered for the next process",
    action: NO_ACTION,
  },

  // Registries and clusters.
  "registry.connected": {
    level: "info",
    repeats: true,
    fields: ["worker", "detail"],
    meaning: "the connection to a registry is established",
    action: NO_ACTION,
  },
  "registry.unreachable": {
    level: "warn",
    repeats: true,
    fields: ["worker", "detail"],
    meaning:
      "the connection to a registry is lost; the last known good members are served. A flapping registry is logged once per minute; an outage of at least five seconds is always logged",
    action: "check the registry; HAProxy keeps serving",
    resolvedBy: "registry.connected",
  },
  "registry.replacement_unreachable": {
    level: "warn",
    fields: ["worker", "detail"],
    meaning:
      "after a config change, the new connection cannot reach its registry; the previous connection stays in use",
    action: "check the changed config and the registry",
    resolvedBy: ["registry.connected", "worker.started"],
  },
  "cluster.changed": {
    level: "info",
    fields: ["cluster", "nodes", "joined", "left", "altered"],
    meaning:
      "the members of a cluster changed; `nodes` is the new count. `joined` and `left` list members with their source, `altered` lists changed fields, at most 50 each. The event for a registry's first response has none of these three fields",
    action: NO_ACTION,
  },
  "cluster.conflict": {
    level: "warn",
    fields: ["cluster", "node", "kept", "ignored", "keys", "nodes"],
    meaning:
      "two sources of a cluster disagree about `keys` of `node`; the value from `kept` is used, and the value from `ignored` is discarded. At most five nodes per cluster are logged per minute; if there are more, `nodes` is the total. A conflict that recurs after an hour is logged again",
    action: "check which hosts register the node; the earlier source in the cluster's file takes precedence",
  },
  "cluster.held": {
    level: "warn",
    fields: ["cause", "recheck", "cluster", "source", "known", "said"],
    meaning:
      "a guard holds a membership change. `known` is the number of served members, `said` is the reported number. The registry is read again after `recheck`. `cause` is a guard (`empty`, `few`, `many`, `shrunk`), `missing` (the registry does not have the cluster) or `behind` (the registry lacks nodes after a new session, failover or reset). `source` is the registry that reported the change, if the cluster has several registries; absent if the change is in the combined members",
    action: "no action; if the members were removed on purpose, see the guards in docs/config/clusters.md",
    resolvedBy: "cluster.released",
  },
  "cluster.released": {
    level: "info",
    fields: ["cluster", "source", "known", "said"],
    meaning: "a held change was confirmed and applied, or the missing members have returned",
    action: "no action; if `said` is below `known`, members are missing: check their reporters",
  },
  "cluster.watch_failed": {
    level: "warn",
    repeats: true,
    fields: ["cluster", "discovery", "reason", "waitMs"],
    meaning: "a watch failed; the members are kept, and the watch is retried after `waitMs`",
    action: "no action; if the failure persists, check the registry",
  },
  "cluster.silent": {
    level: "warn",
    fields: ["clusters", "unknown"],
    meaning:
      "no registry responded for the clusters in `clusters` within 2s of startup; the last known good members are served, and the clusters in `unknown` have no known members",
    action: "start the reporters of these clusters; if the reporters are running, check the registry",
    resolvedBy: "cluster.changed",
  },
  "cluster.last_known": {
    level: "info",
    repeats: true,
    fields: ["cluster", "nodes", "age"],
    meaning: "a cluster starts with its last known good members; logged at `debug` if the cluster is not in the config",
    action: NO_ACTION,
  },
  "cluster.outdated": {
    level: "warn",
    fields: ["cluster", "nodes", "age"],
    meaning:
      "the registry has not confirmed the last known good members for longer than `max_age`; these members are still served",
    action: "check the registry, or remove the cluster",
  },
  // Operators.
  "override.set": {
    level: "info",
    fields: ["cluster", "target", "override", "author", "reason", "until"],
    meaning: "an operator drained nodes, put nodes in maintenance or changed their weight",
    action: NO_ACTION,
    resolvedBy: "override.revoked",
  },
  "override.revoked": {
    level: "info",
    fields: ["cluster", "target", "override", "author", "reason", "until"],
    meaning: "an operator revoked an override; `author` is that operator",
    action: NO_ACTION,
  },
  "override.expired": {
    level: "info",
    fields: ["cluster", "target", "balancer", "service", "override", "author", "reason", "until"],
    meaning: "an override, a pause or a drain of this host has expired",
    action: NO_ACTION,
  },
  "override.read": {
    level: "info",
    fields: ["path", "overrides", "pauses", "local"],
    meaning: "overrides from an earlier run are still active",
    action: "list the overrides with `lighthouse overrides`",
  },
  "override.unusable": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "the overrides file is unreadable or damaged; the process starts without overrides",
    action: "set the overrides again; the next override overwrites the file",
  },
  "override.unwritten": {
    level: "warn",
    repeats: true,
    fields: ["path", "reason"],
    meaning: "overrides are active but cannot be saved; a restart would discard the unsaved overrides",
    action: "check the directory, its permissions and the disk",
    resolvedBy: "override.written",
  },
  "override.written": {
    level: "info",
    fields: ["path"],
    meaning: "overrides can be saved again",
    action: NO_ACTION,
  },
  "addition.set": {
    level: "info",
    fields: ["cluster", "kind", "name"],
    meaning: "a node or source of a cluster was added or replaced through the admin interface",
    action: NO_ACTION,
  },
  "addition.removed": {
    level: "info",
    fields: ["cluster", "kind", "name"],
    meaning: "an added node or source was removed from a cluster through the admin interface",
    action: NO_ACTION,
  },
  "addition.expired": {
    level: "info",
    fields: ["cluster", "kind", "name"],
    meaning: "the `ttl` of an added node or source has expired",
    action: NO_ACTION,
  },
  "addition.unusable": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "the additions file is unreadable or damaged; the process starts without additions",
    action: "add the nodes and sources again; the next addition overwrites the file",
  },
  "addition.unwritten": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "additions are active but cannot be saved; a restart would discard the unsaved additions",
    action: "check the directory, its permissions and the disk",
  },
  "lifecycle.listening": {
    level: "info",
    fields: ["at"],
    meaning: "the lifecycle interface (`--lifecycle`) accepts requests",
    action: NO_ACTION,
  },
  "lifecycle.unavailable": {
    level: "error",
    fields: [],
    meaning: "the address of `--lifecycle` cannot be bound; the process exits with status 1",
    action: "free the address, or choose another",
  },
  "lifecycle.quit": {
    level: "info",
    fields: ["path"],
    meaning: "a scheduler stopped the process through the lifecycle interface",
    action: NO_ACTION,
  },
  "management.paused": {
    level: "warn",
    fields: ["balancer", "override", "author", "reason", "until"],
    meaning:
      "an operator paused management of the balancer: Lighthouse does not change, reload or start the balancer, and does not revert drift",
    action: "run `lighthouse resume` when the maintenance is complete",
    resolvedBy: "management.resumed",
  },
  "management.resumed": {
    level: "info",
    fields: ["balancer", "author"],
    meaning: "an operator resumed management of the balancer; pending changes are applied",
    action: NO_ACTION,
  },
  "local.drained": {
    level: "info",
    fields: ["service", "override", "author", "reason", "until"],
    meaning: "an operator drained this host's nodes; the nodes are registered as draining, or deregistered",
    action: NO_ACTION,
    resolvedBy: "local.undrained",
  },
  "local.undrained": {
    level: "info",
    fields: ["service", "author"],
    meaning: "an operator ended the drain of this host's nodes; the nodes are registered as usual",
    action: NO_ACTION,
  },
  "admin.listening": {
    level: "info",
    fields: ["at"],
    meaning: "the admin interface accepts requests",
    action: NO_ACTION,
  },
  "admin.unavailable": {
    level: "error",
    fields: [],
    meaning:
      "the address of `--admin` cannot be bound, or the tokens or certificates are invalid; the process exits with status 1",
    action: "free the address or choose another; otherwise fix the token file or the certificate in the message",
  },
  "admin.denied": {
    level: "warn",
    fields: ["token", "verb"],
    meaning: "a change request was denied, because its token has only `read` access",
    action: "no action; if the client needs write access, grant write access to its token",
  },
  "admin.secrets_reloaded": {
    level: "info",
    fields: [],
    meaning: "the tokens and certificates of the admin interface were reloaded",
    action: NO_ACTION,
  },
  "admin.secrets_invalid": {
    level: "error",
    fields: ["reason"],
    meaning:
      "the tokens or certificates of the admin interface cannot be reloaded; the previous tokens and certificates stay active",
    action: "fix the cause in `reason`, and send SIGHUP again",
  },

  "last_known.unusable": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "the file with the last known good members is unreadable or damaged; the process starts without it",
    action: "check the file, or remove it",
  },
  "last_known.unwritten": {
    level: "warn",
    repeats: true,
    fields: ["path", "reason"],
    meaning: "the last known good members cannot be saved; after a restart, older members would be served",
    action: "check the directory, its permissions and the disk",
    resolvedBy: "last_known.written",
  },
  "last_known.written": {
    level: "info",
    fields: ["path"],
    meaning: "the last known good members can be saved again",
    action: NO_ACTION,
  },
  "last_known.unread": {
    level: "debug",
    fields: ["reason"],
    meaning: "the members that the balancer serves could not be read from the balancer or its file",
    action: NO_ACTION,
  },

  // The writer and its balancers.
  "writer.active": {
    level: "info",
    fields: ["balancer"],
    meaning: "this writer keeps the balancer in sync",
    action: NO_ACTION,
  },
  "writer.standby": {
    level: "warn",
    fields: ["balancer"],
    meaning:
      "another writer manages this balancer; this writer is on standby, and takes over when the other writer exits",
    action: "no action if a standby is intended; otherwise stop one of the two writers",
    resolvedBy: "writer.active",
  },
  "balancer.unmanaged": {
    level: "warn",
    fields: ["balancer"],
    meaning: "the balancer's file was removed from the config; the balancer keeps running unmanaged",
    action: "no action if intended; otherwise restore the file",
  },
  "balancer.started": {
    level: "info",
    fields: ["balancer", "reason", "tookMs"],
    meaning: "the balancer was not running and was started",
    action: NO_ACTION,
  },
  "balancer.restarted": {
    level: "warn",
    fields: ["balancer", "reason", "tookMs"],
    meaning: "the balancer died and was restarted",
    action: "find the cause in the balancer's log and in the system log",
  },
  "balancer.reloaded": {
    level: "info",
    fields: ["balancer", "reason", "tookMs"],
    meaning: "the balancer was reloaded; `reason` is the change that required the reload",
    action: NO_ACTION,
  },
  "balancer.notified": {
    level: "info",
    fields: ["balancer", "program", "reason", "tookMs"],
    meaning: "`program` was run to load the new files and exited with status 0; `reason` is the cause",
    action: NO_ACTION,
  },
  "balancer.child": {
    level: "info",
    fields: ["balancer", "child", "reason", "tookMs"],
    meaning: "a child process was started or stopped because of `reason`",
    action: "no action; if the process keeps restarting, read its log",
  },
  "once.applied": {
    level: "info",
    fields: ["balancers"],
    meaning: "`writer --once` applied everything and exits with status 0",
    action: NO_ACTION,
  },
  "once.failed": {
    level: "error",
    fields: ["reason"],
    meaning: "`writer --once` could not apply everything and exits with status 1",
    action: "fix the cause in `reason`: an error, or the registries, clusters and keys without data",
  },
  "keys.changed": {
    level: "info",
    fields: ["discovery", "prefix", "keys"],
    meaning: "the keys under `prefix` changed; `keys` is the new count",
    action: NO_ACTION,
  },
  "keys.held": {
    level: "warn",
    fields: ["discovery", "prefix", "keys"],
    meaning:
      "a registry no longer reports keys under `prefix`; the known keys are kept until a second response confirms the loss. `keys` is the number of known keys",
    action: "no action if the keys were removed on purpose; otherwise check the registry",
  },
  "keys.failed": {
    level: "warn",
    repeats: true,
    fields: ["discovery", "prefix", "reason", "waitMs"],
    meaning: "the watch of the keys under `prefix` failed; the known keys are kept, and the watch is retried",
    action: "check the registry",
  },
  "balancer.child_output": {
    level: "info",
    fields: ["child", "line"],
    meaning: "the supervised program `child` printed `line`",
    action: NO_ACTION,
  },
  "balancer.pending": {
    level: "warn",
    repeats: true,
    fields: ["balancer"],
    meaning: "a file cannot be rendered until registries have reported its data; the existing file stays in place",
    action: "if the state persists, check the registry",
  },
  "balancer.not_rendered": {
    level: "error",
    repeats: true,
    fields: ["balancer"],
    meaning: "a file cannot be rendered; the existing file stays in place",
    action: "fix the template or the keys in the message",
  },
  "balancer.file_removed": {
    level: "info",
    fields: ["balancer", "path"],
    meaning: "`path` was removed because `purge` is set",
    action: NO_ACTION,
  },
  "balancer.serving": {
    level: "info",
    fields: ["balancer", "pid", "old"],
    meaning: "process `pid` serves the current config; the old workers in `old` are draining connections",
    action: "no action; if old workers pile up, see `hard-stop-after`",
  },
  "balancer.replaced": {
    level: "info",
    fields: ["balancer", "pid"],
    meaning: "another program started process `pid`, which now serves the traffic",
    action: "no action; if the event repeats, look for a second writer",
  },
  "balancer.dismissed": {
    level: "info",
    fields: ["balancer", "pid", "reason"],
    meaning: "a second balancer process, serving alongside the managed process, is asked to exit",
    action: NO_ACTION,
  },
  "balancer.commands": {
    level: "info",
    repeats: true,
    fields: ["balancer", "commands", "count"],
    meaning: "members or server states were changed over the socket, without a reload",
    action: NO_ACTION,
  },
  "balancer.command_failed": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "kind"],
    meaning:
      "a socket command failed; the change is retried. If the retries fail too, the change is applied with a reload",
    action: "no action; if the failure persists, check the balancer's socket and log",
  },
  "balancer.file_written": {
    level: "debug",
    fields: ["balancer", "path", "tookMs"],
    meaning: "the balancer's config file was rewritten",
    action: NO_ACTION,
  },
  "balancer.drift": {
    level: "warn",
    fields: ["balancer", "found"],
    meaning: "another program or a person changed a server, a frontend or the config file; the change is reverted",
    action: "no action if this happened once; otherwise find the script or person that makes the changes",
  },
  "balancer.config_rejected": {
    level: "error",
    repeats: true,
    fields: ["balancer", "cluster", "fate"],
    meaning:
      "the balancer rejected lines from a cluster's file or from the balancer's file; the message lists the positions. `fate` is the effect: the lines are skipped, or the last accepted version stays active. All other parts are applied",
    action: "fix the lines",
  },
  "balancer.address_taken": {
    level: "error",
    repeats: true,
    fields: ["balancer", "cluster", "fate"],
    meaning:
      "another process listens on an address that the balancer requires, so no new balancer process was started. The message names that process and the config line; `fate` is the effect on the cluster",
    action: "stop that process, or choose another port",
  },
  "balancer.file_behind": {
    level: "error",
    repeats: true,
    fields: ["balancer", "path", "reason"],
    meaning: "the balancer serves the current members, but its config file could not be written",
    action: "check the directory, its permissions and the disk",
  },
  "balancer.clusters_kept": {
    level: "error",
    repeats: true,
    fields: ["balancer", "clusters"],
    meaning:
      "the clusters in `clusters` have an invalid config; their running config is kept, and reloads are suspended",
    action: "fix the files of these clusters",
  },
  "balancer.failed": {
    level: "error",
    repeats: true,
    fields: ["balancer"],
    meaning:
      "the balancer's state cannot be read, its config cannot be written, or the balancer cannot be started or reloaded; the message states the reason. The running process keeps serving, and the step is retried with backoff",
    action: "fix the cause: an address in use, the open file limit, a directory, permissions or a missing program",
  },
  "balancer.notice": {
    level: "warn",
    fields: ["balancer", "more"],
    meaning:
      "a probable mistake in the config of a cluster or the balancer, such as a cluster without nodes (its clients get 503). At most 50 new notices are logged at once; `more` counts the rest",
    action: "check the cluster or the config position in the message",
  },
  "balancer.output": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "line"],
    meaning: "the balancer's program printed a warning; identical warnings are logged once",
    action: "read the warning in `line`",
  },

  // Workers and plugins.
  "worker.started": {
    level: "info",
    repeats: true,
    fields: ["worker", "bootMs"],
    meaning: "a worker is in service; logged at `debug` unless the worker was down before",
    action: NO_ACTION,
  },
  "worker.ended": {
    level: "warn",
    fields: ["worker", "reason", "waitMs", "attempt"],
    meaning:
      "the worker of a check or a registry connection died because of `reason`; a new worker starts after `waitMs`",
    action: "no action; if workers keep dying, fix the cause in `reason`",
    resolvedBy: "worker.started",
  },
  "worker.start_failed": {
    level: "warn",
    repeats: true,
    fields: ["worker", "reason", "waitMs", "attempt"],
    meaning: "a worker could not start; the start is retried after `waitMs`",
    action:
      "fix the cause in `reason`; if the process is out of file descriptors, raise `LimitNOFILE` or set `isolation: shared`",
    resolvedBy: "worker.started",
  },
  "worker.replace_failed": {
    level: "warn",
    fields: ["worker", "reason", "waitMs", "attempt"],
    meaning:
      "a worker with a changed config could not start; the previous worker stays in service, and the start is retried",
    action: "fix the cause in `reason`",
    resolvedBy: "worker.started",
  },
  "worker.kept_out": {
    level: "error",
    fields: ["worker", "reason"],
    meaning: "a worker is not restarted because its plugin hung",
    action: "fix the plugin, or install another version",
  },
  "worker.stuck": {
    level: "error",
    fields: ["threads", "most"],
    meaning:
      "a plugin is in an endless loop and its thread cannot be stopped; the process exits with status 75 when `most` threads are stuck",
    action: "restart the process; fix the plugin",
  },
  "worker.greedy": {
    level: "error",
    fields: ["worker", "open", "limit"],
    meaning:
      "the process was running out of file descriptors; the worker of the plugin with the most open files was stopped",
    action: "fix the plugin, or raise `LimitNOFILE`",
    resolvedBy: "worker.started",
  },
  "worker.rejected": {
    level: "warn",
    fields: ["worker", "balancer", "reason"],
    meaning: "a worker sent an invalid node or message, which was skipped",
    action: "check the plugin, or the host that registered the node",
  },
  "worker.uncounted": {
    level: "debug",
    fields: ["reason"],
    meaning: "the threads of this process could not be counted",
    action: NO_ACTION,
  },
  "plugin.loaded": {
    level: "info",
    fields: ["plugin", "name", "modules", "sha256"],
    meaning: "a third-party plugin was loaded",
    action: NO_ACTION,
  },
  "plugin.hung": {
    level: "error",
    fields: ["sha256", "reason", "file", "error"],
    meaning:
      "a plugin's thread could not be stopped; the plugin is disabled, and stays disabled across restarts if `file` was written",
    action: "fix the plugin, or remove `file`",
  },
  "plugin.uncached": {
    level: "warn",
    fields: ["dir", "reason"],
    meaning: "a plugin could not be saved to disk; the next start downloads the plugin again",
    action: "check the directory, its permissions and the disk",
  },
  "plugin.balancer_ended": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "reason", "waitMs", "falls"],
    meaning: "the worker of a balancer plugin died; the running balancer is unchanged, and a new worker starts",
    action: "see `reason`; fix the plugin",
  },
  "plugin.balancer_rejected": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "reason", "refusals"],
    meaning: "a balancer plugin made an invalid request, or exceeded its permissions",
    action: "see `reason`; fix the plugin, or grant the permission",
  },
  "plugin.log": {
    level: "info",
    fields: ["worker", "plugin_event"],
    meaning:
      "a plugin logged a record without an event from this table; the plugin chooses the level, and `plugin_event` is the plugin's event id, if any",
    action: "read the message",
  },

  // What discovery methods report; a plugin that does not ship may use these too.
  "discovery.path_missing": {
    level: "info",
    fields: ["worker", "path"],
    meaning:
      "`path` does not exist in the registry: no node was ever registered under `path`, or `path` was removed. Members are kept",
    action:
      "no action; if reporters are running, compare `path` with the path in their config, or find the client that removed `path`",
    resolvedBy: "discovery.path_found",
  },
  "discovery.path_found": {
    level: "info",
    fields: ["worker", "path"],
    meaning: "`path` now exists in the registry",
    action: NO_ACTION,
  },
  "discovery.entry_skipped": {
    level: "warn",
    fields: ["worker", "path", "reason"],
    meaning: "an entry under `path` is not a valid node and was skipped",
    action: "check the client that wrote the entry",
  },
  "discovery.excess": {
    level: "warn",
    fields: ["worker", "path", "reason"],
    meaning:
      "the nodes under `path` exceed the size limit; the metadata of the nodes counted in `reason` is omitted, and all nodes are served",
    action: "shrink the metadata of the nodes, or split the cluster",
  },
  "discovery.lease_expired": {
    level: "info",
    fields: ["worker", "path", "entry"],
    meaning: "a node's lease expired; the node is no longer a member",
    action: "no action; if the reporter of the node is running, check the clock and the disk of its host",
  },
  "discovery.polling": {
    level: "warn",
    fields: ["worker", "path", "error"],
    meaning: "`path` cannot be watched, and is polled instead; changes are detected later",
    action: "raise `fs.inotify.max_user_watches` or `max_user_instances`",
  },
  "discovery.taking_over": {
    level: "info",
    fields: ["worker", "path", "session"],
    meaning: "a node of this host belonged to another session and is taken over",
    action: NO_ACTION,
  },
  "discovery.node_taken": {
    level: "info",
    fields: ["worker", "node"],
    meaning: "another session has taken over a node of this host",
    action: "no action if this reporter is about to stop; otherwise look for a second reporter",
  },
  "discovery.node_left": {
    level: "info",
    fields: ["worker", "path", "session"],
    meaning: "a node was not removed, because another session now owns the node",
    action: NO_ACTION,
  },
  "discovery.node_deleted": {
    level: "warn",
    fields: ["worker", "path"],
    meaning: "another client deleted a healthy node of this host; the node is registered again",
    action:
      "no action if this happened once; otherwise look for a second reporter of the node, or for a person or script that deletes the node",
  },
  "discovery.look_failed": {
    level: "debug",
    fields: ["worker", "path", "reason"],
    meaning: "a znode of this host changed, and could not be read or restored",
    action: NO_ACTION,
  },
  "discovery.renewal_failed": {
    level: "debug",
    fields: ["worker", "reason"],
    meaning: "a lease could not be renewed; the renewal is retried within the TTL",
    action: NO_ACTION,
  },
  "discovery.lease_lost": {
    level: "warn",
    fields: ["worker", "lease"],
    meaning: "the registry no longer has this session's lease; the nodes of the session are registered again",
    action:
      "no action if the registry was unreachable for longer than `session_timeout`, or was emptied; otherwise find the client that revoked the lease",
  },
  "discovery.auth_disabled": {
    level: "info",
    fields: ["worker", "reason"],
    meaning:
      "the config sets `username`, but authentication is disabled in the registry; the session continues without a token",
    action: "enable authentication in the registry, or remove `username` and `password`",
  },
  "discovery.watch_lost": {
    level: "debug",
    fields: ["worker", "reason"],
    meaning: "a watch was interrupted; the changes made in the meantime are read",
    action: NO_ACTION,
  },
  "discovery.watch_behind": {
    level: "warn",
    fields: ["worker", "path", "endpoint"],
    meaning: "a read revealed a change that the watch had missed; the cluster is read again",
    action: "find the cause of dropped idle connections between this host and `endpoint`",
  },
  "discovery.clock_differs": {
    level: "warn",
    fields: ["worker", "offsetSeconds"],
    meaning: "the clock of an etcd or store server is `offsetSeconds` ahead of this host's clock (negative: behind)",
    action: "check NTP on both hosts; certificates and log timestamps depend on correct clocks",
    resolvedBy: "discovery.clock_agrees",
  },
  "discovery.clock_agrees": {
    level: "info",
    fields: ["worker"],
    meaning: "the clocks of the registry and of this host agree again",
    action: NO_ACTION,
  },
  "discovery.instance_changed": {
    level: "info",
    fields: ["worker", "instance", "reason"],
    meaning: "the session moved to another instance of the registry",
    action: NO_ACTION,
  },
  "discovery.history_lost": {
    level: "warn",
    fields: ["worker", "path", "instance", "version"],
    meaning:
      "the registry lost the history up to `version`, the last version read; missing nodes are held for one lease duration",
    action:
      "no action if the registry was restored or emptied on purpose; otherwise find out why the registry lost its data",
  },

  // The store.
  "store.listening": {
    level: "info",
    fields: ["bind", "tls", "connectionsMax"],
    meaning: "the store accepts requests",
    action: NO_ACTION,
  },
  "store.plaintext": {
    level: "warn",
    fields: ["bind"],
    meaning:
      "the store listens without TLS on a non-loopback address: the traffic can be read and modified on the network",
    action: "set `--tls-cert` and `--tls-key`, unless the network is trusted",
  },
  "store.failed": {
    level: "error",
    fields: [],
    meaning: "the store cannot start or cannot continue; the message states the reason",
    action: "fix the cause given in the message",
  },
  "store.waiting": {
    level: "warn",
    fields: ["waitMs"],
    meaning: "the store responds with 503 until another instance has responded or `waitMs` has elapsed",
    action: NO_ACTION,
    resolvedBy: "store.serving",
  },
  "store.serving": {
    level: "info",
    fields: ["reason"],
    meaning: "the store now serves the document",
    action: NO_ACTION,
  },
  "store.secrets_reloaded": {
    level: "info",
    fields: [],
    meaning: "tokens and certificates were reloaded",
    action: NO_ACTION,
  },
  "store.secrets_invalid": {
    level: "error",
    fields: ["reason"],
    meaning: "tokens or certificates cannot be read; the previous tokens and certificates stay active",
    action: "fix the file and send SIGHUP again",
    resolvedBy: "store.secrets_reloaded",
  },
  "store.request_failed": {
    level: "error",
    fields: ["method", "url", "reason"],
    meaning: "an internal error occurred; the client received status 500",
    action: "report the bug with `reason`",
  },
  "store.write_failed": {
    level: "error",
    fields: ["sequence", "reason"],
    meaning: "a change could not be written to disk and was rejected",
    action: "check the disk",
  },
  "store.snapshot_loaded": {
    level: "info",
    fields: ["name", "version"],
    meaning: "the newest valid snapshot was loaded",
    action: NO_ACTION,
  },
  "store.snapshot_corrupt": {
    level: "error",
    fields: ["name", "aside", "reason"],
    meaning: "a snapshot is corrupt and was renamed to `aside`; the previous snapshot is tried",
    action: "check the disk; compare the document with another instance's",
  },
  "store.snapshot_unremoved": {
    level: "warn",
    fields: ["name", "reason"],
    meaning: "an old snapshot cannot be removed",
    action: "check the permissions and the disk",
  },
  "store.peer_reachable": {
    level: "info",
    fields: ["address"],
    meaning: "the store instance at `address` is reachable",
    action: NO_ACTION,
  },
  "store.peer_unreachable": {
    level: "warn",
    fields: ["address", "reason"],
    meaning: "the store instance at `address` is unreachable; the connection is retried",
    action: "check the store instance at `address` and the network",
    resolvedBy: "store.peer_reachable",
  },
  "store.peer_renamed": {
    level: "info",
    fields: ["address", "known"],
    meaning: "`address` is another address of a store instance that is already known; it is not used",
    action: NO_ACTION,
  },
  "store.copy_sent": {
    level: "debug",
    fields: ["address", "version"],
    meaning: "a document version was sent to the store instance at `address`",
    action: NO_ACTION,
  },
  "store.copy_rejected": {
    level: "warn",
    fields: ["address", "reason"],
    meaning: "this instance rejected a version of the document from the store instance at `address`",
    action: "fix the cause in `reason`, such as limits that differ between instances, or a full disk",
  },
  "store.conflict": {
    level: "warn",
    fields: ["lost", "newer"],
    meaning: "two instances had diverged; this instance's version lost, and was saved as a snapshot",
    action: "compare the saved snapshot with the document",
  },
  "store.conflict_possible": {
    level: "warn",
    fields: ["lost", "newer"],
    meaning:
      "`newer` replaced the local version `lost`, which is too old to check for a conflict; `lost` was saved as a snapshot",
    action: "compare the saved snapshot with the document",
  },
  "store.conflict_unsaved": {
    level: "error",
    fields: ["name", "reason"],
    meaning: "the snapshot of a losing version could not be renamed, and will be removed like any old snapshot",
    action: "check the disk, and copy the snapshot `name` before it is removed",
  },
  "store.lease_expired": {
    level: "info",
    fields: ["name"],
    meaning: "a lease was not renewed; its keys are removed",
    action: "no action; if the lease holder is still running, find the reason for the missed renewal",
  },
  "store.lock_broken": {
    level: "warn",
    fields: ["holder", "by"],
    meaning: "`by` broke the transaction lock of `holder`",
    action:
      "repeat the discarded transaction of `holder`; if the lock was not broken on purpose, check the client `by`",
  },

  // Servers and the log itself.
  "http.shed": {
    level: "warn",
    fields: ["at", "closed", "connections", "limit", "reason"],
    meaning: "connections were closed to make room for new connections",
    action: "find the client that opens too many connections, or raise the limit",
  },
  "http.handler_failed": {
    level: "error",
    fields: ["at", "method", "url", "reason"],
    meaning:
      "an internal error occurred while handling a valid request; the client received status 500, or the connection was aborted",
    action: "report the bug with `reason`",
  },
  "status.listening": {
    level: "info",
    fields: ["at"],
    meaning: "the status server accepts requests",
    action: NO_ACTION,
  },
  "status.unavailable": {
    level: "error",
    fields: [],
    meaning: "the address of `--status` cannot be bound; the process exits",
    action: "free the address in the message, or choose another",
  },
  "status.failed": {
    level: "error",
    fields: ["reason"],
    meaning: "an internal error occurred; the client received status 500",
    action: "report the bug with `reason`",
  },
  "log.handler_failed": {
    level: "error",
    fields: ["handler", "reason"],
    meaning:
      "a log handler cannot write, for example because of a full disk or an unreachable syslog server; logged once, on stderr",
    action: "fix the log target; Lighthouse keeps running meanwhile",
    resolvedBy: "log.handler_restored",
  },
  "log.handler_restored": {
    level: "info",
    fields: ["handler", "dropped"],
    meaning: "a log handler works again; `dropped` records were lost",
    action: NO_ACTION,
  },
  "history.unwritten": {
    level: "warn",
    fields: ["reason"],
    meaning:
      "the history, or the copies of a balancer's last files, cannot be written; records are dropped until writes succeed",
    action: "check `history_dir`, its permissions and the disk",
    resolvedBy: "history.written",
  },
  "history.written": {
    level: "info",
    fields: ["dropped"],
    meaning: "the history can be written again; `dropped` records were lost",
    action: NO_ACTION,
  },
  "notifier.failed": {
    level: "warn",
    repeats: true,
    fields: ["notifier", "reason", "waitMs"],
    meaning:
      "a notifier cannot deliver events. Delivery is retried after `waitMs`; if `waitMs` is absent, the event is dropped",
    action: "fix the cause in `reason`; test with `lighthouse notify test`",
    resolvedBy: "notifier.delivered",
  },
  "notifier.test": {
    level: "info",
    fields: ["notifier", "host"],
    meaning: "the event that `lighthouse notify test` sends; never logged",
    action: NO_ACTION,
  },
  "notifier.delivered": {
    level: "info",
    fields: ["notifier", "dropped"],
    meaning: "a notifier delivers events again; `dropped` events were rejected or exceeded the notifier's `queue`",
    action: NO_ACTION,
  },
  "publisher.failed": {
    level: "warn",
    repeats: true,
    fields: ["publisher", "reason"],
    meaning: "a publisher cannot send metrics to its server; samples are dropped until sending succeeds",
    action: "fix the cause in `reason`; check the address and the server",
    resolvedBy: "publisher.sent",
  },
  "publisher.sent": {
    level: "info",
    fields: ["publisher", "dropped"],
    meaning: "a publisher sends metrics to its server again; `dropped` samples were lost",
    action: NO_ACTION,
  },
  "log.internal": {
    level: "warn",
    fields: [],
    meaning: "the logging library reported an internal problem at level `warn` or above",
    action: "report the bug",
  },

  // `lighthouse plan`.
  "plan.nothing": {
    level: "error",
    fields: ["wanted"],
    meaning: "no balancer is configured, so there is nothing to plan",
    action: "create the file that is named in `wanted`",
  },
  "plan.unreachable": {
    level: "error",
    fields: ["discovery", "detail"],
    meaning: "a registry is unreachable, so its members are missing from the plan",
    action: "check the registry, or its config",
  },
  "plan.incomplete": {
    level: "warn",
    fields: ["clusters", "keys", "waitMs"],
    meaning:
      "registries sent no data for some clusters or keys within `waitMs`. The plan uses the last known good members, and omits files that require the missing keys",
    action: "raise `--wait`, or check the registry",
  },
};
