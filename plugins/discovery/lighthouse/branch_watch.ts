import type { ClusterFacts, ClusterName, Node, PluginLog, WatchOptions } from "../../../mod.ts";
import type { Clock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import type { Gate } from "../../../src/kernel/gate.ts";
import { isRecord } from "../../../src/model/node.ts";
import type { HttpAnswer } from "../../../src/http/client.ts";
import { type Child, composeNodes, newsOfFaults, readChild, sameFacts } from "../children.ts";
import { describeRefusal, type Instances } from "./instances.ts";

export interface BranchWatchOptions {
  readonly cluster: ClusterName;
  /** The cluster's path in the document, as in a URL. */
  readonly path: string;
  readonly instances: Instances;
  /** Shared by all watches of a session: what is answered at once is asked through it. */
  readonly gate: Gate;
  /** The time in which every living reporter has renewed its lease. */
  readonly ttlMs: number;
  /** Whether a host name may stand in the place of a node's address; without that its entry is left out. */
  readonly withNames: boolean | undefined;
  readonly clock: Clock;
  readonly log: PluginLog;
}

/** How long one request waits for a change. */
const WAIT_MS = 30_000;
/** The shortest wait that a store knows. */
const AT_ONCE_MS = 1;
/** The wait before none of the instances is asked again, and what it grows to. */
const RETRY_MS = { first: 100, max: 1_000 } as const;

/** An entry of the cluster as it was read last, and the text that it was read from, unless that is too long to be kept. */
interface Known {
  readonly text: string | undefined;
  readonly child: Child;
}

/**
 * Follows what a store has at one path. Its past is known as long as each
 * version follows the one before: an instance that does not know that one, as
 * it is behind or began again, has another.
 */
export class BranchWatch {
  readonly #options: BranchWatchOptions;
  #known: ReadonlyMap<string, Known> = new Map();
  #faults: ReadonlyMap<string, string> = new Map();
  #excess: string | undefined;
  #withoutMetadata: boolean | undefined;
  /** The version from which a change is waited for, an `ETag`; `undefined` before the first answer. */
  #seen: string | undefined;
  /** The last answer. */
  #facts: ClusterFacts | undefined;
  /** Changes with each version that does not follow. */
  #epoch = crypto.randomUUID();
  /**
   * Whether the store has answered since the last failure. Until then it is asked at once, in turn: thousands
   * of watches that were cut off together would otherwise all begin to wait together, and take its time to answer.
   */
  #isHeard = false;

  constructor(options: BranchWatchOptions) {
    this.#options = options;
  }

  /**
   * Yields each answer that differs from the last; ends when the signal is
   * aborted. Throws if the store refuses to tell. May be called again, before it
   * has ended too: what was seen before is remembered.
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
        // Unreachable is not empty: nothing is said.
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

  /** Asks for what there is, and from the second time on for the next version. */
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

  /** Makes sense of an answer. */
  #take(answer: HttpAnswer): ClusterFacts {
    const { path, ttlMs, log, instances } = this.#options;
    const { status, headers: { etag } } = answer;
    const isAnswer = status === 200 || status === 404 || status === 304 && this.#facts !== undefined;
    if (!isAnswer || etag === undefined) {
      throw new Error(`Cannot read ${path} at ${instances.current}: it answered ${status} ${describeRefusal(answer)}`);
    }
    const seen = this.#seen;
    if (status === 304 && this.#facts !== undefined) {
      this.#seen = etag;
      return this.#facts;
    }
    if (answer.headers["lighthouse-follows"] === "false") {
      this.#epoch = crypto.randomUUID();
      log.warn(`${path} has another history at ${instances.current}`, {
        event: "discovery.history_lost",
        path,
        instance: instances.current,
        version: seen,
      });
    }
    const exists = status === 200;
    const was = this.#facts?.exists ?? true;
    if (was && !exists) log.info(`${path} does not exist`, { event: "discovery.path_missing", path });
    if (!was && exists) log.info(`${path} is there`, { event: "discovery.path_found", path });
    const nodes = exists ? this.#read(answer.text) : [];
    // Not before: what cannot be read is asked for again, as no change would come of it.
    this.#seen = etag;
    return this.#facts = { nodes, exists, epoch: this.#epoch, leaseMs: ttlMs };
  }

  #read(text: string): readonly Node[] {
    const { path, log, withNames } = this.#options;
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
    const { nodes, faults, excess } = composeNodes(
      new Map([...known].map(([name, { child }]) => [name, child])),
      { withNames },
    );
    for (const line of newsOfFaults(this.#faults, faults)) {
      log.warn(`Left out a key of ${path}: ${line}`, { event: "discovery.entry_skipped", path, reason: line });
    }
    this.#faults = faults;
    if (excess !== undefined && excess !== this.#excess) {
      log.warn(`${path}: ${excess}`, { event: "discovery.excess", path, reason: excess });
    }
    this.#excess = excess;
    return nodes;
  }
}
