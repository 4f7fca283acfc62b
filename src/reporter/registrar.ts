import { backoffMs } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { Gate } from "../kernel/gate.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Random } from "../kernel/random.ts";
import { abortable } from "../kernel/within.ts";
import { type Meter, UNMETERED } from "../metrics/meter.ts";
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
  /** What the service's file says to the discovery, validated by its plugin. */
  readonly options?: unknown;
  /** `present`: it must be registered. `absent`: it must not be. */
  readonly wanted: "present" | "absent";
  /** Whether it is to get no new connections, though it is up. */
  readonly isDraining?: boolean;
}

/**
 * What a registry is asked for. `deregister`: a node is down, and goes whoever
 * made it known. `deregisterOwn`: it is not wanted here any more, and goes unless it
 * is another's by now.
 */
export type Operation = "register" | "deregister" | "deregisterOwn";

export interface RegistrarOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly meter?: Meter;
  /** Changes the registry; must settle within its own deadline; throws when it could not. */
  readonly change: (
    operation: Operation,
    registration: Registration,
    signal: AbortSignal,
  ) => Promise<{ readonly takenFrom: string } | void>;
}

/** How far a registry is in sync. */
export interface RegistrationReport {
  readonly registration: Registration;
  /** Whether the registry has received it in this session. */
  readonly isDone: boolean;
  /** Why the last try failed; `undefined` if it did not. */
  readonly failure: string | undefined;
  /** The address of another host that registers the same node again and again; `undefined` if none does. */
  readonly contestedBy: string | undefined;
}

/** A node that is taken over again within this time is contested: a host that has moved takes it over once. */
const CONTEST_MS = 180_000;
/** How often what is registered is asserted again, though nothing changed. */
const REASSERT_MS = 30_000;
/**
 * So many changes of one registry are on their way at once: a thousand nodes that are registered together neither
 * outlast the deadline of the last of them nor hold up one that goes down.
 */
const CHANGES_AT_ONCE_MAX = 64;
/** The waits between tries that fail. */
const RETRY_BACKOFF = { firstMs: 200, maxMs: 10_000 };

interface Tracked {
  readonly key: string;
  registration: Registration;
  /** Whether it is no longer desired: it is deregistered if it is ours, then forgotten. */
  isLeaving: boolean;
  /** What the registry was last told with success in this session; `undefined` when that is not known. */
  done: string | undefined;
  /** Whether it was registered from here, and not deregistered since. */
  isOurs: boolean;
  /** Whether it is being registered: the registry may have it before it has said so. */
  isOnItsWay: boolean;
  /** Counts the sessions: what was done in an earlier one says nothing of this one. */
  session: number;
  /** Resolves when the registry has received it in this session, or never will. */
  told: PromiseWithResolvers<void>;
  /** Why the last try failed; `undefined` if it did not. */
  failure: string | undefined;
  /** When it was last taken over from another address, from which, and whether another time shortly before. */
  takeover: { readonly atMs: number; readonly from: string; readonly isContest: boolean } | undefined;
  /** Wakes the entry's loop: what is wanted or what is known has changed. */
  wake: () => void;
  readonly controller: AbortController;
}

/**
 * Keeps the registries as the services' statuses want them. Level-triggered:
 * the desired state is compared with what was sent to the registry, again after each
 * new session, after each failure, and now and then, so that no report is lost.
 * One loop for each node makes all its changes, one after the other, so that
 * none can overtake another.
 */
export class Registrar implements AsyncDisposable {
  readonly #options: RegistrarOptions;
  readonly #entries = new Map<string, Tracked>();
  /** The keys of entries whose discovery gets the same node several times, with other options each. */
  #placed: ReadonlyMap<Registration, string> = new Map();
  /** What was last wanted. */
  #wanted: readonly Registration[] = [];
  /** What is wanted to be present, by cluster and port, as far as anybody has asked. */
  #successors: ReadonlyMap<string, readonly Registration[]> | undefined;
  /** Bounds what each discovery is asked for at once. */
  readonly #gates = new Map<string, Gate>();
  /** The loops of the entries, as long as they run. */
  readonly #loops = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** How far each node is registered as desired, those that are being deregistered included. */
  get report(): readonly RegistrationReport[] {
    return [...this.#entries.values()].map((entry) => ({
      registration: entry.registration,
      isDone: isDone(entry),
      failure: entry.failure,
      contestedBy: this.#contestedBy(entry),
    }));
  }

  /**
   * Takes what is wanted now, whole. What was registered and is not mentioned any more
   * is deregistered if it is ours, however long it takes; if it is to be registered under another
   * name or elsewhere, only once it is.
   */
  apply(wanted: readonly Registration[]): void {
    if (this.#isClosed) return;
    this.#wanted = wanted;
    this.#placed = placesOf(this.#entries, wanted);
    const keys = new Set(wanted.map((each) => this.#keyOf(each)));
    this.#successors = undefined;
    for (const [key, entry] of this.#entries) {
      if (keys.has(key) || entry.isLeaving || this.#isAwaitingSuccessor(entry)) continue;
      this.#want(entry, { ...entry.registration, wanted: "absent" }, { isLeaving: true });
      // It was deregistered already.
      if (isDone(entry)) this.#forget(entry);
    }
    for (const registration of wanted) {
      const key = this.#keyOf(registration);
      const entry = this.#entries.get(key);
      if (entry === undefined) this.#add(key, registration);
      else if (entry.registration !== registration || entry.isLeaving) {
        this.#want(entry, registration, { isLeaving: false });
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
      entry.session++;
      entry.done = undefined;
      // Who waits for an earlier session's word waits for this one's.
      const { resolve } = entry.told;
      entry.told = Promise.withResolvers();
      void entry.told.promise.then(resolve);
      // Aborted or not: it is not registered, so it must be.
      if (jitterMs > 0) await delay(jitterMs * random(), { clock, signal }).catch(() => {});
      if (entry.done === undefined) entry.wake();
      await abortable(entry.told.promise, signal).catch(() => {});
    }));
  }

  /**
   * Releases all that is registered; resolves when that is done or `signal` is
   * aborted, and answers whether there may have been anything.
   */
  async withdrawAll(signal: AbortSignal): Promise<boolean> {
    const hadAny = [...this.#entries.values()].some(({ isOurs, isOnItsWay }) => isOurs || isOnItsWay);
    this.apply([]);
    // Whoever waits after a failure has no time left to wait.
    for (const entry of this.#entries.values()) entry.wake();
    await abortable(Promise.all(this.#loops), signal).catch(() => {});
    return hadAny;
  }

  /** Ends all loops, and takes nothing any more. What is registered stays so. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const entry of [...this.#entries.values()]) this.#forget(entry);
    await Promise.all(this.#loops);
  }

  /** Notes that a node stood in the registry with another address: two hosts of one name take it from one another. */
  #noteTakeover(entry: Tracked, from: string): void {
    const { clock, log } = this.#options;
    const { takeover: before, registration: { discovery, cluster, node } } = entry;
    const atMs = clock.now();
    const isContest = before !== undefined && atMs - before.atMs < CONTEST_MS;
    entry.takeover = { atMs, from, isContest };
    const isNews = isContest && !before.isContest;
    log[isNews ? "warn" : isContest ? "debug" : "info"](
      isContest ? "Node contested: another host registers the same name" : "Node taken over from another address",
      {
        event: isContest ? "registration.contested" : "registration.taken_over",
        discovery,
        cluster,
        node: nodeName(node),
        ours: node.ip,
        theirs: from,
      },
    );
  }

  #contestedBy({ takeover }: Tracked): string | undefined {
    if (takeover === undefined || !takeover.isContest) return undefined;
    return this.#options.clock.now() - takeover.atMs < CONTEST_MS ? takeover.from : undefined;
  }

  #keyOf(registration: Registration): string {
    return this.#placed.get(registration) ?? keyOf(registration);
  }

  #add(key: string, registration: Registration): void {
    const entry: Tracked = {
      key,
      registration,
      isLeaving: false,
      done: undefined,
      isOurs: false,
      isOnItsWay: false,
      session: 0,
      told: Promise.withResolvers(),
      failure: undefined,
      takeover: undefined,
      wake: () => {},
      controller: new AbortController(),
    };
    this.#entries.set(key, entry);
    const loop = this.#keep(entry).finally(() => this.#loops.delete(loop));
    this.#loops.add(loop);
  }

  /** Takes what is wanted of one; what says the same as before does not end a wait after a failure. */
  #want(entry: Tracked, registration: Registration, { isLeaving }: { isLeaving: boolean }): void {
    const before = wantedOf(entry);
    [entry.registration, entry.isLeaving] = [registration, isLeaving];
    if (wantedOf(entry) !== before) entry.wake();
  }

  /** Whether a node that nobody speaks of any more is to be found under another name or elsewhere, and is not yet. */
  #isAwaitingSuccessor({ isOurs, registration }: Tracked): boolean {
    if (!isOurs) return false;
    this.#successors ??= Map.groupBy(this.#wanted.filter(({ wanted }) => wanted === "present"), placeOf);
    return this.#successors.get(placeOf(registration))?.some((other) =>
      this.#entries.get(this.#keyOf(other))?.isOurs !== true
    ) ?? false;
  }

  #forget(entry: Tracked): void {
    this.#entries.delete(entry.key);
    entry.controller.abort();
    entry.told.resolve();
  }

  async #keep(entry: Tracked): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = entry.controller;
    for (let failures = 0; !signal.aborted;) {
      const woken = Promise.withResolvers<void>();
      entry.wake = () => woken.resolve();
      const isCarriedOut = await this.#gateOf(entry).run(
        () => signal.aborted ? Promise.resolve(false) : this.#change(entry, signal),
        { isUrgent: operationOf(entry) !== "register" },
      );
      failures = isCarriedOut ? 0 : failures + 1;
      if (isDone(entry) && entry.isLeaving) return this.#forget(entry);
      // What is wanted or a session that changed meanwhile ends the wait.
      if (isCarriedOut && !isDone(entry)) continue;
      // An absent node needs no more than one deregistration in a session.
      const waitMs = !isCarriedOut
        ? backoffMs(failures - 1, RETRY_BACKOFF, random)
        : entry.registration.wanted === "present"
        ? REASSERT_MS * (0.8 + 0.4 * random())
        : undefined;
      await this.#sleep(waitMs, woken.promise, { clock, signal });
    }
  }

  /** Waits for a time, or for ever, but no longer than until it is woken. */
  async #sleep(
    waitMs: number | undefined,
    woken: Promise<void>,
    { clock, signal }: { clock: Clock; signal: AbortSignal },
  ): Promise<void> {
    const awake = new AbortController();
    const asleep = AbortSignal.any([signal, awake.signal]);
    const overdue = waitMs === undefined ? [] : [delay(waitMs, { clock, signal: asleep })];
    // Rejects only when the loop is ended, which its condition sees.
    await abortable(Promise.race([woken, ...overdue]), signal).catch(() => {});
    awake.abort();
  }

  #gateOf({ registration: { discovery } }: Tracked): Gate {
    const known = this.#gates.get(discovery);
    if (known !== undefined) return known;
    const gate = new Gate(CHANGES_AT_ONCE_MAX);
    this.#gates.set(discovery, gate);
    return gate;
  }

  /** Sends the desired state to the registry; returns whether it was accepted. */
  async #change(entry: Tracked, signal: AbortSignal): Promise<boolean> {
    const { change, clock, log, meter = UNMETERED } = this.#options;
    const { registration, session } = entry;
    const wanted = wantedOf(entry);
    const isNews = entry.done !== wanted;
    const operation = operationOf(entry);
    const at = { discovery: registration.discovery, cluster: registration.cluster, node: nodeName(registration.node) };
    // What is on its way may arrive even if nobody waits for it any more.
    if (isNews) entry.done = undefined;
    entry.isOnItsWay = operation === "register";
    const { discovery } = registration;
    const startedMs = clock.now();
    try {
      const done = await change(operation, registration, signal);
      meter.count("lighthouse_registrations_total", { discovery, operation, result: "ok" });
      const seconds = (clock.now() - startedMs) / 1_000;
      meter.observe("lighthouse_registration_duration_seconds", { discovery, operation }, seconds);
      if (done) this.#noteTakeover(entry, done.takenFrom);
    } catch (error) {
      entry.done = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      if (signal.aborted) return false;
      meter.count("lighthouse_registrations_total", { discovery, operation, result: "error" });
      // A failure is news, and so is another one; the same again is not.
      log[entry.failure === reason ? "debug" : "warn"](`Cannot ${operation}; retrying`, {
        event: "registration.failed",
        operation,
        ...at,
        reason,
      });
      entry.failure = reason;
      return false;
    } finally {
      entry.isOnItsWay = false;
    }
    const hadFailed = entry.failure !== undefined;
    entry.failure = undefined;
    if (session === entry.session) {
      entry.done = wanted;
      entry.told.resolve();
    }
    if (isNews) {
      const isRegistered = operation === "register";
      // In a session that has ended meanwhile it is not registered, and is about to be.
      const isInForce = entry.done === wanted;
      if (isInForce && isRegistered) log.info("Registered", { event: "registration.registered", ...at });
      // A failure that was logged has an end, whoever had registered the node.
      if (isInForce && !isRegistered && (entry.isOurs || hadFailed)) {
        log.info("Deregistered", { event: "registration.deregistered", ...at });
      }
      entry.isOurs = isRegistered;
      // What this one takes the place of need not wait any more.
      if (isRegistered) this.apply(this.#wanted);
    }
    return true;
  }
}

/** What is known of a registration, which never changes: thousands are compared whenever one status does. */
const KEYS = new WeakMap<Registration, string>();

function keyOf(registration: Registration): string {
  const known = KEYS.get(registration);
  if (known !== undefined) return known;
  const { discovery, cluster, node } = registration;
  const key = JSON.stringify([discovery, cluster, nodeName(node)]);
  KEYS.set(registration, key);
  return key;
}

/**
 * Distinguishes the entries of one node that one discovery gets several times, with other options each: whose options are
 * the same keeps its entry, and one whose options alone changed is the same node still. All others go by their key.
 */
function placesOf(
  entries: ReadonlyMap<string, Tracked>,
  wanted: readonly Registration[],
): ReadonlyMap<Registration, string> {
  const once = new Set<string>();
  const several = new Set<string>();
  for (const key of wanted.map(keyOf)) (once.has(key) ? several : once).add(key);
  for (const { key, registration } of entries.values()) {
    if (key !== keyOf(registration)) several.add(keyOf(registration));
  }
  const places = new Map<Registration, string>();
  const among = wanted.filter((each) => several.has(keyOf(each)));
  if (among.length === 0) return places;
  const known = Map.groupBy(entries.values(), ({ registration }) => keyOf(registration));
  const taken = new Set<string>();
  const place = (registration: Registration, key: string | undefined) => {
    if (key === undefined) return;
    taken.add(key);
    places.set(registration, key);
  };
  const free = (registration: Registration) =>
    (known.get(keyOf(registration)) ?? []).filter(({ key }) => !taken.has(key));
  for (const each of among) {
    const options = JSON.stringify(each.options);
    place(each, free(each).find(({ registration }) => JSON.stringify(registration.options) === options)?.key);
  }
  for (const each of among) {
    if (places.has(each)) continue;
    place(each, free(each)[0]?.key);
    if (places.has(each)) continue;
    const base = keyOf(each);
    let next = base;
    for (let n = 2; taken.has(next) || entries.has(next); n++) next = `${base}#${n}`;
    place(each, next);
  }
  return places;
}

/** Where a node serves, whatever its host is called. */
function placeOf({ cluster, node: { port } }: Registration): string {
  return JSON.stringify([cluster, port]);
}

function operationOf({ isLeaving, registration }: Tracked): Operation {
  if (isLeaving) return "deregisterOwn";
  return registration.wanted === "present" ? "register" : "deregister";
}

/** What is compared: everything that a registry receives of a node. */
function wantedOf(entry: Tracked): string {
  const operation = operationOf(entry);
  return operation === "register"
    ? JSON.stringify([
      entry.registration.node,
      entry.registration.options ?? null,
      entry.registration.isDraining ?? false,
    ])
    : operation;
}

/** Whether the registry has the desired state; a node that was deregistered has nothing left to deregister. */
function isDone(entry: Tracked): boolean {
  return entry.done === wantedOf(entry) || (entry.isLeaving && entry.done === "deregister");
}
