import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { Serial } from "../kernel/serial.ts";
import {
  formatKind,
  keyOfOrder,
  type LocalDrain,
  nextEndMs,
  NO_ORDERS,
  type NodesOverride,
  type Orders,
  ORDERS_MAX,
  ordersAt,
  parseOrders,
  type Pause,
} from "../model/override.ts";
import { type Disk, OWN_DISK } from "./disk.ts";
import { seal, unseal } from "./sealed_text.ts";

export interface OperatorOrdersOptions {
  readonly clock: Pick<Clock, "after">;
  /** The time of day in milliseconds: what is written outlives the clock. */
  readonly wallNow: () => number;
  readonly log: Logger;
  /** Where the file is: this machine's disk, unless a simulation has another. */
  readonly disk?: Disk | undefined;
  /** Hears that orders have come or gone. */
  readonly onChange: () => void;
}

/** The first word of every file of this format. */
const FORMAT = "lighthouse-overrides-1";
/** A file that could not be written is tried again after so long. */
const RETRY_MS = 10_000;
/** An end is looked for so often at least: the time of day may be set. */
const LOOK_MS = 60_000;

/** The kinds of {@linkcode Orders}. */
export type OrderKind = keyof Orders;

/** One order of a kind. */
export type OrderOf<Kind extends OrderKind> = Orders[Kind][number];

/**
 * What operators have said, until it is revoked or ends by itself: overrides of
 * nodes, pauses, and drains of this host. It holds at once, and is kept in a file
 * over restarts; an order that cannot be kept holds all the same, and is reported.
 */
export class OperatorOrders implements AsyncDisposable {
  readonly #options: OperatorOrdersOptions;
  readonly #disk: Disk;
  readonly #writing = new Serial();
  #orders: Orders = NO_ORDERS;
  #path: string | undefined;
  #failure: string | undefined;
  /** Whether something was ever said or read: a file that is known later has nothing to add then. */
  #isKnown = false;
  /** Whether the file is another one than it should be. */
  #isUnwritten = false;
  #cancelNext = () => {};
  #cancelRetry = () => {};

  constructor(options: OperatorOrdersOptions) {
    this.#options = options;
    this.#disk = options.disk ?? OWN_DISK;
  }

  /** What holds now. */
  get now(): Orders {
    return ordersAt(this.#orders, this.#options.wallNow());
  }

  /** Why the orders do not outlive this process; `undefined` if they do. */
  get unkept(): string | undefined {
    return this.#path === undefined ? "no file to keep them in is known" : this.#failure;
  }

  /**
   * Says where the file is. As long as nothing was said it is read, and what holds still is taken; a bad one is reported
   * and left as it is.
   */
  async at(path: string): Promise<void> {
    if (path === this.#path) return;
    const isMoved = this.#path !== undefined && this.#isKnown;
    this.#path = path;
    // Nothing is written before it is read: what comes meanwhile would take the place of what it has.
    if (!isMoved) await this.#writing.run(() => this.#read(path));
    // What was said before the file was known, or while another one was, is kept from now on.
    if (isMoved || this.#isUnwritten) await this.#write();
  }

  /** Takes an order, in the place of one about the same; resolves when it is kept, or cannot be: see {@linkcode unkept}. */
  async put<Kind extends OrderKind>(kind: Kind, order: OrderOf<Kind>): Promise<void> {
    const key = keyOfOrder(order);
    const others = (this.now[kind] as readonly OrderOf<Kind>[]).filter((each) => keyOfOrder(each) !== key);
    if (others.length >= ORDERS_MAX) throw new TooManyOrdersError();
    await this.#change({ ...this.now, [kind]: [...others, order] });
  }

  /** Revokes orders of a kind; answers those that held. */
  async revoke<Kind extends OrderKind>(
    kind: Kind,
    isMeant: (order: OrderOf<Kind>) => boolean,
  ): Promise<readonly OrderOf<Kind>[]> {
    const all = this.now[kind] as readonly OrderOf<Kind>[];
    const revoked = all.filter(isMeant);
    if (revoked.length > 0) await this.#change({ ...this.now, [kind]: all.filter((each) => !isMeant(each)) });
    return revoked;
  }

  /** Writes what is not written yet. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelNext();
    this.#cancelRetry();
    await this.#writing.idle();
    if (this.#isUnwritten && this.#path !== undefined) await this.#write();
    this.#cancelRetry();
  }

  async #change(orders: Orders): Promise<void> {
    this.#orders = orders;
    [this.#isUnwritten, this.#isKnown] = [true, true];
    this.#awaitEnd();
    this.#options.onChange();
    await this.#write();
  }

  /** Looks again when the next order ends. */
  #awaitEnd(): void {
    const { clock, wallNow } = this.#options;
    this.#cancelNext();
    const endMs = nextEndMs(this.#orders);
    if (endMs === Infinity) return;
    this.#cancelNext = clock.after(Math.min(Math.max(0, endMs - wallNow()), LOOK_MS), () => this.#dropEnded());
  }

  #dropEnded(): void {
    const { log } = this.#options;
    const [before, now] = [this.#orders, this.now];
    const all = ({ overrides, pauses, local }: Orders) => [...overrides, ...pauses, ...local];
    const kept = new Set<unknown>(all(now));
    const ended = all(before).filter((each) => !kept.has(each));
    if (ended.length === 0) return this.#awaitEnd();
    for (const order of ended) log.info("Override expired", { event: "override.expired", ...fieldsOf(order) });
    void this.#change(now);
  }

  async #read(path: string): Promise<void> {
    const unusable = (reason: string) =>
      this.#options.log.warn("Cannot use the overrides file; starting without overrides", {
        event: "override.unusable",
        path,
        reason,
      });
    const read = await readOrders(path, this.#disk);
    if (typeof read === "string") return unusable(read);
    this.#orders = mergeOrders(ordersAt(read, this.#options.wallNow()), this.#orders);
    this.#awaitEnd();
    const { overrides, pauses, local } = this.#orders;
    if (overrides.length + pauses.length + local.length === 0) return;
    this.#isKnown = true;
    this.#options.log.info("Overrides read", {
      event: "override.read",
      path,
      overrides: overrides.length,
      pauses: pauses.length,
      local: local.length,
    });
    this.#options.onChange();
  }

  async #write(): Promise<void> {
    const { log, clock } = this.#options;
    await this.#writing.run(async () => {
      const path = this.#path;
      if (path === undefined) return;
      this.#cancelRetry();
      const orders = this.#orders;
      try {
        await this.#disk.write(path, await seal(FORMAT, JSON.stringify(orders)));
        if (this.#failure !== undefined) log.info("Overrides written again", { event: "override.written", path });
        this.#failure = undefined;
        this.#isUnwritten = orders !== this.#orders;
      } catch (error) {
        const reason = withoutCandidate(error instanceof Error ? error.message : String(error));
        const level = reason === this.#failure ? "debug" : "warn";
        log[level]("Cannot keep overrides on disk", { event: "override.unwritten", path, reason });
        this.#failure = reason;
        this.#cancelRetry = clock.after(RETRY_MS, () => void this.#write());
      }
    });
  }
}

/** Reads what a file holds, ended or not; nothing if there is no file. A string says why it cannot be used. */
export async function readOrders(path: string, disk: Pick<Disk, "read"> = OWN_DISK): Promise<Orders | string> {
  let text: string;
  try {
    text = await disk.read(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return NO_ORDERS;
    return error instanceof Error ? error.message : String(error);
  }
  const sealed = await unseal(text, [FORMAT]);
  if (!sealed.ok) return sealed.reason;
  return parseOrders(parseJson(sealed.body)) ?? "it does not hold overrides";
}

/** There are so many orders that no more can be taken. */
export class TooManyOrdersError extends Error {
  override name = "TooManyOrdersError";

  constructor() {
    super(`Cannot take another override as there are ${ORDERS_MAX} already: current count is ${ORDERS_MAX}`);
  }
}

/** What a record says of an order. */
export function fieldsOf(order: NodesOverride | Pause | LocalDrain): Readonly<Record<string, string>> {
  const { author, reason, untilMs } = order;
  const about = "cluster" in order
    ? {
      cluster: order.cluster,
      target: order.target,
      override: formatKind(order),
    }
    : "how" in order
    ? { service: order.service ?? "all", override: order.how }
    : { balancer: order.balancer ?? "all", override: "pause" };
  return {
    ...about,
    author,
    ...reason !== "" && { reason },
    ...untilMs !== undefined && { until: new Date(untilMs).toISOString() },
  };
}

/** The name of a candidate is another one each time. */
function withoutCandidate(reason: string): string {
  return reason.replace(/\.lighthouse-[0-9a-f-]{36}/, "");
}

/** What a file holds, and what was said since. Pure. */
function mergeOrders(old: Orders, newer: Orders): Orders {
  const merge = <T extends NodesOverride | Pause | LocalDrain>(a: readonly T[], b: readonly T[]): readonly T[] => {
    const keys = new Set(b.map(keyOfOrder));
    return [...a.filter((each) => !keys.has(keyOfOrder(each))), ...b];
  };
  return {
    overrides: merge(old.overrides, newer.overrides),
    pauses: merge(old.pauses, newer.pauses),
    local: merge(old.local, newer.local),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
