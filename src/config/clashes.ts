/**
 * What objects that plugins have accepted have to do with one another. Pure.
 *
 * @module
 */
import { type Relation, relation } from "./relations.ts";
import { formatPath } from "../kernel/schema.ts";
import type { Listening } from "../plugin/contract.ts";
import type { Awaitable } from "../plugin/decider.ts";
import type { AcceptedBalancer, AcceptedCluster, AcceptedService } from "./accepted.ts";

/** Finds clusters that call themselves the same, or that a balancer would have to serve at one port. */
export function findClusterClashes(listeners: Listeners): readonly Relation[] {
  return [...findNameClashes(listeners.clusters), ...findPortClashes(listeners)];
}

/** The first, by file name, has the name. */
function findNameClashes(clusters: Listeners["clusters"]): readonly Relation[] {
  const owners = new Map<string, string>();
  return [...clusters].flatMap(([file, { cluster: { name } }]): readonly Relation[] => {
    const owner = owners.get(name);
    owners.set(name, owner ?? file);
    if (owner === undefined) return [];
    const message = `Cannot use the name ${name}: already used by clusters/${owner}`;
    return [relation("error", `clusters/${file}`, ["name"], message)];
  });
}

/**
 * Finds services that call themselves the same. They may, as long as each has
 * ports of its own: one service of a registry can be offered by several files.
 */
export function findServiceClashes(services: ReadonlyMap<string, AcceptedService>): readonly Relation[] {
  const relations: Relation[] = [];
  const owners = new Map<string, Map<number, string>>();
  for (const [file, { service: { name, ports } }] of services) {
    const taken = owners.get(name) ?? new Map<number, string>();
    const clash = ports.find((port) => taken.has(port));
    if (clash !== undefined) {
      const message = `Cannot use port ${clash} of service ${name}: already used by services/${taken.get(clash)}`;
      relations.push(relation("error", `services/${file}`, ["name"], message));
      continue;
    }
    const other = taken.values().next().value;
    if (other !== undefined) {
      const message = `Service ${name} is also defined in services/${other}: both files register their ports`;
      relations.push(relation("warning", `services/${file}`, ["name"], message));
    }
    for (const port of ports) taken.set(port, file);
    owners.set(name, taken);
  }
  return relations;
}

/** Balancers and clusters at one time. */
export interface Listeners {
  readonly balancers: ReadonlyMap<string, AcceptedBalancer>;
  readonly clusters: ReadonlyMap<string, AcceptedCluster>;
}

/**
 * Finds balancers whose own file newly wants an address at which a cluster is
 * served, and goes on to be: an edit takes no cluster out.
 */
export function findBalancerClashes(now: Listeners, before: Listeners | undefined): readonly Relation[] {
  if (before === undefined) return [];
  const earlier = new Taken(clusterListeners(before));
  const served = new Taken(
    clusterListeners(now).filter((each) => earlier.find(each, ({ owner }) => owner === each.owner) !== undefined),
  );
  return balancerListeners(now).flatMap(({ balancer, ...each }): readonly Relation[] => {
    const holder = served.find(each);
    if (holder === undefined) return [];
    const message = `Cannot use port ${each.port}: already used by ${holder.owner}`;
    return [{ key: `balancers/${balancer}`, finding: { severity: "error", path: each.path, at: "value", message } }];
  });
}

/**
 * Finds services whose own port a cluster would be served at on this host:
 * either cannot listen, or the service's check asks the balancer.
 */
export function findServicePortClashes(
  { services, ...listeners }: Listeners & { readonly services: ReadonlyMap<string, AcceptedService> },
): readonly Relation[] {
  const held = new Taken([...balancerListeners(listeners), ...clusterListeners(listeners)]);
  return [...services].flatMap(([file, { service }]) =>
    service.ports.flatMap((port): readonly Relation[] => {
      const host = service.host === "localhost" ? "127.0.0.1" : service.host;
      const holder = held.find({ host, port, path: [] });
      if (holder === undefined) return [];
      const message =
        `Port ${port} is also used by ${holder.owner} on this host: the service's checks connect to the balancer`;
      return [{ key: `services/${file}`, finding: { severity: "warning", path: ["ports"], at: "value", message } }];
    })
  );
}

interface Held extends Listening {
  /** Who listens, for messages. */
  readonly owner: string;
  /** The balancer's name. */
  readonly balancer: string;
}

/** Addresses that are taken, by port: thousands of clusters are not compared with one another. */
class Taken {
  readonly #byPort = new Map<number, Held[]>();

  constructor(listeners: readonly Held[]) {
    for (const each of listeners) this.add(each);
  }

  add(listener: Held): void {
    const others = this.#byPort.get(listener.port);
    if (others === undefined) this.#byPort.set(listener.port, [listener]);
    else others.push(listener);
  }

  /** The first that a connection to an address could come to. */
  find(address: Listening, isMeant: (other: Held) => boolean = () => true): Held | undefined {
    return this.#byPort.get(address.port)?.find((other) => overlaps(address, other) && isMeant(other));
  }
}

/** The addresses of the balancers' own files. */
function balancerListeners({ balancers }: Pick<Listeners, "balancers">): readonly Held[] {
  return [...balancers].flatMap(([balancer, { plugin, config }]) =>
    listensNow(plugin.listens?.(config)).map((each) => ({
      ...each,
      balancer,
      owner: `${formatPath(each.path)} of balancers/${balancer}`,
    }))
  );
}

/** The addresses of clusters, cluster by cluster. */
function clusterListeners({ balancers, clusters }: Listeners): readonly Held[] {
  return [...clusters].flatMap(([file, { sections }]) =>
    [...sections].flatMap(([name, section]) => {
      const balancer = balancers.get(name);
      const listens = listensNow(balancer?.plugin.listens?.(balancer.config, section));
      return listens.map((each) => ({
        ...each,
        path: [name, ...each.path],
        balancer: name,
        owner: `clusters/${file}`,
      }));
    })
  );
}

/**
 * Finds addresses that two would listen at: the system lets them, and gives
 * each connection to either. The balancers' own come first, then clusters by
 * file. What clashes within one balancer's own file is left: without that file,
 * nothing would be served.
 */
function findPortClashes(listeners: Listeners): readonly Relation[] {
  const relations: Relation[] = [];
  const held = new Taken(balancerListeners(listeners));
  for (const each of clusterListeners(listeners)) {
    const holder = held.find(each, ({ owner }) => owner !== each.owner);
    if (holder === undefined) {
      held.add(each);
      continue;
    }
    const message = `Cannot use port ${each.port}: already used by ${holder.owner}`;
    relations.push({ key: each.owner, finding: { severity: "error", path: each.path, at: "value", message } });
  }
  return relations;
}

/**
 * What is known at once. A plugin that does not ship was asked when it accepted
 * its part, and answers the same at once; of what it cannot tell any more
 * nothing is known to clash.
 */
function listensNow(listens: Awaitable<readonly Listening[]> | undefined): readonly Listening[] {
  if (!(listens instanceof Promise)) return listens ?? [];
  listens.catch(() => {});
  return [];
}

/** Whether a connection could come to either of two. */
function overlaps(a: Listening, b: Listening): boolean {
  if (a.port !== b.port) return false;
  const [first, second] = [a.host.toLowerCase(), b.host.toLowerCase()];
  const isV6 = (host: string) => host.includes(":");
  const isAll = (host: string) => ["", "*", "0.0.0.0", "::"].includes(host);
  return first === second || (isV6(first) === isV6(second) && (isAll(first) || isAll(second)));
}
