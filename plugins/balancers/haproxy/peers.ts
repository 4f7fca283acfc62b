import type { Peer } from "../../../mod.ts";
import { isHostName, isIpv4, isIpv6, isPort } from "../../../src/model/endpoint.ts";
import { PEER_PORT, quote } from "../../../src/model/node.ts";
import type { HaproxyWanted } from "./config.ts";
import type { Line, Tell } from "./lines.ts";
import { readWords, type Word } from "./words.ts";

/** The one section of peers that the file has. */
export const PEERS_SECTION = "lighthouse";

/** The cluster whose peers a line shares a table with, if any. */
export function sharesWith({ text }: Line): string | undefined {
  return sharedName(text)?.text;
}

/** The word that names what a line shares a table with: after `peers`, in a `stick-table`. */
function sharedName(text: string): Word | undefined {
  if (!text.includes("peers")) return undefined;
  const [keyword, ...rest] = readWords(text);
  const at = rest.findIndex(({ text }) => text === "peers");
  return keyword?.text === "stick-table" && at !== -1 ? rest[at + 1] : undefined;
}

/**
 * Replaces the peers of a cluster by those of the only section: a section listens on a port of its own, and
 * all have the same.
 */
export function shareInOne(line: Line, clusters: ReadonlySet<string>): Line {
  const name = sharedName(line.text);
  if (name === undefined || !clusters.has(name.text)) return line;
  return { ...line, text: line.text.slice(0, name.start) + PEERS_SECTION + line.text.slice(name.end) };
}

/** This host's own balancer: a registry must never decide what it binds to. */
export function localPeer({ fqdn, ip, peerPort = PEER_PORT }: HaproxyWanted["host"]): Peer {
  return { name: fqdn, ip, port: peerPort };
}

/** The balancers of a cluster's other hosts, sorted by name, without any that could do harm. */
export function otherPeers(
  candidates: readonly Peer[],
  { cluster, host, tell }: { readonly cluster: string; readonly host: HaproxyWanted["host"]; readonly tell: Tell },
): readonly Peer[] {
  const peers = new Map<string, Peer>();
  for (const peer of candidates.toSorted(comparePeers)) {
    if (!isHostName(peer.name) || !(isIpv4(peer.ip) || isIpv6(peer.ip)) || !isPort(peer.port)) {
      tell(`Cluster ${cluster}: invalid peer skipped: ${quote(peer)}`);
    } else if (peer.name === host.fqdn) {
      // A reporter that does not know `peer_port` announces another port, and does no harm.
      if (peer.ip !== host.ip) {
        tell(`Cluster ${cluster}: peer skipped, because it claims to be this host: ${quote(peer)}`);
      }
    } else if (!peers.has(peer.name)) {
      peers.set(peer.name, peer);
    }
  }
  return [...peers.values()];
}

/** Sorts peers by name. */
export function comparePeers(a: Peer, b: Peer): number {
  return compare(a.name, b.name) || compare(a.ip, b.ip) || a.port - b.port;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
