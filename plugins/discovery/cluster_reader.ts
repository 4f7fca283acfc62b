import type { Node, PluginLog } from "../../mod.ts";
import { type Child, composeNodes, newsOfFaults, sealedChild } from "./children.ts";
import type { Format } from "./formats/format.ts";

export interface ClusterReaderOptions {
  /** Where the cluster is in its registry, for the log. */
  readonly path: string;
  readonly format: Format;
  readonly withoutMetadata?: boolean | undefined;
  readonly log: PluginLog;
}

/** A node as its registry has it: its bytes, and something that changes with them. */
export interface RawNode {
  readonly data: Uint8Array;
  readonly version: string | number;
}

/**
 * Reads the entries of one cluster as nodes: what did not change is not read again, and each fault is logged once.
 * Entries that the format does not select are none of the cluster's.
 */
export class ClusterReader {
  readonly #options: ClusterReaderOptions;
  #known: ReadonlyMap<string, { readonly version: string | number; readonly child: Child }> = new Map();
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;

  constructor(options: ClusterReaderOptions) {
    this.#options = options;
  }

  /** Answers the nodes of all entries, by the names of these. */
  read(entries: Iterable<readonly [name: string, node: RawNode]>): readonly Node[] {
    const { format, withoutMetadata } = this.#options;
    const known = new Map<string, { readonly version: string | number; readonly child: Child }>();
    const found = new Map(entries);
    for (const name of format.select?.([...found.keys()]) ?? found.keys()) {
      const { data, version } = found.get(name) as RawNode;
      const before = this.#known.get(name);
      if (before?.version === version) known.set(name, before);
      else if (name.split("/").length > (format.isNested ? 2 : 1)) {
        known.set(name, { version, child: sealedChild("The key is not directly below the cluster") });
      } else known.set(name, { version, child: format.read(name, data, { withoutMetadata, before: before?.child }) });
    }
    this.#known = known;
    const { nodes, faults, excess } = composeNodes(
      new Map([...known].map(([name, { child }]) => [name, child])),
      { mayRepeat: format.sequenceOf !== undefined },
    );
    this.#report(faults, excess);
    return nodes;
  }

  #report(faults: ReadonlyMap<string, string>, excess: string | undefined): void {
    const { path, log } = this.#options;
    for (const line of newsOfFaults(this.#faults, faults)) {
      log.warn(`Left out a key of ${path}: ${line}`, { event: "discovery.entry_skipped", path, reason: line });
    }
    this.#faults = faults;
    if (excess !== undefined && excess !== this.#excess) {
      log.warn(`${path}: ${excess}`, { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
  }
}
