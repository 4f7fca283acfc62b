import type { HttpAnswer } from "../http/request.ts";
import { expose } from "../metrics/exposition.ts";
import type { Collector } from "../metrics/meter.ts";
import type { Tally } from "../metrics/tally.ts";
import { utf8 } from "../kernel/utf8.ts";
import { json } from "./answers.ts";
import { HASHES } from "./hashes.ts";
import { projectStore } from "./metrics.ts";
import { renderPage, STYLE } from "./page.ts";
import { parsePath, type Path } from "./path.ts";
import type { Identity } from "./rights.ts";
import type { Store } from "./store.ts";
import { treeAt } from "./tree.ts";
import { formatVersion, type Version } from "./version.ts";

export interface OverviewOptions {
  /** The address that peers use for this instance. */
  readonly me: () => string;
  /** Identifies this run of the instance, at any address. */
  readonly id: string;
  /** The store's counters. */
  readonly tally: Tally;
  /** Exposes the metrics of the process and of the snapshots. */
  readonly project: (to: Collector) => void;
  /** Number of requests that wait for a change. */
  readonly watchers: () => number;
}

/** A lease as shown to clients. */
export interface ShownLease {
  /** Seconds until it ends. */
  readonly expires: number;
  readonly keys: readonly string[];
  readonly name: string;
  /** In seconds. */
  readonly ttl: number;
}

const STYLE_HASH = btoa(HASHES.sha256(utf8(STYLE)).replace(/../g, (hex) => String.fromCharCode(parseInt(hex, 16))));
/** The browser runs, loads and sends nothing, whatever is stored; only the page's own style is allowed. */
const PAGE_HEADERS: readonly [string, string][] = [
  ["content-type", "text/html; charset=utf-8"],
  [
    "content-security-policy",
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  ],
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["cache-control", "no-store"],
  ["vary", "accept"],
];

/** What a store reports about itself, to programs, people and Prometheus. */
export class Overview {
  readonly #store: Store;
  readonly #options: OverviewOptions;

  constructor(store: Store, options: OverviewOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** Returns the state as JSON. */
  state(): HttpAnswer {
    const { copy: { version }, members, lost } = this.#store;
    const cluster = members.all.map(({ address, lastPushMs, lastReachableMs, reachable, version }) => ({
      address,
      "last-push": timeOf(lastPushMs) ?? null,
      "last-reachable": timeOf(lastReachableMs) ?? null,
      reachable,
      version: version === undefined ? null : shownVersion(version),
    }));
    return json({ Me: this.#options.me(), cluster, id: this.#options.id, lost, version: shownVersion(version) }, {
      version,
    });
  }

  /** Returns the page for people, limited to what the caller may read. */
  page(identity: Identity, path: Path): HttpAnswer {
    const { copy, isAvailable, lock, members, lost } = this.#store;
    const html = renderPage({
      me: this.#options.me(),
      version: formatVersion(copy.version),
      isAvailable,
      lockHolder: lock === undefined ? undefined : lock.holder ?? "somebody",
      cluster: members.all.map(({ address, reachable, lastReachableMs, version }) => ({
        address,
        reachable,
        lastReachable: timeOf(lastReachableMs),
        version: version === undefined ? undefined : formatVersion(version),
      })),
      lost,
      leases: this.leases(identity).map(({ name, expires, ttl, keys }) => ({
        name,
        expiresSeconds: expires,
        ttlSeconds: ttl,
        keys,
      })),
      path,
      tree: !identity.mayRead(path) ? "barred" : isAvailable ? treeAt(copy.data, path) : undefined,
    });
    return { status: 200, headers: PAGE_HEADERS, body: html };
  }

  /** Returns the metrics in the format that the `Accept` header asks for. */
  metrics(accept: string | null): HttpAnswer {
    const { copy: { version, leases }, isAvailable, lock, members, lost } = this.#store;
    const { tally, project, watchers } = this.#options;
    const { contentType, body } = expose(
      tally.collect((to) => {
        project(to);
        projectStore(to, {
          sequence: version.sequence,
          isAvailable,
          isLocked: lock !== undefined,
          watchers: watchers(),
          leases: leases.size,
          leasedKeys: [...leases.values()].reduce((sum, { keys }) => sum + keys.length, 0),
          peers: members.all.length,
          peersReachable: members.all.filter(({ reachable }) => reachable).length,
          lost: lost.length,
        });
      }),
      accept,
    );
    return { status: 200, headers: [["content-type", contentType], ["vary", "accept"]], body };
  }

  /** Returns the leases whose keys the caller may read. */
  leases(identity: Identity): readonly ShownLease[] {
    const shown = [...this.#store.copy.leases.keys()].map((name) => this.lease(name, identity));
    return shown.filter((lease) => lease !== undefined);
  }

  /** Returns one lease; `undefined` if it does not exist or may not be read. */
  lease(name: string, identity: Identity): ShownLease | undefined {
    const lease = this.#store.copy.leases.get(name);
    if (!lease?.keys.every((key) => identity.mayRead(parsePath(key) ?? []))) return undefined;
    return { expires: this.#store.leaseLeftMs(name) / 1_000, keys: lease.keys, name, ttl: lease.ttlMs / 1_000 };
  }
}

function shownVersion({ checksum, sequence }: Version): Version {
  return { checksum, sequence };
}

function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
