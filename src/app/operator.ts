import type { AdminCommand, ConnectionsQuery, Statement } from "../admin/command.ts";
import type { Connections, Operator, Rejection, Result } from "../admin/operator.ts";
import type { Accepted, AcceptedCluster } from "../config/accepted.ts";
import type { Clock } from "../kernel/clock.ts";
import { deadline } from "../kernel/deadline.ts";
import { delay } from "../kernel/delay.ts";
import { formatDuration } from "../kernel/duration.ts";
import type { Logger } from "../kernel/logger.ts";
import { suggest } from "../kernel/suggest.ts";
import { fieldsOf, type OperatorOrders, TooManyOrdersError } from "../membership/operator_orders.ts";
import { shareSettled } from "../membership/wanted.ts";
import {
  exclusions,
  formatKind,
  isMeant,
  isOfState,
  type LocalDrain,
  localDrainOf,
  nodesNamed,
  type NodesOverride,
  type Orders,
  overridesOf,
  pauseOf,
  type Said,
} from "../model/override.ts";
import { type Node, nodeName } from "../model/node.ts";
import { plainAddress } from "../model/canonical_address.ts";
import type { Service } from "../model/service.ts";
import type { ClusterName } from "../model/topology.ts";
import { UndecidedError } from "../plugin/decider.ts";
import type { RegistrationReport } from "../reporter/registrar.ts";
import type { TcpConnection } from "../system/connections.ts";
import { SlowLookError } from "../system/processes.ts";

export interface AppOperatorOptions {
  readonly role: Operator["role"];
  readonly dir: string;
  readonly clock: Clock;
  readonly wallNow: () => number;
  readonly log: Logger;
  readonly orders: OperatorOrders;
  readonly accepted: () => Accepted | undefined;
  /** The members of a cluster that are known. */
  readonly nodes: (cluster: ClusterName) => readonly Node[];
  /** How far this host's nodes are registered. */
  readonly registrations: () => readonly RegistrationReport[];
  /** Answers established connections of this host that others opened; `undefined` where nobody can be asked. */
  readonly connections: (
    isAsked: (connection: TcpConnection) => boolean,
  ) => Promise<readonly TcpConnection[] | undefined>;
  readonly balancers: () => ReadonlyMap<string, { readonly writer: { readonly isAtRest: boolean } }>;
}

/** How long a pause waits for steps that are under way: a reload takes no longer as a rule. */
const REST_MS = 10_000;
/** How often they are looked for. */
const REST_POLL_MS = 50;
/** So many names are listed in a message. */
const NAMES_SHOWN_MAX = 5;

/** Carries out what an operator asks of the app. */
export class AppOperator implements Operator {
  readonly #options: AppOperatorOptions;

  constructor(options: AppOperatorOptions) {
    this.#options = options;
  }

  get role(): Operator["role"] {
    return this.#options.role;
  }

  get dir(): string {
    return this.#options.dir;
  }

  get orders(): Orders {
    return this.#options.orders.now;
  }

  get unkept(): string | undefined {
    return this.#options.orders.unkept;
  }

  async carryOut(command: AdminCommand, signal: AbortSignal): Promise<Result> {
    const isLocal = command.verb === "drain-local" || command.verb === "undrain-local";
    if (this.role === (isLocal ? "writer" : "reporter")) return this.#otherRole(command.verb);
    if (this.#options.accepted() === undefined) {
      return reject(503, `Cannot ${command.verb}: the config has not been read yet; try again shortly`);
    }
    try {
      switch (command.verb) {
        case "pause":
          return await this.#pause(command, signal);
        case "resume":
          return await this.#resume(command);
        case "drain-local":
          return await this.#drainLocal(command, signal);
        case "undrain-local":
          return await this.#undrainLocal(command, signal);
        case "undrain":
          return await this.#revoke(command);
        case "weight":
          return command.percent === 100 ? await this.#revoke(command) : await this.#override(command);
        case "drain":
        case "maint":
          return await this.#override(command);
      }
    } catch (error) {
      if (!(error instanceof TooManyOrdersError)) throw error;
      return reject(409, error.message);
    }
  }

  async #pause(
    command: AdminCommand & { readonly verb: "pause" },
    signal: AbortSignal,
  ): Promise<Result> {
    const { orders, log, balancers, clock } = this.#options;
    const { balancer } = command;
    const unknown = this.#unknownBalancer(command);
    if (unknown !== undefined) return unknown;
    const pause = { ...this.#said(command), ...balancer !== undefined && { balancer } };
    await orders.put("pauses", pause);
    log.warn("Management paused", { event: "management.paused", ...fieldsOf(pause) });
    using late = deadline(REST_MS, { clock, signal });
    const busy = () => [...balancers()].filter(([name, { writer }]) => name === (balancer ?? name) && !writer.isAtRest);
    while (busy().length > 0 && !late.signal.aborted) {
      await delay(REST_POLL_MS, { clock, signal: late.signal }).catch(() => {});
    }
    const warnings = busy().map(([name]) => `Balancer ${name} is still applying changes that began before the pause`);
    return this.#did([`Management of ${nameOf(balancer)} is paused ${this.#until(pause, "resumed")}`], warnings);
  }

  async #resume(command: AdminCommand & { readonly verb: "resume" }): Promise<Result> {
    const { orders, log } = this.#options;
    const { balancer, author } = command;
    const unknown = this.#unknownBalancer(command);
    if (unknown !== undefined) return unknown;
    const revoked = await orders.revoke("pauses", (pause) => balancer === undefined || pause.balancer === balancer);
    if (revoked.length === 0) {
      const isAll = orders.now.pauses.some((pause) => pause.balancer === undefined);
      return isAll
        ? reject(409, `Cannot resume ${nameOf(balancer)} alone: all balancers are paused; run resume without a name`)
        : reject(409, `Cannot resume ${nameOf(balancer)}: management is not paused`);
    }
    if (balancer !== undefined && pauseOf(orders.now.pauses, balancer) !== undefined) {
      return this.#did([`Pause of balancer ${balancer} revoked`], [
        `Balancer ${balancer} stays paused: all balancers are paused; run resume without a name`,
      ]);
    }
    log.info("Management resumed", { event: "management.resumed", balancer: balancer ?? "all", author });
    return this.#did([`Management of ${nameOf(balancer)} is resumed; applying pending changes`]);
  }

  async #override(
    command: AdminCommand & { readonly verb: "drain" | "maint" | "weight" },
  ): Promise<Result> {
    const { orders, log } = this.#options;
    const { cluster, target, verb } = command;
    const found = this.#find(command);
    if ("ok" in found) return found;
    const order: NodesOverride = command.verb === "weight"
      ? { ...this.#said(command), cluster, target, kind: "weight", factor: command.percent / 100 }
      : { ...this.#said(command), cluster, target, kind: command.verb };
    const { overrides } = this.orders;
    const excluded = exclusions(found.accepted.cluster);
    const ready = (overrides: readonly NodesOverride[]) =>
      shareSettled({
        balancer: "",
        cluster: found.accepted,
        host: {},
        nodes: found.nodes,
        overrides: overridesOf([...excluded, ...overrides], cluster, found.nodes),
      }).nodes.filter(({ state, weight }) => state === "ready" && weight !== 0);
    const [before, after] = [ready(overrides), ready([...overrides, order])];
    if (!command.force && before.length > 0 && after.length === 0) {
      return reject(
        409,
        `Cannot ${verb} ${target}: cluster ${cluster} has no other ready node, and its clients would get 503; ` +
          "use --force to proceed anyway",
      );
    }
    await orders.put("overrides", order);
    log.info("Override set", { event: "override.set", ...fieldsOf(order) });
    const now = { drain: "drains", maint: "is in maintenance", weight: `has ${formatKind(order)}` }[order.kind];
    const warnings = order.kind === "weight" && order.factor !== 0 ? await this.#unweighing(found.accepted) : [];
    return this.#did(found.meant.map((node) => `${cluster}/${nodeName(node)} ${now} ${this.#until(order)}`), warnings);
  }

  /** Says which balancers do not share the requests of a cluster by weights that change while they run. */
  async #unweighing({ sections }: AcceptedCluster): Promise<readonly string[]> {
    const warnings: string[] = [];
    for (const [name, section] of sections) {
      const { plugin, config } = this.#options.accepted()?.balancers.get(name) ?? {};
      try {
        const weighing = await plugin?.weighing?.(config, section);
        if (weighing?.by === "other") {
          warnings.push(`Balancer ${name} may reload to apply the weight, or ignore the weight: ${weighing.reason}`);
        }
      } catch (error) {
        if (!(error instanceof UndecidedError)) throw error;
      }
    }
    return warnings;
  }

  /** Revokes the overrides of all nodes that are meant. */
  async #revoke(
    command: AdminCommand & { readonly verb: "undrain" | "weight" },
  ): Promise<Result> {
    const { orders, log } = this.#options;
    const isAsked = (each: NodesOverride) =>
      each.cluster === cluster && isOfState(each) === (command.verb === "undrain");
    const { cluster, target, author, verb } = command;
    // Thousands of overrides are not compared with thousands of nodes one by one.
    const named = nodesNamed(this.#options.nodes(cluster));
    const meant = named(target);
    const isCovered = (override: NodesOverride) => {
      if (override.target === target) return true;
      const covered = named(override.target);
      return covered.length > 0 && covered.every((node) => isMeant(target, node));
    };
    const revoked = await orders.revoke("overrides", (each) => isAsked(each) && isCovered(each));
    const others = overridesOf(this.orders.overrides.filter(isAsked), cluster, meant);
    const leftOf = (node: Node) => others.get(nodeName(node))?.at(-1);
    const left = meant.map(leftOf).find((each) => each !== undefined);
    const [file, { cluster: { exclude = [] } = {} } = {}] = [...this.#options.accepted()?.clusters ?? []]
      .find(([, each]) => each.cluster.name === cluster) ?? [];
    const isExcluded = (node: Node) => verb === "undrain" && exclude.some((each) => isMeant(each, node));
    if (revoked.length === 0) {
      if (left === undefined && meant.some(isExcluded)) {
        return reject(409, `Cannot undrain ${target}: excluded by clusters/${file}.yaml; edit its exclude list`);
      }
      return left === undefined
        ? reject(
          404,
          `Cannot ${verb} ${target}: no override in cluster ${cluster} matches; list overrides with lighthouse overrides`,
        )
        : reject(
          409,
          `Cannot ${verb} ${target} alone: the override applies to the whole host; ${verb} ${left.target} instead`,
        );
    }
    for (const order of revoked) {
      log.info("Override revoked", { event: "override.revoked", ...fieldsOf({ ...order, author }) });
    }
    const warnings = meant.flatMap((node) => {
      const name = `${cluster}/${nodeName(node)}`;
      const other = leftOf(node);
      if (other !== undefined) {
        const undo = verb === "weight" ? `weight ${other.target} 100%` : `undrain ${other.target}`;
        return [
          `Another override of ${name} still applies: ${other.target} ${formatKind(other)}; to revoke it, run ${undo}`,
        ];
      }
      return isExcluded(node)
        ? [`${name} stays drained: excluded by clusters/${file}.yaml; edit its exclude list`]
        : [];
    });
    const now = verb === "undrain" ? "is back in rotation" : "has its configured weight again";
    return this.#did(
      revoked.map(({ target }) => {
        if (named(target).length === 0) return `Override of ${cluster}/${target} revoked; no registered node matches`;
        return warnings.length > 0 ? `Override of ${cluster}/${target} revoked` : `${cluster}/${target} ${now}`;
      }),
      warnings,
    );
  }

  async #drainLocal(
    command: AdminCommand & { readonly verb: "drain-local" },
    signal: AbortSignal,
  ): Promise<Result> {
    const { orders, log } = this.#options;
    const { service, deregister } = command;
    const services = this.#services(command);
    if ("ok" in services) return services;
    const drain: LocalDrain = {
      ...this.#said(command),
      how: deregister ? "deregister" : "drain",
      ...service !== undefined && { service },
    };
    await orders.put("local", drain);
    log.info("Draining this host's nodes", { event: "local.drained", ...fieldsOf(drain) });
    const warnings = await this.#awaitRegistry(services, signal);
    const until = this.#until(drain);
    const reports = this.#options.registrations();
    const did = services.flatMap(({ name, ports }) =>
      ports.map((port) => {
        if (deregister) return `${name}:${port} is deregistered ${until}`;
        const isUp = reports.some(({ registration: { cluster, node, wanted } }) =>
          cluster === name && node.port === port && wanted === "present"
        );
        return isUp
          ? `${name}:${port} is registered as draining ${until}`
          : `${name}:${port} is not up; once up, the node is registered as draining ${until}`;
      })
    );
    return this.#did(did, warnings);
  }

  async #undrainLocal(
    command: AdminCommand & { readonly verb: "undrain-local" },
    signal: AbortSignal,
  ): Promise<Result> {
    const { orders, log } = this.#options;
    const { service, author } = command;
    const services = this.#services(command);
    if ("ok" in services) return services;
    const revoked = await orders.revoke("local", (each) => service === undefined || each.service === service);
    if (revoked.length === 0) {
      const isAll = service !== undefined && orders.now.local.length > 0;
      return isAll
        ? reject(409, `Cannot undrain service ${service} alone: all services are drained; run undrain without a name`)
        : reject(409, `Cannot undrain ${service ?? "this host"}: ${service ?? "this host"} is not drained`);
    }
    if (service !== undefined && localDrainOf(orders.now.local, service) !== undefined) {
      const warnings = [
        `Service ${service} stays drained: all services are drained; run undrain without a name`,
        ...await this.#awaitRegistry(services, signal),
      ];
      return this.#did([`Drain of service ${service} revoked`], warnings);
    }
    log.info("Drain of this host's nodes revoked", { event: "local.undrained", service: service ?? "all", author });
    const warnings = await this.#awaitRegistry(services, signal);
    return this.#did(
      endpointsOf(services).map((endpoint) => `${endpoint} is registered as ready while it is up`),
      warnings,
    );
  }

  /** Waits until the registries have what is wanted of services; answers what is not so in time. */
  async #awaitRegistry(services: readonly Service[], signal: AbortSignal): Promise<readonly string[]> {
    const { clock, registrations } = this.#options;
    const names = new Set(services.map(({ name }) => name));
    using late = deadline(REST_MS, { clock, signal });
    const undone = () =>
      registrations().filter(({ registration, isDone }) => names.has(registration.cluster) && !isDone);
    while (undone().length > 0 && !late.signal.aborted) {
      await delay(REST_POLL_MS, { clock, signal: late.signal }).catch(() => {});
    }
    return undone().map(({ registration: { cluster, node, discovery }, failure = "no response yet" }) =>
      `Registry discovery/${discovery}.yaml has not yet updated ${cluster}/${nodeName(node)}; retrying: ${failure}`
    );
  }

  async connections(query: ConnectionsQuery): Promise<Connections | Rejection> {
    const ends = "cluster" in query ? this.#nodeEnds(query) : this.#serviceEnds(query);
    if ("ok" in ends) return ends;
    let all: readonly TcpConnection[] | undefined;
    try {
      all = await this.#options.connections((connection) => ends.some(({ isIts }) => isIts(connection)));
    } catch (error) {
      if (!(error instanceof SlowLookError)) throw error;
      return reject(504, `Cannot count connections: ${error.message}`);
    }
    if (all === undefined) {
      return reject(503, "Cannot count connections: cannot read /proc/net/tcp (requires the cat program)");
    }
    return {
      ok: true,
      connections: Object.fromEntries(ends.map(({ name, isIts }) => [name, all.filter(isIts).length])),
    };
  }

  /** What leads from this host to nodes of a cluster. */
  #nodeEnds({ cluster, target }: { readonly cluster: string; readonly target: string }) {
    if (this.role === "reporter") return this.#otherRole("count connections to nodes");
    const found = this.#find({ verb: "count connections", cluster, target });
    if ("ok" in found) return found;
    return found.meant.map((node) => {
      const address = plainAddress(node.ip);
      const isIts = ({ remote }: TcpConnection) => remote.port === node.port && plainAddress(remote.host) === address;
      return { name: nodeName(node), isIts };
    });
  }

  /** What leads to the ports of this host's services. */
  #serviceEnds({ service }: { readonly service?: string | undefined }) {
    if (this.role === "writer") return this.#otherRole("count connections to services");
    const services = this.#services({ verb: "count connections", service });
    if ("ok" in services) return services;
    return services.flatMap(({ name, ports }) =>
      ports.map((port) => ({
        name: `${name}:${port}`,
        isIts: ({ local }: TcpConnection) => local.port === port,
      }))
    );
  }

  /** Finds the services that a command is about. */
  #services({ verb, service }: { readonly verb: string; readonly service?: string | undefined }) {
    const services = [...this.#options.accepted()?.services.values() ?? []].map((each) => each.service);
    const meant = services.filter(({ name }) => service === undefined || name === service);
    if (meant.length > 0) return meant;
    const names = services.map(({ name }) => name);
    return reject(
      404,
      `Cannot ${verb}${service === undefined ? "" : ` ${service}`}: ${known(service ?? "", names, "service")}`,
    );
  }

  #otherRole(what: string): Rejection {
    const other = this.role === "reporter" ? "writer" : "reporter";
    return reject(501, `Cannot ${what}: this process is a ${this.role}; use the ${other} on this host`);
  }

  /** Finds the nodes that a command is about. */
  #find({ verb, cluster, target }: { readonly verb: string; readonly cluster: string; readonly target: string }) {
    const clusters = [...this.#options.accepted()?.clusters.values() ?? []];
    const accepted = clusters.find((each) => each.cluster.name === cluster);
    if (accepted === undefined) {
      return reject(
        404,
        `Cannot ${verb} in cluster ${cluster}: ${known(cluster, clusters.map((c) => c.cluster.name), "cluster")}`,
      );
    }
    const nodes = this.#options.nodes(cluster);
    const meant = nodes.filter((node) => isMeant(target, node));
    if (meant.length === 0) {
      return reject(
        404,
        `Cannot ${verb} ${target}: ${known(target, nodes.map(nodeName), `node of cluster ${cluster}`)}`,
      );
    }
    return { accepted, nodes, meant };
  }

  #unknownBalancer({ verb, balancer }: { readonly verb: string; readonly balancer?: string | undefined }) {
    const names = [...this.#options.accepted()?.balancers.keys() ?? []];
    if (balancer === undefined || names.includes(balancer)) return undefined;
    return reject(404, `Cannot ${verb} ${balancer}: ${known(balancer, names, "balancer")}`);
  }

  #said({ author, reason = "", forMs }: Statement): Said {
    const sinceMs = this.#options.wallNow();
    return {
      author,
      reason,
      sinceMs,
      ...forMs !== undefined && { untilMs: sinceMs + forMs },
    };
  }

  #until({ sinceMs, untilMs }: Said, ends = "revoked"): string {
    if (untilMs === undefined) return `until ${ends}`;
    return `for ${formatDuration(untilMs - sinceMs)}, until ${new Date(untilMs).toISOString()}`;
  }

  #did(did: readonly string[], warnings: readonly string[] = []): Result {
    const { unkept } = this;
    const lost = unkept === undefined ? [] : [`This change is lost when this process exits: ${unkept}`];
    return { ok: true, did, warnings: [...warnings, ...lost] };
  }
}

function reject(status: Rejection["status"], reason: string): Rejection {
  return { ok: false, status, reason };
}

/** The ports of services: `web:8080`. */
function endpointsOf(services: readonly Service[]): readonly string[] {
  return services.flatMap(({ name, ports }) => ports.map((port) => `${name}:${port}`));
}

function nameOf(balancer: string | undefined): string {
  return balancer === undefined ? "all balancers" : `balancer ${balancer}`;
}

/** Says that there is no such thing, and what there is. */
function known(name: string, names: readonly string[], what: string): string {
  if (names.length === 0) return `no ${what} exists`;
  const meant = suggest(name, names);
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(", ") + (names.length > NAMES_SHOWN_MAX ? ", …" : "");
  return `no such ${what}${meant === undefined ? "" : `; did you mean ${meant}?`} (known: ${shown})`;
}
