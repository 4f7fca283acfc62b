import { lookup, lookupService } from "node:dns/promises";
import type { HostFacts } from "../plugin/contract.ts";

/** How long name resolution may take at the start. */
const LOOKUP_DEADLINE_MS = 5_000;

/**
 * Learns the names that this host is announced under: what Python's
 * `socket.getfqdn()` and `gethostbyname()` answer, since the predecessor's
 * znodes are named so. What an operator says overrides both.
 */
export async function learnHostFacts(
  given: { readonly fqdn?: string | undefined; readonly ip?: string | undefined },
): Promise<HostFacts> {
  const bare = Deno.hostname();
  const fqdn = given.fqdn ?? await within(fullyQualified(bare), bare);
  const ip = given.ip ?? await within(addressOf(fqdn), undefined) ?? await within(addressOf(bare), "127.0.0.1");
  return { fqdn, ip };
}

async function addressOf(name: string): Promise<string> {
  return (await lookup(name, { family: 4 })).address;
}

/** The first of the canonical name and its aliases that has a dot, else the canonical name, else the bare one. */
async function fullyQualified(bare: string): Promise<string> {
  const { address } = await lookup(bare, { family: 4 });
  const canonical = (await lookupService(address, 80)).hostname;
  return pickFqdn({ canonical, aliases: await aliasesOf(address) });
}

/** Python's rule for the name of a host. Pure. */
export function pickFqdn({ canonical, aliases }: { canonical: string; aliases: readonly string[] }): string {
  return [canonical, ...aliases].find((name) => name.includes(".")) ?? canonical;
}

/** The names that /etc/hosts gives an address: what the C library reports as aliases. */
async function aliasesOf(address: string): Promise<readonly string[]> {
  try {
    return parseHosts(await Deno.readTextFile("/etc/hosts"), address);
  } catch {
    return [];
  }
}

/** The names on the first line of a hosts file that is for an address. Pure. */
export function parseHosts(hosts: string, address: string): readonly string[] {
  for (const line of hosts.split("\n")) {
    const [ip, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (ip === address) return names;
  }
  return [];
}

async function within<T>(promise: Promise<T>, otherwise: T): Promise<T> {
  const deadline = Promise.withResolvers<T>();
  const timer = setTimeout(() => deadline.resolve(otherwise), LOOKUP_DEADLINE_MS);
  try {
    return await Promise.race([promise.catch(() => otherwise), deadline.promise]);
  } finally {
    clearTimeout(timer);
  }
}
