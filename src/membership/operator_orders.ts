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
import { isRecord } from "../model/node.ts";
import { type Disk, OWN_DISK } from "./disk.ts";
import { seal, unseal } from "./sealed_text.ts";

export interface OperatorOrdersOptions {
  readonly clock: Pick<Clock, "after">;
  /** The time of day in milliseconds: what is written to disk outlives the clock. */
  readonly wallNow: () => number;
  readonly log: Logger;
  /** Where the file is: this machine's disk, unless a simulation has another. */
  readonly disk?: Disk | undefined;
  /** Called when orders have been set, revoked or have expired. */
  readonly onChange: () => void;
}

/** The first word of every file of this format. */
const FORMAT = "lighthouse-overrides-1";
/** When a failed write is retried. */
const RETRY_MS = 10_000;
/** The longest time between two checks for expiry, as the time of day may be set. */
const LOOK_MS = 60_000;

/** The kinds of {@linkcode Orders}. */
export type OrderKind = keyof Orders;

/** One order of a kind. */
export type OrderOf<Kind extends OrderKind> = Orders[Kind][number];

/**
 * What operators have ordered, until it is revoked or expires: overrides of nodes, pauses, and drains of this
 * host. An order is active at once, and kept in a file over restarts; an order that cannot be kept is active
 * all the same, and that is logged.
 */
export class OperatorOrders implements AsyncDisposable {
  readonly #options: OperatorOrdersOptions;
  readonly #disk: Disk;
  readonly #writing = new Serial();
  #orders: Orders = NO_ORDERS;
  /** Where they are kept: each of these files holds the same. */
  #paths: readonly string[] = [];
  #failure: string | undefined;
  /** Whether an order was ever given or read: a file whose path is set later has nothing to add then. */
  #isKnown = false;
  /** Whether the file is out of date. */
  #isUnwritten = false;
  #cancelNext = () => {};
  #cancelRetry = () => {};

  constructor(options: OperatorOrdersOptions) {
    this.#options = options;
    this.#disk = options.disk ?? OWN_DISK;
  }

  /** The active orders. */
  get now(): Orders {
    return ordersAt(this.#orders, this.#options.wallNow());
  }

  /** Why the orders do not survive this process; `undefined` if they do. */
  get unkept(): string | undefined {
    return this.#paths.length === 0 ? "no overrides file is configured" : this.#failure;
  }

  /**
   * Sets the paths of the files. If no order was given yet they are read, and the active orders of the newest
   * are taken; an invalid file is logged and left as it is.
   */
  async at(...paths: readonly string[]): Promise<void> {
    if (paths.length === 0 || paths.join("\0") === this.#paths.join("\0")) return;
    const isMoved = this.#paths.length > 0 && this.#isKnown;
    this.#paths = paths;
    // Nothing is written before the files are read: it would overwrite their orders.
    if (!isMoved) await this.#writing.run(() => this.#read(paths));
    // Orders given before the path was known, or while another one was, are kept from now on.
    if (isMoved || this.#isUnwritten) await this.#write();
  }

  /**
   * Takes an order, replacing one about the same thing; resolves when it is kept on disk, or cannot be: see
   * {@linkcode unkept}.
   */
  async put<Kind extends OrderKind>(kind: Kind, order: OrderOf<Kind>): Promise<void> {
    const key = keyOfOrder(order);
    const others = (this.now[kind] as readonly OrderOf<Kind>[]).filter((each) => keyOfOrder(each) !== key);
    if (others.length >= ORDERS_MAX) throw new TooManyOrdersError();
    await this.#change({ ...this.now, [kind]: [...others, order] });
  }

  /** Revokes orders of a kind; returns those that were active. */
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
    if (this.#isUnwritten && this.#paths.length > 0) await this.#write();
    this.#cancelRetry();
  }

  async #change(orders: Orders): Promise<void> {
    this.#orders = orders;
    [this.#isUnwritten, this.#isKnown] = [true, true];
    this.#awaitEnd();
    this.#options.onChange();
    await this.#write();
  }

  /** Checks again when the next order expires. */
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

  async #read(paths: readonly string[]): Promise<void> {
    const { log, wallNow, onChange } = this.#options;
    const { orders: read, path, unusable } = await readNewest(paths, this.#disk);
    for (const [path, reason] of unusable) {
      log.warn("Cannot use the overrides file; starting without overrides", {
        event: "override.unusable",
        path,
        reason,
      });
    }
    this.#orders = mergeOrders(ordersAt(read, wallNow()), this.#orders);
    this.#awaitEnd();
    const { overrides, pauses, local } = this.#orders;
    if (overrides.length + pauses.length + local.length === 0) return;
    this.#isKnown = true;
    // The other files are brought up to date with the next change; a restart may come first.
    this.#isUnwritten ||= paths.length > 1;
    log.info("Overrides read", {
      event: "override.read",
      ...path !== undefined && { path },
      overrides: overrides.length,
      pauses: pauses.length,
      local: local.length,
    });
    onChange();
  }

  /** Writes all files; what one of them holds is kept. */
  async #write(): Promise<void> {
    const { log, clock, wallNow } = this.#options;
    await this.#writing.run(async () => {
      const paths = this.#paths;
      if (paths.length === 0) return;
      this.#cancelRetry();
      const orders = this.#orders;
      const text = await seal(FORMAT, JSON.stringify({ ...orders, writtenMs: wallNow() }));
      const failures: { readonly path: string; readonly reason: string }[] = [];
      for (const path of paths) {
        try {
          await this.#disk.write(path, text);
        } catch (error) {
          failures.push({ path, reason: withoutCandidate(error instanceof Error ? error.message : String(error)) });
        }
      }
      const [first] = failures;
      const isKept = failures.length < paths.length;
      if (isKept && this.#failure !== undefined) {
        log.info("Overrides can be saved again", { event: "override.written", path: paths[0] });
      }
      if (first !== undefined) {
        const level = isKept || first.reason === this.#failure ? "debug" : "warn";
        log[level]("Cannot save overrides to disk", { event: "override.unwritten", ...first });
        this.#cancelRetry = clock.after(RETRY_MS, () => void this.#write());
      }
      this.#failure = isKept ? undefined : first?.reason;
      this.#isUnwritten = failures.length > 0 || orders !== this.#orders;
    });
  }
}

/** The result of {@linkcode readNewest}. */
export interface ReadOrders {
  /** The orders of the newest file, expired or not; none if no file can be used. */
  readonly orders: Orders;
  /** The file that holds them. */
  readonly path?: string | undefined;
  /** Why other files cannot be used, by path. */
  readonly unusable: readonly (readonly [path: string, reason: string])[];
}

/** Reads the newest of several files that should hold the same. */
export async function readNewest(paths: readonly string[], disk: Pick<Disk, "read"> = OWN_DISK): Promise<ReadOrders> {
  const unusable: [string, string][] = [];
  let newest: { readonly orders: Orders; readonly path: string; readonly writtenMs: number } | undefined;
  for (const path of paths) {
    const read = await readOrders(path, disk);
    if (typeof read === "string") unusable.push([path, read]);
    // Of two files of the same age, the first counts.
    else if (read !== undefined && read.writtenMs > (newest?.writtenMs ?? -Infinity)) newest = { ...read, path };
  }
  return { orders: newest?.orders ?? NO_ORDERS, path: newest?.path, unusable };
}

/** Reads the orders of a file; `undefined` if there is no file. A string says why it cannot be used. */
async function readOrders(
  path: string,
  disk: Pick<Disk, "read">,
): Promise<{ readonly orders: Orders; readonly writtenMs: number } | string | undefined> {
  let text: string;
  try {
    text = await disk.read(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    return error instanceof Error ? error.message : String(error);
  }
  const sealed = await unseal(text, [FORMAT]);
  if (!sealed.ok) return sealed.reason;
  const body = parseJson(sealed.body);
  const orders = parseOrders(body);
  if (orders === undefined) return "the file contains no valid overrides";
  const writtenMs = isRecord(body) && typeof body.writtenMs === "number" ? body.writtenMs : 0;
  return { orders, writtenMs };
}

/** No more orders can be taken. */
export class TooManyOrdersError extends Error {
  override name = "TooManyOrdersError";

  constructor() {
    super(`Cannot add an override: at most ${ORDERS_MAX} are allowed`);
  }
}

/** The fields of an order in a record. */
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

/** The name of a candidate is different each time. */
function withoutCandidate(reason: string): string {
  return reason.replace(/\.lighthouse-[0-9a-f-]{36}/, "");
}

/** What a file holds, and what was ordered since. Pure. */
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
