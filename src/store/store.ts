import type { Clock } from "../kernel/clock.ts";
import type { Logger } from "../kernel/logger.ts";
import { Archive } from "./archive.ts";
import { HASHES } from "./hashes.ts";
import { History } from "./history.ts";
import { Journal } from "./journal.ts";
import type { LeaseRequest } from "./leases.ts";
import { LeaseKeeper, type Renewals } from "./lease_keeper.ts";
import { fateOf } from "./lineage.ts";
import { acquire, type Asking, held, isUsedUp, type Lock, LOCK_REST_MS } from "./lock.ts";
import type { Limits } from "./limits.ts";
import { Members } from "./members.ts";
import { formatPath, type Path } from "./path.ts";
import { Refusal } from "./refusal.ts";
import type { Copy } from "./snapshot.ts";
import type { SnapshotFiles } from "./snapshot_files.ts";
import { resolveTimeLimit, type TimeLimit } from "./time_limit.ts";
import { put, rebase, remove } from "./transaction.ts";
import { compactText, EMPTY_BRANCH, sameTree, type Tree, treeAt } from "./tree.ts";
import { compareVersions, formatVersion, type Version } from "./version.ts";
import { utf8 } from "../kernel/utf8.ts";

export interface StoreOptions {
  readonly files: SnapshotFiles;
  readonly clock: Clock;
  /** Returns the time in milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly log: Logger;
  readonly limits: Limits;
  /** An older snapshot, or none, is not served before peers were asked; `undefined` serves at once. */
  readonly loadLimit: TimeLimit | undefined;
  /** Older snapshots are removed. */
  readonly removeLimit: TimeLimit;
  /** When to serve without an answer from peers. */
  readonly bootstrapLimit: TimeLimit;
  /** The initial addresses of peers. */
  readonly seeds: readonly string[];
}

const utf8Md5 = (tree: Tree) => HASHES.md5(utf8(compactText(tree)));

/**
 * A document, its versions on disk, the lock with its transaction, and the leases. Readers see one
 * whole version that is on disk. Expected refusals are returned, never thrown.
 */
export class Store implements AsyncDisposable {
  readonly #options: StoreOptions;
  readonly #archive: Archive;
  readonly #journal: Journal;
  readonly #history: History = new History();
  readonly #leases: LeaseKeeper;
  readonly #watchers: Set<(copy: Copy) => void> = new Set();
  /** The peers. */
  readonly members: Members;
  #lock: Lock | undefined;
  /** Paths that leases changed since the lock was acquired, each once. */
  readonly #disturbed: Map<string, Path> = new Map();
  /** Tokens that have to wait for the lock, and until when. */
  #resting: { readonly holder: string; readonly untilMs: number } | undefined;
  #committing: Promise<Copy | Refusal> | undefined;
  /** Counts changes that a transaction cannot be rebased over. */
  #epoch = 0;
  #isAvailable: boolean;
  #stopWaiting: () => void = () => {};

  private constructor(first: Copy, isFresh: boolean, archive: Archive, members: Members, options: StoreOptions) {
    const { clock, log, limits, wallNow, bootstrapLimit } = options;
    this.#options = options;
    this.members = members;
    this.#archive = archive;
    this.#journal = new Journal(first, {
      archive,
      hashes: HASHES,
      limits,
      log,
      cluster: () => members.addresses,
      publish: (copy, { touched }) => this.#publish(copy, touched),
    });
    this.#leases = new LeaseKeeper(this.#journal, { clock, log });
    this.#history.add(first);
    this.#isAvailable = isFresh;
    if (isFresh) return;
    const waitMs = Math.max(0, resolveTimeLimit(bootstrapLimit, wallNow()) - wallNow());
    log.warn("Not serving until a peer responds or the bootstrap window expires", {
      event: "store.waiting",
      waitMs,
    });
    this.#stopWaiting = clock.after(waitMs, () => this.#becomeAvailable("bootstrap window expired"));
  }

  /** Loads the newest valid snapshot; starts with an empty object if there is none. */
  static async open(options: StoreOptions): Promise<Store> {
    const { files, wallNow, removeLimit, log, limits, loadLimit, seeds } = options;
    const archive = new Archive({
      files,
      wallNow,
      removeLimit,
      log,
      hashes: HASHES,
      depthMax: limits.depthMax,
      checksumOf: utf8Md5,
    });
    const loaded = await archive.load();
    const isFresh = loadLimit === undefined ||
      (loaded !== undefined && loaded.writtenMs >= resolveTimeLimit(loadLimit, wallNow()));
    if (loaded !== undefined) {
      const { name, copy } = loaded;
      log.info("Snapshot loaded", {
        event: "store.snapshot_loaded",
        name,
        version: formatVersion(copy.version),
      });
      await archive.removeOld(name);
    }
    const empty = {
      version: { sequence: 0, checksum: utf8Md5(EMPTY_BRANCH) },
      data: EMPTY_BRANCH,
      leases: new Map(),
      lineage: [],
    };
    const members = new Members();
    members.add([...seeds, ...loaded?.cluster ?? []]);
    return new Store(loaded?.copy ?? empty, isFresh, archive, members, options);
  }

  /** The current version. */
  get copy(): Copy {
    return this.#journal.current;
  }

  /** Whether the document may be served: it is recent enough, or no peer has a newer one. */
  get isAvailable(): boolean {
    return this.#isAvailable;
  }

  get lock(): Lock | undefined {
    return this.#committing === undefined ? this.#heldLock(this.#options.clock.now()) : this.#lock;
  }

  /** Paths that leases changed since the lock was acquired, each once; empty while the lock is free. */
  get disturbed(): readonly Path[] {
    return [...this.#disturbed.values()];
  }

  /** Returns an older version that is still remembered; the checksum may be omitted. */
  remembered(version: Partial<Version> & { readonly sequence: number }): Copy | undefined {
    return this.#history.find(version);
  }

  /** Whether the current version is this one or descends from it, as far as remembered. */
  follows(version: Version): boolean {
    const { version: current, lineage } = this.copy;
    return compareVersions(version, current) === 0 || lineage.includes(formatVersion(version));
  }

  /** Calls back with each next version; the returned function unsubscribes. */
  watch(callback: (copy: Copy) => void): () => void {
    this.#watchers.add(callback);
    return () => void this.#watchers.delete(callback);
  }

  /** Acquires the lock, or refreshes it. */
  acquire(code: string, holder: string | undefined): Refusal | undefined {
    const unavailable = this.refuseUnavailable();
    if (unavailable !== undefined) return unavailable;
    const nowMs = this.#options.clock.now();
    const { data } = this.copy;
    const before = this.#committing === undefined ? this.#heldLock(nowMs) : this.#lock;
    if (before === undefined && holder !== undefined && holder === this.#resting?.holder) {
      const restMs = this.#resting.untilMs - nowMs;
      if (restMs > 0) {
        return new Refusal(
          "Locked",
          `Cannot acquire the lock: this token's last lock expired or was aborted; retry in ${
            Math.ceil(restMs / 1_000)
          }s`,
        );
      }
    }
    const lock = this.#committing === undefined
      ? acquire(this.#lock, code, { holder, nowMs, data, epoch: this.#epoch })
      : undefined;
    if (lock === undefined) {
      return new Refusal("Locked", "Cannot acquire the lock: held by another client; retry later");
    }
    if (before === undefined) this.#disturbed.clear();
    this.#lock = lock;
  }

  /** Returns the value at a path as the transaction sees it. */
  readStaged(code: string, path: Path, holder: string | undefined): Tree | Refusal {
    const lock = this.#usable(code, { holder, nowMs: this.#options.clock.now() });
    if (lock instanceof Refusal) return lock;
    const value = treeAt(lock.transaction.staged, path);
    return value === undefined ? notFound(path) : value;
  }

  /** Changes the transaction: sets a value, or removes it if none is given. */
  update(code: string, path: Path, value: Tree | undefined, holder: string | undefined): Refusal | undefined {
    const lock = this.#usable(code, { holder, nowMs: this.#options.clock.now() });
    if (lock instanceof Refusal) return lock;
    const transaction = value === undefined ? remove(lock.transaction, path) : put(lock.transaction, path, value);
    if (transaction === undefined) return notFound(path);
    this.#lock = { ...lock, transaction };
  }

  /** Drops the transaction and releases the lock. */
  abort(code: string, holder: string | undefined): Refusal | undefined {
    const lock = this.#usable(code, { holder, nowMs: this.#options.clock.now() });
    if (lock instanceof Refusal) return lock;
    this.#lock = undefined;
  }

  /** Drops the transaction of any holder: a right of tokens that may change everything. */
  breakLock(code: string, by: string | undefined): Refusal | undefined {
    const nowMs = this.#options.clock.now();
    const lock = this.#heldLock(nowMs);
    const refusal = this.abort(code, lock?.holder);
    if (refusal !== undefined || lock === undefined || lock.holder === by) return refusal;
    if (lock.holder !== undefined) this.#resting = { holder: lock.holder, untilMs: nowMs + LOCK_REST_MS };
    this.#options.log.warn("Lock broken", { event: "store.lock_broken", holder: lock.holder, by });
  }

  /**
   * Commits the transaction as the next version and releases the lock; returns that version. If
   * rejected, lock and transaction stay.
   */
  commit(code: string, holder: string | undefined): Promise<Copy | Refusal> {
    const lock = this.#usable(code, { holder, nowMs: this.#options.clock.now() });
    if (lock instanceof Refusal) return Promise.resolve(lock);
    this.#committing = this.#journal.change((current) => {
      const { staged } = lock.transaction;
      const { version, leases } = current;
      if (sameTree(staged, current.data)) return { data: current.data, leases, version };
      const rebased = this.#epoch !== lock.epoch ? undefined : rebase(lock.transaction, current.data, this.disturbed);
      if (rebased === undefined) {
        return new Refusal(
          "Concurrent Update",
          `Cannot commit: the document changed since the lock was acquired; the current version is ${
            formatVersion(version)
          }; abort, and retry from that version`,
        );
      }
      if (sameTree(rebased.staged, current.data)) return { data: current.data, leases, version };
      return { data: rebased.staged, leases };
    }, { joins: false }).then((outcome) => {
      this.#committing = undefined;
      if (!(outcome instanceof Refusal)) this.#lock = undefined;
      return outcome;
    });
    return this.#committing;
  }

  /** Sets the keys of a lease, or renews it; returns whether it was more than renewed. */
  async lease(asked: LeaseRequest): Promise<{ readonly isChanged: boolean } | Refusal> {
    return this.refuseUnavailable() ?? await this.#leases.grant(asked);
  }

  /** Renews an unchanged lease. */
  renewLease(name: string, holder: string | undefined): Refusal | undefined {
    return this.refuseUnavailable() ?? this.#leases.renew(name, holder);
  }

  /** Ends a lease and removes its keys. */
  async endLease(name: string, holder: string | undefined): Promise<Refusal | undefined> {
    return this.refuseUnavailable() ?? await this.#leases.end(name, holder);
  }

  /** Returns the time left until a lease ends unless it is renewed, in milliseconds. */
  leaseLeftMs(name: string): number {
    return this.#leases.leftMs(name);
  }

  /** Adopts a peer's copy if it is newer; returns whether it was. A copy whose checksum is wrong is rejected. */
  async accept(copy: Copy): Promise<boolean | Refusal> {
    if (compareVersions(copy.version, this.copy.version) <= 0) return false;
    if (utf8Md5(copy.data) !== copy.version.checksum) {
      return new Refusal("Bad Request", `Cannot accept version ${formatVersion(copy.version)}: checksum mismatch`);
    }
    let isNewer = false;
    const outcome = await this.#journal.change(({ version }) => {
      isNewer = compareVersions(copy.version, version) > 0;
      if (!isNewer) return undefined;
      const fate = fateOf(version, copy.lineage);
      if (fate !== "kept") {
        const what = { lost: formatVersion(version), newer: formatVersion(copy.version) };
        const { log } = this.#options;
        if (fate === "lost") {
          log.warn("Conflict: local version replaced; snapshot kept", { event: "store.conflict", ...what });
        } else {
          log.warn("Replaced version is too old to compare; its snapshot is kept", {
            event: "store.conflict_possible",
            ...what,
          });
        }
      }
      return { ...copy, losesBefore: fate !== "kept" };
    }, { joins: false });
    if (outcome instanceof Refusal) return outcome;
    if (isNewer) this.#becomeAvailable("newer version received from a peer");
    return isNewer;
  }

  /** The names of the snapshots of versions that lost a conflict. */
  get lost(): readonly string[] {
    return this.#archive.lost;
  }

  /** Returns the leases renewed here since an earlier call. */
  renewalsSince(heardOf: number): Renewals {
    return this.#leases.renewalsSince(heardOf);
  }

  /** Records leases renewed at a peer, and how many milliseconds ago. */
  hearOfRenewals(ages: Readonly<Record<string, number>>): void {
    this.#leases.hearOf(ages);
  }

  /** The refusal of every request while nothing may be served. */
  refuseUnavailable(): Refusal | undefined {
    if (this.#isAvailable) return undefined;
    return new Refusal("Service Unavailable", "Cannot serve yet: a peer may have a newer version");
  }

  /** Waits for pending writes. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopWaiting();
    this.#leases[Symbol.dispose]();
    await this.#journal.idle();
  }

  #usable(code: string, { holder, nowMs }: Asking): Lock | Refusal {
    if (this.#committing !== undefined) {
      return new Refusal("Not Locked", "Cannot use the lock: its transaction is being committed");
    }
    const lock = this.#heldLock(nowMs);
    if (lock === undefined) {
      return new Refusal("Not Locked", "Cannot use the lock: not held, or expired");
    }
    if (lock.code === code && lock.holder === holder) return lock;
    return new Refusal("Invalid Lock Code", "Cannot use the lock: held by another client or under another code");
  }

  /** Returns the lock; an expired one is dropped with its transaction and bookkeeping. */
  #heldLock(nowMs: number): Lock | undefined {
    if (this.#lock === undefined || held(this.#lock, nowMs) !== undefined) return this.#lock;
    const { holder, expiresMs } = this.#lock;
    if (holder !== undefined && isUsedUp(this.#lock)) this.#resting = { holder, untilMs: expiresMs + LOCK_REST_MS };
    this.#lock = undefined;
    this.#disturbed.clear();
    return undefined;
  }

  #publish(copy: Copy, touched: readonly Path[] | undefined): void {
    this.#history.add(copy);
    if (touched === undefined) this.#epoch++;
    else if (this.lock !== undefined) { for (const path of touched) this.#disturbed.set(formatPath(path), path); }
    this.#leases.follow(copy);
    for (const tell of this.#watchers) tell(copy);
  }

  #becomeAvailable(reason: string): void {
    this.#stopWaiting();
    if (this.#isAvailable) return;
    this.#isAvailable = true;
    this.#options.log.info("Serving", { event: "store.serving", reason });
  }
}

function notFound(path: Path): Refusal {
  return new Refusal("Not Found", `Cannot find ${formatPath(path)}: the path or its parent does not exist`);
}
