import type { LoggerPlan, Logging } from "./plan.ts";

/** Loggers, and the names of 1.0's modules that log the same things; a name stands for those below it too. */
const ALIASES: readonly (readonly [string, ...string[]])[] = [
  ["lighthouse.app", "lighthouse.cluster"],
  ["lighthouse.checks", "lighthouse.check"],
  ["lighthouse.checks.redis", "lighthouse.redis"],
  ["lighthouse.config", "lighthouse.configs", "lighthouse.configurable", "lighthouse.pluggable"],
  ["lighthouse.discovery.zookeeper", "lighthouse.zookeeper", "kazoo"],
  ["lighthouse.health", "lighthouse.service", "lighthouse.check", "lighthouse.reporter"],
  ["lighthouse.registrar", "lighthouse.reporter"],
  ["lighthouse.writer", "lighthouse.haproxy", "lighthouse.balancer"],
];

/** A name that a plugin's address gave is cut to so much of its end. */
const NAME_LENGTH_MAX = 64;

/** The loggers that a name in the file means: itself, unless it is one of 1.0's. */
function meantBy(name: string): readonly string[] {
  const isBelow = (above: string) => name === above || name.startsWith(`${above}.`);
  const meant = ALIASES.filter(([, ...aliases]) => aliases.some(isBelow)).map(([logger]) => logger);
  return meant.length === 0 ? [name] : meant;
}

/**
 * Answers the logger of a record: `lighthouse.writer`, and for what a worker
 * logs `lighthouse.discovery.zookeeper` or `lighthouse.checks.http`.
 *
 * @param category the parts of the record's name here
 * @param worker the worker that logged it, as `check web:8000/http`
 */
export function loggerName(category: readonly string[], worker: string | undefined): string {
  if (worker === undefined) return category.join(".");
  const [kind, ...rest] = worker.split(" ");
  const last = rest.join(" ").split("/").at(-1) ?? "";
  const plain = last.replaceAll(/[^\w:-]+/g, "-").slice(-NAME_LENGTH_MAX) || "unnamed";
  return `lighthouse.${kind === "discovery" ? "discovery" : "checks"}.${plain}`;
}

/**
 * Which handlers get which records, by the rules of Python's logging: a logger
 * without a level asks the one above it, and its records go to its own handlers
 * and those of the loggers above, until one does not propagate. Pure.
 */
export class Route {
  readonly #logging: Logging;
  readonly #rootLevel: number;
  readonly #loggers: ReadonlyMap<string, LoggerPlan>;

  /** `rootLevel` is the level of the root logger, if the file does not say. */
  constructor(logging: Logging, { rootLevel }: { readonly rootLevel: number }) {
    [this.#logging, this.#rootLevel] = [logging, logging.root.level ?? rootLevel];
    // Of 1.0's names that mean the same logger the shortest applies; a name of ours precedes any of them.
    const rank = (name: string) => meantBy(name).includes(name) ? 0 : name.length;
    const named = Object.entries(logging.loggers).toSorted(([a], [b]) => rank(b) - rank(a));
    this.#loggers = new Map(named.flatMap(([name, plan]) => meantBy(name).map((meant) => [meant, plan] as const)));
  }

  /** Whether a logger's records of a level are looked at. */
  isEnabled(name: string, level: number): boolean {
    return level >= (this.#lineage(name).find((plan) => (plan.level ?? 0) !== 0)?.level ?? this.#rootLevel);
  }

  /** The handlers that a record goes to; `undefined` if there is none that could be asked. */
  handlersOf(name: string, level: number): readonly string[] | undefined {
    const plans = [...this.#lineage(name), this.#logging.root];
    const last = plans.findIndex((plan) => plan.propagate === false);
    const handlers = plans.slice(0, last === -1 ? undefined : last + 1).flatMap((plan) => plan.handlers);
    if (handlers.length === 0) return undefined;
    return handlers.filter((key) => level >= (this.#logging.handlers[key]?.level ?? Infinity));
  }

  /** The logger and those above it that the file names, itself first, without the root. */
  #lineage(name: string): readonly LoggerPlan[] {
    const parts = name.split(".");
    return parts.flatMap((_, i) => this.#loggers.get(parts.slice(0, parts.length - i).join(".")) ?? []);
  }
}

/** Whether any logger has a handler: if none has, the file only says how much is logged. */
export function hasHandlers({ root, loggers }: Logging): boolean {
  return [root, ...Object.values(loggers)].some(({ handlers }) => handlers.length > 0);
}
