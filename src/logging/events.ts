/**
 * Every event that Lighthouse logs: its id, level, fields, meaning and remedy.
 * The table in docs/events.md is made from this one, and a test holds the log
 * calls of all rooms to it: they name their event as a plain string, as not
 * every room may import this one. An id is stable; a message may be reworded.
 *
 * @module
 */

/** What a level promises: `error` someone must act, `warn` degraded or about to be, `info` a state changed, `debug` all else. */
export type EventLevel = "debug" | "info" | "warn" | "error";

/** What one event says. */
export interface LogEvent {
  readonly level: EventLevel;
  /** Whether a record that is no news, such as the same failure again, is logged at `debug`. */
  readonly repeats?: boolean;
  /** The fields beside `event`, each present in some or all of its records. */
  readonly fields: readonly string[];
  /** What it means, as an operator reads it. */
  readonly meaning: string;
  /** What to do about it. */
  readonly action: string;
  /** The event that ends the state that this one begins, or the events of which each does. */
  readonly resolvedBy?: string | readonly string[];
}

const NOTHING = "nothing";

/** All events, by their ids. */
export const EVENTS: Readonly<Record<string, LogEvent>> = {
  // The process.
  "process.starting": {
    level: "info",
    fields: ["role", "dir"],
    meaning: "the process starts and reads the config in `dir`",
    action: NOTHING,
  },
  "process.stopping": {
    level: "info",
    fields: ["role"],
    meaning: "the process was asked to stop, or cannot go on",
    action: NOTHING,
  },
  "process.stopped": {
    level: "info",
    fields: ["role"],
    meaning: "the process has stopped; HAProxy keeps running",
    action: NOTHING,
  },
  "process.killed": {
    level: "warn",
    fields: ["signal"],
    meaning: "a second signal ended the process before it had stopped in order",
    action: "check that no node of this host is left in the registry",
  },
  "process.failed": {
    level: "error",
    fields: ["reason"],
    meaning: "an internal error; the process shuts down with exit code 70",
    action: "report it with its `reason`; the service manager restarts the process",
  },
  "process.tools": {
    level: "warn",
    fields: ["missing", "unseen"],
    meaning: "programs that show other processes are missing, so `unseen` cannot be seen",
    action: "install the `missing` programs, or set `master_socket` or `reload_command`",
  },

  // The config.
  "config.applied": {
    level: "info",
    fields: ["clusters", "services", "discovery", "workers"],
    meaning: "the config was read and is active; the fields count what it holds",
    action: NOTHING,
  },
  "config.reread": {
    level: "info",
    fields: [],
    meaning: "SIGHUP: the config directory and the host's name are read again",
    action: NOTHING,
  },
  "config.invalid": {
    level: "error",
    fields: ["file", "line", "column"],
    meaning: "a file, or a part of one, cannot be used; its last valid version stays active",
    action: "fix the place in the message (file:line:col)",
    resolvedBy: "config.valid",
  },
  "config.valid": {
    level: "info",
    fields: ["file"],
    meaning: "a file that had errors has none any more",
    action: NOTHING,
  },
  "config.suspect": {
    level: "warn",
    fields: ["file", "line", "column"],
    meaning: "a file can be used, but says something that is probably not meant",
    action: "look at the place in the message (file:line:col)",
  },
  "config.notice": {
    level: "info",
    fields: ["file", "line", "column"],
    meaning: "something about a file that is good to know",
    action: NOTHING,
  },
  "config.obsolete": {
    level: "info",
    fields: ["of", "worker", "balancer", "cluster", "source", "service", "check"],
    meaning:
      "what the event `of` was about is not in the config any more: its state is over, and no other event will end it",
    action: NOTHING,
  },
  "config.unwatched": {
    level: "warn",
    fields: ["everyMs", "cause"],
    meaning: "the config directory cannot be watched; it is read every `everyMs` instead",
    action: "raise `fs.inotify.max_user_watches` or `max_user_instances`, or see to the directory",
    resolvedBy: "config.watched",
  },
  "config.watched": {
    level: "info",
    fields: ["rescanMs"],
    meaning: "the config directory is watched again",
    action: NOTHING,
  },

  // The host.
  "host.identity": {
    level: "info",
    fields: ["host", "ip", "peerPort"],
    meaning: "the name and address that the nodes of this host are announced with",
    action: NOTHING,
  },
  "host.provisional": {
    level: "warn",
    fields: ["host", "ip", "peerPort"],
    meaning: "DNS does not know this host's full name, or is not up yet; the bare name is used and DNS is asked again",
    action: "set `name` in host.yaml if the bare name is meant; else see to DNS",
    resolvedBy: "host.identity",
  },
  "host.refused": {
    level: "error",
    fields: ["reason"],
    meaning: "the name is `localhost` or its kin, or the only address is loopback; nothing is registered",
    action: "set `name` (or `ip`) in host.yaml, or pass `--host` (`--ip`)",
    resolvedBy: "host.identity",
  },

  // Checks and services.
  "check.up": {
    level: "info",
    fields: ["service", "check", "passed"],
    meaning: "a check passes, after `passed` probes in a row",
    action: NOTHING,
  },
  "check.down": {
    level: "warn",
    fields: ["service", "check", "failed", "reason"],
    meaning: "a check fails, after `failed` probes in a row",
    action: "see to the service; `reason` is of the last probe",
    resolvedBy: "check.up",
  },
  "check.unknown": {
    level: "warn",
    repeats: true,
    fields: ["service", "check", "reason"],
    meaning: "the check itself cannot run, which says nothing of the service; its last verdict stands",
    action: "see to `reason`: the worker, its permissions, limits of the machine",
    resolvedBy: "check.known",
  },
  "check.unknown_expired": {
    level: "error",
    fields: ["service", "check", "forMs", "reason"],
    meaning: "the check could not run for `unknown_grace` and counts as down",
    action: "see to `reason`; until then the node is deregistered",
    resolvedBy: "check.known",
  },
  "check.known": {
    level: "info",
    fields: ["service", "check"],
    meaning: "the check runs again",
    action: NOTHING,
  },
  "probe.failed": {
    level: "debug",
    fields: ["service", "check", "reason"],
    meaning: "one probe failed",
    action: NOTHING,
  },
  "service.up": {
    level: "info",
    fields: ["service"],
    meaning: "all checks of a service's port pass; its node is registered",
    action: NOTHING,
  },
  "service.down": {
    level: "warn",
    fields: ["service"],
    meaning: "a check of a service's port fails; its node is deregistered",
    action: "see to the check: `check.down` names it",
    resolvedBy: "service.up",
  },
  "service.unchecked": {
    level: "warn",
    fields: ["service"],
    meaning: "a service has no checks and counts as up; logged once, and again after it had one",
    action: "give the service a check",
  },

  // Checks of nodes.
  "node.failing": {
    level: "warn",
    fields: ["cluster", "nodes", "names", "reason"],
    meaning:
      "`nodes` nodes of a cluster fail the checks of its `traffic.health` and get no requests, unless too few pass. " +
      "`names`: the first five; `reason`: of the first",
    action: "see to the nodes; `lighthouse explain` has the reason of each",
    resolvedBy: "node.passing",
  },
  "node.passing": {
    level: "info",
    fields: ["cluster", "nodes", "names"],
    meaning: "no node of a cluster fails its checks any more; `nodes` pass again",
    action: NOTHING,
  },
  "node.unknown": {
    level: "warn",
    fields: ["cluster", "nodes", "names", "reason"],
    meaning:
      "nodes of a cluster cannot be checked, for a reason on this host or as they lack the port; their shares stay " +
      "as they are",
    action: "see to the reason",
    resolvedBy: "node.known",
  },
  "node.known": {
    level: "info",
    fields: ["cluster", "nodes", "names"],
    meaning: "all nodes of a cluster are checked again; `nodes` pass",
    action: NOTHING,
  },
  "node.crowded": {
    level: "error",
    fields: ["cluster", "nodes", "most"],
    meaning:
      "a cluster with `isolation: worker` in `traffic.health` has more than `most` nodes; `nodes` are not checked",
    action: "remove `isolation`, so that 50 nodes share a worker",
  },

  // Registrations.
  "registration.registered": {
    level: "info",
    fields: ["discovery", "cluster", "node"],
    meaning: "a node of this host is registered",
    action: NOTHING,
  },
  "registration.deregistered": {
    level: "info",
    fields: ["discovery", "cluster", "node"],
    meaning: "a node of this host is deregistered",
    action: NOTHING,
  },
  "registration.broken": {
    level: "error",
    fields: ["reason"],
    meaning: "`lighthouse register`: an internal error; its command runs on, and the node is registered again",
    action: "report it with its `reason`",
    resolvedBy: "registration.registered",
  },
  "registration.failed": {
    level: "warn",
    repeats: true,
    fields: ["operation", "discovery", "cluster", "node", "reason"],
    meaning: "the registry rejected a change or did not answer; it is tried again until it works",
    action: "see to the registry",
    resolvedBy: ["registration.registered", "registration.deregistered"],
  },
  "registration.taken_over": {
    level: "info",
    fields: ["discovery", "cluster", "node", "ours", "theirs"],
    meaning: "the node stood in the registry with another address, `theirs`",
    action: NOTHING,
  },
  "registration.contested": {
    level: "warn",
    repeats: true,
    fields: ["discovery", "cluster", "node", "ours", "theirs"],
    meaning:
      "two hosts are announced under one name and take the node from one another; half of the capacity is missing",
    action: "give each host a `name` in host.yaml; `ours` and `theirs` are their addresses",
  },
  "registration.draining": {
    level: "info",
    fields: ["graceMs"],
    meaning: "all nodes are deregistered; the process waits `deregister_grace` for clients to drain",
    action: NOTHING,
  },
  "registration.kept": {
    level: "info",
    fields: [],
    meaning: "the process ends to be restarted; its nodes stay registered for the successor",
    action: NOTHING,
  },

  // Registries and clusters.
  "registry.connected": {
    level: "info",
    repeats: true,
    fields: ["worker", "detail"],
    meaning: "the connection to a registry is there",
    action: NOTHING,
  },
  "registry.unreachable": {
    level: "warn",
    repeats: true,
    fields: ["worker", "detail"],
    meaning: "the connection to a registry is gone; last known members are served. A registry that comes and goes is " +
      "logged once a minute; an outage of five seconds always",
    action: "nothing for HAProxy; see to the registry",
    resolvedBy: "registry.connected",
  },
  "registry.replacement_unreachable": {
    level: "warn",
    fields: ["worker", "detail"],
    meaning: "a connection with a changed config does not reach its registry; the previous one goes on",
    action: "check the change, or see to the registry",
    resolvedBy: ["registry.connected", "worker.started"],
  },
  "cluster.changed": {
    level: "info",
    fields: ["cluster", "nodes", "joined", "left", "altered"],
    meaning: "the members of a cluster changed; there are `nodes` now. `joined` and `left` name them with their " +
      "source, `altered` with what differs, 50 of each at most; with none of the three a registry has spoken for the first time",
    action: NOTHING,
  },
  "cluster.conflict": {
    level: "warn",
    fields: ["cluster", "node", "kept", "ignored", "keys", "nodes"],
    meaning: "two sources of a cluster contradict each other about `node` in `keys`; `kept` is used, the word of " +
      "`ignored` is not. `nodes`: how many such nodes there are, if more than the five of a cluster that are logged a minute; the " +
      "same one is logged again after an hour without it",
    action: "see to who registers the node; the order of the list in the cluster's file says which source is used",
  },
  "cluster.held": {
    level: "warn",
    fields: ["cause", "recheck", "cluster", "source", "known", "said"],
    meaning: "a guard holds a change of members: `known` are served, `said` were reported. The registry is asked " +
      "again after `recheck`. `cause`: `empty`, `few`, `many`, `shrunk` as the guard says; `missing`: the registry does " +
      "not have the cluster; `behind`: it lacks nodes, and its past is unknown, as after a new session. `source`: which " +
      "of several registries reported it; absent for what they come to together",
    action: "nothing, unless the members are gone on purpose: then see guards in docs/config/clusters.md",
    resolvedBy: "cluster.released",
  },
  "cluster.released": {
    level: "info",
    fields: ["cluster", "source", "known", "said"],
    meaning: "a held change was confirmed and is applied, or the members are back",
    action: "nothing; if `said` is below `known`, members are gone: see to their reporters",
  },
  "cluster.watch_failed": {
    level: "warn",
    repeats: true,
    fields: ["cluster", "discovery", "reason", "waitMs"],
    meaning: "a watch failed; the members stay, and the cluster is watched again after `waitMs`",
    action: "nothing, unless it stays",
  },
  "cluster.silent": {
    level: "warn",
    fields: ["clusters", "unknown"],
    meaning: "at the start no registry answered for these clusters for 2 s; they are served with their last known " +
      "members, and those in `unknown` have none",
    action: "start their reporters; if they run, see to the registry",
    resolvedBy: "cluster.changed",
  },
  "cluster.last_known": {
    level: "info",
    repeats: true,
    fields: ["cluster", "nodes", "age"],
    meaning: "a cluster starts with the members that were served last; at `debug` if it is not in the config",
    action: NOTHING,
  },
  "cluster.outdated": {
    level: "warn",
    fields: ["cluster", "nodes", "age"],
    meaning: "the registry has not confirmed the last known members for `max_age`; they are served all the same",
    action: "see to the registry, or remove the cluster",
  },
  // Operators.
  "override.set": {
    level: "info",
    fields: ["cluster", "target", "override", "author", "reason", "until"],
    meaning: "an operator has drained nodes, put them in maintenance or changed their weight",
    action: NOTHING,
    resolvedBy: "override.revoked",
  },
  "override.revoked": {
    level: "info",
    fields: ["cluster", "target", "override", "author", "reason", "until"],
    meaning: "an operator has revoked an override; `author` is who revoked it",
    action: NOTHING,
  },
  "override.expired": {
    level: "info",
    fields: ["cluster", "target", "balancer", "service", "override", "author", "reason", "until"],
    meaning: "an override, a pause or a drain of this host has reached its end",
    action: NOTHING,
  },
  "override.read": {
    level: "info",
    fields: ["path", "overrides", "pauses", "local"],
    meaning: "overrides of an earlier run hold still",
    action: "see `lighthouse overrides`",
  },
  "override.unusable": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "the overrides file cannot be read or is damaged; the start goes without it",
    action: "say again what should hold; the next override replaces the file",
  },
  "override.unwritten": {
    level: "warn",
    repeats: true,
    fields: ["path", "reason"],
    meaning: "overrides hold, and cannot be kept over a restart",
    action: "see to the directory, the rights, the disk",
    resolvedBy: "override.written",
  },
  "override.written": {
    level: "info",
    fields: ["path"],
    meaning: "overrides are kept over a restart again",
    action: NOTHING,
  },
  "addition.set": {
    level: "info",
    fields: ["cluster", "kind", "name"],
    meaning: "a node or a source was added to a cluster over the admin interface, or replaced",
    action: NOTHING,
  },
  "addition.removed": {
    level: "info",
    fields: ["cluster", "kind", "name"],
    meaning: "a node or a source that was added to a cluster was removed over the admin interface",
    action: NOTHING,
  },
  "addition.expired": {
    level: "info",
    fields: ["cluster", "kind", "name"],
    meaning: "a node or a source that was added to a cluster has reached its `ttl`",
    action: NOTHING,
  },
  "addition.unusable": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "the file of additions cannot be read or is damaged; the start goes without it",
    action: "add the nodes and sources again; the next addition replaces the file",
  },
  "addition.unwritten": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "additions hold, and cannot be kept over a restart",
    action: "see to the directory, the rights, the disk",
  },
  "lifecycle.listening": {
    level: "info",
    fields: ["at"],
    meaning: "the lifecycle interface (`--lifecycle`) takes requests",
    action: NOTHING,
  },
  "lifecycle.unavailable": {
    level: "error",
    fields: [],
    meaning: "the address of `--lifecycle` cannot be listened at; the process ends with exit code 1",
    action: "free the address, or choose another",
  },
  "lifecycle.quit": {
    level: "info",
    fields: ["path"],
    meaning: "a scheduler asked the process to end over the lifecycle interface",
    action: NOTHING,
  },
  "management.paused": {
    level: "warn",
    fields: ["balancer", "override", "author", "reason", "until"],
    meaning: "an operator has paused the management: nothing is changed, reverted, reloaded or started",
    action: "nothing, if the work on the balancer goes on; else `lighthouse resume`",
    resolvedBy: "management.resumed",
  },
  "management.resumed": {
    level: "info",
    fields: ["balancer", "author"],
    meaning: "an operator has ended a pause; what changed meanwhile is caught up",
    action: NOTHING,
  },
  "local.drained": {
    level: "info",
    fields: ["service", "override", "author", "reason", "until"],
    meaning: "an operator has this host's nodes registered as draining, or not registered",
    action: NOTHING,
    resolvedBy: "local.undrained",
  },
  "local.undrained": {
    level: "info",
    fields: ["service", "author"],
    meaning: "an operator has put this host's nodes back",
    action: NOTHING,
  },
  "admin.listening": {
    level: "info",
    fields: ["at"],
    meaning: "the admin interface is served",
    action: NOTHING,
  },
  "admin.unavailable": {
    level: "error",
    fields: [],
    meaning:
      "the address, the tokens or the certificates of `--admin` cannot be used; the process ends with exit code 1",
    action: "correct the flags",
  },
  "admin.denied": {
    level: "warn",
    fields: ["token", "verb"],
    meaning: "a request would change something, and the access of its token is `read`",
    action: "nothing, unless the bearer should be allowed to",
  },
  "admin.secrets_reloaded": {
    level: "info",
    fields: [],
    meaning: "the tokens and certificates of the admin interface were read again",
    action: NOTHING,
  },
  "admin.secrets_invalid": {
    level: "error",
    fields: ["reason"],
    meaning: "the tokens or certificates of the admin interface cannot be read again; the last good ones stay",
    action: "correct the file",
  },

  "last_known.unusable": {
    level: "warn",
    fields: ["path", "reason"],
    meaning: "the file of last known members cannot be read or is damaged; the start goes without it",
    action: "see to the file, or remove it",
  },
  "last_known.unwritten": {
    level: "warn",
    repeats: true,
    fields: ["path", "reason"],
    meaning: "last known members cannot be written; a restart would not know the newest",
    action: "see to the directory, the rights, the disk",
    resolvedBy: "last_known.written",
  },
  "last_known.written": {
    level: "info",
    fields: ["path"],
    meaning: "last known members are written again",
    action: NOTHING,
  },
  "last_known.unread": {
    level: "debug",
    fields: ["reason"],
    meaning: "the balancer, or its file, could not be asked for the members that it serves",
    action: NOTHING,
  },

  // The writer and its balancers.
  "writer.active": {
    level: "info",
    fields: ["balancer"],
    meaning: "this writer keeps the balancer in sync",
    action: NOTHING,
  },
  "writer.standby": {
    level: "warn",
    fields: ["balancer"],
    meaning: "another writer keeps this balancer; this one changes nothing and takes over when the other has ended",
    action: "nothing, if a spare is wanted; else stop one of the two",
    resolvedBy: "writer.active",
  },
  "balancer.unmanaged": {
    level: "warn",
    fields: ["balancer"],
    meaning: "the balancer's file was removed from the config; the balancer keeps running unmanaged",
    action: "nothing, if meant; else put the file back",
  },
  "balancer.started": {
    level: "info",
    fields: ["balancer", "reason", "tookMs"],
    meaning: "the balancer did not run and was started",
    action: NOTHING,
  },
  "balancer.restarted": {
    level: "warn",
    fields: ["balancer", "reason", "tookMs"],
    meaning: "the balancer had died and was started again",
    action: "find out why: its log, the system's log",
  },
  "balancer.reloaded": {
    level: "info",
    fields: ["balancer", "reason", "tookMs"],
    meaning: "the balancer was reloaded for a change of structure, `reason`",
    action: NOTHING,
  },
  "balancer.notified": {
    level: "info",
    fields: ["balancer", "program", "reason", "tookMs"],
    meaning: "`program` was run to have the files read, for `reason`, and ended with 0",
    action: NOTHING,
  },
  "balancer.child": {
    level: "info",
    fields: ["balancer", "child", "reason", "tookMs"],
    meaning: "a child process was started or stopped, for `reason`",
    action: "nothing; if it restarts again and again, see its own log",
  },
  "once.applied": {
    level: "info",
    fields: ["balancers"],
    meaning: "`writer --once` has applied everything, and ends with exit code 0",
    action: NOTHING,
  },
  "once.failed": {
    level: "error",
    fields: ["reason"],
    meaning: "`writer --once` has not applied everything, and ends with exit code 1",
    action: "see `reason`: it names the registries, the clusters and the keys that did not report, or the error",
  },
  "keys.changed": {
    level: "info",
    fields: ["discovery", "prefix", "keys"],
    meaning: "the keys below `prefix` changed; there are `keys` now",
    action: NOTHING,
  },
  "keys.held": {
    level: "warn",
    fields: ["discovery", "prefix", "keys"],
    meaning:
      "a registry reports no keys below `prefix` any more; the `keys` known ones stay until it reports that again",
    action: "nothing, if the keys were removed on purpose",
  },
  "keys.failed": {
    level: "warn",
    repeats: true,
    fields: ["discovery", "prefix", "reason", "waitMs"],
    meaning: "keys cannot be followed; the known ones stay, and it is tried again",
    action: "see to the registry",
  },
  "balancer.child_output": {
    level: "info",
    fields: ["child", "line"],
    meaning: "`child`, a supervised program that ends with the writer, wrote `line`",
    action: NOTHING,
  },
  "balancer.pending": {
    level: "warn",
    repeats: true,
    fields: ["balancer"],
    meaning: "a file cannot be rendered before registries have reported what it is made of; the existing file stays",
    action: "see to the registry, if it lasts",
  },
  "balancer.not_rendered": {
    level: "error",
    repeats: true,
    fields: ["balancer"],
    meaning: "a file cannot be rendered; the existing file stays",
    action: "fix the template or the keys that the message names",
  },
  "balancer.file_removed": {
    level: "info",
    fields: ["balancer", "path"],
    meaning: "`path` was removed, as `purge` asks for",
    action: NOTHING,
  },
  "balancer.serving": {
    level: "info",
    fields: ["balancer", "pid", "old"],
    meaning: "process `pid` serves; old workers, `old`, still have connections",
    action: "nothing; if old workers pile up, see `hard-stop-after`",
  },
  "balancer.replaced": {
    level: "info",
    fields: ["balancer", "pid"],
    meaning: "process `pid` serves, which was not started by this writer",
    action: "nothing; if it comes again and again, look for a second writer",
  },
  "balancer.dismissed": {
    level: "info",
    fields: ["balancer", "pid"],
    meaning: "a process that would serve beside the one in charge is asked to leave",
    action: NOTHING,
  },
  "balancer.commands": {
    level: "info",
    repeats: true,
    fields: ["balancer", "commands", "count"],
    meaning: "members or states were changed over the socket, without reload",
    action: NOTHING,
  },
  "balancer.command_failed": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "kind"],
    meaning: "a command over the socket failed; the change is tried again, then made by a reload",
    action: "nothing, unless it stays",
  },
  "balancer.file_written": {
    level: "debug",
    fields: ["balancer", "path", "tookMs"],
    meaning: "the balancer's file was replaced",
    action: NOTHING,
  },
  "balancer.drift": {
    level: "warn",
    fields: ["balancer", "found"],
    meaning: "somebody else changed a server, a frontend or the file; the change is reverted",
    action: "nothing, if it was once; else find the hand or the script",
  },
  "balancer.config_rejected": {
    level: "error",
    repeats: true,
    fields: ["balancer", "cluster", "fate"],
    meaning: "the balancer does not accept lines of a cluster or of its own file; their places follow. `fate` says " +
      "what becomes of them: left out, or the last accepted version stays; all others go on",
    action: "fix the lines",
  },
  "balancer.address_taken": {
    level: "error",
    repeats: true,
    fields: ["balancer", "cluster", "fate"],
    meaning: "another process listens on an address that the balancer is to bind, so no new process was started; " +
      "the message names the holder and the line, `fate` says what becomes of the cluster",
    action: "stop the holder, or choose another port",
  },
  "balancer.file_behind": {
    level: "error",
    repeats: true,
    fields: ["balancer", "path", "reason"],
    meaning: "the balancer has its members, but its file on disk could not be written",
    action: "see to the directory, the rights, the disk",
  },
  "balancer.clusters_kept": {
    level: "error",
    repeats: true,
    fields: ["balancer", "clusters"],
    meaning: "the balancer serves clusters whose config cannot be used; they go on as they run",
    action: "fix their files",
  },
  "balancer.failed": {
    level: "error",
    repeats: true,
    fields: ["balancer"],
    meaning: "the balancer cannot be observed, written, started or reloaded, for the reason in the message; what ran " +
      "goes on, and it is tried again, less and less often",
    action:
      "see to the reason: an address in use, a limit of open files, a directory, rights, a program that is missing",
  },
  "balancer.notice": {
    level: "warn",
    fields: ["balancer", "more"],
    meaning: "something in the config of a cluster or the balancer that is probably not meant, such as a cluster " +
      "without nodes (its clients get 503); of more than 50 that are new, the last record counts the others as `more`",
    action: "see to the place or the cluster in the message",
  },
  "balancer.output": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "line"],
    meaning: "the balancer's program printed a warning; each is logged once",
    action: "see to the words of the program",
  },

  // Workers and plugins.
  "worker.started": {
    level: "info",
    repeats: true,
    fields: ["worker", "bootMs"],
    meaning: "a worker is in service; at `debug` unless it was down before",
    action: NOTHING,
  },
  "worker.ended": {
    level: "warn",
    fields: ["worker", "reason", "waitMs", "attempt"],
    meaning: "a check or a connection died, `reason`; another is started after `waitMs`",
    action: "nothing, unless it stays",
    resolvedBy: "worker.started",
  },
  "worker.start_failed": {
    level: "warn",
    repeats: true,
    fields: ["worker", "reason", "waitMs", "attempt"],
    meaning: "a worker could not be started; it is tried again after `waitMs`",
    action: "see to `reason`; for open files in use, raise `LimitNOFILE` or set `isolation: shared`",
    resolvedBy: "worker.started",
  },
  "worker.replace_failed": {
    level: "warn",
    fields: ["worker", "reason", "waitMs", "attempt"],
    meaning: "a worker for a changed config could not be started; the previous one goes on, and it is tried again",
    action: "see to `reason`",
    resolvedBy: "worker.started",
  },
  "worker.kept_out": {
    level: "error",
    fields: ["worker", "reason"],
    meaning: "a worker is not started again as its plugin hung",
    action: "fix the plugin, or change its version",
  },
  "worker.stuck": {
    level: "error",
    fields: ["threads", "most"],
    meaning: "a plugin is in an endless loop; the process exits with 75 at `most` such threads",
    action: "restart the process; fix the plugin",
  },
  "worker.greedy": {
    level: "error",
    fields: ["worker", "open", "limit"],
    meaning: "the process was running out of open files; the worker of the plugin that held the most was ended",
    action: "fix the plugin, or raise `LimitNOFILE`",
    resolvedBy: "worker.started",
  },
  "worker.rejected": {
    level: "warn",
    fields: ["worker", "balancer", "reason"],
    meaning: "a worker sent a node or a message that is not valid; it was left out",
    action: "see to who wrote that node, or to the plugin",
  },
  "worker.uncounted": {
    level: "debug",
    fields: ["reason"],
    meaning: "the threads of this process could not be counted",
    action: NOTHING,
  },
  "plugin.loaded": {
    level: "info",
    fields: ["plugin", "name", "modules", "sha256"],
    meaning: "a plugin that does not ship was loaded",
    action: NOTHING,
  },
  "plugin.hung": {
    level: "error",
    fields: ["sha256", "reason", "file", "error"],
    meaning: "a plugin's thread could not be stopped; it stays out across restarts, if `file` could be written",
    action: "fix the plugin, or remove `file`",
  },
  "plugin.uncached": {
    level: "warn",
    fields: ["dir", "reason"],
    meaning: "a plugin could not be kept on disk; it is fetched again at the next start",
    action: "see to the directory, the rights, the disk",
  },
  "plugin.balancer_ended": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "reason", "waitMs", "falls"],
    meaning: "the worker of a balancer's plugin ended; what runs stays as it is, and another is started",
    action: "see to `reason`; fix the plugin",
  },
  "plugin.balancer_rejected": {
    level: "warn",
    repeats: true,
    fields: ["balancer", "reason", "refusals"],
    meaning: "a balancer's plugin wanted something that is not valid or was not granted",
    action: "see to `reason`; fix the plugin or grant the permission",
  },
  "plugin.log": {
    level: "info",
    fields: ["worker", "plugin_event"],
    meaning: "a record of a plugin that names no event of this table, at its own level; its own event, if any, is " +
      "`plugin_event`",
    action: "see to the message",
  },

  // What discovery methods report; a plugin that does not ship may use these too.
  "discovery.path_missing": {
    level: "info",
    fields: ["worker", "path"],
    meaning: "the registry has no `path`: nobody has registered below it yet, or it was removed; members stay",
    action: "nothing, unless reporters run: then compare their `path`, or find out who removed it",
    resolvedBy: "discovery.path_found",
  },
  "discovery.path_found": {
    level: "info",
    fields: ["worker", "path"],
    meaning: "`path` exists now",
    action: NOTHING,
  },
  "discovery.entry_skipped": {
    level: "warn",
    fields: ["worker", "path", "reason"],
    meaning: "an entry below `path` is not a valid node and was left out",
    action: "see to who wrote that entry",
  },
  "discovery.excess": {
    level: "warn",
    fields: ["worker", "path", "reason"],
    meaning: "there are more entries below `path` than are read",
    action: "remove entries, or split the cluster",
  },
  "discovery.lease_expired": {
    level: "info",
    fields: ["worker", "path", "entry"],
    meaning: "a node's lease was not renewed; the node is left out",
    action: "nothing, unless its reporter runs: then see to its clock and disk",
  },
  "discovery.polling": {
    level: "warn",
    fields: ["worker", "path", "error"],
    meaning: "`path` cannot be watched and is polled instead; changes take longer",
    action: "raise `fs.inotify.max_user_watches` or `max_user_instances`",
  },
  "discovery.taking_over": {
    level: "info",
    fields: ["worker", "path", "session"],
    meaning: "a node of this host belonged to another session and is taken over",
    action: NOTHING,
  },
  "discovery.node_taken": {
    level: "info",
    fields: ["worker", "node"],
    meaning: "another session has taken over a node of this host",
    action: "nothing, if this reporter is about to stop; else look for a second reporter",
  },
  "discovery.node_left": {
    level: "info",
    fields: ["worker", "path", "session"],
    meaning: "a node was not removed, as another session owns it by now",
    action: NOTHING,
  },
  "discovery.node_deleted": {
    level: "warn",
    fields: ["worker", "path"],
    meaning: "someone else deleted a healthy node of this host; it is registered again",
    action: "nothing, if it was once; else find out who: two reporters for one node, or a hand",
  },
  "discovery.look_failed": {
    level: "debug",
    fields: ["worker", "path", "reason"],
    meaning: "a node of this host could not be looked at after a change",
    action: NOTHING,
  },
  "discovery.renewal_failed": {
    level: "debug",
    fields: ["worker", "reason"],
    meaning: "a lease could not be renewed; it is tried again within its ttl",
    action: NOTHING,
  },
  "discovery.lease_lost": {
    level: "warn",
    fields: ["worker", "lease"],
    meaning: "the registry has no lease of this session any more; its nodes are registered again",
    action:
      "nothing, if the registry was unreachable for longer than `session_timeout`, or emptied; else find out who revoked the lease",
  },
  "discovery.auth_disabled": {
    level: "info",
    fields: ["worker", "reason"],
    meaning:
      "the config names a user, but the registry has authentication disabled; the session goes on without a token",
    action: "enable authentication in the registry, or remove `username` and `password`",
  },
  "discovery.watch_lost": {
    level: "debug",
    fields: ["worker", "reason"],
    meaning: "a watch was interrupted; what changed meanwhile is read",
    action: NOTHING,
  },
  "discovery.watch_behind": {
    level: "warn",
    fields: ["worker", "path", "endpoint"],
    meaning: "a watch missed a change that a read shows; the cluster is read again",
    action: "look for what drops idle connections between this host and `endpoint`",
  },
  "discovery.instance_changed": {
    level: "info",
    fields: ["worker", "instance", "reason"],
    meaning: "another instance of the registry is asked from now on",
    action: NOTHING,
  },
  "discovery.history_lost": {
    level: "warn",
    fields: ["worker", "path", "instance", "version"],
    meaning: "the history of the registry does not follow `version`: nodes that it lacks are held for one lease",
    action: "nothing, if the registry was restored or emptied on purpose",
  },

  // The store.
  "store.listening": {
    level: "info",
    fields: ["bind", "tls", "connectionsMax"],
    meaning: "the store listens",
    action: NOTHING,
  },
  "store.plaintext": {
    level: "warn",
    fields: ["bind"],
    meaning: "the store listens without TLS beyond loopback: what is sent can be read and changed on its way",
    action: "give `--tls-cert` and `--tls-key`, unless the network is trusted",
  },
  "store.failed": {
    level: "error",
    fields: [],
    meaning: "the store cannot start, or cannot go on; the message says why",
    action: "see to the reason",
  },
  "store.waiting": {
    level: "warn",
    fields: ["waitMs"],
    meaning: "nothing is served until another instance has answered, or `waitMs` are over",
    action: NOTHING,
    resolvedBy: "store.serving",
  },
  "store.serving": {
    level: "info",
    fields: ["reason"],
    meaning: "the document is served from now on",
    action: NOTHING,
  },
  "store.secrets_reloaded": {
    level: "info",
    fields: [],
    meaning: "tokens and certificates were read again",
    action: NOTHING,
  },
  "store.secrets_invalid": {
    level: "error",
    fields: ["reason"],
    meaning: "tokens or certificates cannot be read; the previous ones are used",
    action: "fix the file and send SIGHUP again",
    resolvedBy: "store.secrets_reloaded",
  },
  "store.request_failed": {
    level: "error",
    fields: ["method", "url", "reason"],
    meaning: "an internal error; a request was answered with 500",
    action: "report it with its `reason`",
  },
  "store.write_failed": {
    level: "error",
    fields: ["sequence", "reason"],
    meaning: "a change could not be written to disk and was rejected",
    action: "see to the disk",
  },
  "store.snapshot_loaded": {
    level: "info",
    fields: ["name", "version"],
    meaning: "the newest good snapshot was loaded",
    action: NOTHING,
  },
  "store.snapshot_corrupt": {
    level: "error",
    fields: ["name", "aside", "reason"],
    meaning: "a snapshot is corrupt; it was set aside, and the previous one is tried",
    action: "see to the disk; compare the document with another instance's",
  },
  "store.snapshot_unremoved": {
    level: "warn",
    fields: ["name", "reason"],
    meaning: "an old snapshot cannot be removed",
    action: "see to the rights and the disk",
  },
  "store.peer_reachable": {
    level: "info",
    fields: ["address"],
    meaning: "another instance is reachable",
    action: NOTHING,
  },
  "store.peer_unreachable": {
    level: "warn",
    fields: ["address", "reason"],
    meaning: "another instance cannot be reached; this one goes on alone",
    action: "see to that instance and the network",
    resolvedBy: "store.peer_reachable",
  },
  "store.peer_renamed": {
    level: "info",
    fields: ["address", "known"],
    meaning: "an instance is known by another address already",
    action: NOTHING,
  },
  "store.copy_sent": {
    level: "debug",
    fields: ["address", "version"],
    meaning: "a version was given to another instance",
    action: NOTHING,
  },
  "store.copy_rejected": {
    level: "warn",
    fields: ["address", "reason"],
    meaning: "another instance's version cannot be taken",
    action: "see to `reason`: limits differ, or the disk is full",
  },
  "store.conflict": {
    level: "warn",
    fields: ["lost", "newer"],
    meaning: "two instances had changed apart; this one's version lost, and its snapshot is kept",
    action: "compare the kept snapshot with the document",
  },
  "store.conflict_possible": {
    level: "warn",
    fields: ["lost", "newer"],
    meaning: "a version may have lost against another; it is too old to tell, and its snapshot is kept",
    action: "compare the kept snapshot with the document",
  },
  "store.conflict_unsaved": {
    level: "error",
    fields: ["name", "reason"],
    meaning: "the snapshot of a version that lost could not be set aside",
    action: "see to the disk, and copy the snapshot before it is removed",
  },
  "store.lease_expired": {
    level: "info",
    fields: ["name"],
    meaning: "a lease was not renewed; its keys are removed",
    action: "nothing, unless its holder runs",
  },
  "store.lock_broken": {
    level: "warn",
    fields: ["holder", "by"],
    meaning: "somebody broke the lock of somebody else's transaction",
    action: "nothing, if it was meant",
  },

  // Servers and the log itself.
  "http.shed": {
    level: "warn",
    fields: ["at", "closed", "connections", "limit", "reason"],
    meaning: "connections are closed to make room for new ones",
    action: "find out who opens so many, or raise the limit",
  },
  "http.handler_failed": {
    level: "error",
    fields: ["at", "method", "url", "reason"],
    meaning: "a request was in order, and answering it threw; it was answered with 500, or cut off",
    action: "report it with its `reason`",
  },
  "status.listening": {
    level: "info",
    fields: ["at"],
    meaning: "status and health are served",
    action: NOTHING,
  },
  "status.unavailable": {
    level: "error",
    fields: [],
    meaning: "the address of `--status` cannot be bound; the process ends",
    action: "see to the address in the message",
  },
  "status.failed": {
    level: "error",
    fields: ["reason"],
    meaning: "an internal error; a request for the status was answered with 500",
    action: "report it with its `reason`",
  },
  "log.handler_failed": {
    level: "error",
    fields: ["handler", "reason"],
    meaning: "a log handler cannot write: a disk is full, a syslog server away; logged once, on stderr",
    action: "see to it; nothing waits for it",
    resolvedBy: "log.handler_restored",
  },
  "log.handler_restored": {
    level: "info",
    fields: ["handler", "dropped"],
    meaning: "a log handler works again; `dropped` records are lost",
    action: NOTHING,
  },
  "history.unwritten": {
    level: "warn",
    fields: ["reason"],
    meaning: "the history, or the last files of a balancer, cannot be written; records are dropped until it works",
    action: "see to the directory `history_dir`, the rights, the disk",
    resolvedBy: "history.written",
  },
  "history.written": {
    level: "info",
    fields: ["dropped"],
    meaning: "the history is written again; `dropped` records are lost",
    action: NOTHING,
  },
  "notifier.failed": {
    level: "warn",
    repeats: true,
    fields: ["notifier", "reason", "waitMs"],
    meaning:
      "a notifier cannot deliver events; it is tried again after `waitMs`, or without `waitMs` the event is dropped",
    action: "see to `reason`; try it with `lighthouse notify test`",
    resolvedBy: "notifier.delivered",
  },
  "notifier.test": {
    level: "info",
    fields: ["notifier", "host"],
    meaning: "what `lighthouse notify test` sends; it is never logged",
    action: NOTHING,
  },
  "notifier.delivered": {
    level: "info",
    fields: ["notifier", "dropped"],
    meaning: "a notifier delivers events again; `dropped` events were rejected or did not fit in its `queue`",
    action: NOTHING,
  },
  "publisher.failed": {
    level: "warn",
    repeats: true,
    fields: ["publisher", "reason"],
    meaning: "metrics cannot be sent to a publisher of `lighthouse.yaml`; they are dropped until it works",
    action: "see to `reason`, the address, the server",
    resolvedBy: "publisher.sent",
  },
  "publisher.sent": {
    level: "info",
    fields: ["publisher", "dropped"],
    meaning: "metrics are sent to a publisher again; `dropped` samples were lost",
    action: NOTHING,
  },
  "log.internal": {
    level: "warn",
    fields: [],
    meaning: "the logging library reports a fault of its own, at `warn` or above",
    action: "report it",
  },

  // `lighthouse plan`.
  "plan.nothing": {
    level: "error",
    fields: ["wanted"],
    meaning: "no balancer is configured, so there is nothing to plan",
    action: "write the file `wanted`",
  },
  "plan.unreachable": {
    level: "error",
    fields: ["discovery", "detail"],
    meaning: "a registry is unreachable, so the plan lacks its members",
    action: "see to the registry, or to its config",
  },
  "plan.incomplete": {
    level: "warn",
    fields: ["clusters", "keys", "waitMs"],
    meaning:
      "some clusters or keys sent no data within `waitMs`; the plan has the last known members, and leaves out files " +
      "that need the keys",
    action: "raise `--wait`, or see to the registry",
  },
};
