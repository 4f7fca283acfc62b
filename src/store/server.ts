import type { Logger } from "../kernel/logger.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/random.ts";
import { type BindAddress, formatBindAddress, isLoopback } from "../model/bind_address.ts";
import { connectionsFor, HTTP_LIMITS, type HttpLimits } from "../http/limits.ts";
import { listenAt } from "../http/listening.ts";
import { HttpServer } from "../http/server.ts";
import { type TlsPem, tryCertificates } from "../http/tls.ts";
import { projectProcess } from "../metrics/process.ts";
import { Tally } from "../metrics/tally.ts";
import { ownUsage } from "../system/own_usage.ts";
import { assert } from "../kernel/assert.ts";
import { Cluster } from "./cluster.ts";
import { Handler } from "./handler.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { MeasuredFiles } from "./measured_files.ts";
import { PeerClient, type PeerClientOptions } from "./peer_client.ts";
import { DataDirectory } from "./snapshot_files.ts";
import { Store, type StoreOptions } from "./store.ts";
import { parseTokens, type Tokens } from "./tokens.ts";

/** TLS files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** The authority of client certificates; without it none is requested. */
  readonly clientCa?: string | undefined;
}

/** Options of a store. */
export interface StoreServerOptions
  extends Pick<StoreOptions, "loadLimit" | "removeLimit" | "bootstrapLimit" | "seeds"> {
  /** The version of Lighthouse. */
  readonly version: string;
  /** The directory of the snapshots. */
  readonly dataDir: string;
  readonly bind: BindAddress;
  /** The file of the bearer tokens. */
  readonly tokensFile?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  /** The file of the token sent to peers. */
  readonly peerTokenFile?: string | undefined;
  /** The file of the authority of their certificates, besides that of clients. */
  readonly peerCa?: string | undefined;
  /** The address that peers use, if not the listening one. */
  readonly advertise?: BindAddress | undefined;
  /** Whether anyone who can connect may change the store, beyond this machine too. */
  readonly isInsecure: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Returns the time in milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly log: Logger;
  readonly limits?: Limits;
  /** Maximum number of connections; by default derived from the limit of open files. */
  readonly connectionsMax?: number | undefined;
  /** The process's limit of open files, if known. */
  readonly openFilesMax?: number | undefined;
  /** Timeouts of clients, if not the defaults. */
  readonly httpLimits?: Omit<HttpLimits, "connectionsMax"> | undefined;
}

/** How long requests may go on at shutdown. */
const GRACE_MS = 2_000;
/** The share of connections that may wait for a change. */
const WATCHERS_SHARE = 3 / 4;
/** The share of open files for connections; the rest is for snapshots and peers. */
const CONNECTIONS = { share: 3 / 4, most: 20_000 } as const;

/** A listening store. Disposing of it ends its requests, and waits for pending writes. */
export class StoreServer implements AsyncDisposable {
  readonly store: Store;
  readonly address: BindAddress;
  readonly #options: StoreServerOptions;
  readonly #parts: Parts;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    { store, address, options, parts }: {
      readonly store: Store;
      readonly address: BindAddress;
      readonly options: StoreServerOptions;
      readonly parts: Parts;
    },
    resources: AsyncDisposableStack,
  ) {
    [this.store, this.address] = [store, address];
    [this.#options, this.#parts, this.#resources] = [options, parts, resources];
  }

  /** Loads the newest snapshot and listens. Throws an error that says what the operator should change. */
  static async start(options: StoreServerOptions): Promise<StoreServer> {
    const { version, dataDir, bind, tokensFile, tls, isInsecure, log, clock } = options;
    const { connectionsMax = connectionsFor(options.openFilesMax, CONNECTIONS) } = options;
    const limits = limitWatchers(options.limits ?? LIMITS, connectionsMax);
    if (!isLoopback(bind.host) && tokensFile === undefined && tls?.clientCa === undefined && !isInsecure) {
      throw new Error(
        `Cannot listen on ${
          formatBindAddress(bind)
        }: without authentication, any client could change any value; set --tokens, ` +
          "or --tls-cert, --tls-key and --tls-client-ca, or --insecure",
      );
    }
    const secrets = await readSecrets(options);
    if (!isLoopback(bind.host) && tls === undefined) {
      log.warn("Listening without TLS: traffic can be read and modified", {
        event: "store.plaintext",
        bind: formatBindAddress(bind),
      });
    }
    await using resources = new AsyncDisposableStack();
    const tally = new Tally();
    const files = new MeasuredFiles(resources.use(await DataDirectory.open(dataDir)), { meter: tally, clock });
    const store = resources.use(await Store.open({ ...options, files, limits }));
    let address = bind;
    const parts: Parts = { tokens: secrets.tokens };
    const id = crypto.randomUUID();
    const handler = new Handler(store, {
      clock,
      log,
      limits,
      tokens: () => parts.tokens,
      bind,
      me: () => formatBindAddress(options.advertise ?? address),
      id,
      tally,
      project: (to) => {
        projectProcess(to, { version, role: "store", startedMs: performance.timeOrigin, usage: ownUsage() });
        if (files.lastBytes !== undefined) to.add("lighthouse_store_snapshot_bytes", {}, files.lastBytes);
      },
    });
    const listening = resources.use(await listenAt(bind));
    assert("port" in listening.address, "listening on a port");
    address = listening.address;
    parts.server = resources.use(
      new HttpServer({
        listener: listening.listener,
        at: formatBindAddress(address),
        handle: (request) => handler.handle(request),
        limits: { ...options.httpLimits ?? HTTP_LIMITS, connectionsMax },
        tls: secrets.pem,
        clock,
        log,
        graceMs: GRACE_MS,
      }),
    );
    resources.use(handler);
    const client = parts.client = resources.use(new PeerClient({ ...secrets.peer, limits }));
    const me = options.advertise === undefined ? announced(address) : formatBindAddress(options.advertise);
    resources.use(new Cluster(store, { ...options, client, me, id }));
    log.info("Listening", {
      event: "store.listening",
      bind: formatBindAddress(address),
      tls: tls !== undefined,
      connectionsMax,
    });
    return new StoreServer({ store, address, options, parts }, resources.move());
  }

  /**
   * Reloads the tokens, the certificates and the token for peers. Invalid ones are logged, and the
   * previous ones stay active.
   */
  async reload(): Promise<void> {
    const { log, limits = LIMITS } = this.#options;
    try {
      const { tokens, peer, pem } = await readSecrets(this.#options);
      if (pem !== undefined) this.#parts.server?.useCertificates(pem);
      this.#parts.tokens = tokens;
      this.#parts.client?.reload({ ...peer, limits });
      log.info("Tokens and certificates reloaded", { event: "store.secrets_reloaded" });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error("Cannot reload tokens and certificates; keeping the previous ones", {
        event: "store.secrets_invalid",
        reason,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** The parts of a store that a reload replaces. */
interface Parts {
  tokens: Tokens | undefined;
  server?: HttpServer;
  client?: PeerClient;
}

/** The contents of the reloaded files. */
interface Secrets {
  readonly tokens: Tokens | undefined;
  readonly pem: TlsPem | undefined;
  readonly peer: Pick<PeerClientOptions, "tls" | "token">;
}

async function readSecrets({ tokensFile, tls, peerTokenFile, peerCa }: StoreServerOptions): Promise<Secrets> {
  const read = async (file: string | undefined) => file === undefined ? undefined : await Deno.readTextFile(file);
  const tokens = tokensFile === undefined ? undefined : parseTokens(await Deno.readTextFile(tokensFile), tokensFile);
  const pem = tls && {
    cert: await Deno.readTextFile(tls.cert),
    key: await Deno.readTextFile(tls.key),
    clientCa: await read(tls.clientCa),
  };
  if (pem !== undefined) tryCertificates(pem);
  const authorities = [pem?.clientCa, await read(peerCa)].filter((each) => each !== undefined);
  const ca = authorities.length === 0 ? undefined : authorities.join("\n");
  return {
    tokens,
    pem,
    peer: { token: (await read(peerTokenFile))?.trim(), tls: pem && { cert: pem.cert, key: pem.key, ca } },
  };
}

/** Reserves connections for requests that do not wait, and waits for other tokens. */
function limitWatchers(limits: Limits, connectionsMax: number): Limits {
  const watchersMax = Math.min(limits.watchersMax, Math.ceil(WATCHERS_SHARE * connectionsMax));
  const watchersOfTokenMax = Math.min(limits.watchersOfTokenMax, Math.ceil(watchersMax / 2));
  return { ...limits, watchersMax, watchersOfTokenMax };
}

/** A wildcard address is of no use to peers. */
function announced(address: BindAddress): string | undefined {
  return address.host === "0.0.0.0" || address.host === "::" ? undefined : formatBindAddress(address);
}
