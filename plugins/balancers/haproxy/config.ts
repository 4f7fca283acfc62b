import * as v from "valibot";
import type { Wanted } from "../../../mod.ts";
import {
  type HouseSchema,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  mapOf,
  mapped,
  milliseconds,
  optional,
  percentage,
  refined,
  seconds,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { isOneLine, line, lines, ONE_LINE } from "../lines_schema.ts";

/** A listener with servers of its own, beside the clusters: one of `proxies`. */
export interface Proxy {
  /** The name of its `listen` section. */
  readonly name: string;
  /** The address it binds to; empty for all. */
  readonly bindAddress: string;
  /** The port it binds to. */
  readonly port: number;
  /** Lines of its section. */
  readonly options: readonly string[];
  /** Its servers. */
  readonly upstreams: readonly {
    readonly host: string;
    readonly port: number;
    readonly maxConn?: number | undefined;
  }[];
}

/** One frontend before several clusters, each chosen by its acl: one of `meta_clusters`. */
export interface MetaCluster {
  /** Its name, by which clusters refer to it. */
  readonly name: string;
  /** The port of its frontend. */
  readonly port: number;
  /** Lines of its frontend. */
  readonly frontend: readonly string[];
}

/** `balancers/haproxy.yaml`, validated. */
export interface HaproxyConfig {
  /** The config file that is written and that HAProxy is started from. */
  readonly configFile: string;
  /** The admin socket of HAProxy. */
  readonly socketFile: string;
  /** Where HAProxy writes its pid; only passed to HAProxy, never read. */
  readonly pidFile: string;
  /** HAProxy itself: a path, or a name to be found by PATH. */
  readonly program: string;
  /**
   * Which lines are passed on: `predecessor` for those that 1.0 passed on, `all` for all; if absent all are
   * passed on, with a notice for those that 1.0 left out.
   */
  readonly directives?: "predecessor" | "all" | undefined;
  /** Lines of `global`. */
  readonly global: readonly string[];
  /** Lines of `defaults`. */
  readonly defaults: readonly string[];
  /** The address that frontends of clusters and meta clusters bind to; empty for all. */
  readonly bindAddress: string;
  /** Sorted by name. */
  readonly metaClusters: readonly MetaCluster[];
  /** Sorted by name. */
  readonly proxies: readonly Proxy[];
  /** The web page with statistics, if configured. */
  readonly stats?: {
    readonly port: number;
    readonly uri: string;
    /** In the order in which they are rendered, as whole milliseconds. */
    readonly timeouts: readonly { readonly name: "client" | "connect" | "server"; readonly ms: number }[];
  } | undefined;
  /** The least time between two reloads. */
  readonly restartIntervalMs: number;
  /** A reload waits for a random part of this time. */
  readonly reloadJitterMs: number;
  /** The socket of a master process that the writer starts and reloads through. */
  readonly masterSocket?: string | undefined;
  /** The command that starts and reloads HAProxy in place of the writer: a service manager's. */
  readonly reloadCommand?: readonly string[] | undefined;
  /** How long that command may take. */
  readonly reloadTimeoutMs: number;
}

/** The `haproxy` section of a cluster's file, validated. */
export interface HaproxyCluster {
  /** The port of the cluster's frontend; no frontend without it. */
  readonly port?: number | undefined;
  /** The condition on which its meta cluster chooses it. */
  readonly acl?: string | undefined;
  /** Lines of its frontend. */
  readonly frontend: readonly string[];
  /** Lines of its backend. */
  readonly backend: readonly string[];
  /** Appended to each of its server lines. */
  readonly serverOptions: string;
  /** How long a server that left is drained before it is deleted. */
  readonly drainTimeoutMs: number;
  /** Whether the connections that it still has by then are closed. */
  readonly closeAfterDrain: boolean;
  /** With fewer of its servers up, in percent, requests go to all of them; never if 0. */
  readonly panicThreshold: number;
}

/** The desired state of this balancer. */
export type HaproxyWanted = Wanted<HaproxyConfig, HaproxyCluster>;

/** The default for the least time between two reloads: that of 1.0. */
const RESTART_INTERVAL_S = 2;

/** The default for how long a reload command may take: a service manager may wait for a start. */
const RELOAD_TIMEOUT_S = 30;

/** A name that HAProxy accepts for a section or a server. */
export function isSectionName(name: string): boolean {
  return /^[A-Za-z0-9_.:-]{1,255}$/.test(name);
}

const PATH = "a path without control characters";
const path = v.pipe(v.string(PATH), v.minLength(1, PATH), v.check(isOneLine, PATH));

/** HAProxy splits at spaces, and takes a comma as the start of its own options. */
const socketPath = v.pipe(v.string(PATH), v.regex(/^[^\s\p{Cc}]+$/u, "a path without spaces"));

/** The values of `directives`. */
const DIRECTIVES = ["predecessor", "all"] as const;

const COMMAND = "a list of a program and its arguments, each a string";

const ADDRESS = "an address to bind to, without spaces";
const bindAddress = v.pipe(
  v.nullable(v.pipe(v.string(ADDRESS), v.regex(/^[^\s\p{Cc}]*$/u, ADDRESS))),
  v.transform((address) => address ?? ""),
);

const HOST = "a host name or an address, without spaces";
const host = v.pipe(v.string(HOST), v.regex(/^[^\s\p{Cc}]+$/u, HOST));

const port = integer({ min: 1, max: 65_535 });
const timeout = milliseconds({ min: 0, max: 2_147_483_647 });

/** A map that may be left empty in YAML. */
function mapOrNull<const S extends v.GenericSchema>(value: S) {
  return v.pipe(v.nullable(mapOf(value)), v.transform((map): Readonly<Record<string, v.InferOutput<S>>> => map ?? {}));
}

function sortedEntries<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).toSorted(([a], [b]) => a < b ? -1 : 1);
}

const balancer = houseSchema(
  keys({
    config_file: path,
    socket_file: socketPath,
    pid_file: path,
    program: optional(word("the name or path of the program"), "haproxy"),
    directives: optional(v.picklist(DIRECTIVES, DIRECTIVES.join(" or "))),
    global: optional(lines, []),
    defaults: optional(lines, []),
    bind_address: optional(bindAddress, ""),
    meta_clusters: optional(mapOrNull(keys({ port: optional(port), frontend: optional(lines, []) })), {}),
    meta_cluster_ports: optional(mapOrNull(port), {}),
    proxies: optional(
      mapOrNull(keys({
        port,
        upstreams: list(keys({ host, port, max_conn: optional(integer({ min: 0 })) })),
        options: optional(lines, []),
        bind_address: optional(bindAddress, ""),
      })),
      {},
    ),
    stats: optional(keys({
      port,
      uri: optional(v.pipe(v.string(ONE_LINE), v.regex(/^[^\s\p{Cc}]+$/u, "a URL path without spaces")), "/"),
      timeouts: optional(
        keys({ client: optional(timeout), connect: optional(timeout), server: optional(timeout) }),
        {},
      ),
    })),
    restart_interval: optional(seconds({ min: 0, max: 3_600 }), RESTART_INTERVAL_S),
    reload_jitter: optional(seconds({ min: 0, max: 3_600 }), 0),
    master_socket: optional(socketPath),
    reload_command: optional(
      v.pipe(list(v.pipe(v.string(COMMAND), v.minLength(1, COMMAND)), COMMAND), v.minLength(1, COMMAND)),
    ),
    reload_timeout: optional(seconds({ min: 1, max: 600 }), RELOAD_TIMEOUT_S),
  }),
);

/** Names of sections come from keys. */
function nameFaults(key: "meta_clusters" | "meta_cluster_ports" | "proxies", map: object): readonly Issue[] {
  const wanted = "named with only letters, digits and . : _ -, as HAProxy requires";
  return Object.entries(map).flatMap(([name, value]) =>
    isSectionName(name) ? [] : [unwanted([key, name], wanted, value)]
  );
}

type BalancerFile = typeof balancer extends HouseSchema<infer File> ? File : never;

/** Checks across keys, each with the keys that it needs: a fault elsewhere hides none of them. */
const RULES: readonly {
  readonly of: readonly (keyof BalancerFile)[];
  readonly faults: (file: BalancerFile) => readonly Issue[];
}[] = [
  { of: ["meta_clusters"], faults: (file) => nameFaults("meta_clusters", file.meta_clusters) },
  { of: ["meta_cluster_ports"], faults: (file) => nameFaults("meta_cluster_ports", file.meta_cluster_ports) },
  { of: ["proxies"], faults: (file) => nameFaults("proxies", file.proxies) },
  {
    of: ["master_socket", "reload_command"],
    faults: ({ master_socket, reload_command }) =>
      master_socket === undefined || reload_command === undefined ? [] : [
        unwanted(
          ["reload_command"],
          "absent when master_socket is set, because only one reload method is allowed",
          reload_command,
        ),
      ],
  },
  {
    of: ["config_file", "socket_file", "pid_file", "master_socket"],
    faults: (file) => {
      const keys = ["config_file", "socket_file", "pid_file", "master_socket"] as const;
      return keys.flatMap((key, at) => {
        const other = keys.slice(0, at).find((each) => file[each] === file[key]);
        return file[key] === undefined || other === undefined
          ? []
          : [unwanted([key], `a path other than that of ${other}`, file[key])];
      });
    },
  },
  {
    of: ["meta_clusters", "meta_cluster_ports"],
    faults: ({ meta_clusters, meta_cluster_ports }) =>
      Object.entries(meta_clusters).flatMap(([name, meta]) =>
        meta.port === undefined && meta_cluster_ports[name] === undefined
          ? [unwanted(["meta_clusters", name], "a map with a port", meta)]
          : []
      ),
  },
];

/** Validates `balancers/haproxy.yaml`. */
export const balancerSchema: HouseSchema<HaproxyConfig> = mapped(
  RULES.reduce((schema, { of, faults }) => refined(schema, (file) => faults(file as BalancerFile), of), balancer),
  (file): HaproxyConfig => ({
    configFile: file.config_file,
    socketFile: file.socket_file,
    pidFile: file.pid_file,
    program: file.program,
    directives: file.directives,
    global: file.global,
    defaults: file.defaults,
    bindAddress: file.bind_address,
    metaClusters: sortedEntries({ ...emptyMetas(file.meta_cluster_ports), ...file.meta_clusters }).map((
      [name, meta],
    ) => ({
      name,
      // The check above has made sure that one of the two is there.
      port: (meta.port ?? file.meta_cluster_ports[name]) as number,
      frontend: meta.frontend,
    })),
    proxies: sortedEntries(file.proxies).map(([name, proxy]) => ({
      name,
      bindAddress: proxy.bind_address,
      port: proxy.port,
      options: proxy.options,
      upstreams: proxy.upstreams.map((upstream) => ({
        host: upstream.host,
        port: upstream.port,
        maxConn: upstream.max_conn,
      })),
    })),
    stats: file.stats === undefined ? undefined : {
      port: file.stats.port,
      uri: file.stats.uri,
      timeouts: (["client", "connect", "server"] as const).flatMap((name) => {
        const ms = file.stats?.timeouts[name];
        return ms === undefined ? [] : [{ name, ms }];
      }),
    },
    restartIntervalMs: file.restart_interval * 1_000,
    reloadJitterMs: file.reload_jitter * 1_000,
    masterSocket: file.master_socket,
    reloadCommand: file.reload_command,
    reloadTimeoutMs: file.reload_timeout * 1_000,
  }),
);

function emptyMetas(
  ports: Readonly<Record<string, number>>,
): Record<string, { port: number; frontend: readonly string[] }> {
  return Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, { port, frontend: [] }]));
}

const cluster = v.pipe(
  v.nullable(keys({
    port: optional(port),
    acl: optional(line),
    frontend: optional(lines, []),
    backend: optional(lines, []),
    server_options: optional(v.pipe(v.nullable(line), v.transform((options) => options ?? "")), ""),
    drain_timeout: optional(seconds({ min: 0, max: 86_400 }), 0),
    close_after_drain: optional(v.boolean("true or false"), false),
    panic_threshold: optional(percentage(), 0),
  })),
  v.transform((section): HaproxyCluster => ({
    port: section?.port,
    acl: section?.acl,
    frontend: section?.frontend ?? [],
    backend: section?.backend ?? [],
    serverOptions: section?.server_options ?? "",
    drainTimeoutMs: (section?.drain_timeout ?? 0) * 1_000,
    closeAfterDrain: section?.close_after_drain ?? false,
    panicThreshold: section?.panic_threshold ?? 0,
  })),
);

/** Validates the `haproxy` section of a cluster's file. */
export const clusterSchema: HouseSchema<HaproxyCluster> = houseSchema(cluster);
