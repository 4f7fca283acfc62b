import { look } from "./processes.ts";

/** The addresses of this host by which others may reach it. */
export interface Interfaces {
  /** The address of the default route; absent if there is none, or if it is ambiguous. */
  readonly ipv4?: string | undefined;
  /** The same for IPv6: never a link-local address. */
  readonly ipv6?: string | undefined;
  /** All addresses of all interfaces; absent if they could not be read. */
  readonly all?: readonly string[] | undefined;
}

/** Reads the kernel's interface tables on Linux; elsewhere the result is empty. Never throws. */
export async function findAddresses(): Promise<Interfaces> {
  const read = (name: string) => look("cat", [`/proc/net/${name}`]).catch(() => "");
  const [routes, trie, inet6] = await Promise.all([read("route"), read("fib_trie"), read("if_inet6")]);
  return { ipv4: pickIpv4(routes, trie), ipv6: pickIpv6(routes, inet6), all: allAddresses(trie, inet6) };
}

/** Parses `/proc/net/fib_trie` and `/proc/net/if_inet6`. Pure. */
export function allAddresses(trie: string, inet6: string): readonly string[] {
  const ipv4 = [...trie.matchAll(/\|-- ([0-9.]+)\n\s+\/32 host LOCAL/g)].map(([, address = ""]) => address);
  const ipv6 = inet6.split("\n").flatMap((line) => {
    const hex = /^[0-9a-f]{32}/.exec(line)?.[0];
    return hex === undefined ? [] : [compress(hex)];
  });
  return [...new Set([...ipv4, ...ipv6])];
}

interface Route {
  readonly device: string;
  readonly destination: number;
  readonly mask: number;
  readonly metric: number;
}

/** Parses `/proc/net/route`: addresses are hexadecimal with reversed bytes. */
function parseRoutes(routes: string): readonly Route[] {
  return routes.split("\n").slice(1).flatMap((line) => {
    const [device = "", destination = "", , , , , metric, mask = ""] = line.split(/\s+/);
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
    return [{ device, destination: reversed(destination), mask: reversed(mask), metric: Number(metric) }];
  });
}

function reversed(hex: string): number {
  return Number.parseInt(hex.match(/../g)?.reverse().join("") ?? "", 16);
}

/** The device of the default route, the best if there are several. */
function wayOut(routes: readonly Route[]): string | undefined {
  const defaults = routes.filter(({ destination, mask }) => destination === 0 && mask === 0);
  return defaults.toSorted((a, b) => a.metric - b.metric)[0]?.device;
}

/** Selects the address on a network of the default route's device, or else the only address. Pure. */
export function pickIpv4(routeTable: string, trie: string): string | undefined {
  const local = [...trie.matchAll(/\|-- ([0-9.]+)\n\s+\/32 host LOCAL/g)].map(([, address = ""]) => address);
  const candidates = [...new Set(local)].filter((address) => !address.startsWith("127."));
  const routes = parseRoutes(routeTable);
  const device = wayOut(routes);
  const networks = routes.filter((route) => route.device === device && route.mask !== 0);
  const near = candidates.find((address) =>
    networks.some(({ destination, mask }) => (toNumber(address) & mask) >>> 0 === destination)
  );
  return near ?? (candidates.length === 1 ? candidates[0] : undefined);
}

function toNumber(address: string): number {
  return address.split(".").reduce((number, byte) => number * 256 + Number(byte), 0);
}

/** Selects a global address of the default route's device, or else the only one. Pure. */
export function pickIpv6(routeTable: string, inet6: string): string | undefined {
  const global = inet6.split("\n").flatMap((line) => {
    const [hex = "", , , scope, , device = ""] = line.trim().split(/\s+/);
    return scope === "00" && /^[0-9a-f]{32}$/.test(hex) ? [{ address: compress(hex), device }] : [];
  });
  const device = wayOut(parseRoutes(routeTable));
  return global.find((each) => each.device === device)?.address ??
    (global.length === 1 ? global[0]?.address : undefined);
}

/** Formats 32 hexadecimal digits as an IPv6 address. */
function compress(hex: string): string {
  const address = hex.match(/.{4}/g)?.join(":") ?? "";
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}
