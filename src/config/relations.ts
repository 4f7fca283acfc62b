/**
 * What files of the config directory have to do with one another. Pure.
 *
 * @module
 */
import type { Cluster } from "../model/cluster.ts";
import type { RegistrySource } from "../model/registry_source.ts";
import type { Service } from "../model/service.ts";
import { suggest } from "../kernel/suggest.ts";
import type { Finding } from "../kernel/findings.ts";

/** A finding of one file that comes of another. */
export interface Relation {
  /** The file that the finding belongs to: `services/web`. */
  readonly key: string;
  /** What there is to tell; with an error, the object is not used. */
  readonly finding: Finding;
}

/** What {@linkcode settleClashes} answers. */
export interface Settled<T> {
  /** The objects that get along with one another, in the order given. */
  readonly objects: Map<string, T>;
  /** Why others are not among them, and what else there is to tell. */
  readonly relations: readonly Relation[];
}

export interface SettleOptions<T> {
  /** The last good values. */
  readonly last: ReadonlyMap<string, T> | undefined;
  /** Finds the relations of objects by these file names: of two that clash, the later has the finding. */
  readonly find: (objects: ReadonlyMap<string, T>) => readonly Relation[];
  /** Whether a value says the same as the last good one. */
  readonly isSame: (value: T, last: T) => boolean;
}

/**
 * Sees to it that no two objects clash: what has not changed has its own, and
 * then the first by file name. Of one that cannot be used beside another, its
 * last good value takes its place, if that can.
 */
export function settleClashes<T>(
  objects: ReadonlyMap<string, T>,
  { last, find, isSame }: SettleOptions<T>,
): Settled<T> {
  const isNew = ([file, value]: [string, T]) => {
    const before = last?.get(file);
    return before !== undefined && isSame(value, before) ? 0 : 1;
  };
  const settled = new Map([...objects].toSorted((a, b) => isNew(a) - isNew(b)));
  const places = new Map([...objects.keys()].map((file, place) => [file, place]));
  const placeOf = (file: string) => places.get(file) ?? -1;
  const told = new Map<string, Relation>();
  for (;;) {
    const relations = find(settled);
    const clash = relations.find(({ finding }) => finding.severity === "error");
    if (clash === undefined) {
      const inOrder = [...settled].toSorted(([a], [b]) => placeOf(a) - placeOf(b));
      return { objects: new Map(inOrder), relations: [...told.values(), ...relations] };
    }
    const file = clash.key.slice(clash.key.indexOf("/") + 1);
    if (!told.has(file)) told.set(file, clash);
    const kept = last?.get(file);
    if (kept === undefined || settled.get(file) === kept) settled.delete(file);
    else settled.set(file, kept);
  }
}

/** Finds references to files that are not there; they may still come. */
export function findMissing(
  { clusters, services, balancers, discovery }: {
    readonly clusters: ReadonlyMap<string, Cluster>;
    readonly services: ReadonlyMap<string, Service>;
    readonly balancers: readonly string[];
    readonly discovery: readonly string[];
  },
): readonly Relation[] {
  const lacks = (key: string, sources: readonly RegistrySource[]): readonly Relation[] =>
    sources.filter(({ discovery: wanted }) => !discovery.includes(wanted)).map(({ discovery: wanted, at }) =>
      // Of several, the others hide that one is missing.
      relation(isListed(at.name) ? "error" : "warning", key, at.name, missing("discovery", wanted, discovery))
    );
  const known = [...clusters.values()].map(({ name }) => name);
  return [
    ...[...clusters].flatMap(([file, cluster]) => [
      ...lacks(`clusters/${file}`, cluster.sources),
      ...(cluster.traffic?.overflow?.clusters ?? []).filter((name) => name === cluster.name || !known.includes(name))
        .map((
          name,
        ) =>
          relation("warning", `clusters/${file}`, ["traffic", "overflow", "clusters"], noOverflow(name, cluster, known))
        ),
      ...[...cluster.balancers.keys()].filter((name) => !balancers.includes(name)).map((name) =>
        relation("warning", `clusters/${file}`, [name], missing("balancer", name, balancers))
      ),
    ]),
    ...[...services].flatMap(([file, service]) => lacks(`services/${file}`, service.sources)),
  ];
}

/** Whether a discovery is named in a list. */
function isListed(path: Finding["path"]): boolean {
  return path.length > 1;
}

function noOverflow(name: string, { name: own }: Cluster, known: readonly string[]): string {
  if (name === own) return `Cluster ${name} cannot be its own overflow cluster; this overflow entry is ignored`;
  const meant = suggest(name, known);
  return `No cluster named ${name}: ${
    meant === undefined ? "no file in clusters/ has this name" : `did you mean ${meant}?`
  }`;
}

function missing(kind: "discovery" | "balancer", name: string, known: readonly string[]): string {
  const meant = suggest(name, known);
  const file = `${kind === "discovery" ? kind : "balancers"}/${name}.yaml`;
  return `No ${kind} named ${name}: ${meant === undefined ? `there is no ${file}` : `did you mean ${meant}?`}`;
}

/** Makes a finding about a value of a file. */
export function relation(severity: Finding["severity"], key: string, path: Finding["path"], message: string): Relation {
  return { key, finding: { severity, path, at: "value", message } };
}
