import type { Clock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { type HostPort, isHostName, isIpv4, isIpv6, parseEndpoint } from "../model/endpoint.ts";
import { findListeners, findSocketOwners, type TcpListener } from "../system/listeners.ts";
import { look, readStats, SlowLookError } from "../system/processes.ts";

/** How long an address may be taken by who is about to let it go, and how often it is tried. */
const RELEASE_MS = 1_000, RELEASE_POLL_MS = 50;
/** How long a name may take to resolve: a reload that fails costs little more. */
const RESOLVE_MS = 500;

/** Why a balancer cannot listen at an address. */
export interface TakenAddress {
  /** The address, as it was asked for. */
  readonly endpoint: string;
  /** Why: in the system's words, with who holds it, if that is known. */
  readonly why: string;
}

/**
 * Finds the first of some addresses that a balancer could not have to itself.
 * `own` are the processes that hand their listeners over, or are the balancer's:
 * what they hold is no obstacle. A balancer may share its ports with whoever else
 * does (`SO_REUSEPORT`), so a bind alone would not tell of a second one. `isStart`:
 * nobody hands anything over, and what else a bind may meet the balancer's own
 * start tells best.
 */
export async function findTakenAddress(
  endpoints: readonly string[],
  { own, isStart, clock, signal }: {
    readonly own: () => Promise<ReadonlySet<number>>;
    readonly isStart: boolean;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<TakenAddress | undefined> {
  const listeners = endpoints.length === 0 ? [] : await findListeners();
  for (const endpoint of endpoints) {
    const asked = parseEndpoint(endpoint);
    const address = asked && await resolve(asked);
    if (address === undefined) continue;
    const near = listeners?.filter(({ port }) => port === address.port) ?? [];
    const met = near.filter(({ host }) => meets(host, address.host));
    const holder = met.length === 0 ? "free" : await describeHolder(met, await own());
    if (holder === "own") continue;
    if (holder !== "free") return { endpoint, why: `address already in use${holder}` };
    const why = await tryToBind(address, { isStart, isShared: listeners === undefined, clock, signal });
    if (why === undefined) continue;
    // A socket for all of IPv6 may have IPv4 as well, which no table tells.
    const both = near.length === 0 ? "" : await describeHolder(near, new Set());
    return { endpoint, why: `${why}${both}` };
  }
  return undefined;
}

/**
 * Resolves a name as the C library does, which HAProxy asks too and of which it
 * takes the first address. `undefined` if that takes long, or nobody can be
 * asked: the balancer itself says then whether it can bind.
 */
async function resolve({ host, port }: HostPort): Promise<HostPort | undefined> {
  if (isIpv4(host) || isIpv6(host)) return { host, port };
  if (!isHostName(host)) return undefined;
  const output = await look("getent", ["ahosts", host], { deadlineMs: RESOLVE_MS }).catch((error) => {
    if (error instanceof SlowLookError) return "";
    throw error;
  });
  const [first = ""] = output.split(/\s/);
  return isIpv4(first) || isIpv6(first) ? { host: first, port } : undefined;
}

/** Whether two sockets of one port get in each other's way: the same address, or all of its family. */
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

/** `own` if only own processes hold some sockets; else who does, in parentheses. */
async function describeHolder(listeners: readonly TcpListener[], own: ReadonlySet<number>): Promise<string> {
  const { pids, readable } = await findSocketOwners(listeners.map(({ inode }) => inode));
  const holders = listeners.map(({ inode }) => pids.get(inode) ?? []);
  // What nobody that can be looked into holds may be ours if one of ours cannot be.
  const isHidden = [...own].some((pid) => !readable.has(pid));
  const strangers = holders.filter((of) => of.length === 0 ? !isHidden : !of.some((pid) => own.has(pid)));
  if (strangers.length === 0) return "own";
  const [pid] = strangers.flat();
  if (pid === undefined) return " (held by a process of another user)";
  const name = (await readStats([pid]))?.get(pid)?.name ?? "a process";
  return ` (held by ${name}, pid ${pid})`;
}

/** Answers why an address cannot be bound to, or `undefined` if it can. */
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
      // Where the tables cannot be read, a balancer that runs must not be in its own way.
      Deno.listen({ hostname: host, port, reusePort: isShared }).close();
      return undefined;
    } catch (error) {
      // A balancer may be allowed what we are not.
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
