/**
 * What the parts of Lighthouse are called in `logging.yaml`: dotted names, as
 * Python's loggers have them, and those names of 1.0's modules, and
 * of its library for ZooKeeper, that mean one of ours. Pure.
 *
 * @module
 */

/** The names of 1.0 and what speaks of the same things here; each stands for those below it too. */
const ALIASES: readonly (readonly [string, readonly string[]])[] = [
  ["kazoo", ["lighthouse.discovery.zookeeper"]],
  ["lighthouse.balancer", ["lighthouse.writer"]],
  ["lighthouse.check", ["lighthouse.health", "lighthouse.checks"]],
  ["lighthouse.cluster", ["lighthouse.app"]],
  ["lighthouse.configs", ["lighthouse.config"]],
  ["lighthouse.configurable", ["lighthouse.config"]],
  ["lighthouse.haproxy", ["lighthouse.writer"]],
  ["lighthouse.pluggable", ["lighthouse.config"]],
  ["lighthouse.redis", ["lighthouse.checks.redis"]],
  ["lighthouse.reporter", ["lighthouse.health", "lighthouse.registrar"]],
  ["lighthouse.service", ["lighthouse.health"]],
  ["lighthouse.zookeeper", ["lighthouse.discovery.zookeeper"]],
];

/** Answers the loggers here that a name in the file means: itself, unless it is one of 1.0's. */
export function meantBy(name: string): readonly string[] {
  return ALIASES.find(([alias]) => isBelow(name, alias))?.[1] ?? [name];
}

/** Whether a logger is of a name, or below it; all are below the empty name. */
export function isBelow(name: string, above: string): boolean {
  return above === "" || name === above || name.startsWith(`${above}.`);
}

/** A logger and those above it, itself first, the root (whose name is empty) last. */
export function lineage(name: string): readonly string[] {
  const parts = name.split(".");
  return [...parts.map((_, i) => parts.slice(0, parts.length - i).join(".")), ""];
}

/**
 * Answers the logger of a record: `lighthouse.writer`, and for what a worker
 * says `lighthouse.discovery.zookeeper` or `lighthouse.checks.http`.
 *
 * @param category the parts of the record's name here
 * @param worker the worker that said it, as `check web:8000/http`
 */
export function loggerName(category: readonly string[], worker: string | undefined): string {
  if (worker === undefined) return category.join(".");
  const [kind, ...rest] = worker.split(" ");
  const last = rest.join(" ").split("/").at(-1) ?? "";
  const plain = last.replaceAll(/[^\w:-]+/g, "-").slice(-NAME_LENGTH_MAX) || "unnamed";
  return `lighthouse.${kind === "discovery" ? "discovery" : "checks"}.${plain}`;
}

/** A name that a plugin's address gave is cut to so much of its end. */
const NAME_LENGTH_MAX = 64;
