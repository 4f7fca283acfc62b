import { type Node, nodeName } from "../../src/model/node.ts";

/** Whoever made a node known; what it registered goes with it. */
export interface Session {
  /** The host that it is of. */
  readonly host: string;
  /** Each session has another. */
  readonly id: number;
  isOver: boolean;
}

interface Registration {
  readonly node: Node;
  owner: Session;
}

/** What an answer of the registry may be. */
export interface Answer {
  /** The nodes, as they are sent: hostile ones may be among them. */
  readonly nodes: readonly unknown[];
  /** Whether it is the truth. */
  readonly isHonest: boolean;
}

/** A registry in memory: nodes by cluster, and the sessions that made them known. */
export class SimRegistry {
  readonly #clusters = new Map<string, Map<string, Registration>>();
  /** All nodes, as `cluster/name`: they are asked for after each tick. */
  readonly #keys = new Set<string>();
  readonly #listeners = new Set<(cluster: string) => void>();
  /** How many sessions there have been. */
  sessions = 0;
  /** What else nodes say of themselves, by `cluster/name`, whoever registers them. */
  readonly shares = new Map<string, Pick<Node, "weight" | "state">>();
  /** What strangers have put in, by cluster: not nodes at all. */
  readonly hostile = new Map<string, readonly unknown[]>();
  /** What it says instead of the truth, by cluster; `undefined` while it is honest. */
  lie: ((cluster: string, nodes: readonly Node[]) => readonly Node[] | undefined) | undefined;

  /** Hears of each change; answers how not to any more. */
  listen(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The nodes of a cluster, sorted by name. */
  nodes(cluster: string): readonly Node[] {
    const entries = [...this.#clusters.get(cluster) ?? []].toSorted(([a], [b]) => a < b ? -1 : 1);
    return entries.map(([name, { node }]) => ({ ...node, ...this.shares.get(`${cluster}/${name}`) }));
  }

  /** Whether it has a node, by `cluster/name`. */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** What it answers to who asks for a cluster. */
  read(cluster: string): Answer {
    const nodes = this.nodes(cluster);
    const lie = this.lie?.(cluster, nodes);
    if (lie !== undefined) return { nodes: lie, isHonest: false };
    return { nodes: [...nodes, ...this.hostile.get(cluster) ?? []], isHonest: true };
  }

  register(session: Session, cluster: string, node: Node): void {
    if (session.isOver) throw new Error("The session is over");
    const entries = this.#clusters.get(cluster) ?? new Map<string, Registration>();
    const before = entries.get(nodeName(node));
    entries.set(nodeName(node), { node, owner: session });
    this.#clusters.set(cluster, entries);
    this.#keys.add(`${cluster}/${nodeName(node)}`);
    if (JSON.stringify(before?.node) !== JSON.stringify(node)) this.tell(cluster);
  }

  /** Takes a node back, whoever made it known. */
  deregister(cluster: string, node: Node): void {
    if (!this.#clusters.get(cluster)?.delete(nodeName(node))) return;
    this.#keys.delete(`${cluster}/${nodeName(node)}`);
    this.tell(cluster);
  }

  /** Takes a node back if this session made it known. */
  deregisterOwn(session: Session, cluster: string, node: Node): void {
    if (this.#clusters.get(cluster)?.get(nodeName(node))?.owner === session) this.deregister(cluster, node);
  }

  /** Ends a session: what it made known, and nobody else since, is gone. */
  end(session: Session): void {
    session.isOver = true;
    for (const [cluster, entries] of this.#clusters) {
      const own = [...entries].filter(([, { owner }]) => owner === session);
      for (const [name] of own) {
        entries.delete(name);
        this.#keys.delete(`${cluster}/${name}`);
      }
      if (own.length > 0) this.tell(cluster);
    }
  }

  /** Tells all who listen that a cluster has changed. */
  tell(cluster: string): void {
    for (const listener of [...this.#listeners]) listener(cluster);
  }
}
