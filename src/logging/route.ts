import type { LoggerPlan, Logging } from "./plan.ts";

/** The names of 1.0's modules and what says the same things here; each stands for those below it too. */
const ALIASES: readonly (readonly [string, ...string[]])[] = [
  ["kazoo", "lighthouse.discovery.zookeeper"],
  ["lighthouse.balancer", "lighthouse.writer"],
  ["lighthouse.check", "lighthouse.health", "lighthouse.checks"],
  ["lighthouse.cluster", "lighthouse.app"],
  ["lighthouse.configs", "lighthouse.config"],
  ["lighthouse.configurable", "lighthouse.config"],
  ["lighthouse.haproxy", "lighthouse.writer"],
  ["lighthouse.pluggable", "lighthouse.config"],
  ["lighthouse.redis", "lighthouse.checks.redis"],
  ["lighthouse.reporter", "lighthouse.health", "lighthouse.registrar"],
  ["lighthouse.service", "lighthouse.health"],
  ["lighthouse.zookeeper", "lighthouse.discovery.zookeeper"],
];

/** A name that a plugin's address gave is cut to so much of its end. */
const NAME_LENGTH_MAX = 64;
/** So many ways are remembered. */
const WAYS_MAX = 1_000;

/** The loggers here that a name in the file means: itself, unless it is one of 1.0's. */
function meantBy(name: string): readonly string[] {
  const [, ...meant] = ALIASES.find(([alias]) => isBelow(name, alias)) ?? ["", name];
  return meant;
}

function isBelow(name: string, above: string): boolean {
  return name === above || name.startsWith(`${above}.`);
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

/** What becomes of the records of one logger. */
interface Way {
  /** Records of this level and above are looked at; Infinity if it is silent. */
  readonly level: number;
  /** The handlers that get its records, those of the loggers above included. */
  readonly handlers: readonly string[];
}

/**
 * Which handlers get which records, by the rules of Python's logging: a logger
 * without a level asks the one above it, and its records go to its own handlers
 * and those of the loggers above, until one does not propagate. Pure.
 */
export class Route {
  readonly #logging: Logging;
  readonly #rootLevel: number;
  readonly #loggers = new Map<string, LoggerPlan>();
  readonly #ways = new Map<string, Way>();

  /** `rootLevel` is the level of the root logger, if the file does not say. */
  constructor(logging: Logging, { rootLevel }: { readonly rootLevel: number }) {
    [this.#logging, this.#rootLevel] = [logging, logging.root.level ?? rootLevel];
    // Of 1.0's names that mean the same logger the shortest applies; a name of ours precedes any of them.
    const named = Object.entries(logging.loggers).toSorted(([a], [b]) => b.length - a.length);
    const isOurs = ([name]: readonly [string, LoggerPlan]) => meantBy(name).includes(name);
    for (const [name, plan] of [...named.filter((each) => !isOurs(each)), ...named.filter(isOurs)]) {
      for (const meant of meantBy(name)) this.#loggers.set(meant, plan);
    }
  }

  /** Whether a logger's records of a level are looked at. */
  isEnabled(name: string, level: number): boolean {
    return level >= this.#way(name).level && passes(name, this.#loggers.get(name)?.only ?? []);
  }

  /** The handlers that a record goes to; `undefined` if there is none that could be asked. */
  handlersOf(name: string, level: number): readonly string[] | undefined {
    const { handlers } = this.#way(name);
    if (handlers.length === 0) return undefined;
    return handlers.filter((key) => {
      const handler = this.#logging.handlers[key];
      return handler !== undefined && level >= handler.level && passes(name, handler.only);
    });
  }

  #way(name: string): Way {
    const known = this.#ways.get(name);
    if (known !== undefined) return known;
    if (this.#ways.size >= WAYS_MAX) this.#ways.clear();
    const way = this.#find(name);
    this.#ways.set(name, way);
    return way;
  }

  #find(name: string): Way {
    const parts = name.split(".");
    // The logger and those above it, itself first.
    const plans = parts.flatMap((_, i) => this.#loggers.get(parts.slice(0, parts.length - i).join(".")) ?? []);
    if (this.#logging.disableOthers && plans.length === 0) return { level: Infinity, handlers: [] };
    const level = plans.find((plan) => (plan.level ?? 0) !== 0)?.level ?? this.#rootLevel;
    const last = plans.findIndex((plan) => plan.propagate === false);
    const heard = last === -1 ? [...plans, this.#logging.root] : plans.slice(0, last + 1);
    return { level, handlers: heard.flatMap((plan) => plan.handlers) };
  }
}

function passes(name: string, only: readonly string[]): boolean {
  return only.every((wanted) => meantBy(wanted).some((meant) => isBelow(name, meant)));
}

/** Whether any logger has a handler: if none has, the file only says how much is logged. */
export function hasHandlers({ root, loggers }: Logging): boolean {
  return [root, ...Object.values(loggers)].some(({ handlers }) => handlers.length > 0);
}
