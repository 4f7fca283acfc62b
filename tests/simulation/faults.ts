import type { World } from "./world.ts";

/** A fault that a world can suffer. */
export interface Fault {
  readonly name: string;
  /** Its area: each world suffers the faults of some areas only. */
  readonly kind:
    | "health"
    | "registry"
    | "lies"
    | "messages"
    | "checks"
    | "workers"
    | "balancer"
    | "config"
    | "process"
    | "operator";
  /** Starts the fault; returns what ends it, if it lasts. */
  begin(world: World): (() => void) | void;
}

/** A config that an operator or another program starts in place of the balancer's. */
const FOREIGN_FILE = "global\n\nbackend web\n\tserver other 10.9.9.9:80\n";

/** Nodes with an injection in each field; the last is valid except for its metadata. */
const HOSTILE: readonly unknown[] = [
  { host: "evil\n\tserver x 10.6.6.6:80", ip: "10.6.6.6", port: 80, metadata: {} },
  { host: "evil.sim;del", ip: "10.6.6.6", port: 80, metadata: {} },
  { host: "evil.sim", ip: "10.6.6.6 disabled", port: 80, metadata: {} },
  { host: "evil.sim", ip: "10.6.6.6", port: "80 evil", metadata: {} },
  { host: "x".repeat(300) + "evil", ip: "10.6.6.6", port: 80, metadata: {} },
  "evil",
  { host: "stranger.sim", ip: "10.7.7.7", port: 77, metadata: { note: "evil\n\tserver x 10.6.6.6:80" } },
];

/** All faults. */
export const FAULTS: readonly Fault[] = [
  { name: "health flips", kind: "health", begin: (world) => world.flipHealth() },
  { name: "a node's weight or state is edited", kind: "health", begin: (world) => world.editShare() },
  { name: "a client stays connected to a server", kind: "health", begin: (world) => world.occupy() },
  {
    name: "the registry is unreachable from all hosts",
    kind: "registry",
    begin: (world) => world.part(world.hostNames),
  },
  {
    name: "the registry is unreachable from one host",
    kind: "registry",
    begin: (world) => world.part([world.pick(world.hostNames)]),
  },
  { name: "all sessions expire at once", kind: "registry", begin: (world) => world.expire(world.hostNames) },
  { name: "a host's session expires", kind: "registry", begin: (world) => world.expire([world.pick(world.hostNames)]) },
  {
    name: "the registry is briefly empty as it returns",
    kind: "lies",
    begin(world) {
      const rejoin = world.part(world.hostNames);
      return () => {
        world.lie(() => []);
        rejoin();
      };
    },
  },
  {
    name: "the registry briefly reports most members of a guarded cluster as gone",
    kind: "lies",
    begin: (world) => world.lieOfGuarded(),
  },
  {
    name: "invalid nodes are registered",
    kind: "lies",
    begin(world) {
      const { registry } = world;
      const cluster = world.pickCluster();
      registry.hostile.set(cluster, HOSTILE);
      registry.tell(cluster);
      return () => {
        registry.hostile.delete(cluster);
        registry.tell(cluster);
      };
    },
  },
  { name: "messages are late", kind: "messages", begin: (world) => world.spoil({ lateMs: 2_000 }) },
  { name: "answers are duplicated", kind: "messages", begin: (world) => world.spoil({ doubled: 0.5 }) },
  {
    name: "changes of the registry are missed",
    kind: "messages",
    begin: (world) => world.spoil({ missedEvents: 0.7 }),
  },
  { name: "answers are lost", kind: "workers", begin: (world) => world.spoil({ lost: 0.3 }) },
  { name: "workers are mute", kind: "workers", begin: (world) => world.spoil({ silent: true }) },
  {
    name: "discovery workers crash",
    kind: "workers",
    begin: (world) => world.crash(world.pick(world.hostNames), "discovery"),
  },
  { name: "check workers crash", kind: "checks", begin: (world) => world.crash(world.pick(world.hostNames), "check") },
  {
    name: "a check's plugin crashes repeatedly",
    kind: "checks",
    begin(world) {
      const end = world.spoil({ unloadable: true });
      for (const host of world.hostNames) world.crash(host, "check");
      return end;
    },
  },
  { name: "checks cannot be made", kind: "checks", begin: (world) => world.spoil({ blind: "no local port is left" }) },
  {
    name: "checks run out of file descriptors",
    kind: "checks",
    begin: (world) => world.spoil({ blind: "too many open files", unloadable: true }),
  },
  { name: "HAProxy is upgraded", kind: "balancer", begin: (world) => world.upgradeHaproxy() },
  { name: "HAProxy is killed", kind: "balancer", begin: ({ haproxy }) => haproxy.kill() },
  {
    name: "somebody reloads HAProxy",
    kind: "balancer",
    begin({ haproxy }) {
      if (haproxy.process !== undefined) haproxy.boot();
    },
  },
  {
    name: "somebody reloads HAProxy, and the old process still answers",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.lingers = () => true;
      if (haproxy.process !== undefined) haproxy.boot();
      haproxy.lingers = () => false;
    },
  },
  {
    name: "somebody replaces the HAProxy process",
    kind: "balancer",
    begin({ haproxy }) {
      const { file } = haproxy;
      haproxy.file = FOREIGN_FILE;
      haproxy.boot();
      haproxy.file = file;
    },
  },
  {
    name: "somebody edits the file",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.file = FOREIGN_FILE;
    },
  },
  {
    name: "somebody removes the file",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.file = undefined;
    },
  },
  {
    name: "an operator puts a server into maintenance",
    kind: "balancer",
    begin: (world) => world.byHand("set server", "state maint"),
  },
  {
    name: "an operator drains a server",
    kind: "balancer",
    begin: (world) => world.byHand("set server", "state drain"),
  },
  {
    name: "an operator changes a server's address",
    kind: "balancer",
    begin: (world) => world.byHand("set server", "addr 10.9.9.9 port 99"),
  },
  {
    name: "an operator disables a frontend",
    kind: "balancer",
    begin: (world) => world.closeFrontend(),
  },
  {
    name: "an operator adds a server",
    kind: "balancer",
    begin({ haproxy }) {
      if (haproxy.process?.backends.has("web")) haproxy.command("add server web/hand.sim:1 10.9.9.9:1 id 4711");
    },
  },
  {
    name: "commands are lost",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.fault = (step) => {
        return step.do === "command" ? { kind: "unreachable", message: "the simulation lost it" } : undefined;
      };
      return () => haproxy.fault = () => undefined;
    },
  },
  {
    name: "commands are acknowledged but not carried out",
    kind: "balancer",
    begin(world) {
      world.haproxy.swallows = () => world.chance(0.5);
      return () => world.haproxy.swallows = () => false;
    },
  },
  {
    name: "answers are truncated",
    kind: "balancer",
    begin(world) {
      world.haproxy.garbles = (answer) => world.chance(0.3) ? answer.slice(0, answer.length / 2) : answer;
      return () => world.haproxy.garbles = (answer) => answer;
    },
  },
  {
    name: "the socket is silent",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.beforeObserve = () => {
        throw new Error("no answer, by order of the simulation");
      };
      return () => haproxy.beforeObserve = () => {};
    },
  },
  {
    name: "reloads fail",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.fails = () => "fails by order of the simulation";
      return () => haproxy.fails = () => undefined;
    },
  },
  {
    name: "every file is rejected",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.refuses = () => "rejected by order of the simulation";
      return () => haproxy.refuses = () => undefined;
    },
  },
  { name: "a cluster is added or removed", kind: "config", begin: (world) => world.toggleCluster() },
  { name: "a service is added or removed", kind: "config", begin: (world) => world.toggleService() },
  { name: "a cluster's lines are edited", kind: "config", begin: (world) => world.edit("structure") },
  { name: "the discovery's file is edited", kind: "config", begin: (world) => world.edit("discovery") },
  { name: "metadata is edited", kind: "config", begin: (world) => world.edit("metadata") },
  { name: "the config is saved half-written", kind: "config", begin: (world) => world.editHalf() },
  { name: "the program is stopped and started", kind: "process", begin: (world) => world.restart("stop") },
  { name: "the program is killed and started", kind: "process", begin: (world) => world.restart("kill") },
  { name: "an operator pauses Lighthouse", kind: "operator", begin: (world) => world.pause() },
  { name: "the program fails and is restarted", kind: "process", begin: (world) => world.restart("fail") },
];
