import type { Node, PluginLog } from "../../mod.ts";
import { type Child, Composition, type NamedChild, newsOfFaults, sealedChild } from "./children.ts";
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

/** An entry as last read, and the last round in which it was there. */
interface Known {
  readonly version: string | number;
  readonly child: Child;
  round: number;
}

/**
 * Reads the entries of one cluster as nodes: unchanged entries are not read again, and each fault is logged
 * once. Entries that the format does not select do not belong to the cluster.
 */
export class ClusterReader {
  readonly #options: ClusterReaderOptions;
  readonly #known = new Map<string, Known>();
  readonly #composition: Composition;
  #round = 0;
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;

  constructor(options: ClusterReaderOptions) {
    this.#options = options;
    const { format, withNames } = options;
    this.#composition = new Composition({ mayRepeat: format.sequenceOf !== undefined, withNames });
  }

  /** Returns the nodes of all entries. */
  read(entries: Iterable<Entry>): readonly Node[] {
    const { format } = this.#options;
    const known = this.#known;
    const round = ++this.#round;
    const come: NamedChild[] = [];
    const gone: NamedChild[] = [];
    let seen = 0;
    for (const entry of format.select === undefined ? entries : selected(entries, format.select)) {
      const [name, { version }] = entry;
      const before = known.get(name);
      if (before?.round !== round) seen++;
      if (before !== undefined && before.version === version) {
        before.round = round;
        continue;
      }
      const child = this.#readEntry(entry, before?.child);
      known.set(name, { version, child, round });
      come.push([name, child]);
      if (before !== undefined) gone.push([name, before.child]);
    }
    if (seen < known.size) {
      for (const [name, { child, round: last }] of known) {
        if (last === round) continue;
        known.delete(name);
        gone.push([name, child]);
      }
    }
    const { nodes, faults, excess } = this.#composition.change(
      { come, gone },
      () => new Map([...known].map(([name, { child }]) => [name, child])),
    );
    this.#report(faults, excess);
    return nodes;
  }

  #readEntry([name, { data }]: Entry, before: Child | undefined): Child {
    const { format, withoutMetadata } = this.#options;
    return name.split("/").length > (format.isNested ? 2 : 1)
      ? sealedChild("Key is nested too deeply below the cluster")
      : format.read(name, data, { withoutMetadata, before });
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
