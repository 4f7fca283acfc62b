import type { ClusterFacts, ClusterName, Node, PluginLog, WatchOptions } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import type { Gate } from "../../../src/kernel/gate.ts";
import { isRecord } from "../../../src/model/node.ts";
import type { HttpAnswer } from "../../../src/http/client.ts";
import { type Child, Composition, newsOfFaults, readChild, sameFacts } from "../children.ts";
import { describeRefusal, type Instances } from "./instances.ts";

export interface BranchWatchOptions {
  readonly cluster: ClusterName;
  /** The cluster's path in the document, as in a URL. */
  readonly path: string;
  readonly instances: Instances;
  /** Shared by all watches of a session: requests that are answered at once go through it. */
  readonly gate: Gate;
  /** The time in which every live reporter has renewed its lease. */
  readonly ttlMs: number;
  /** Whether a node's address may be a host name; otherwise its entry is left out. */
  readonly withNames: boolean | undefined;
  readonly clock: Clock;
  readonly log: PluginLog;
}

/** How long one request waits for a change. */
const WAIT_MS = 30_000;
/** The shortest wait that a store supports. */
const AT_ONCE_MS = 1;
/** The wait before none of the instances is asked again, and its limit. */
const RETRY_MS = { first: 100, max: 1_000 } as const;

/** An entry of the cluster as last read, and its text, unless that is too long to be kept. */
interface Known {
  readonly text: string | undefined;
  readonly child: Child;
}

/**
 * Follows what a store has at one path. Its history is known while each version follows the previous one: an
 * instance that does not know that version, as it is behind or was reset, has another history.
 */
export class BranchWatch {
  readonly #options: BranchWatchOptions;
  #known: ReadonlyMap<string, Known> = new Map();
  readonly #composition: Composition;
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;
  #withoutMetadata: boolean | undefined;
  /** The version from which a change is awaited, an `ETag`; `undefined` before the first answer. */
  #seen: string | undefined;
  /** The last answer. */
  #facts: ClusterFacts | undefined;
  /** Changes with each version that does not follow. */
  #epoch = crypto.randomUUID();
  /**
   * Whether the store has answered since the last failure. Until then it is asked at once, in turn: thousands
   * of watches that were cut off together would otherwise all start to wait together, and block its answers.
   */
  #isHeard = false;

  constructor(options: BranchWatchOptions) {
    this.#options = options;
    this.#composition = new Composition({ withNames: options.withNames });
  }

  /**
   * Yields each answer that differs from the last; ends when the signal is aborted. Throws if the store
   * denies access. May be called again, also before it has ended: what was seen is remembered.
   */
  async *snapshots(
    signal: AbortSignal,
    { withoutMetadata }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    if (withoutMetadata !== this.#withoutMetadata) {
      // What was read for the other case has too little, or too much.
      [this.#withoutMetadata, this.#known, this.#seen] = [withoutMetadata, new Map(), undefined];
    }
    const { clock } = this.#options;
    let last: ClusterFacts | undefined;
    let retryMs: number = RETRY_MS.first;
    this.#isHeard = false;
    while (!signal.aborted) {
      let answer: HttpAnswer;
      try {
        answer = await this.#ask(signal);
        this.#isHeard = true;
        retryMs = RETRY_MS.first;
      } catch {
        this.#isHeard = false;
        // Unreachable is not empty: nothing is yielded.
        if (!signal.aborted) await delay(retryMs, { clock, signal }).catch(() => {});
        retryMs = Math.min(2 * retryMs, RETRY_MS.max);
        continue;
      }
      const facts = this.#take(answer);
      if (sameFacts(last, facts)) continue;
      last = facts;
      yield facts;
    }
  }

  /** Asks for the current version, and from the second time on for the next one. */
  async #ask(signal: AbortSignal): Promise<HttpAnswer> {
    const { path, instances, gate } = this.#options;
    const since = this.#seen;
    const waitsMs = this.#isHeard ? WAIT_MS : AT_ONCE_MS;
    const query = since === undefined ? "" : `?watch=${encodeURIComponent(since)}&timeout=${waitsMs / 1_000}`;
    const ask = (waitsMs: number) => instances.ask({ method: "GET", path: `/data${path}${query}`, waitsMs, signal });
    return since !== undefined && waitsMs === WAIT_MS ? await ask(waitsMs) : await gate.run(() => {
      signal.throwIfAborted();
      return ask(0);
    });
  }

  /** Interprets an answer. */
  #take(answer: HttpAnswer): ClusterFacts {
    const { path, ttlMs, log, instances } = this.#options;
    const { status, headers: { etag } } = answer;
    const isAnswer = status === 200 || status === 404 || status === 304 && this.#facts !== undefined;
    if (!isAnswer || etag === undefined) {
      throw new Error(`Cannot read ${path} at ${instances.current}: HTTP ${status} ${describeRefusal(answer)}`);
    }
    const seen = this.#seen;
    if (status === 304 && this.#facts !== undefined) {
      this.#seen = etag;
      return this.#facts;
    }
    if (answer.headers["lighthouse-follows"] === "false") {
      this.#epoch = crypto.randomUUID();
      log.warn("Registry lost its history; keeping missing nodes for one lease", {
        event: "discovery.history_lost",
        path,
        instance: instances.current,
        version: seen,
      });
    }
    const exists = status === 200;
    const was = this.#facts?.exists ?? true;
    if (was && !exists) log.info("Path does not exist", { event: "discovery.path_missing", path });
    if (!was && exists) log.info("Path now exists", { event: "discovery.path_found", path });
    const nodes = exists ? this.#read(answer.text) : [];
    // Only now: what cannot be read is requested again, as no change would trigger it.
    this.#seen = etag;
    return this.#facts = { nodes, exists, epoch: this.#epoch, leaseMs: ttlMs };
  }

  #read(text: string): readonly Node[] {
    const { path, log } = this.#options;
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) throw new Error(`Cannot read ${path}: must be an object of nodes`);
    const known = new Map<string, Known>();
    for (const [name, entry] of Object.entries(value)) {
      const text = JSON.stringify(entry);
      const before = this.#known.get(name);
      if (before !== undefined && before.text === text) {
        known.set(name, before);
        continue;
      }
      const options = { withoutMetadata: this.#withoutMetadata, before: before?.child };
      const child = readChild(new TextEncoder().encode(text), options);
      known.set(name, { text: child.data.length > 0 ? text : undefined, child });
    }
    this.#known = known;
    const children = new Map([...known].map(([name, { child }]) => [name, child]));
    const { nodes, faults, excess } = this.#composition.compose(children);
    for (const line of newsOfFaults(this.#faults, faults)) {
      log.warn("Entry skipped", { event: "discovery.entry_skipped", path, reason: line });
    }
    this.#faults = faults;
    if (excess !== undefined && excess !== this.#excess) {
      log.warn("Metadata too large, partly omitted", { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
    return nodes;
  }
}
