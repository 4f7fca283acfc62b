import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { type Node, nodeName } from "../model/node.ts";
import type { ClusterName } from "../model/topology.ts";

/** What is wanted of one node in one registry. */
export interface Registration {
  /** The discovery: the name of a file of `discovery/`. */
  readonly discovery: string;
  /** The cluster that the node is a member of: the service's name. */
  readonly cluster: ClusterName;
  /** The node. */
  readonly node: Node;
  /** `present`: it must be registered. `absent`: it must not be. */
  readonly wanted: "present" | "absent";
}

/** What a registrar is made of. */
export interface RegistrarOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Changes the registry; must settle within its own deadline; throws when it could not. */
  readonly change: (
    operation: "register" | "deregister",
    registration: Registration,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Called when a change has been carried out. */
  readonly onChanged?: (operation: "register" | "deregister", registration: Registration) => void;
}

/** How often what is registered is asserted again, though nothing changed. */
const REASSERT_MS = 30_000;
/** The waits between tries that fail. */
const RETRY_BACKOFF = { firstMs: 200, maxMs: 10_000 };

interface Entry {
  registration: Registration;
  /** What the registry was last told with success; `undefined` when it is not known. */
  done: string | undefined;
  /** Whether the last try failed. */
  failing: boolean;
  /** Wakes the entry's loop: its wish or what is known has changed. */
  wake: () => void;
  readonly controller: AbortController;
  /** Settles when the loop has ended. */
  loop: Promise<void>;
}

/**
 * Keeps the registries as the services' statuses want them. Level-triggered:
 * what is wanted is compared with what the registry was told, again after each
 * new session, after each failure, and now and then, so that no report is lost.
 */
export class Registrar implements AsyncDisposable {
  readonly #options: RegistrarOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** Takes a new wish, whole. What was registered and is not mentioned any more is taken back. */
  apply(wanted: readonly Registration[]): void {
    const keys = new Set(wanted.map(keyOf));
    for (const [key, entry] of this.#entries) {
      if (keys.has(key)) continue;
      this.#entries.delete(key);
      const wasPresent = entry.registration.wanted === "present";
      entry.registration = { ...entry.registration, wanted: "absent" };
      const leaving = wasPresent ? this.#withdraw(entry) : this.#end(entry);
      this.#leaving.add(leaving);
      void leaving.finally(() => this.#leaving.delete(leaving));
    }
    for (const registration of wanted) {
      const entry = this.#entries.get(keyOf(registration));
      if (entry === undefined) this.#add(registration);
      else {
        entry.registration = registration;
        if (wishOf(registration) !== entry.done) entry.wake();
      }
    }
  }

  /**
   * Notes that a registry has a new session, in which nothing is registered
   * yet. Everything is registered again, each after a random part of
   * `jitterMs`; resolves when that is done or `signal` is aborted.
   */
  async renew(discovery: string, { jitterMs, signal }: { jitterMs: number; signal: AbortSignal }): Promise<void> {
    const { clock, random } = this.#options;
    const entries = [...this.#entries.values()].filter(({ registration }) => registration.discovery === discovery);
    await Promise.all(entries.map(async (entry) => {
      entry.done = undefined;
      if (jitterMs > 0) await delay(jitterMs * random(), { clock, signal });
      entry.wake();
      while (entry.done === undefined && !entry.controller.signal.aborted) {
        signal.throwIfAborted();
        await delay(20, { clock, signal });
      }
    })).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  /** Takes back all that is registered; resolves when that is done or `signal` is aborted. */
  async withdrawAll(signal: AbortSignal): Promise<void> {
    const gone = Promise.withResolvers<void>();
    const abort = () => gone.resolve();
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    this.apply([]);
    await Promise.race([Promise.all(this.#leaving), gone.promise]);
    signal.removeEventListener("abort", abort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map((entry) => this.#end(entry)));
  }

  #add(registration: Registration): void {
    const entry: Entry = {
      registration,
      done: undefined,
      failing: false,
      wake: () => {},
      controller: new AbortController(),
      loop: Promise.resolve(),
    };
    this.#entries.set(keyOf(registration), entry);
    entry.loop = this.#keep(entry);
  }

  async #keep(entry: Entry): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = entry.controller;
    let failures = 0;
    while (!signal.aborted) {
      const woken = Promise.withResolvers<void>();
      entry.wake = () => woken.resolve();
      const done = await this.#change(entry, signal);
      failures = done ? 0 : failures + 1;
      // A wish that changed meanwhile is not waited with.
      if (done && entry.done !== wishOf(entry.registration)) continue;
      // An absent node needs no more than to have been taken back once in a session.
      const isQuiet = failures === 0 && entry.registration.wanted === "absent";
      const waitMs = failures > 0
        ? backoffMs(failures - 1, RETRY_BACKOFF, random)
        : REASSERT_MS * (0.8 + 0.4 * random());
      const sleep = new AbortController();
      const abort = () => sleep.abort();
      signal.addEventListener("abort", abort, { once: true });
      const overdue = isQuiet ? [] : [delay(waitMs, { clock, signal: sleep.signal }).catch(() => {})];
      await Promise.race([woken.promise, ...overdue]);
      sleep.abort();
      signal.removeEventListener("abort", abort);
    }
  }

  /** Tells the registry what is wanted now; answers whether it took it. */
  async #change(entry: Entry, signal: AbortSignal): Promise<boolean> {
    const { change, log, onChanged } = this.#options;
    const { registration } = entry;
    const operation = registration.wanted === "present" ? "register" : "deregister";
    const at = { discovery: registration.discovery, cluster: registration.cluster, node: nodeName(registration.node) };
    try {
      const isNews = entry.done !== wishOf(registration);
      await change(operation, registration, signal);
      entry.done = wishOf(registration);
      entry.failing = false;
      if (isNews) {
        log.info(operation === "register" ? "Registered" : "Deregistered", at);
        onChanged?.(operation, registration);
      }
      return true;
    } catch (error) {
      entry.done = undefined;
      if (!signal.aborted) {
        const reason = error instanceof Error ? error.message : String(error);
        // The first failure is news; the tries after it are not.
        log[entry.failing ? "debug" : "warn"](`Could not ${operation}; trying again`, { ...at, reason });
        entry.failing = true;
      }
      return false;
    }
  }

  /** Takes one node back that is wanted no more, trying a few times. */
  async #withdraw(entry: Entry): Promise<void> {
    const { clock, random } = this.#options;
    await this.#end(entry);
    const controller = new AbortController();
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await this.#change(entry, controller.signal)) return;
      await delay(backoffMs(attempt, RETRY_BACKOFF, random), { clock, signal: controller.signal });
      // It was wanted again meanwhile, and has a loop of its own.
      if (this.#entries.has(keyOf(entry.registration))) return;
    }
  }

  async #end(entry: Entry): Promise<void> {
    entry.controller.abort();
    entry.wake();
    await entry.loop;
  }
}

function keyOf({ discovery, cluster, node }: Registration): string {
  return `${discovery} ${cluster} ${nodeName(node)}`;
}

function wishOf({ wanted, node }: Registration): string {
  return wanted === "absent" ? "absent" : JSON.stringify(node);
}
