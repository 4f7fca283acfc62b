import type { Node, PluginLog } from "../../mod.ts";
import { type Child, Composition, newsOfFaults, sealedChild } from "./children.ts";
import type { Format } from "./formats/format.ts";

export interface ClusterReaderOptions {
  /** Where the cluster is in its registry, for the log. */
  readonly path: string;
  readonly format: Format;
  readonly withoutMetadata?: boolean | undefined;
  /** Whether a node's address may be a host name; otherwise its entry is left out. */
  readonly withNames?: boolean | undefined;
  readonly log: PluginLog;
}

/** A node as stored in its registry: its bytes, and a version that changes with them. */
export interface RawNode {
  readonly data: Uint8Array;
  readonly version: string | number;
}

/**
 * Reads the entries of one cluster as nodes: unchanged entries are not read again, and each fault is logged
 * once. Entries that the format does not select do not belong to the cluster.
 */
export class ClusterReader {
  readonly #options: ClusterReaderOptions;
  #children: ReadonlyMap<string, Child> = new Map();
  #versions: ReadonlyMap<string, string | number> = new Map();
  readonly #composition: Composition;
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;

  constructor(options: ClusterReaderOptions) {
    this.#options = options;
    const { format, withNames } = options;
    this.#composition = new Composition({ mayRepeat: format.sequenceOf !== undefined, withNames });
  }

  /** Returns the nodes of all entries. */
  read(entries: Iterable<Entry>): readonly Node[] {
    const { format, withoutMetadata } = this.#options;
    const children = new Map<string, Child>();
    const versions = new Map<string, string | number>();
    for (const [name, { data, version }] of format.select === undefined ? entries : selected(entries, format.select)) {
      const before = this.#children.get(name);
      versions.set(name, version);
      if (before !== undefined && this.#versions.get(name) === version) children.set(name, before);
      else if (name.split("/").length > (format.isNested ? 2 : 1)) {
        children.set(name, sealedChild("Key is not directly below the cluster"));
      } else children.set(name, format.read(name, data, { withoutMetadata, before }));
    }
    [this.#children, this.#versions] = [children, versions];
    const { nodes, faults, excess } = this.#composition.compose(children);
    this.#report(faults, excess);
    return nodes;
  }

  #report(faults: ReadonlyMap<string, string>, excess: string | undefined): void {
    const { path, log } = this.#options;
    for (const line of newsOfFaults(this.#faults, faults)) {
      log.warn("Entry skipped", { event: "discovery.entry_skipped", path, reason: line });
    }
    this.#faults = faults;
    if (excess !== undefined && excess !== this.#excess) {
      log.warn("Metadata too large, partly omitted", { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
  }
}

type Entry = readonly [name: string, node: RawNode];

/** The entries that stand for nodes. */
function selected(entries: Iterable<Entry>, select: NonNullable<Format["select"]>): readonly Entry[] {
  const all = [...entries];
  const names = new Set(select(all.map(([name]) => name)));
  return all.filter(([name]) => names.has(name));
}
