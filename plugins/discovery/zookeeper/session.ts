import type {
  ClusterFacts,
  ClusterName,
  DiscoveryContext,
  DiscoverySession,
  Endpoint,
  KeysFacts,
  Registration,
  Takeover,
  WatchOptions,
} from "../../../mod.ts";
import { type Clock, systemClock } from "../../../src/kernel/clock.ts";
import { type Random, systemRandom } from "../../../src/kernel/random.ts";
import { abortable } from "../../../src/kernel/within.ts";
import { parseNode, quote } from "../../../src/model/node.ts";
import { announcedNode, takeover } from "../children.ts";
import type { Format } from "../formats/format.ts";
import { formatIn, type FormatSection } from "../formats/table.ts";
import { equalBytes } from "../node_json.ts";
import { NamedClusters } from "../resolving.ts";
import { readTls, type TlsFiles } from "../tls_files.ts";
import { type Credential, ZooKeeperClient } from "./client.ts";
import type { Watch } from "./look_loop.ts";
import { findAll, findZnode, type FoundZnode, isError, type Place, placeOf } from "./place.ts";
import { TreeWatch } from "./tree_watch.ts";
import { ZnodeWatch } from "./znode_watch.ts";
import { type Acl, type Connection, ConnectionLostError, ERROR, ZooKeeperError } from "./connection.ts";
import { OwnZnodes } from "./own_znodes.ts";

/** The permissions of the znodes made here. */
export type AclChoice = "open" | "creator" | "readable";

/** Where the registry is, and how to connect to it. */
export interface SessionOptions {
  /** The servers of one ensemble. */
  readonly hosts: readonly Endpoint[];
  /** The znode whose children are the clusters: `/` or a path without a slash at its end. */
  readonly path: string;
  /** The prefix of every other path: empty, or a path without a slash at its end. */
  readonly chroot?: string | undefined;
  /** How long the ensemble keeps the registrations of an unreachable client. */
  readonly sessionTimeoutMs: number;
  /** The credential. */
  readonly auth?: Credential | undefined;
  /** Without it, connections use no TLS. */
  readonly tls?: TlsFiles | undefined;
  /** Whether host names in entries are resolved. */
  readonly resolveNames?: boolean | undefined;
  /** The permissions of the znodes made here. */
  readonly acl: AclChoice;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** All that can be done with a znode. */
const ALL = 31;
/** Read only. */
const READ = 1;

/** 1.0's znodes are `open`. `auth` means the user that this session has authenticated as. */
const ACLS: Readonly<Record<AclChoice, readonly Acl[]>> = {
  open: [{ permissions: ALL, scheme: "world", id: "anyone" }],
  creator: [{ permissions: ALL, scheme: "auth", id: "" }],
  readable: [{ permissions: ALL, scheme: "auth", id: "" }, { permissions: READ, scheme: "world", id: "anyone" }],
};

/** How often a registration is retried because others changed the same znode in between. */
const RACES_MAX = 20;
/**
 * How many connections one job may lose: a server closes the connection at a request that is larger than its
 * own `jute.maxbuffer`, and all others on the connection pay for it. The caller tries again, with growing
 * waits.
 */
const LOSSES_MAX = 5;
/** How long a look at an own znode may take; the next connection looks again. */
const MEND_DEADLINE_MS = 10_000;
/** The errors that another's change in between causes. */
const RACE_CODES: readonly number[] = [ERROR.noNode, ERROR.nodeExists, ERROR.badVersion];

/** A ZooKeeper session: nodes are ephemeral znodes, `<path>/<cluster>/<host>:<port>`. */
export class ZooKeeperSession implements DiscoverySession {
  /** Resolves when the session has expired, or was rejected. */
  readonly ended: Promise<string>;
  readonly #options: SessionOptions;
  readonly #context: DiscoveryContext;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #client: ZooKeeperClient;
  readonly #watches = new Set<Watch<unknown>>();
  readonly #own: OwnZnodes;
  readonly #named: NamedClusters;

  /** Starts connecting. */
  constructor(options: SessionOptions, context: DiscoveryContext) {
    [this.#options, this.#context] = [options, context];
    const { hosts, sessionTimeoutMs, auth, tls, clock = systemClock, random = systemRandom } = options;
    [this.#clock, this.#random] = [clock, random];
    this.#named = new NamedClusters({ resolveNames: options.resolveNames, context, clock });
    this.#own = new OwnZnodes({ clock, random, mend: (place, data) => this.#mend(place, data) });
    this.#client = new ZooKeeperClient({
      hosts,
      sessionTimeoutMs,
      auth,
      tls,
      clock,
      random,
      onEvent: (event) => {
        for (const watch of this.#watches) watch.onEvent(event);
        this.#own.onChange(event.path);
      },
      onConnected: (connection) => {
        for (const watch of this.#watches) watch.onConnection();
        this.#own.onConnection();
        const session = connection.sessionId.toString(16).padStart(16, "0");
        context.connection(
          "connected",
          `${connection.endpoint}, session 0x${session}, timeout ${connection.timeoutMs}ms`,
        );
      },
      onDisconnected: (cause) => context.connection("disconnected", cause),
      onOver: () => {
        this.#own.clear();
        for (const watch of this.#watches) watch.onConnection();
      },
    });
    this.ended = this.#client.ended;
    const abandon = () => this.#client.abandon();
    if (context.signal.aborted) abandon();
    else context.signal.addEventListener("abort", abandon, { once: true });
  }

  /** Opens a session, which keeps connecting by itself. Throws if a TLS file cannot be read. */
  static async open(options: SessionOptions, context: DiscoveryContext): Promise<ZooKeeperSession> {
    if (options.tls !== undefined) await readTls(options.tls);
    return new ZooKeeperSession(options, context);
  }

  /** Follows one cluster: see {@linkcode ZnodeWatch}. */
  async *watch(
    cluster: ClusterName,
    signal: AbortSignal,
    { withoutMetadata, config }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    const watch = new ZnodeWatch({
      connected: (signal) => this.#client.connected(signal),
      path: this.#pathOf(cluster, config),
      format: formatIn(config, cluster),
      withNames: this.#options.resolveNames,
      log: this.#context.log,
      clock: this.#clock,
      random: this.#random,
      withoutMetadata,
    });
    yield* this.#named.follow(cluster, (signal) => this.#follow(watch, signal), signal);
  }

  /** Follows all znodes below a path: see {@linkcode TreeWatch}. */
  async *keys(prefix: string, signal: AbortSignal): AsyncGenerator<KeysFacts> {
    const names = prefix.split("/").filter((name) => name !== "").map((name) => `/${name}`);
    const watch = new TreeWatch({
      connected: (signal) => this.#client.connected(signal),
      path: `${this.#options.chroot ?? ""}${names.join("")}` || "/",
      clock: this.#clock,
      random: this.#random,
    });
    yield* this.#follow(watch, signal);
  }

  async *#follow<Facts>(watch: Watch<Facts>, signal: AbortSignal): AsyncGenerator<Facts> {
    this.#watches.add(watch);
    try {
      yield* watch.snapshots(signal);
    } finally {
      this.#watches.delete(watch);
    }
  }

  /**
   * Registers a node: one read if it is known already. A change of its data is written into the existing
   * znode, so that the node never leaves; readers of 1.0 see it with the next change of members. Its znode is
   * watched from then on, and made again if somebody deletes it.
   */
  async register(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void> {
    const node = announcedNode(registration);
    const { place, format } = this.#placeOf(cluster, registration);
    const entry = format.write(node);
    // A state that the format cannot express is expressed by the node's absence.
    if (entry === undefined) return await this.deregisterOwn(cluster, registration, signal);
    this.#own.keep(place, entry.data);
    for (let races = 0;;) {
      try {
        const before = await this.#withConnection((connection) => this.#put(connection, place, entry.data), signal);
        return before && takeover(format.read(entry.name, before).node, node);
      } catch (error) {
        const isRace = error instanceof ZooKeeperError && RACE_CODES.includes(error.code);
        if (!isRace || ++races > RACES_MAX) throw error;
      }
    }
  }

  /** Removes a node, whichever session registered it. */
  async deregister(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void> {
    const { place } = this.#placeOf(cluster, registration);
    this.#own.forget(place);
    await this.#withConnection(async (connection) => {
      const paths = place.sequence === undefined
        ? [place.key]
        : (await findAll(connection, place)).map(({ path }) => path);
      await Promise.all(paths.map((path) => ignoring([ERROR.noNode], connection.delete(path))));
    }, signal);
  }

  /** Removes a node if its znode belongs to this session. */
  async deregisterOwn(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void> {
    const { place } = this.#placeOf(cluster, registration);
    this.#own.forget(place);
    await this.#withConnection((connection) => this.#deleteOwn(connection, place), signal);
  }

  /** Closes the session; its registrations vanish at once if the ensemble answers within two seconds. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#own.clear();
    await this.#client[Symbol.asyncDispose]();
  }

  /** Runs a job that may be repeated, on a few connections if one is lost meanwhile. */
  async #withConnection<T>(job: (connection: Connection) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let losses = 0;;) {
      const connection = await this.#client.connected(signal);
      try {
        return await abortable(
          job(connection),
          signal,
          () => new Error(`${connection.endpoint} did not respond in time`),
        );
      } catch (error) {
        if (!(error instanceof ConnectionLostError) || ++losses >= LOSSES_MAX) throw error;
      }
    }
  }

  /** Puts a node's data in place; returns what another session had there. */
  async #put(connection: Connection, place: Place, data: Uint8Array): Promise<Uint8Array | undefined> {
    const found = await this.#look(connection, place);
    // Superseded meanwhile, or deregistered: a request that removes it comes after the ones below, or was
    // seen here.
    if (!this.#own.isKept(place, data)) return undefined;
    let before: Uint8Array | undefined;
    if (found === undefined) {
      await this.#create(connection, place, data);
    } else {
      const { path, stat: { version, ephemeralOwner } } = found;
      const isOwn = ephemeralOwner === connection.sessionId;
      if (isOwn && equalBytes(found.data, data)) return undefined;
      if (isOwn) {
        await connection.setData(path, data, { version });
      } else {
        await this.#takeOver(connection, place, { found, data });
        before = found.data;
      }
    }
    // The watch that the first look left has fired, or never existed: this one leaves another.
    if (await this.#look(connection, place) === undefined) this.#own.look(place);
    return before;
  }

  async #takeOver(
    connection: Connection,
    place: Place,
    { found: { path, stat }, data }: { readonly found: FoundZnode; readonly data: Uint8Array },
  ): Promise<void> {
    const { version, ephemeralOwner } = stat;
    const session = sessionName(ephemeralOwner);
    this.#context.log.info("Taking over node from another session", { event: "discovery.taking_over", path, session });
    if (place.sequence === undefined) {
      return await connection.replace(path, data, { version, acl: ACLS[this.#options.acl] });
    }
    // It gets another number: for a moment both exist, with equal contents.
    await this.#create(connection, place, data);
    await ignoring([ERROR.noNode, ERROR.badVersion], connection.delete(path, { version }));
  }

  async #create(connection: Connection, place: Place, data: Uint8Array): Promise<void> {
    const { key, sequence } = place;
    const acl = ACLS[this.#options.acl];
    const path = sequence === undefined ? key : `${sequence.parent}/${sequence.prefix}`;
    const create = async () => {
      const isNumbered = sequence !== undefined;
      this.#own.found(place, await connection.create(path, data, { ephemeral: true, isNumbered, acl }));
    };
    try {
      await create();
    } catch (error) {
      if (!isError(error, ERROR.noNode)) throw error;
      await makeParents(connection, path, acl);
      // Meanwhile it may have gone down, and a node that is down must not return.
      if (this.#own.isKept(place, data)) await create();
    }
  }

  /**
   * Looks at a znode that was registered from here; makes it again if it is gone, and forgets it if another
   * session owns it by now. A failure is left to the next connection, or to the host, which asserts
   * periodically.
   */
  async #mend(place: Place, data: Uint8Array): Promise<void> {
    const { log } = this.#context;
    const path = this.#own.pathOf(place) ?? place.key;
    const deadline = new AbortController();
    const cancel = this.#clock.after(MEND_DEADLINE_MS, () => deadline.abort());
    try {
      const connection = await this.#client.connected(deadline.signal);
      const found = await this.#look(connection, place);
      // A request that deregisters it comes after the one below, or was seen here.
      if (!this.#own.isKept(place, data)) return;
      if (found === undefined) {
        log.warn("Node deleted externally; registering again", { event: "discovery.node_deleted", path });
        await this.#create(connection, place, data);
        await this.#look(connection, place);
      } else if (found.stat.ephemeralOwner !== connection.sessionId) {
        this.#own.forget(place);
      } else if (!equalBytes(found.data, data)) {
        await connection.setData(found.path, data, { version: found.stat.version });
        await this.#look(connection, place);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.debug("Cannot read or restore own znode", { event: "discovery.look_failed", path, reason });
    } finally {
      cancel();
    }
  }

  async #deleteOwn(connection: Connection, place: Place): Promise<void> {
    for (const { path, stat: { version, ephemeralOwner } } of await findAll(connection, place)) {
      if (ephemeralOwner !== connection.sessionId) {
        const session = sessionName(ephemeralOwner);
        this.#context.log.info("Leaving node to another session", { event: "discovery.node_left", path, session });
        continue;
      }
      // It may be gone, or another session's by now.
      await ignoring([ERROR.noNode, ERROR.badVersion], connection.delete(path, { version }));
    }
  }

  /** Finds a node's znode, this session's before another's, and leaves a watch on it. */
  async #look(connection: Connection, place: Place): Promise<FoundZnode | undefined> {
    const known = this.#own.pathOf(place) ?? (place.sequence === undefined ? place.key : undefined);
    const found = known === undefined ? undefined : await findZnode(connection, known, { watch: true });
    if (found !== undefined || place.sequence === undefined) return found;
    const all = await findAll(connection, place);
    const own = all.find(({ stat }) => stat.ephemeralOwner === connection.sessionId);
    if (own === undefined) return all[0];
    this.#own.found(place, own.path);
    return await findZnode(connection, own.path, { watch: true });
  }

  #placeOf(
    cluster: ClusterName,
    { node, config }: Registration,
  ): { readonly place: Place; readonly format: Format } {
    const parsed = parseNode(node);
    if (!parsed.ok) throw new TypeError(parsed.reason);
    const format = formatIn(config, cluster);
    return { place: placeOf(node, { parent: this.#pathOf(cluster, config), format }), format };
  }

  #pathOf(cluster: ClusterName, config: unknown): string {
    const { chroot = "", path } = this.#options;
    const { path: own } = (config ?? {}) as Partial<FormatSection>;
    if (own !== undefined) return `${chroot}${own}`;
    // A slash would lead to another path, and ZooKeeper accepts neither dots alone nor control characters.
    // deno-lint-ignore no-control-regex -- these are rejected.
    if (cluster === "" || cluster === "." || cluster === ".." || /[\/\u0000-\u001f\u007f-\u009f]/.test(cluster)) {
      throw new TypeError(
        `Cannot use cluster: must be a single path component, without a slash; current value is ${quote(cluster)}`,
      );
    }
    return path === "/" ? `/${cluster}` : `${path}/${cluster}`;
  }
}

/** Makes the persistent znodes on the way to a path; another session may make them at the same time. */
async function makeParents(connection: Connection, path: string, acl: readonly Acl[]): Promise<void> {
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (parent === "") return;
  const make = () => connection.create(parent, new Uint8Array(0), { ephemeral: false, acl });
  try {
    await make();
  } catch (error) {
    if (isError(error, ERROR.nodeExists)) return;
    if (!isError(error, ERROR.noNode)) throw error;
    await makeParents(connection, parent, acl);
    await make().catch((again) => {
      if (!isError(again, ERROR.nodeExists)) throw again;
    });
  }
}

/** Names the owner of a znode. */
function sessionName(ephemeralOwner: bigint): string {
  return ephemeralOwner === 0n ? "nobody" : `session 0x${ephemeralOwner.toString(16).padStart(16, "0")}`;
}

async function ignoring(codes: readonly number[], request: Promise<void>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!codes.some((code) => isError(error, code))) throw error;
  }
}
