import { assert } from "../kernel/assert.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/random.ts";
import type { Logger } from "../kernel/logger.ts";
import type { BindAddress } from "../model/bind_address.ts";
import { readOpenFiles } from "../system/open_files.ts";
import { StoreServer } from "../store/server.ts";
import { parseTimeLimit, type TimeLimit } from "../store/time_limit.ts";

/** The arguments of `lighthouse store`. */
export interface StoreArguments {
  readonly dataDir: string;
  readonly bind: BindAddress;
  readonly advertise?: BindAddress | undefined;
  readonly seeds: readonly string[];
  /** Limits as written, already validated. */
  readonly loadLimit: string;
  readonly removeLimit: string;
  readonly bootstrapLimit: string;
  readonly bootstrap: boolean;
  readonly tokens?: string | undefined;
  readonly peerToken?: string | undefined;
  readonly peerCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly tlsClientCa?: string | undefined;
  readonly insecure: boolean;
  readonly maxConnections?: number | undefined;
}

/** Serves a store until the signal is aborted. Throws an error that says why it cannot. */
export async function serveStore(
  given: StoreArguments,
  { version, clock, random, wallNow, log, signal, onServing }: {
    readonly version: string;
    readonly clock: Clock;
    readonly random: Random;
    readonly wallNow: () => number;
    readonly log: Logger;
    readonly signal: AbortSignal;
    /** Receives the function that reloads tokens and certificates. */
    readonly onServing: (reload: () => Promise<void>) => void;
  },
): Promise<void> {
  const { dataDir, bind, seeds, loadLimit, removeLimit, bootstrapLimit, bootstrap, tokens, insecure } = given;
  await using server = await StoreServer.start({
    version,
    dataDir,
    bind,
    seeds,
    loadLimit: bootstrap ? undefined : limitOf(loadLimit),
    removeLimit: limitOf(removeLimit),
    bootstrapLimit: limitOf(bootstrapLimit),
    tokensFile: tokens,
    tls: tlsOf(given),
    isInsecure: insecure,
    peerTokenFile: given.peerToken,
    peerCa: given.peerCa,
    advertise: given.advertise,
    connectionsMax: given.maxConnections,
    openFilesMax: (await readOpenFiles())?.limit,
    clock,
    random,
    wallNow,
    log,
  });
  onServing(() => server.reload());
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function limitOf(text: string): TimeLimit {
  const limit = parseTimeLimit(text);
  assert(limit !== undefined, "the argument parser accepts only time limits");
  return limit;
}

function tlsOf({ tlsCert, tlsKey, tlsClientCa }: StoreArguments) {
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new Error("TLS requires both --tls-cert and --tls-key");
  }
  return { cert: tlsCert, key: tlsKey, clientCa: tlsClientCa };
}
