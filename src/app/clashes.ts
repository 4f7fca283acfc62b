/**
 * What objects that plugins have accepted have to do with one another. Pure.
 *
 * @module
 */
import { findClusterClashes, type Relation } from "../config/relations.ts";
import { formatPath } from "../kernel/schema.ts";
import type { Listening } from "../plugin/contract.ts";
import type { AcceptedBalancer, AcceptedCluster } from "./accept.ts";

/** Finds clusters that call themselves the same, or that a balancer would have to serve at one port. */
export function findAcceptedClusterClashes(
  balancers: ReadonlyMap<string, AcceptedBalancer>,
  clusters: ReadonlyMap<string, AcceptedCluster>,
): readonly Relation[] {
  const names = new Map([...clusters].map(([file, { cluster }]) => [file, cluster]));
  return [...findClusterClashes(names), ...findPortClashes(balancers, clusters)];
}

interface Held extends Listening {
  readonly owner: string;
}

/**
 * Finds addresses that two would listen at: the system lets them, and gives
 * each connection to either. The balancers' own come first, then clusters by file.
 */
function findPortClashes(
  balancers: ReadonlyMap<string, AcceptedBalancer>,
  clusters: ReadonlyMap<string, AcceptedCluster>,
): readonly Relation[] {
  const relations: Relation[] = [];
  // What clashes within one balancer's own file is left: without that file, nothing would be served.
  const held: Held[] = [...balancers].flatMap(([name, { plugin, config }]) =>
    (plugin.listens?.(config) ?? []).map((each) => ({
      ...each,
      owner: `${formatPath(each.path)} of balancers/${name}`,
    }))
  );
  for (const [file, { sections }] of clusters) {
    const wanted = [...sections].flatMap(([name, section]) => {
      const balancer = balancers.get(name);
      const listens = balancer?.plugin.listens?.(balancer.config, section) ?? [];
      return listens.map((each) => ({ ...each, path: [name, ...each.path] }));
    });
    for (const each of wanted) {
      const holder = held.find((other) => overlaps(each, other));
      if (holder === undefined) continue;
      const message = `Cannot use port ${each.port} as ${holder.owner} has it already`;
      relations.push({
        key: `clusters/${file}`,
        finding: { severity: "error", path: each.path, at: "value", message },
      });
    }
    held.push(...wanted.map((each) => ({ ...each, owner: `clusters/${file}` })));
  }
  return relations;
}

/** Whether a connection could come to either of two. */
function overlaps(a: Listening, b: Listening): boolean {
  if (a.port !== b.port) return false;
  const [first, second] = [a.host.toLowerCase(), b.host.toLowerCase()];
  const isV6 = (host: string) => host.includes(":");
  const isAll = (host: string) => ["", "*", "0.0.0.0", "::"].includes(host);
  return first === second || (isV6(first) === isV6(second) && (isAll(first) || isAll(second)));
}
