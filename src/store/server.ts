import type { Logger } from "../kernel/logger.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/random.ts";
import { type BindAddress, formatBindAddress, isLoopback } from "./bind_address.ts";
import { Cluster } from "./cluster.ts";
import { Handler } from "./handler.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { type Listener, listenWithClientCertificates } from "./mutual_tls.ts";
import { PeerClient } from "./peer_client.ts";
import { DataDirectory } from "./snapshot_files.ts";
import { Store, type StoreOptions } from "./store.ts";
import { Tokens } from "./tokens.ts";

/** The files for TLS. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** The authority that clients' certificates must be of; without it none is asked for. */
  readonly clientCa?: string | undefined;
}

/** What a store is told by its operator. */
export interface StoreServerOptions
  extends Pick<StoreOptions, "loadLimit" | "removeLimit" | "bootstrapLimit" | "seeds"> {
  /** The directory of the snapshots. */
  readonly dataDir: string;
  readonly bind: BindAddress;
  /** The file of the bearer tokens. */
  readonly tokensFile?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  /** The file of the token that is shown to other instances. */
  readonly peerTokenFile?: string | undefined;
  /** Whether anyone who can reach it may change it, beyond this machine too. */
  readonly isInsecure: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Answers the time, in milliseconds since 1970. */
  readonly wallNow: () => number;
  readonly log: Logger;
  readonly limits?: Limits;
}

/** How long requests may go on once the store was asked to end. */
const GRACE_MS = 2_000;

/** A store that listens. Disposing of it ends its requests, and waits for what is being written. */
export class StoreServer implements AsyncDisposable {
  /** What it serves. */
  readonly store: Store;
  /** Where it listens. */
  readonly address: BindAddress;
  readonly #resources: AsyncDisposableStack;

  private constructor(store: Store, address: BindAddress, resources: AsyncDisposableStack) {
    this.store = store;
    this.address = address;
    this.#resources = resources;
  }

  /** Loads the newest snapshot and listens. Throws an error that says what the operator should change. */
  static async start(options: StoreServerOptions): Promise<StoreServer> {
    const { dataDir, bind, tokensFile, tls, isInsecure, log, clock, limits = LIMITS } = options;
    if (!isLoopback(bind.host) && tokensFile === undefined && tls?.clientCa === undefined && !isInsecure) {
      throw new Error(
        `Cannot listen on ${
          formatBindAddress(bind)
        } as anyone who reaches it could change everything: give --tokens, ` +
          "or --tls-cert, --tls-key and --tls-client-ca, or say --insecure",
      );
    }
    const tokens = tokensFile === undefined ? undefined : Tokens.parse(await Deno.readTextFile(tokensFile), tokensFile);
    if (!isLoopback(bind.host) && tls === undefined) {
      log.warn("Without TLS, what is sent can be read and changed on its way", { bind: formatBindAddress(bind) });
    }
    await using resources = new AsyncDisposableStack();
    const files = resources.use(await DataDirectory.open(dataDir));
    const store = resources.use(await Store.open({ ...options, files, limits }));
    let address = bind;
    const handler = new Handler(store, { clock, log, limits, tokens, me: () => address });
    const listening = await listen(bind, tls, (request) => handler.handle(request));
    address = { host: bind.host, port: listening.port };
    resources.defer(() => stop(listening));
    resources.use(handler);
    const client = resources.use(await openPeerClient(options));
    resources.use(new Cluster(store, { ...options, client, me: announced(address) }));
    log.info("The store listens", { bind: formatBindAddress(address), tls: tls !== undefined });
    return new StoreServer(store, address, resources.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function listen(
  { host, port }: BindAddress,
  tls: TlsFiles | undefined,
  handle: (request: Request) => Response | Promise<Response>,
): Promise<Listener> {
  const pem = tls && {
    cert: await Deno.readTextFile(tls.cert),
    key: await Deno.readTextFile(tls.key),
    clientCa: tls.clientCa === undefined ? undefined : await Deno.readTextFile(tls.clientCa),
  };
  if (pem?.clientCa !== undefined) {
    return await listenWithClientCertificates({ ...pem, clientCa: pem.clientCa, host, port, handle });
  }
  const common = { hostname: host, port, onListen() {} };
  const server = Deno.serve(pem === undefined ? common : { ...common, cert: pem.cert, key: pem.key }, handle);
  return {
    port: (server.addr as Deno.NetAddr).port,
    shutdown: () => server.shutdown(),
  };
}

/** Others cannot use an address that stands for all of ours. */
function announced(address: BindAddress): string | undefined {
  return address.host === "0.0.0.0" || address.host === "::" ? undefined : formatBindAddress(address);
}

async function openPeerClient({ tls, peerTokenFile, limits = LIMITS }: StoreServerOptions): Promise<PeerClient> {
  const token = peerTokenFile === undefined ? undefined : (await Deno.readTextFile(peerTokenFile)).trim();
  if (tls === undefined) return new PeerClient({ scheme: "http", token, tls: undefined, limits });
  const [cert, key] = [await Deno.readTextFile(tls.cert), await Deno.readTextFile(tls.key)];
  const caCerts = tls.clientCa === undefined ? [] : [await Deno.readTextFile(tls.clientCa)];
  return new PeerClient({ scheme: "https", token, tls: { cert, key, caCerts }, limits });
}

async function stop(listening: Listener): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, GRACE_MS);
  await Promise.race([listening.shutdown(), late.promise]);
  clearTimeout(timer);
}
