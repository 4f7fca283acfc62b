import type { ClusterName, Node, Peer } from "../../../mod.ts";
import { formatEndpoint, parseEndpoint } from "../../../src/model/endpoint.ts";
import { nodeName, parseNode } from "../../../src/model/node.ts";
import type { Observed } from "./observe.ts";
import { twinOf } from "./twins.ts";
import { PEERS_SECTION } from "./peers.ts";
import { isFromOther, readShare } from "./server_share.ts";
import { words } from "./words.ts";

/**
 * Reads the members of each cluster back from a file that was rendered here or by 1.0, so that a start while
 * the registry is unreachable continues with what was known. Other lines than members' are skipped. Metadata
 * is not in the file, so adopted nodes have none.
 */
export function adopt(file: string): ReadonlyMap<ClusterName, readonly Node[]> {
  const servers = new Map<
    ClusterName,
    { readonly server: string; readonly address: string; readonly line: string }[]
  >();
  const peers = new Map<ClusterName, Peer[]>();
  let keyword = "", name = "";
  for (const line of file.split("\n")) {
    const [first = "", second = "", third = ""] = words(line);
    if (/^[a-z]/.test(line)) {
      [keyword, name] = [first, second];
      if (keyword === "backend" && name !== "" && twinOf(name) === undefined) servers.set(name, []);
    } else if (keyword === "backend" && first === "server") {
      if (isFromOther(line)) continue;
      servers.get(name)?.push({ server: second, address: third, line });
    } else if (keyword === "peers" && first === "peer") {
      const endpoint = parseEndpoint(third);
      if (endpoint === undefined) continue;
      const known = peers.get(name) ?? [];
      known.push({ name: second, ip: endpoint.host, port: endpoint.port });
      peers.set(name, known);
    }
  }
  return new Map([...servers].map(([cluster, lines]) => [
    cluster,
    lines.flatMap(({ server, address, line }) => {
      const node = readNode(server, address, [...peers.get(cluster) ?? [], ...peers.get(PEERS_SECTION) ?? []]);
      return node === undefined ? [] : [{ ...node, ...readShare(line) }];
    }),
  ]));
}

/** Reads the members of each cluster back from the running process: the servers that it sends requests to. */
export function adoptRunning({ running, file = "" }: Observed): ReadonlyMap<ClusterName, readonly Node[]> {
  const others = othersIn(file);
  const backends = [...running?.backends ?? []].filter(([name]) => twinOf(name) === undefined);
  return new Map(backends.map(([cluster, servers]) => [
    cluster,
    [...servers.values()].flatMap(({ name, address, port, inMaintenance, draining }) => {
      const isNone = inMaintenance || draining || others.has(`${cluster}/${name}`);
      const node = isNone ? undefined : readNode(name, formatEndpoint({ host: address, port }), []);
      return node === undefined ? [] : [node];
    }),
  ]));
}

/** The servers of a file that are not members of their cluster, as `backend/server`. */
function othersIn(file: string): ReadonlySet<string> {
  let backend = "";
  return new Set(
    file.split("\n").flatMap((line) => {
      if (line.startsWith("backend ")) backend = words(line)[1] ?? "";
      return isFromOther(line) ? [`${backend}/${words(line)[1]}`] : [];
    }),
  );
}

/** A member's server is named `host:port` after its node; one of a backend's own lines rarely is. */
function readNode(server: string, address: string, peers: readonly Peer[]): Node | undefined {
  const endpoint = parseEndpoint(address);
  const suffix = `:${endpoint?.port}`;
  if (endpoint === undefined || !server.endsWith(suffix)) return undefined;
  const host = server.slice(0, -suffix.length);
  const peer = peers.find((peer) => peer.name === host) ?? peers.find((peer) => peer.ip === endpoint.host);
  const parsed = parseNode({ host, ip: endpoint.host, port: endpoint.port, peer, metadata: {} });
  return parsed.ok && nodeName(parsed.node) === server ? parsed.node : undefined;
}
