import * as v from "valibot";
import type { Wanted } from "../../../mod.ts";
import { isHostName, isIpv4, isIpv6 } from "../../../src/model/endpoint.ts";
import {
  type HouseSchema,
  houseSchema,
  integer,
  type Issue,
  keys,
  list,
  mapOf,
  mapped,
  optional,
  percentage,
  refined,
  seconds,
  unwanted,
  word,
} from "../../../src/kernel/schema.ts";
import { line, linesOf } from "../lines_schema.ts";
import { readLine } from "./words.ts";

/** An address to listen on. */
export interface Address {
  /** IPv4, or IPv6 without brackets. */
  readonly host: string;
  /** The port. */
  readonly port: number;
}

/** A virtual server that clusters share: one of `servers`. */
export interface NginxServer {
  /** Its name, by which clusters refer to it. */
  readonly name: string;
  /** Where it listens. */
  readonly listen: readonly Address[];
  /**
   * The hosts whose requests it gets, as `server_name` takes them; empty for requests that no other server
   * gets.
   */
  readonly hosts: readonly string[];
  /** Whether it gets the requests for hosts of no server. */
  readonly isDefault: boolean;
  /** A path that nginx itself answers with 200. */
  readonly healthcheckRoute?: string | undefined;
  /** Paths that are answered with 403. */
  readonly deny: readonly string[];
  /** Its certificate and key; none for plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  /** Lines of its block. */
  readonly lines: readonly string[];
}

/** `balancers/nginx.yaml`, validated. */
export interface NginxConfig {
  /** The file that is written, and that nginx is started from. */
  readonly configFile: string;
  /** Where nginx writes its pid; only passed to nginx, never read. */
  readonly pidFile: string;
  /** nginx itself: a path, or a name in PATH. */
  readonly program: string;
  /** The Unix socket on which nginx reports which config it serves. */
  readonly statusSocket: string;
  /** The least time between two reloads. */
  readonly reloadIntervalMs: number;
  /** Lines of the main context. */
  readonly main: readonly string[];
  /** Lines of `events`. */
  readonly events: readonly string[];
  /** Lines of `http`. */
  readonly http: readonly string[];
  /** Lines of `stream`. */
  readonly stream: readonly string[];
  /** Sorted by name. */
  readonly servers: readonly NginxServer[];
}

/** A copy of requests for another cluster. */
export interface Mirror {
  /** The cluster that gets the copies. */
  readonly cluster: string;
  /** How many of the requests, in percent. */
  readonly percent: number;
}

/** The `nginx` section of a cluster's file, validated. */
export interface NginxCluster {
  /** The server that it is part of. */
  readonly server?: string | undefined;
  /** Its locations of that server. */
  readonly locations: readonly string[];
  /** An address of its own. */
  readonly listen?: Address | undefined;
  /** Set for connections or datagrams instead of requests. */
  readonly stream?: "tcp" | "udp" | undefined;
  /** How a member is chosen: a directive of `upstream`, or `round_robin`. */
  readonly balance: string;
  /** The status of the answer while no member gets requests. */
  readonly emptyStatus: number;
  /** How many idle connections to members each worker keeps; 0 for none. */
  readonly keepalive: number;
  /** How long nginx waits for a member. */
  readonly timeouts: {
    readonly connectMs?: number | undefined;
    readonly readMs?: number | undefined;
    readonly sendMs?: number | undefined;
  };
  /** Where copies of its requests go. */
  readonly mirror?: Mirror | undefined;
  /** Lines of each of its locations, or of its server with `stream`. */
  readonly lines: readonly string[];
}

/** The desired state of this balancer. */
export type NginxWanted = Wanted<NginxConfig, NginxCluster>;

/** The least time between two reloads, unless configured. */
const RELOAD_INTERVAL_S = 2;

/** The status while there are no members, unless configured. */
const EMPTY_STATUS = 503;

/** The longest useful timeout. */
const TIMEOUT_S_MAX = 86_400;

const LINE = "an nginx line that closes every quote and brace it opens";
/** A line that does not affect the lines around it. */
const nginxLine = v.pipe(
  line,
  v.rawCheck<string>(({ dataset, addIssue }) => {
    const read = dataset.typed ? readLine(dataset.value) : undefined;
    if (read?.ok === false) addIssue({ message: `an nginx line with ${read.why}` });
  }),
);
const lines = linesOf(nginxLine, `a list of lines, each ${LINE}`);

const PATH = "an absolute path without $, quotes, spaces or control characters";
/** A path in the config file: nginx would read a variable in some places and not in others. */
const path = v.pipe(v.string(PATH), v.regex(/^\/[^\s\p{Cc}"'$;{}\\#]+$/u, PATH));

const ADDRESS = "a port, or an address and a port such as 127.0.0.1:8080 or [::1]:8080";
const address = v.pipe(
  v.union([v.string(), v.number()], ADDRESS),
  v.rawTransform<string | number, Address>(({ dataset, addIssue, NEVER }) => {
    const read = readAddress(dataset.value);
    if (read !== undefined) return read;
    addIssue({ message: ADDRESS });
    return NEVER;
  }),
);

/** What a port alone listens on. */
const ALL_IPV4 = "0.0.0.0";

function readAddress(value: string | number): Address | undefined {
  const [, v6, other, port] = /^(?:(?:\[([^\]]*)\]|([^[\]:]*)):)?([0-9]{1,5})$/.exec(String(value)) ?? [];
  const host = v6 ?? other ?? ALL_IPV4;
  const number = Number(port);
  if (port === undefined || number < 1 || number > 65_535) return undefined;
  const isHost = v6 === undefined ? host === "*" || isIpv4(host) : isIpv6(host);
  return isHost ? { host: host === "*" ? ALL_IPV4 : host, port: number } : undefined;
}

const HOST = "a host name, which may start with *. or end with .*";
const host = v.pipe(
  v.string(HOST),
  v.check((name) => name === "_" || isHostName(name.replace(/^\*\.|\.\*$|^\./, "")), HOST),
);

const ROUTE = "a URL path that starts with /, without spaces";
const route = v.pipe(v.string(ROUTE), v.regex(/^\/[^\s\p{Cc}]*$/u, ROUTE));

const LOCATION = "an nginx location, such as /, = /exact, ^~ /prefix or ~ \\.png$";
const location = v.pipe(
  v.string(LOCATION),
  v.regex(/^(?:(?:= ?|\^~ ?)?\/[^\s\p{Cc}]*|~\*? ?[^\s\p{Cc}=~^*][^\s\p{Cc}]*|~\*? ?\^[^\s\p{Cc}]*)$/u, LOCATION),
);

const BALANCE = "round_robin, least_conn, ip_hash, random, random two, or hash KEY, which may end in consistent";
const balance = v.pipe(
  v.string(BALANCE),
  v.regex(
    /^(?:round_robin|least_conn|ip_hash|random(?: two(?: least_conn)?)?|hash [^\s\p{Cc}"'\\;{}#]+(?: consistent)?)$/u,
    BALANCE,
  ),
);

const timeout = seconds({ min: 0.001, max: TIMEOUT_S_MAX });

const NAME = "named with only letters, digits and . _ -";

/** A map that may be left empty in YAML. */
function mapOrNull<const S extends v.GenericSchema>(value: S) {
  return v.pipe(v.nullable(mapOf(value)), v.transform((map): Readonly<Record<string, v.InferOutput<S>>> => map ?? {}));
}

const balancer = houseSchema(keys({
  config_file: path,
  pid_file: path,
  status_socket: path,
  program: optional(word("the name or path of the program"), "nginx"),
  reload_interval: optional(seconds({ min: 0, max: 3_600 }), RELOAD_INTERVAL_S),
  main: optional(lines, []),
  events: optional(lines, []),
  http: optional(lines, []),
  stream: optional(lines, []),
  servers: optional(
    mapOrNull(keys({
      listen: v.pipe(list(address, `a list, each item ${ADDRESS}`), v.minLength(1, `a list, each item ${ADDRESS}`)),
      hosts: optional(list(host, `a list, each item ${HOST}`), []),
      default_server: optional(v.boolean("true or false"), false),
      healthcheck_route: optional(route),
      deny: optional(list(route, `a list, each item ${ROUTE}`), []),
      tls: optional(keys({ cert: path, key: path })),
      lines: optional(lines, []),
    })),
    {},
  ),
}));

type BalancerFile = typeof balancer extends HouseSchema<infer File> ? File : never;

/** Directives of the main context that the writer depends on. */
const OWN_DIRECTIVES: ReadonlyMap<string, string> = new Map([
  ["pid", "absent, because pid_file sets it"],
  [
    "daemon",
    "absent, because the writer starts nginx as a daemon; under a service manager, pass -g 'daemon off;' to nginx",
  ],
  ["master_process", "absent, because a reload requires a master process"],
]);

function mainFaults({ main }: Pick<BalancerFile, "main">): readonly Issue[] {
  return main.flatMap((text, i) => {
    const read = readLine(text);
    const own = read.ok ? read.directives.flatMap(([name = ""]) => OWN_DIRECTIVES.get(name) ?? []) : [];
    return own.map((wanted) => unwanted(["main", i], wanted, text));
  });
}

function serverFaults({ servers }: Pick<BalancerFile, "servers">): readonly Issue[] {
  const byListen = new Map<string, { name: string; isDefault: boolean; isTls: boolean }[]>();
  const faults: Issue[] = [];
  for (const [name, server] of sortedEntries(servers)) {
    if (!/^[A-Za-z0-9_.-]{1,64}$/.test(name)) faults.push(unwanted(["servers", name], NAME, server));
    for (const { host, port } of server.listen) {
      const key = `${host} ${port}`;
      const others = byListen.get(key) ?? [];
      byListen.set(key, [...others, { name, isDefault: server.default_server, isTls: server.tls !== undefined }]);
      const other = others.find(({ isDefault }) => isDefault);
      if (server.default_server && other !== undefined) {
        const wanted = `false, because server ${other.name} is already the default of port ${port}`;
        faults.push(unwanted(["servers", name, "default_server"], wanted, true));
      }
      const mixed = others.find(({ isTls }) => isTls !== (server.tls !== undefined));
      if (mixed !== undefined) {
        const wanted = `the same as in server ${mixed.name}, which shares port ${port}: both with tls, or both without`;
        faults.push(unwanted(["servers", name, "tls"], wanted, server.tls));
      }
    }
  }
  return faults;
}

function sortedEntries<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).toSorted(([a], [b]) => a < b ? -1 : 1);
}

/** Validates `balancers/nginx.yaml`. */
export const balancerSchema: HouseSchema<NginxConfig> = mapped(
  refined(refined(balancer, mainFaults, ["main"]), serverFaults, ["servers"]),
  (file): NginxConfig => ({
    configFile: file.config_file,
    pidFile: file.pid_file,
    program: file.program,
    statusSocket: file.status_socket,
    reloadIntervalMs: file.reload_interval * 1_000,
    main: file.main,
    events: file.events,
    http: file.http,
    stream: file.stream,
    servers: sortedEntries(file.servers).map(([name, server]) => ({
      name,
      listen: server.listen,
      hosts: server.hosts,
      isDefault: server.default_server,
      healthcheckRoute: server.healthcheck_route,
      deny: server.deny,
      tls: server.tls,
      lines: server.lines,
    })),
  }),
);

const clusterKeys = houseSchema(keys({
  server: optional(word("the name of a server in the balancer's file")),
  locations: optional(list(location, `a list, each item ${LOCATION}`), ["/"]),
  listen: optional(address),
  stream: optional(v.picklist(["tcp", "udp"], "tcp or udp")),
  balance: optional(balance, "round_robin"),
  empty_status: optional(integer({ min: 400, max: 599 }), EMPTY_STATUS),
  keepalive: optional(integer({ min: 0, max: 65_535 }), 0),
  timeouts: optional(keys({ connect: optional(timeout), read: optional(timeout), send: optional(timeout) }), {}),
  mirror: optional(keys({
    cluster: word("the name of a cluster"),
    percent: optional(percentage({ min: 1 }), 100),
  })),
  lines: optional(lines, []),
}));

type ClusterFile = typeof clusterKeys extends HouseSchema<infer File> ? File : never;

/** Checks across the keys of a section. */
function clusterFaults(file: ClusterFile): readonly Issue[] {
  const { server, listen, stream, locations, balance, keepalive, timeouts, mirror } = file;
  const faults: Issue[] = [];
  if (server !== undefined && listen !== undefined) {
    faults.push(
      unwanted(["listen"], "absent when server is set, because the server defines the addresses", listen.port),
    );
  }
  if (locations.length === 0) faults.push(unwanted(["locations"], "a list of at least one location", locations));
  if (stream === undefined) return faults;
  const onlyHttp = "absent when stream is set, because the key is for HTTP only";
  if (server !== undefined) faults.push(unwanted(["server"], onlyHttp, server));
  if (listen === undefined) {
    faults.push(unwanted(["stream"], "omitted, or set together with listen, which is the port of the stream", stream));
  }
  if (balance === "ip_hash") {
    faults.push(
      unwanted(["balance"], "hash $remote_addr when stream is set, because streams have no ip_hash", balance),
    );
  }
  if (keepalive > 0) faults.push(unwanted(["keepalive"], onlyHttp, keepalive));
  if (timeouts.send !== undefined) {
    faults.push(
      unwanted(
        ["timeouts", "send"],
        "absent when stream is set, because timeouts.read applies to both directions",
        timeouts.send,
      ),
    );
  }
  if (mirror !== undefined) faults.push(unwanted(["mirror"], onlyHttp, mirror));
  return faults;
}

const cluster: HouseSchema<NginxCluster> = mapped(
  refined(clusterKeys, (file) => clusterFaults(file as ClusterFile)),
  (file): NginxCluster => ({
    server: file.server,
    locations: [...new Set(file.locations)],
    listen: file.listen,
    stream: file.stream,
    balance: file.balance,
    emptyStatus: file.empty_status,
    keepalive: file.keepalive,
    timeouts: {
      connectMs: inMs(file.timeouts.connect),
      readMs: inMs(file.timeouts.read),
      sendMs: inMs(file.timeouts.send),
    },
    mirror: file.mirror,
    lines: file.lines,
  }),
);

function inMs(timeoutS: number | undefined): number | undefined {
  return timeoutS === undefined ? undefined : Math.round(timeoutS * 1_000);
}

/** Validates the `nginx` section of a cluster's file. */
export const clusterSchema: HouseSchema<NginxCluster> = cluster;
