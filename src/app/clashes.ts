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
  const held: Held[] = [];
  const claim = (wanted: readonly Listening[], key: string, severity: "error" | "warning", at: readonly string[]) => {
    for (const each of wanted) {
      const holder = held.find((other) => overlaps(each, other));
      if (holder === undefined) continue;
      const path = [...at, ...each.path];
      const message = severity === "error"
        ? `Cannot use port ${each.port} as ${holder.owner} has it already`
        : `Port ${each.port} is that of ${holder.owner} too: each connection goes to one of them at random`;
      relations.push({ key, finding: { severity, path, at: "value", message } });
    }
  };
  const hold = (listens: readonly Listening[], owner: (path: Listening["path"]) => string) =>
    held.push(...listens.map((each) => ({ ...each, owner: owner(each.path) })));
  for (const [name, { plugin, config }] of balancers) {
    for (const each of plugin.listens?.(config) ?? []) {
      // It was served like that before, so it is told and left: without the file, nothing would be served.
      claim([each], `balancers/${name}`, "warning", []);
      hold([each], (path) => `${formatPath(path)} of balancers/${name}`);
    }
  }
  for (const [file, { sections }] of clusters) {
    const wanted = [...sections].map(([name, section]) => {
      const balancer = balancers.get(name);
      return { name, listens: balancer?.plugin.listens?.(balancer.config, section) ?? [] };
    });
    for (const { name, listens } of wanted) claim(listens, `clusters/${file}`, "error", [name]);
    for (const { listens } of wanted) hold(listens, () => `clusters/${file}`);
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
