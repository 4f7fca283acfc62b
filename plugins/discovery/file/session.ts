import type {
  ClusterFacts,
  ClusterName,
  DiscoveryContext,
  DiscoverySession,
  Node,
  Registration,
  Takeover,
  WatchOptions,
} from "../../../mod.ts";
import { type Clock, systemClock } from "../../../src/kernel/clock.ts";
import { Serial } from "../../../src/kernel/serial.ts";
import { nodeName, parseNode, quote } from "../../../src/model/node.ts";
import { createFile } from "../../../src/system/trusted_file.ts";
import { announcedNode, takeover } from "../children.ts";
import { NamedClusters } from "../resolving.ts";
import { DirectoryWatch, FILE_ENDING } from "./directory_watch.ts";
import { Hints } from "./hints.ts";
import { formatNodeFile, readNodeFile } from "./lease.ts";
import { refuseLink } from "./link.ts";

/** Where the registry is. */
export interface SessionOptions {
  /** The absolute path of the directory. */
  readonly path: string;
  /** How long a node stays after its reporter's last sign of life. */
  readonly ttlMs: number;
  /** Whether host names in files are resolved. */
  readonly resolveNames?: boolean | undefined;
  readonly clock?: Clock;
  /** The time of day in milliseconds. */
  readonly wallMs?: () => number;
}

/** How often a lease is renewed within its time, so that two renewals may fail. */
const RENEWALS_PER_TTL = 3;
/** How often the directory is looked at without a hint; often enough to see a lease expire in time. */
const POLL_MS = { min: 50, max: 1_000 };
/** How often a file is written again because its directory was removed meanwhile. */
const WRITES_MAX = 5;

/** A file that this session keeps alive. */
interface Held {
  readonly node: Node;
  /** Its contents, which name the session. */
  readonly text: string;
}

/** A registry in a directory: nodes are files, `<path>/<cluster>/<host>:<port>.json`, with a lease each. */
export class FileSession implements DiscoverySession {
  /** Never resolves: an expired lease is written again. */
  readonly ended: Promise<string> = new Promise(() => {});
  readonly #options: SessionOptions;
  readonly #context: DiscoveryContext;
  readonly #clock: Clock;
  readonly #wallMs: () => number;
  readonly #named: NamedClusters;
  readonly #owner = crypto.randomUUID();
  readonly #watches = new Map<ClusterName, Set<DirectoryWatch>>();
  readonly #held = new Map<string, Held>();
  /** Registering, deregistering and renewing never overlap. */
  readonly #serial = new Serial();
  #hints: Hints | undefined;
  #cancelRenewal: () => void = () => {};
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;
  /** What fails at present, by the operation. */
  readonly #faults = new Map<unknown, string>();
  /** What was reported last; `undefined` before the first time. */
  #told: string | undefined;

  constructor(options: SessionOptions, context: DiscoveryContext) {
    [this.#options, this.#context] = [options, context];
    [this.#clock, this.#wallMs] = [options.clock ?? systemClock, options.wallMs ?? Date.now];
    this.#named = new NamedClusters({ resolveNames: options.resolveNames, context, clock: this.#clock });
    const giveUp = () => void this[Symbol.asyncDispose]();
    if (context.signal.aborted) giveUp();
    else context.signal.addEventListener("abort", giveUp, { once: true });
  }

  /** Opens a session on a directory, which is made with the first registration. */
  static async open(options: SessionOptions, context: DiscoveryContext): Promise<FileSession> {
    const session = new FileSession(options, context);
    await session.#reach(() => lookAt(options.path)).catch(() => {});
    return session;
  }

  /** Follows one cluster: see {@linkcode DirectoryWatch}. */
  async *watch(cluster: ClusterName, signal: AbortSignal, options?: WatchOptions): AsyncGenerator<ClusterFacts> {
    yield* this.#named.follow(cluster, (signal) => this.#follow(cluster, signal, options), signal);
  }

  async *#follow(
    cluster: ClusterName,
    signal: AbortSignal,
    { withoutMetadata }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    const { path, ttlMs, resolveNames } = this.#options;
    const pollMs = Math.min(POLL_MS.max, Math.max(POLL_MS.min, ttlMs / 4));
    const watch: DirectoryWatch = new DirectoryWatch({
      cluster,
      path: this.#pathOf(cluster),
      pollMs,
      ttlMs,
      clock: this.#clock,
      wallMs: this.#wallMs,
      log: this.#context.log,
      onReach: (fault) => this.#tell(watch, fault),
      withoutMetadata,
      withNames: resolveNames,
    });
    this.#watches.set(cluster, (this.#watches.get(cluster) ?? new Set()).add(watch));
    this.#hints ??= new Hints({
      path,
      pollMs,
      clock: this.#clock,
      log: this.#context.log,
      onHint: (name, file) => {
        if (name === undefined) void this.#lookAround();
        else for (const each of this.#watches.get(name) ?? []) each.onHint(file);
      },
    });
    try {
      yield* watch.snapshots(AbortSignal.any([signal, this.#closing.signal]));
    } finally {
      const watches = this.#watches.get(cluster);
      watches?.delete(watch);
      if (watches?.size === 0) this.#watches.delete(cluster);
      this.#tell(watch, undefined);
    }
  }

  /** Looks at all clusters, but not one by one at thousands without registrations. */
  async #lookAround(): Promise<void> {
    const there = await namesIn(this.#options.path);
    for (const [cluster, watches] of this.#watches) {
      for (const each of watches) if (!each.isMissing || there === undefined || there.has(cluster)) each.onHint();
    }
  }

  /** Registers a node, or updates it; nothing is written if it is unchanged. */
  async register(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void> {
    const node = announcedNode(registration);
    const file = this.#fileOf(cluster, node);
    const { ttlMs } = this.#options;
    const text = formatNodeFile(node, { owner: this.#owner, ttlMs });
    return await this.#serial.run(async () => {
      this.#check(signal);
      const found = await this.#reach(() => readIfFile(file));
      if (this.#held.get(file)?.text === text && found === text) return undefined;
      await this.#reach(() => this.#write(file, text));
      this.#held.set(file, { node, text });
      if (this.#held.size === 1) this.#scheduleRenewal();
      if (found === undefined || ownerOf(found) === this.#owner) return undefined;
      return takeover(readNodeFile(new TextEncoder().encode(found)).node, node);
    });
  }

  /** Removes a node, whoever registered it. */
  async deregister(cluster: ClusterName, { node }: Registration, signal: AbortSignal): Promise<void> {
    const file = this.#fileOf(cluster, node);
    await this.#serial.run(async () => {
      this.#check(signal);
      this.#held.delete(file);
      await this.#reach(async () => {
        await refuseLink(folderOf(file));
        await removeIfThere(file);
      });
    });
  }

  /** Removes a node if its file is this session's. */
  async deregisterOwn(cluster: ClusterName, { node }: Registration, signal: AbortSignal): Promise<void> {
    const file = this.#fileOf(cluster, node);
    await this.#serial.run(async () => {
      this.#check(signal);
      this.#held.delete(file);
      await this.#reach(() => this.#removeOwn(file));
    });
  }

  /** Deregisters all that this session registered. Safe to call twice. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    this.#cancelRenewal();
    await this.#hints?.[Symbol.asyncDispose]();
    await this.#serial.run(async () => {
      for (const file of this.#held.keys()) {
        // What cannot be removed expires with its lease.
        await this.#removeOwn(file).catch(() => {});
      }
      this.#held.clear();
    });
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Removes a file unless another session has taken it over. */
  async #removeOwn(file: string): Promise<void> {
    await refuseLink(folderOf(file));
    const found = await readIfThere(file);
    if (found !== undefined && ownerOf(found) === this.#owner) await removeIfThere(file);
  }

  /** Puts a file in place in one step; no fsync, as a lease does not outlive a crash anyway. */
  async #write(file: string, text: string): Promise<void> {
    const folder = folderOf(file);
    const temporary = `${folder}/.${file.slice(folder.length + 1)}.${this.#owner}.tmp`;
    for (let writes = 1;; writes++) {
      try {
        await refuseLink(folder);
        await Deno.mkdir(folder, { recursive: true });
        // Its name can be read from an earlier entry: another user may have put a link there.
        await removeIfThere(temporary);
        await createFile(temporary, text);
        return await Deno.rename(temporary, file);
      } catch (error) {
        // The directory was removed meanwhile: make it again.
        const isRaced = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.AlreadyExists;
        if (!isRaced || writes === WRITES_MAX) throw error;
      }
    }
  }

  #scheduleRenewal(): void {
    this.#cancelRenewal();
    if (this.#isClosed) return;
    this.#cancelRenewal = this.#clock.after(this.#options.ttlMs / RENEWALS_PER_TTL, () => {
      void this.#serial.run(async () => {
        for (const [file, held] of this.#held) {
          // The next renewal tries again; the fault was reported.
          await this.#reach(() => this.#renew(file, held)).catch(() => {});
        }
        if (this.#held.size > 0) this.#scheduleRenewal();
      });
    });
  }

  async #renew(file: string, { node, text }: Held): Promise<void> {
    if (this.#isClosed) return;
    await refuseLink(folderOf(file));
    const found = await readIfThere(file);
    if (found === text) {
      const now = new Date(this.#wallMs());
      return await Deno.utime(file, now, now);
    }
    const owner = found === undefined ? undefined : ownerOf(found);
    if (owner === undefined || owner === this.#owner) {
      // Somebody removed it, or overwrote it.
      return await this.#write(file, text);
    }
    const taken = nodeName(node);
    this.#context.log.info("Node taken over by another session", {
      event: "discovery.node_taken",
      node: taken,
    });
    this.#held.delete(file);
  }

  /** Does something with the directory, and reports whether that is possible. */
  async #reach<T>(job: () => Promise<T>): Promise<T> {
    try {
      const result = await job();
      this.#tell(this, undefined);
      return result;
    } catch (error) {
      this.#tell(this, error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /** Reports when the registry becomes unreachable for any operation, and when all succeed again. */
  #tell(who: unknown, fault: string | undefined): void {
    if (fault === undefined) this.#faults.delete(who);
    else this.#faults.set(who, fault);
    const [first = ""] = this.#faults.values();
    if (this.#told === first || this.#isClosed) return;
    this.#told = first;
    if (first === "") this.#context.connection("connected", this.#options.path);
    else this.#context.connection("disconnected", first);
  }

  #check(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#isClosed) throw new Error("Cannot write to the registry: the session is closed");
  }

  #fileOf(cluster: ClusterName, node: Node): string {
    const parsed = parseNode(node);
    if (!parsed.ok) throw new TypeError(parsed.reason);
    return `${this.#pathOf(cluster)}/${nodeName(node)}${FILE_ENDING}`;
  }

  #pathOf(cluster: ClusterName): string {
    // A slash or dots would lead out of the directory that this plugin may access.
    // deno-lint-ignore no-control-regex -- these are rejected.
    if (cluster === "" || cluster.startsWith(".") || /[\/\u0000-\u001f\u007f]/.test(cluster)) {
      throw new TypeError(
        `Cannot use cluster ${
          quote(cluster)
        }: must be a file name without a slash, a leading dot or control characters`,
      );
    }
    return `${this.#options.path}/${cluster}`;
  }
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/"));
}

/** The session that a file's contents name. */
function ownerOf(text: string): string | undefined {
  return readNodeFile(new TextEncoder().encode(text)).lease?.owner;
}

/** Reads a file, unless it is something else: another user may have put a pipe there. */
async function readIfFile(file: string): Promise<string | undefined> {
  const { isFile } = await Deno.lstat(file).catch(() => ({ isFile: false }));
  return isFile ? await readIfThere(file) : undefined;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The names in a directory: none if it is missing, `undefined` if it cannot be read. */
async function namesIn(path: string): Promise<ReadonlySet<string> | undefined> {
  try {
    return new Set((await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name));
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? new Set() : undefined;
  }
}

async function removeIfThere(file: string): Promise<void> {
  try {
    await Deno.remove(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Checks whether a directory is usable; a missing one can be made. */
async function lookAt(path: string): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
