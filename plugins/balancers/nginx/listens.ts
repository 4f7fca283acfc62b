import type { Listening } from "../../../mod.ts";
import type { NginxCluster, NginxConfig } from "./config.ts";

/** The addresses that the balancer's own file makes nginx listen on: servers may share them. */
export function ownListens({ servers }: Pick<NginxConfig, "servers">): readonly Listening[] {
  const found = new Map<string, Listening>();
  for (const { name, listen } of servers) {
    listen.forEach(({ host, port }, i) => {
      const key = `${host} ${port}`;
      if (!found.has(key)) found.set(key, { host, port, path: ["servers", name, "listen", i] });
    });
  }
  return [...found.values()];
}

/** The address that a cluster's section makes nginx listen on. TCP and UDP have ports of their own. */
export function clusterListens({ server, listen, stream }: NginxCluster): readonly Listening[] {
  if (listen === undefined || server !== undefined || stream === "udp") return [];
  return [{ ...listen, path: ["listen"] }];
}

/** All addresses of TCP. */
export function listenings(config: NginxConfig, clusters: readonly NginxCluster[]): readonly Listening[] {
  return [...ownListens(config), ...clusters.flatMap(clusterListens)];
}
