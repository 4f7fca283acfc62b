import { type Node, nodeName } from "../../src/model/node.ts";

/** A session that registers nodes; they are removed when it ends. */
export interface Session {
  /** The session's host. */
  readonly host: string;
  /** Different for each session. */
  readonly id: number;
  isOver: boolean;
}

interface Registration {
  readonly node: Node;
  owner: Session;
}

/** An answer of the registry. */
export interface Answer {
  /** The nodes as sent: hostile ones may be among them. */
  readonly nodes: readonly unknown[];
  /** Whether the answer is true. */
  readonly isHonest: boolean;
}

/** A registry in memory: nodes by cluster, and the sessions that registered them. */
export class SimRegistry {
  readonly #clusters = new Map<string, Map<string, Registration>>();
  /** All nodes, as `cluster/name`: read after each tick. */
  readonly #keys = new Set<string>();
  readonly #listeners = new Set<(cluster: string) => void>();
  /** The number of sessions so far. */
  sessions = 0;
  /** Additional fields of nodes, by `cluster/name`, whoever registers them. */
  readonly shares = new Map<string, Pick<Node, "weight" | "state">>();
  /** Invalid nodes that strangers have registered, by cluster. */
  readonly hostile = new Map<string, readonly unknown[]>();
  /** The lie, by cluster; `undefined` while the registry is honest. */
  lie: ((cluster: string, nodes: readonly Node[]) => readonly Node[] | undefined) | undefined;

  /** Calls back on each change; returns what ends that. */
  listen(listener: (cluster: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The nodes of a cluster, sorted by name. */
  nodes(cluster: string): readonly Node[] {
    const entries = [...this.#clusters.get(cluster) ?? []].toSorted(([a], [b]) => a < b ? -1 : 1);
    return entries.map(([name, { node }]) => ({ ...node, ...this.shares.get(`${cluster}/${name}`) }));
  }

  /** Whether a node is registered, by `cluster/name`. */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** The answer to a read of a cluster. */
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

  /** Removes a node, whoever registered it. */
  deregister(cluster: string, node: Node): void {
    if (!this.#clusters.get(cluster)?.delete(nodeName(node))) return;
    this.#keys.delete(`${cluster}/${nodeName(node)}`);
    this.tell(cluster);
  }

  /** Removes a node if this session registered it. */
  deregisterOwn(session: Session, cluster: string, node: Node): void {
    if (this.#clusters.get(cluster)?.get(nodeName(node))?.owner === session) this.deregister(cluster, node);
  }

  /** Ends a session and removes the nodes that it registered and that no other session has registered since. */
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

  /** Notifies all listeners that a cluster has changed. */
  tell(cluster: string): void {
    for (const listener of [...this.#listeners]) listener(cluster);
  }
}
