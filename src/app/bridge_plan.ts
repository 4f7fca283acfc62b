/**
 * What a bridge makes of two registries: which nodes it registers in the
 * target, and which it removes there. Pure.
 *
 * @module
 */
import { formatEndpoint } from "../model/endpoint.ts";
import { type Node, nodeName } from "../model/node.ts";

/** What a bridge knows. */
export interface BridgeView {
  /** The source's nodes that its guard accepts. */
  readonly source: readonly Node[];
  /** The target's nodes, as its registry has them. */
  readonly target: readonly Node[];
  /** The addresses of nodes that this bridge registered before. */
  readonly own: ReadonlySet<string>;
  /** Whether nodes that the target alone has are removed, whoever registered them. */
  readonly removeOthers: boolean;
}

/** What is to be done in the target. */
export interface BridgePlan {
  /** Nodes that this bridge keeps registered: those that the target lacks, and its own. */
  readonly register: readonly Node[];
  /** Nodes of others to be removed. */
  readonly remove: readonly Node[];
  /** Nodes of others that the source lacks, and that stay. */
  readonly others: readonly Node[];
}

/**
 * Compares by address, as not every format keeps names. A node that somebody else registered in the target is left to
 * them. Nothing is planned for an empty source, and nothing is removed before the target has a node of the source: the
 * target is never emptied. Pure.
 */
export function planBridge({ source, target, own, removeOthers }: BridgeView): BridgePlan | undefined {
  if (source.length === 0) return undefined;
  const wanted = new Set(source.map(addressOf));
  const there = new Set(target.map(addressOf));
  const missing = source.filter((node) => own.has(addressOf(node)) || !there.has(addressOf(node)));
  const lacking = target.filter((node) => !wanted.has(addressOf(node)) && !own.has(addressOf(node)));
  // Own nodes that have left the source go once another one serves.
  const leaving = target.filter((node) => !wanted.has(addressOf(node)) && own.has(addressOf(node)));
  const isServed = source.some((node) => there.has(addressOf(node)));
  const register = isServed ? missing : [...missing, ...leaving];
  return removeOthers && isServed
    ? { register: register.toSorted(byName), remove: lacking.toSorted(byName), others: [] }
    : { register: register.toSorted(byName), remove: [], others: lacking.toSorted(byName) };
}

/** Where a node is reached. */
export function addressOf({ ip, port }: Node): string {
  return formatEndpoint({ host: ip, port });
}

function byName(a: Node, b: Node): number {
  return nodeName(a) < nodeName(b) ? -1 : 1;
}
