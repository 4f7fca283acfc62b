import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import type { Journal } from "./journal.ts";
import { end, grant, isGranted, type Lease, type LeaseRequest } from "./leases.ts";
import { Refusal } from "./refusal.ts";
import type { Copy } from "./snapshot.ts";

/** Delay before ending a lease is retried after a failed write. */
const RETRY_MS = 1_000;
/** A timer this late means that the process was suspended and missed renewals. */
const ABSENT_MS = 1_000;

/** Extra time for a lease that is renewed at a peer: the peer may merely be unreachable. */
const ORPHAN_MS = 60_000;

/** Leases renewed at this instance. */
export interface Renewals {
  /** Age of each renewal, in milliseconds. */
  readonly ages: Readonly<Record<string, number>>;
  /** The position to continue from. */
  readonly next: number;
}

/** Ends leases that are not renewed. */
export class LeaseKeeper implements Disposable {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Leases renewed here last: when, and at which position. */
  readonly #renewals: Map<string, { readonly atMs: number; readonly count: number }> = new Map();
  #count = 0;
  /** When each lease ends, and how to cancel its timer. */
  readonly #ends: Map<string, { readonly atMs: number; readonly cancel: () => void }> = new Map();

  constructor(journal: Journal, { clock, log }: { readonly clock: Clock; readonly log: Logger }) {
    this.#journal = journal;
    this.#clock = clock;
    this.#log = log;
    for (const { name, ttlMs } of journal.current.leases.values()) this.#arm(name, ttlMs);
  }

  /** Sets the keys of a lease, or renews it if they are unchanged. */
  async grant(asked: LeaseRequest): Promise<{ readonly isChanged: boolean } | Refusal> {
    const lease = this.#journal.current.leases.get(asked.name);
    const foreign = refuseForeign(lease, asked.holder);
    if (foreign !== undefined) return foreign;
    // With nothing pending, the current copy is what the job would see.
    if (!this.#journal.isBusy && isGranted(this.#journal.current, asked)) {
      this.#renew(asked.name, asked.ttlMs);
      return { isChanged: false };
    }
    let isChanged = false;
    const outcome = await this.#journal.change((current) => {
      const refusal = refuseForeign(current.leases.get(asked.name), asked.holder);
      if (refusal !== undefined) return refusal;
      if (isGranted(current, asked)) return undefined;
      const change = grant(current, asked);
      if (typeof change === "string") return new Refusal("Concurrent Update", change);
      isChanged = true;
      return change;
    }, { joins: true });
    if (outcome instanceof Refusal) return outcome;
    this.#renew(asked.name, asked.ttlMs);
    return { isChanged };
  }

  /** Renews an unchanged lease. */
  renew(name: string, holder: string | undefined): Refusal | undefined {
    const lease = this.#journal.current.leases.get(name);
    if (lease === undefined) return unknownLease(name);
    const foreign = refuseForeign(lease, holder);
    if (foreign === undefined) this.#renew(name, lease.ttlMs);
    return foreign;
  }

  /** Ends a lease. */
  async end(name: string, holder: string | undefined): Promise<Refusal | undefined> {
    const outcome = await this.#journal.change((current) => {
      const lease = current.leases.get(name);
      return lease === undefined ? unknownLease(name) : refuseForeign(lease, holder) ?? end(current, name);
    }, { joins: true });
    return outcome instanceof Refusal ? outcome : undefined;
  }

  /** Returns the time left until a lease ends unless it is renewed, in milliseconds. */
  leftMs(name: string): number {
    return Math.max(0, (this.#ends.get(name)?.atMs ?? 0) - this.#clock.now());
  }

  /** Returns the leases renewed here since an earlier call. */
  renewalsSince(heardOf: number): Renewals {
    const nowMs = this.#clock.now();
    const recent = [...this.#renewals].filter(([, { count }]) => count > heardOf);
    return { ages: Object.fromEntries(recent.map(([name, { atMs }]) => [name, nowMs - atMs])), next: this.#count };
  }

  /**
   * Records leases renewed at a peer, with the age of each renewal: the peer ends them now, unless
   * they were renewed here since.
   */
  hearOf(ages: Readonly<Record<string, number>>): void {
    for (const [name, ageMs] of Object.entries(ages)) {
      const lease = this.#journal.current.leases.get(name);
      const own = this.#renewals.get(name);
      if (lease === undefined || !(ageMs >= 0)) continue;
      if (own !== undefined && own.atMs >= this.#clock.now() - ageMs) continue;
      this.#renewals.delete(name);
      this.#arm(name, lease.ttlMs + ORPHAN_MS);
    }
  }

  /** Records leases that came with a copy, and drops those that are gone. */
  follow({ leases }: Copy): void {
    for (const { name, ttlMs } of leases.values()) if (!this.#ends.has(name)) this.#arm(name, ttlMs + ORPHAN_MS);
    for (const [name, { cancel }] of this.#ends) {
      if (leases.has(name)) continue;
      cancel();
      this.#ends.delete(name);
      this.#renewals.delete(name);
    }
  }

  [Symbol.dispose](): void {
    for (const { cancel } of this.#ends.values()) cancel();
    this.#ends.clear();
  }

  #renew(name: string, ttlMs: number): void {
    this.#renewals.set(name, { atMs: this.#clock.now(), count: ++this.#count });
    this.#arm(name, ttlMs);
  }

  #arm(name: string, ms: number): void {
    if (!this.#journal.current.leases.has(name)) return;
    this.#ends.get(name)?.cancel();
    const atMs = this.#clock.now() + ms;
    this.#ends.set(name, { atMs, cancel: this.#clock.after(ms, () => void this.#expire(name, atMs)) });
  }

  async #expire(name: string, atMs: number): Promise<void> {
    const lease = this.#journal.current.leases.get(name);
    if (lease !== undefined && this.#clock.now() - atMs > ABSENT_MS) return this.#arm(name, lease.ttlMs);
    const outcome = await this.#journal.change((current) => {
      // A renewal may have arrived while this waited for its turn.
      return this.#ends.get(name)?.atMs === atMs && current.leases.has(name) ? end(current, name) : undefined;
    }, { joins: true });
    if (outcome instanceof Refusal) this.#arm(name, RETRY_MS);
    else if (!outcome.leases.has(name)) {
      this.#log.info("Lease expired; keys removed", { event: "store.lease_expired", name });
    }
  }
}

function unknownLease(name: string): Refusal {
  return new Refusal("Not Found", `Cannot find the lease ${JSON.stringify(name)}: unknown or expired`);
}

function refuseForeign(lease: Lease | undefined, holder: string | undefined): Refusal | undefined {
  if (lease === undefined || lease.holder === holder) return undefined;
  return new Refusal("Forbidden", `Cannot use the lease ${JSON.stringify(lease.name)}: owned by another token`);
}
