import { assert } from "../kernel/assert.ts";
import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { type HostPort, isHostName, isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { findListeners, findSocketOwners, type TcpListener } from "../system/listeners.ts";
import { look, type LookOptions, readStats, SlowLookError } from "../system/processes.ts";

/** How long an address may stay taken by a process that is about to close it, and how often it is tried. */
const RELEASE_MS = 1_000, RELEASE_POLL_MS = 50;
/** Timeouts of consecutive attempts to resolve a name: a reload that fails costs little more. */
const RESOLVES_MS: readonly number[] = [500, 2_000];

/** Timeouts of consecutive attempts to find who holds an address: a loaded machine answers late. */
const LOOKS_MS: readonly number[] = [2_000, 4_000, 8_000];

/** Why a balancer cannot bind an address. */
export interface TakenAddress {
  /** The address, as it is configured. */
  readonly endpoint: string;
  /** Why: the system's message, with the holder, if known. */
  readonly why: string;
}

/**
 * Finds the first of some addresses that a balancer could not have to itself. `own` are the processes that
 * hand their listeners over, or are the balancer's: what they hold is no obstacle. A balancer may share its
 * ports with any process that also sets `SO_REUSEPORT`, so a successful bind alone does not rule out a second
 * one. `isStart`: no process hands anything over, and other bind errors are best left to the balancer's own
 * start. An attempt that times out is repeated with more time.
 *
 * @throws {SlowLookError} if every attempt timed out: nothing is known about the addresses
 */
export async function findTakenAddress(
  endpoints: readonly string[],
  { own, isStart, clock, signal, looksMs = LOOKS_MS }: {
    readonly own: (options: LookOptions) => Promise<ReadonlySet<number>>;
    readonly isStart: boolean;
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly looksMs?: readonly number[];
  },
): Promise<TakenAddress | undefined> {
  const inTime = <T>(look: (options: LookOptions) => Promise<T>) => lookAgain(look, { looksMs, signal });
  const listeners = endpoints.length === 0 ? [] : await inTime(findListeners);
  for (const endpoint of endpoints) {
    const asked = parseEndpoint(endpoint);
    const address = asked && await resolve(asked, signal);
    if (address === undefined) continue;
    const near = listeners?.filter(({ port }) => port === address.port) ?? [];
    const met = near.filter(({ host }) => meets(host, address.host));
    const holder = met.length === 0
      ? "free"
      : await inTime(async (options) => await describeHolder(met, await own(options), options));
    if (holder === "own") continue;
    if (holder !== "free") return { endpoint, why: `address already in use${holder}` };
    const why = await tryToBind(address, { isStart, isShared: listeners === undefined, clock, signal });
    if (why === undefined) continue;
    // A socket for all of IPv6 may cover IPv4 as well, which no table shows.
    const both = near.length === 0 ? "" : await inTime((options) => describeHolder(near, new Set(), options));
    return { endpoint, why: `${why}${both}` };
  }
  return undefined;
}

/** Repeats a look that timed out. */
async function lookAgain<T>(
  look: (options: LookOptions) => Promise<T>,
  { looksMs, signal }: { readonly looksMs: readonly number[]; readonly signal: AbortSignal },
): Promise<T> {
  for (const [at, deadlineMs] of looksMs.entries()) {
    signal.throwIfAborted();
    try {
      return await look({ deadlineMs });
    } catch (error) {
      if (!(error instanceof SlowLookError) || at === looksMs.length - 1) throw error;
    }
  }
  assert(false, "at least one attempt was made");
}

/**
 * Resolves a name as the C library does, which HAProxy asks too and whose first address it uses. `undefined`
 * if that takes long, or no name server answers: the balancer itself then reports whether it can bind.
 */
async function resolve({ host, port }: HostPort, signal: AbortSignal): Promise<HostPort | undefined> {
  if (isIpv4(host) || isIpv6(host)) return { host, port };
  if (!isHostName(host)) return undefined;
  const ask = (options: LookOptions) => look("getent", ["ahosts", host], options);
  const output = await lookAgain(ask, { looksMs: RESOLVES_MS, signal }).catch((error) => {
    if (error instanceof SlowLookError) return "";
    throw error;
  });
  const [first = ""] = output.split(/\s/);
  return isIpv4(first) || isIpv6(first) ? { host: first, port } : undefined;
}

/** Whether two sockets of one port conflict: the same address, or all of its family. */
export function meets(a: string, b: string): boolean {
  if (isIpv6(a) !== isIpv6(b)) return false;
  const [one, other] = [a, b].map(canonical);
  return one === other || one === ANY || other === ANY;
}

/** All addresses of a family. */
const ANY = "any";

function canonical(address: string): string {
  if (!isIpv6(address)) return address === "0.0.0.0" ? ANY : address;
  const plain = new URL(`http://[${address}]/`).hostname;
  return plain === "[::]" ? ANY : plain;
}

/** `own` if only own processes hold some sockets; else the holder, in parentheses. */
async function describeHolder(
  listeners: readonly TcpListener[],
  own: ReadonlySet<number>,
  options: LookOptions,
): Promise<string> {
  const { pids, readable } = await findSocketOwners(listeners.map(({ inode }) => inode), options);
  const holders = listeners.map(({ inode }) => pids.get(inode) ?? []);
  // A socket that no visible process holds may be ours if one of our processes is not visible.
  const isHidden = [...own].some((pid) => !readable.has(pid));
  const strangers = holders.filter((of) => of.length === 0 ? !isHidden : !of.some((pid) => own.has(pid)));
  if (strangers.length === 0) return "own";
  const [pid] = strangers.flat();
  if (pid === undefined) return " (held by a process of another user)";
  // The name only helps to find the process.
  const stats = await readStats([pid]).catch((error) => {
    if (!(error instanceof SlowLookError)) throw error;
  });
  const name = stats?.get(pid)?.name ?? "unknown program";
  return ` (held by ${name}, pid ${pid})`;
}

/** Returns why an address cannot be bound, or `undefined` if it can. */
async function tryToBind(
  { host, port }: { readonly host: string; readonly port: number },
  { isStart, isShared, clock, signal }: {
    readonly isStart: boolean;
    readonly isShared: boolean;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<string | undefined> {
  const until = clock.now() + RELEASE_MS;
  for (;;) {
    try {
      // Where the tables cannot be read, a running balancer must not block itself.
      Deno.listen({ hostname: host, port, reusePort: isShared }).close();
      return undefined;
    } catch (error) {
      // A balancer may be allowed what this process is not.
      if (error instanceof Deno.errors.PermissionDenied) return undefined;
      const isTaken = error instanceof Deno.errors.AddrInUse;
      if (isStart && !isTaken) return undefined;
      if (!isStart || clock.now() >= until) {
        return isTaken ? "address already in use" : String(error instanceof Error ? error.message : error);
      }
    }
    await delay(RELEASE_POLL_MS, { clock, signal });
  }
}
