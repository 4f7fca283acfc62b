import dns, { lookup } from "node:dns/promises";
import { namesOf } from "../dns/hosts_file.ts";
import { isIpv4, isIpv6 } from "../model/endpoint.ts";
import type { HostFacts } from "../plugin/contract.ts";
import { findAddresses, type Interfaces } from "../system/interfaces.ts";

/** How long name resolution may take in all. */
const LOOKUP_DEADLINE_MS = 5_000;

/** What an operator says of this host: it overrides what is found out. */
export interface SaidOfHost {
  /** Its name. */
  readonly fqdn?: string | undefined;
  /** Its address. */
  readonly ip?: string | undefined;
  /** The port of its balancer's peers listener. */
  readonly peerPort?: number | undefined;
  /** Where it runs. */
  readonly zone?: string | undefined;
}

/** What a host is announced as, and how good an answer that is. */
export interface Identity {
  /** The name and address. */
  readonly facts: HostFacts;
  /** Why nothing may be announced under them; `undefined` if it may. */
  readonly refusal?: string | undefined;
  /** Whether a later look may find something better: DNS may not be there yet. */
  readonly isProvisional: boolean;
}

/** Names that mean this host on every host: two hosts that announce one of them share each node. */
const LOCAL_NAMES = /^(?:localhost[46]?|ip6-localhost|ip6-loopback)(?:\.localdomain[46]?)?$|\.localhost$/i;

/** Whether a name means this host wherever it is used. Pure. */
export function isLocalName(name: string): boolean {
  return LOCAL_NAMES.test(name.replace(/\.$/, ""));
}

/** Where facts are looked up; the system's own resolver and interfaces unless told. */
export interface HostSources {
  /** What the system calls this host. */
  readonly bareName: () => string;
  /** All addresses of a name, in the order of the system's `getaddrinfo`. */
  readonly addresses: (name: string) => Promise<readonly string[]>;
  /** The names of an address, the canonical one first. */
  readonly names: (address: string) => Promise<readonly string[]>;
  /** The addresses of this host's interfaces that others may reach. */
  readonly interfaces: () => Promise<Interfaces>;
}

/**
 * Learns what this host is announced as: the name that Python's
 * `socket.getfqdn()` answers, since 1.0's znodes are named so, and
 * the IPv4 address of that name. Where that is loopback, which no other host
 * can reach, or where there is none, the address of the interface that leads
 * out is taken. What an operator says overrides both, and is never rejected. Never throws.
 */
export async function learnHostFacts(said: SaidOfHost, sources: HostSources = SYSTEM): Promise<Identity> {
  const deadline = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => deadline.resolve(undefined), LOOKUP_DEADLINE_MS);
  const soon = <T>(promise: Promise<T>) => Promise.race([promise.catch(() => undefined), deadline.promise]);
  try {
    const bare = sources.bareName();
    const fqdn = said.fqdn ?? await soon(fullyQualified(bare, sources)) ?? bare;
    const interfaces = await soon(sources.interfaces());
    const ip = said.ip ?? await findAddress([fqdn, bare], { sources, interfaces, soon });
    const facts = {
      fqdn,
      ip,
      ...interfaces?.all !== undefined && { addresses: interfaces.all },
      ...said.peerPort !== undefined && { peerPort: said.peerPort },
      ...said.zone !== undefined && { zone: said.zone },
    };
    const refusal = refusalOf(facts, said);
    const isProvisional = refusal !== undefined || (said.fqdn === undefined && !fqdn.includes("."));
    return { facts, refusal, isProvisional };
  } finally {
    clearTimeout(timer);
  }
}

/** Why what was found out must not be announced: every host would answer to it. Pure. */
function refusalOf({ fqdn, ip }: HostFacts, said: SaidOfHost): string | undefined {
  if (said.fqdn === undefined && isLocalName(fqdn)) {
    return `Cannot announce this host as ${fqdn}: every host has this name; set name in host.yaml, or pass --host`;
  }
  if (said.ip === undefined && isLoopback(ip)) {
    return `Cannot announce ${fqdn} at ${ip}: loopback address; set ip in host.yaml, or pass --ip`;
  }
  return undefined;
}

/** Python's rule: the first of the canonical name and the aliases of the bare name's first address that has a dot. */
async function fullyQualified(bare: string, { addresses, names }: HostSources): Promise<string | undefined> {
  const [first] = await addresses(bare);
  if (first === undefined) return undefined;
  const [canonical, ...aliases] = await names(first);
  return canonical === undefined ? undefined : pickFqdn({ canonical, aliases });
}

/** Python's rule for the name of a host. Pure. */
export function pickFqdn({ canonical, aliases }: { canonical: string; aliases: readonly string[] }): string {
  return [canonical, ...aliases].find((name) => name.includes(".")) ?? canonical;
}

/** What 1.0 announces if others can reach it; else the best that there is. */
async function findAddress(
  candidates: readonly string[],
  { sources, interfaces, soon }: {
    readonly sources: HostSources;
    readonly interfaces: Interfaces | undefined;
    readonly soon: <T>(promise: Promise<T>) => Promise<T | undefined>;
  },
): Promise<string> {
  const found: string[] = [];
  for (const name of new Set(candidates)) found.push(...await soon(sources.addresses(name)) ?? []);
  const ofName = (is: (address: string) => boolean) => found.find((address) => is(address) && !isLoopback(address));
  return ofName(isIpv4) ?? interfaces?.ipv4 ?? ofName(isIpv6) ?? interfaces?.ipv6 ?? found.find(isIpv4) ?? "127.0.0.1";
}

/** Whether an address means this host wherever it is used. Pure. */
export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/** How long interfaces that were read in advance may be used. */
const READ_AHEAD_MS = 5_000;

/**
 * The system's sources. Reading of the interfaces starts at once, so that its programs run while
 * the process reads its config; calls that come later than five seconds read the interfaces again.
 */
export function systemSources(): HostSources {
  const [ahead, startedMs] = [findAddresses(), performance.now()];
  return {
    ...SYSTEM,
    interfaces: () => performance.now() - startedMs < READ_AHEAD_MS ? ahead : findAddresses(),
  };
}

const SYSTEM: HostSources = {
  bareName: () => Deno.hostname(),
  async addresses(name) {
    return (await lookup(name, { all: true, order: "verbatim" })).map(({ address }) => address);
  },
  async names(address) {
    // What the C library calls aliases; a resolver names none.
    const aliases = await Deno.readTextFile("/etc/hosts").then((hosts) => namesOf(address, hosts)).catch(() => []);
    // Deno before 2.6 has no reverse lookup; there the hosts file is all there is.
    if (!("lookupService" in dns)) return aliases;
    const { hostname } = await dns.lookupService(address, 80);
    return [hostname, ...aliases];
  },
  interfaces: findAddresses,
};
