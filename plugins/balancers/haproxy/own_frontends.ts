import { isIpv4 } from "../../../src/model/endpoint.ts";
import type { HaproxyWanted } from "./config.ts";
import { clusterListens, ownListens } from "./listens.ts";
import { isUnspecified, plainAddress } from "../../../src/model/canonical_address.ts";

/** An address and a port. */
interface Address {
  readonly ip: string;
  readonly port: number;
}

/**
 * Finds the nodes that are this HAProxy itself: a request to one returns to a frontend, which may send it
 * there again, until no connection is left. Returns a function that names the frontend behind such a node, or
 * `undefined` for any other node.
 */
export function ownFrontends(
  { config, host, clusters }: Pick<HaproxyWanted, "config" | "host" | "clusters">,
): (node: Address) => string | undefined {
  const byPort = new Map<number, string[]>();
  for (
    const { host, port } of [
      ...ownListens(config),
      ...clusters.flatMap((each) => clusterListens(config, each.config)),
    ]
  ) {
    byPort.set(port, [...byPort.get(port) ?? [], host.replace(/^ipv[46]@/, "").replace(/^\[(.*)\]$/, "$1")]);
  }
  const own = new Set([host.ip, ...host.addresses ?? []].map(plainAddress));
  return ({ ip, port }) => {
    const address = plainAddress(ip);
    const isHere = isLoopback(address) || own.has(address);
    const bound = byPort.get(port)?.find((bind) =>
      isAny(bind) ? isHere && reaches(bind, address) : leads(bind, address)
    );
    return bound === undefined ? undefined : `${isAny(bound) ? "*" : bound}:${port}`;
  };
}

function isLoopback(address: string): boolean {
  return address === "0:0:0:0:0:0:0:1" || (isIpv4(address) && address.startsWith("127."));
}

/** Whether a bind is for all addresses, of IPv4 unless it names IPv6. */
function isAny(bind: string): boolean {
  return bind === "" || bind === "*" || isUnspecified(bind);
}

/** A socket for all of IPv6 accepts IPv4 as well, unless configured otherwise. */
function reaches(bind: string, address: string): boolean {
  return bind.includes(":") || isIpv4(address);
}

function leads(bind: string, address: string): boolean {
  return bind === "localhost" ? isLoopback(address) : plainAddress(bind) === address;
}
