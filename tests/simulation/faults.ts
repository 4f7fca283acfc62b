import type { World } from "./world.ts";

/** Something that may befall a world. */
export interface Fault {
  readonly name: string;
  /** What it is about: a world is given some kinds of faults, and spared the others. */
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
  /** Lets it happen; answers what ends it, if it lasts. */
  begin(world: World): (() => void) | void;
}

/** What an operator's hand, or a stranger, starts in place of the balancer. */
const FOREIGN_FILE = "global\n\nbackend web\n\tserver other 10.9.9.9:80\n";

/** A node that tries to be more than a node, in each part; the last is one, but for what is said of it. */
const HOSTILE: readonly unknown[] = [
  { host: "evil\n\tserver x 10.6.6.6:80", ip: "10.6.6.6", port: 80, metadata: {} },
  { host: "evil.sim;del", ip: "10.6.6.6", port: 80, metadata: {} },
  { host: "evil.sim", ip: "10.6.6.6 disabled", port: 80, metadata: {} },
  { host: "evil.sim", ip: "10.6.6.6", port: "80 evil", metadata: {} },
  { host: "x".repeat(300) + "evil", ip: "10.6.6.6", port: 80, metadata: {} },
  "evil",
  { host: "stranger.sim", ip: "10.7.7.7", port: 77, metadata: { note: "evil\n\tserver x 10.6.6.6:80" } },
];

/** All that may happen. */
export const FAULTS: readonly Fault[] = [
  { name: "health flips", kind: "health", begin: (world) => world.flipHealth() },
  { name: "a node's weight or state is edited", kind: "health", begin: (world) => world.editShare() },
  { name: "a client stays connected to a server", kind: "health", begin: (world) => world.occupy() },
  { name: "the registry is out of everybody's reach", kind: "registry", begin: (world) => world.part(world.hostNames) },
  {
    name: "the registry is out of one host's reach",
    kind: "registry",
    begin: (world) => world.part([world.pick(world.hostNames)]),
  },
  { name: "all sessions expire at once", kind: "registry", begin: (world) => world.expire(world.hostNames) },
  { name: "a host's session expires", kind: "registry", begin: (world) => world.expire([world.pick(world.hostNames)]) },
  {
    name: "the registry says for a moment that it is empty, as it comes back",
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
    name: "the registry says for a moment that a guarded cluster has lost most of its members",
    kind: "lies",
    begin: (world) => world.lieOfGuarded(),
  },
  {
    name: "strangers register what is no node",
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
  { name: "answers come twice", kind: "messages", begin: (world) => world.spoil({ doubled: 0.5 }) },
  {
    name: "changes of the registry are missed",
    kind: "messages",
    begin: (world) => world.spoil({ missedEvents: 0.7 }),
  },
  { name: "answers get lost", kind: "workers", begin: (world) => world.spoil({ lost: 0.3 }) },
  { name: "workers say nothing", kind: "workers", begin: (world) => world.spoil({ silent: true }) },
  {
    name: "discovery workers crash",
    kind: "workers",
    begin: (world) => world.crash(world.pick(world.hostNames), "discovery"),
  },
  { name: "check workers crash", kind: "checks", begin: (world) => world.crash(world.pick(world.hostNames), "check") },
  {
    name: "a check's plugin crashes again and again",
    kind: "checks",
    begin(world) {
      const end = world.spoil({ unloadable: true });
      for (const host of world.hostNames) world.crash(host, "check");
      return end;
    },
  },
  { name: "checks cannot tell", kind: "checks", begin: (world) => world.spoil({ blind: "no local port is left" }) },
  {
    name: "no open file is left for checks",
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
    name: "somebody reloads HAProxy, and the process before goes on to talk",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.lingers = () => true;
      if (haproxy.process !== undefined) haproxy.boot();
      haproxy.lingers = () => false;
    },
  },
  {
    name: "somebody puts another HAProxy in its place",
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
  { name: "a hand takes a server out", kind: "balancer", begin: (world) => world.byHand("set server", "state maint") },
  { name: "a hand drains a server", kind: "balancer", begin: (world) => world.byHand("set server", "state drain") },
  {
    name: "a hand moves a server",
    kind: "balancer",
    begin: (world) => world.byHand("set server", "addr 10.9.9.9 port 99"),
  },
  {
    name: "a hand closes a frontend",
    kind: "balancer",
    begin: (world) => world.closeFrontend(),
  },
  {
    name: "a hand adds a server",
    kind: "balancer",
    begin({ haproxy }) {
      if (haproxy.process?.backends.has("web")) haproxy.command("add server web/hand.sim:1 10.9.9.9:1 id 4711");
    },
  },
  {
    name: "commands get lost",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.fault = (step) => {
        return step.do === "command" ? { kind: "unreachable", message: "the simulation lost it" } : undefined;
      };
      return () => haproxy.fault = () => undefined;
    },
  },
  {
    name: "commands are answered and not carried out",
    kind: "balancer",
    begin(world) {
      world.haproxy.swallows = () => world.chance(0.5);
      return () => world.haproxy.swallows = () => false;
    },
  },
  {
    name: "answers are cut short",
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
        throw new Error("the simulation keeps the socket silent");
      };
      return () => haproxy.beforeObserve = () => {};
    },
  },
  {
    name: "reloads fail",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.fails = () => "the simulation lets it fail";
      return () => haproxy.fails = () => undefined;
    },
  },
  {
    name: "every file is refused",
    kind: "balancer",
    begin({ haproxy }) {
      haproxy.refuses = () => "the simulation refuses it";
      return () => haproxy.refuses = () => undefined;
    },
  },
  { name: "a cluster comes or goes", kind: "config", begin: (world) => world.toggleCluster() },
  { name: "a service comes or goes", kind: "config", begin: (world) => world.toggleService() },
  { name: "a cluster's lines are edited", kind: "config", begin: (world) => world.edit("structure") },
  { name: "the discovery's file is edited", kind: "config", begin: (world) => world.edit("discovery") },
  { name: "metadata is edited", kind: "config", begin: (world) => world.edit("metadata") },
  { name: "the config is saved half-written", kind: "config", begin: (world) => world.editHalf() },
  { name: "the program is stopped and started", kind: "process", begin: (world) => world.restart("stop") },
  { name: "the program is killed and started", kind: "process", begin: (world) => world.restart("kill") },
  { name: "an operator pauses the management", kind: "operator", begin: (world) => world.pause() },
  { name: "the program fails and is restarted", kind: "process", begin: (world) => world.restart("fail") },
];
