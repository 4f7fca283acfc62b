/**
 * The formats of files: pure functions of clusters and their nodes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { WantedCluster, WantedNode } from "../../../mod.ts";
import { formatEndpoint } from "../../../src/model/endpoint.ts";
import { isRecord } from "../../../src/model/node.ts";
import type { FileConfig, FormatName } from "./config.ts";

/** The options of formats. */
export type FormatOptions = Pick<FileConfig, "scheme" | "labels" | "domain" | "prefix">;

/** A format with one file for each cluster. */
export type ClusterFormat = (cluster: WantedCluster) => string;

/** A format with one file for all clusters. */
export interface CommonFormat {
  /** Writes the file. Throws an `Error` for clusters that it cannot distinguish. */
  readonly write: (clusters: readonly WantedCluster[], options: FormatOptions) => string;
  /** Reads which clusters a file was made of. */
  readonly clustersIn: (text: string) => readonly string[];
}

/** The nodes that get requests: ready members, of this cluster or lent by another. */
function serving({ nodes }: WantedCluster): readonly WantedNode[] {
  return nodes.filter(({ state, pool, weight }) => state === "ready" && pool === "primary" && weight !== 0);
}

function addressOf({ node: { ip, port } }: WantedNode): string {
  return formatEndpoint({ host: ip, port });
}

/** The weight written to files, which a ramp does not change. */
function weightOf({ weight, settledWeight }: WantedNode): number | undefined {
  return settledWeight ?? weight;
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The shape of synapse's `file_output`. */
const json: ClusterFormat = (cluster) =>
  pretty(
    serving(cluster).map((each) => {
      const { node } = each;
      const weight = weightOf(each);
      return {
        host: node.ip,
        port: node.port,
        name: node.host,
        ...weight !== undefined && { weight },
        ...node.labels !== undefined && { labels: node.labels },
      };
    }),
  );

/** One `DiscoveryResponse` with one `ClusterLoadAssignment`. */
const envoyEds: ClusterFormat = (cluster) => {
  const groups = new Map<string, { zone: string | undefined; priority: number; members: WantedNode[] }>();
  for (const each of cluster.nodes) {
    if (each.state === "maint" || each.pool === "overflow") continue;
    const { zone } = each.node;
    const priority = each.isFallback ? 1 : 0;
    const key = JSON.stringify([priority, zone ?? null]);
    const group = groups.get(key) ?? { zone, priority, members: [] };
    group.members.push(each);
    groups.set(key, group);
  }
  const sorted = [...groups].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, group]) => group);
  // Envoy requires priorities without a gap.
  const priorities = [...new Set(sorted.map(({ priority }) => priority))];
  const resource = {
    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    cluster_name: cluster.name,
    endpoints: sorted.map(({ zone, priority, members }) => ({
      ...zone !== undefined && { locality: { zone } },
      ...priorities.indexOf(priority) > 0 && { priority: priorities.indexOf(priority) },
      lb_endpoints: members.map((each) => {
        const { node, state } = each;
        const weight = weightOf(each);
        return {
          endpoint: {
            address: { socket_address: { address: node.ip, port_value: node.port } },
            hostname: node.host,
          },
          // A weight of 0 means no weight there.
          health_status: state === "drain" || each.weight === 0 ? "DRAINING" : "HEALTHY",
          ...weight !== undefined && weight > 0 && { load_balancing_weight: weight },
        };
      }),
    })),
  };
  return pretty({ version_info: hashOf(JSON.stringify(resource)), resources: [resource] });
};

/** A file of Traefik's file provider: JSON, which is YAML, with the clusters in a comment. */
const traefik: CommonFormat = {
  write(clusters, { scheme }) {
    const isTcp = scheme === "tcp";
    const services = Object.fromEntries(clusters.map((cluster) => {
      const servers = serving(cluster).map((each) => {
        const weight = weightOf(each);
        return isTcp
          ? { address: addressOf(each) }
          : { url: `${scheme}://${addressOf(each)}`, ...weight !== undefined && { weight } };
      });
      return [cluster.name, { loadBalancer: { servers } }];
    }));
    const body = clusters.length === 0 ? {} : { [isTcp ? "tcp" : "http"]: { services } };
    // Traefik parses the file as a Go template.
    return `${commentOf(clusters)}${pretty(body).replaceAll("{{", '{{"{{"}}')}`;
  },
  clustersIn: commented,
};

/** Targets of Prometheus' `file_sd`: a node is scraped while it is up, drained or not. */
const prometheus: CommonFormat = {
  write(clusters, { labels }) {
    return pretty(clusters.flatMap((cluster) => {
      const groups = new Map<string, { labels: Record<string, string>; targets: string[] }>();
      // A cluster without members stays known.
      if (cluster.nodes.length === 0) return [{ targets: [], labels: { ...labels, cluster: cluster.name } }];
      for (const each of cluster.nodes) {
        if (each.state === "maint" || each.from !== undefined) continue;
        const own: Record<string, string> = {
          ...labels,
          cluster: cluster.name,
          ...each.node.zone !== undefined && { zone: each.node.zone },
          ...Object.fromEntries(
            Object.entries(each.node.labels ?? {}).map(([name, value]) => [
              `__meta_lighthouse_label_${name.replaceAll(/[^A-Za-z0-9_]/g, "_")}`,
              value,
            ]),
          ),
        };
        const key = JSON.stringify(own);
        const group = groups.get(key) ?? { labels: own, targets: [] as string[] };
        group.targets.push(addressOf(each));
        groups.set(key, group);
      }
      return [...groups].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, { labels, targets }]) => ({ targets, labels }));
    }));
  },
  clustersIn(text) {
    try {
      const groups: unknown = JSON.parse(text);
      if (!Array.isArray(groups)) return [];
      const names = groups.flatMap((group) =>
        isRecord(group) && isRecord(group.labels) && typeof group.labels.cluster === "string"
          ? [group.labels.cluster]
          : []
      );
      return [...new Set(names)];
    } catch {
      return [];
    }
  },
};

/** A hosts file: each cluster's name resolves to the addresses of its members. */
const hosts: CommonFormat = {
  write(clusters, { domain }) {
    const lines = clusters.flatMap((cluster) => {
      const name = domain === "" ? cluster.name : `${cluster.name}.${domain}`;
      const addresses = new Set(serving(cluster).map(({ node: { ip } }) => ip));
      return [...addresses].map((ip) => `${ip}\t${name}\n`);
    });
    return `${commentOf(clusters)}${lines.join("")}`;
  },
  clustersIn: commented,
};

/**
 * Variables for a shell or a service manager: addresses and ports have no character that either could
 * misread.
 */
const env: CommonFormat = {
  write(clusters, { prefix }) {
    const owners = new Map<string, string>();
    const lines = clusters.map((cluster) => {
      const name = `${prefix}${cluster.name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
      const variable = /^[0-9]/.test(name) ? `_${name}` : name;
      const owner = owners.get(variable);
      if (owner !== undefined) {
        throw new Error(
          `clusters ${owner} and ${cluster.name} both map to ${variable}_ADDRESSES; rename one of them`,
        );
      }
      owners.set(variable, cluster.name);
      return `${variable}_ADDRESSES=${serving(cluster).map(addressOf).join(",")}\n`;
    });
    return `${commentOf(clusters)}${lines.join("")}`;
  },
  clustersIn: commented,
};

/** The formats with a file for each cluster. */
export const CLUSTER_FORMATS: { readonly [format in FormatName]?: ClusterFormat } = { json, "envoy-eds": envoyEds };

/** The formats with one file for all clusters. */
export const COMMON_FORMATS: { readonly [format in FormatName]?: CommonFormat } = { traefik, prometheus, hosts, env };

const COMMENT = "# Written by Lighthouse. Clusters:";

function commentOf(clusters: readonly WantedCluster[]): string {
  return `${COMMENT}${clusters.map(({ name }) => ` ${name}`).join("")}\n`;
}

function commented(text: string): readonly string[] {
  const [first = ""] = text.split("\n", 1);
  return first.startsWith(COMMENT) ? first.slice(COMMENT.length).split(" ").filter((name) => name !== "") : [];
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
