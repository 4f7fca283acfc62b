import type {
  ClusterFacts,
  ClusterName,
  DiscoveryContext,
  DiscoverySession,
  Endpoint,
  Node,
  Registration,
  Takeover,
  WatchOptions,
} from "../../../mod.ts";
import { type Clock, systemClock } from "../../../src/kernel/clock.ts";
import { type Random, systemRandom } from "../../../src/kernel/random.ts";
import { abortable } from "../../../src/kernel/within.ts";
import { nodeName, parseNode, quote } from "../../../src/model/node.ts";
import { announcedNode, readChild, takeover } from "../children.ts";
import { encodeNode, equalBytes } from "../node_json.ts";
import { type Credential, ZooKeeperClient } from "./client.ts";
import { ZnodeWatch } from "./znode_watch.ts";
import { type Acl, type Connection, ConnectionLostError, ERROR, ZooKeeperError } from "./connection.ts";
import { OwnZnodes } from "./own_znodes.ts";

/** Who may do what with the znodes made here. */
export type AclChoice = "open" | "creator" | "readable";

/** Where the registry is, and how to speak to it. */
export interface SessionOptions {
  /** The servers of one ensemble. */
  readonly hosts: readonly Endpoint[];
  /** The znode that the clusters are children of: `/` or a path without a slash at its end. */
  readonly path: string;
  /** How long the ensemble keeps what was registered by a client that is out of reach. */
  readonly sessionTimeoutMs: number;
  /** Who to be. */
  readonly auth?: Credential | undefined;
  /** Who may do what with the znodes made here. */
  readonly acl: AclChoice;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A znode as it was found. */
type Found = Awaited<ReturnType<Connection["getData"]>>;

/** All that can be done with a znode. */
const ALL = 31;
/** Reading alone. */
const READ = 1;

/** 1.0's znodes are `open`. `auth` means whoever this session has proved to be. */
const ACLS: Readonly<Record<AclChoice, readonly Acl[]>> = {
  open: [{ permissions: ALL, scheme: "world", id: "anyone" }],
  creator: [{ permissions: ALL, scheme: "auth", id: "" }],
  readable: [{ permissions: ALL, scheme: "auth", id: "" }, { permissions: READ, scheme: "world", id: "anyone" }],
};

/** How often a registration is tried anew because others changed the same znode in between. */
const RACES_MAX = 20;
/**
 * How many connections one job may lose: a server hangs up on a request that is larger than its own `jute.maxbuffer`, and
 * all others on the connection pay for it. Who asked tries again, with growing waits.
 */
const LOSSES_MAX = 5;
/** How long a look at an own znode may take; the next connection looks again. */
const MEND_DEADLINE_MS = 10_000;
/** What another's change in between looks like. */
const RACE_CODES: readonly number[] = [ERROR.noNode, ERROR.nodeExists, ERROR.badVersion];

/** A ZooKeeper session: nodes are ephemeral znodes, `<path>/<cluster>/<host>:<port>`. */
export class ZooKeeperSession implements DiscoverySession {
  /** Resolves when the session has expired, or was refused. */
  readonly ended: Promise<string>;
  readonly #options: SessionOptions;
  readonly #context: DiscoveryContext;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #client: ZooKeeperClient;
  readonly #watches = new Set<ZnodeWatch>();
  readonly #own: OwnZnodes;

  /** Starts connecting. */
  constructor(options: SessionOptions, context: DiscoveryContext) {
    [this.#options, this.#context] = [options, context];
    const { hosts, sessionTimeoutMs, auth, clock = systemClock, random = systemRandom } = options;
    [this.#clock, this.#random] = [clock, random];
    this.#own = new OwnZnodes({ clock, random, mend: (path, data) => this.#mend(path, data) });
    this.#client = new ZooKeeperClient({
      hosts,
      sessionTimeoutMs,
      auth,
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
          `${connection.endpoint}, session 0x${session}, timeout ${connection.timeoutMs} ms`,
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

  /** Follows one cluster: see {@linkcode ZnodeWatch}. */
  async *watch(
    cluster: ClusterName,
    signal: AbortSignal,
    { withoutMetadata }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    const path = this.#pathOf(cluster);
    const watch = new ZnodeWatch({
      connected: (signal) => this.#client.connected(signal),
      cluster,
      path,
      log: this.#context.log,
      clock: this.#clock,
      random: this.#random,
      withoutMetadata,
    });
    this.#watches.add(watch);
    try {
      yield* watch.snapshots(signal);
    } finally {
      this.#watches.delete(watch);
    }
  }

  /**
   * Makes a node known: one read if it is known already. A change of its data
   * is written into the znode as it stands, so that the node never leaves;
   * readers of 1.0 see it with the next change of members. Its
   * znode is watched from then on, and made again if somebody deletes it.
   */
  async register(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void> {
    const node = announcedNode(registration);
    const parsed = parseNode(node);
    if (!parsed.ok) throw new TypeError(parsed.reason);
    const path = `${this.#pathOf(cluster)}/${nodeName(node)}`;
    const data = encodeNode(node);
    this.#own.keep(path, data);
    for (let races = 0;;) {
      try {
        const before = await this.#withConnection((connection) => this.#put(connection, path, data), signal);
        return takeover(before, node);
      } catch (error) {
        const isRace = error instanceof ZooKeeperError && RACE_CODES.includes(error.code);
        if (!isRace || ++races > RACES_MAX) throw error;
      }
    }
  }

  /** Removes a node, whichever session made it known. */
  async deregister(cluster: ClusterName, { node }: Registration, signal: AbortSignal): Promise<void> {
    const path = `${this.#pathOf(cluster)}/${nodeName(node)}`;
    this.#own.forget(path);
    try {
      await this.#withConnection((connection) => connection.delete(path), signal);
    } catch (error) {
      if (!isError(error, ERROR.noNode)) throw error;
    }
  }

  /** Removes a node if its znode ends with this session. */
  async deregisterOwn(cluster: ClusterName, { node }: Registration, signal: AbortSignal): Promise<void> {
    const path = `${this.#pathOf(cluster)}/${nodeName(node)}`;
    this.#own.forget(path);
    await this.#withConnection((connection) => this.#deleteOwn(connection, path), signal);
  }

  /** Closes the session; what it had registered vanishes at once if the ensemble answers within two seconds. */
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
          () => new Error(`${connection.endpoint} did not answer in time`),
        );
      } catch (error) {
        if (!(error instanceof ConnectionLostError) || ++losses >= LOSSES_MAX) throw error;
      }
    }
  }

  /** Puts a node's data in place; answers what another session had there. */
  async #put(connection: Connection, path: string, data: Uint8Array): Promise<Node | undefined> {
    const { acl: choice } = this.#options;
    const found = await this.#find(connection, path, { watch: true });
    let before: Node | undefined;
    if (found === undefined) {
      await this.#create(connection, path, data);
    } else {
      const { version, ephemeralOwner } = found.stat;
      const isOwn = ephemeralOwner === connection.sessionId;
      if (isOwn && equalBytes(found.data, data)) return undefined;
      if (isOwn) {
        await connection.setData(path, data, { version });
      } else {
        const owner = sessionName(ephemeralOwner);
        this.#context.log.info(`Taking over ${path} from ${owner}`, {
          event: "discovery.taking_over",
          path,
          session: owner,
        });
        await connection.replace(path, data, { version, acl: ACLS[choice] });
        before = readChild(found.data).node;
      }
    }
    // The watch that the first look left has fired, or never was: this one leaves another.
    if (await this.#find(connection, path, { watch: true }) === undefined) this.#own.onChange(path);
    return before;
  }

  async #create(connection: Connection, path: string, data: Uint8Array): Promise<void> {
    const acl = ACLS[this.#options.acl];
    try {
      await connection.create(path, data, { ephemeral: true, acl });
    } catch (error) {
      if (!isError(error, ERROR.noNode)) throw error;
      await makeParents(connection, path, acl);
      // Meanwhile it may have gone down, and a node that is down must not come back.
      if (this.#own.isKept(path, data)) await connection.create(path, data, { ephemeral: true, acl });
    }
  }

  /**
   * Looks at a znode that was registered from here; makes it again if it is
   * gone, and forgets it if another session has it by now. What fails is left to
   * the next connection, or to the host, which asserts now and then.
   */
  async #mend(path: string, data: Uint8Array): Promise<void> {
    const deadline = new AbortController();
    const cancel = this.#clock.after(MEND_DEADLINE_MS, () => deadline.abort());
    try {
      const connection = await this.#client.connected(deadline.signal);
      const found = await this.#find(connection, path, { watch: true });
      // A request that takes it back comes after the one below, or was seen here.
      if (!this.#own.isKept(path, data)) return;
      if (found === undefined) {
        this.#context.log.warn(`Somebody has deleted ${path}: registering it again`, {
          event: "discovery.node_deleted",
          path,
        });
        await this.#create(connection, path, data);
        await this.#find(connection, path, { watch: true });
      } else if (found.stat.ephemeralOwner !== connection.sessionId) {
        this.#own.forget(path);
      } else if (!equalBytes(found.data, data)) {
        await connection.setData(path, data, { version: found.stat.version });
        await this.#find(connection, path, { watch: true });
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#context.log.debug(`Could not look at ${path}`, { event: "discovery.look_failed", path, reason });
    } finally {
      cancel();
    }
  }

  async #deleteOwn(connection: Connection, path: string): Promise<void> {
    const found = await this.#find(connection, path, { watch: false });
    if (found === undefined) return;
    const { version, ephemeralOwner } = found.stat;
    if (ephemeralOwner !== connection.sessionId) {
      const owner = sessionName(ephemeralOwner);
      this.#context.log.info(`Leaving ${path} to ${owner}`, { event: "discovery.node_left", path, session: owner });
      return;
    }
    try {
      await connection.delete(path, { version });
    } catch (error) {
      // It is gone, or another session's by now.
      if (!isError(error, ERROR.noNode) && !isError(error, ERROR.badVersion)) throw error;
    }
  }

  async #find(connection: Connection, path: string, { watch }: { watch: boolean }): Promise<Found | undefined> {
    try {
      return await connection.getData(path, { watch });
    } catch (error) {
      if (isError(error, ERROR.noNode)) return undefined;
      throw error;
    }
  }

  #pathOf(cluster: ClusterName): string {
    // A slash would lead elsewhere, and ZooKeeper takes neither dots alone nor control characters.
    // deno-lint-ignore no-control-regex -- these are what is refused.
    if (cluster === "" || cluster === "." || cluster === ".." || /[\/\u0000-\u001f\u007f-\u009f]/.test(cluster)) {
      throw new TypeError(
        `Cannot use cluster as it must be one part of a path, without a slash: current value is ${quote(cluster)}`,
      );
    }
    const { path } = this.#options;
    return path === "/" ? `/${cluster}` : `${path}/${cluster}`;
  }
}

/** Makes the persistent znodes that lead to a path; another may make them at the same time. */
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

/** Says whose a znode is. */
function sessionName(ephemeralOwner: bigint): string {
  return ephemeralOwner === 0n ? "nobody" : `session 0x${ephemeralOwner.toString(16).padStart(16, "0")}`;
}

function isError(error: unknown, code: number): boolean {
  return error instanceof ZooKeeperError && error.code === code;
}
