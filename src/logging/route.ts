import type { LoggerPlan, Logging } from "./plan.ts";
import { isBelow, lineage, meantBy } from "./logger_names.ts";

/** What becomes of the records of one logger. */
interface Way {
  /** Records of this level and above are looked at; Infinity if it is silent. */
  readonly level: number;
  /** Its own filters. */
  readonly only: readonly string[];
  /** The handlers that get its records, those of the loggers above included. */
  readonly handlers: readonly string[];
}

/** So many ways are remembered. */
const WAYS_MAX = 1_000;

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
    [this.#logging, this.#rootLevel] = [logging, rootLevel];
    // The more general names of 1.0 come first and stay; a name of ours is believed before any of them.
    const named = Object.entries(logging.loggers).toSorted(([a], [b]) => a.length - b.length);
    for (const [name, plan] of named) {
      for (const meant of meantBy(name)) if (!this.#loggers.has(meant)) this.#loggers.set(meant, plan);
    }
    for (const [name, plan] of named) if (meantBy(name).includes(name)) this.#loggers.set(name, plan);
    this.#loggers.set("", logging.root);
  }

  /** Whether a logger's records of a level are looked at. */
  isEnabled(name: string, level: number): boolean {
    const way = this.#way(name);
    return level >= way.level && passes(name, way.only);
  }

  /** The handlers that a record goes to; `undefined` if there is none that could be asked. */
  handlersOf(name: string, level: number): readonly string[] | undefined {
    const { handlers } = this.#way(name);
    if (handlers.length === 0) return undefined;
    return handlers.filter((key) => {
      const handler = this.#logging.handlers[key];
      return handler !== undefined && level >= (this.#logging.handlerLevels[key] ?? 0) && passes(name, handler.only);
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
    const line = lineage(name);
    const plans = line.flatMap((each) => this.#loggers.get(each) ?? []);
    const isNamed = line.some((each) => each !== "" && this.#loggers.has(each));
    if (this.#logging.disableOthers && !isNamed) return { level: Infinity, only: [], handlers: [] };
    const own = this.#logging.root.level ?? this.#rootLevel;
    const level = plans.slice(0, -1).find((plan) => (plan.level ?? 0) !== 0)?.level ?? own;
    const last = plans.findIndex((plan) => plan.propagate === false);
    // The root has nothing above it to propagate to.
    const heard = last === -1 ? plans : plans.slice(0, last + 1);
    return { level, only: this.#loggers.get(name)?.only ?? [], handlers: heard.flatMap((plan) => plan.handlers) };
  }
}

function passes(name: string, only: readonly string[]): boolean {
  return only.every((wanted) => meantBy(wanted).some((meant) => isBelow(name, meant)));
}

/** Whether any logger has a handler: if none has, the file only says how much is logged. */
export function hasHandlers({ root, loggers }: Logging): boolean {
  return [root, ...Object.values(loggers)].some(({ handlers }) => handlers.length > 0);
}
