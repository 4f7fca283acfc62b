/**
 * Where aurproxy's nginx listens, as nginx and as HAProxy: servers, hosts,
 * locations, and what is answered without a node. Pure.
 *
 * @module
 */
import type { HealthCheck } from "./aurproxy_shares.ts";
import { FileNames, type FileValue } from "./config_files.ts";
import type { Key } from "./report.ts";

/** A cluster as far as it does not depend on the balancer. */
export interface ConvertedCluster {
  readonly name: string;
  readonly value: FileValue;
  /** The check of its nodes, which is in `value`, too. */
  readonly health?: HealthCheck | undefined;
  readonly isOff: boolean;
  readonly notes: readonly string[];
}

/** One of aurproxy's servers. */
export interface Frontend {
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  readonly portsKey: Key | undefined;
  readonly isStream: boolean;
  readonly healthcheckRoute: Key | undefined;
  readonly context: Key | undefined;
  readonly routes: readonly {
    readonly locations: Key | undefined;
    readonly emptyStatus: Key | undefined;
    readonly cluster: ConvertedCluster;
  }[];
}

/** A balancer's file, and its section in each cluster. */
export interface Frontends {
  readonly file: FileValue;
  readonly sections: readonly { readonly cluster: ConvertedCluster; readonly section: FileValue }[];
}

/** What of the config is the balancer's alone. */
interface Shared {
  readonly root: Key;
  /** In seconds. */
  readonly reloadInterval: number;
}

const TIMEOUTS = { connect: "proxy_connect_timeout", read: "proxy_read_timeout", send: "proxy_send_timeout" } as const;

/** nginx: aurproxy's servers are servers, its routes are locations. */
export function nginxFrontends(frontends: readonly Frontend[], { root, reloadInterval }: Shared): Frontends {
  const where = "balancers/nginx.yaml";
  const context = root.get("context");
  const line = (name: string, list: string) => {
    const key = context?.get(name);
    const text = key?.take(/^[\w.]+$/.test(key.text ?? "") ? key.text : undefined, "a word", `${where}: ${list}`);
    return text === undefined ? [] : [`${name} ${text};`];
  };
  const [config, pid] = [root.get("configuration_file"), root.get("nginx_pid_path")];
  const names = new FileNames();
  const servers: Record<string, FileValue> = {};
  const sections = frontends.flatMap((frontend) => {
    if (frontend.isStream) return nginxStream(frontend);
    const name = names.nearest((frontend.hosts[0] ?? `port-${frontend.ports[0] ?? 0}`).replaceAll(/[^\w.-]/g, "-"));
    servers[name] = nginxServer(frontend, `${where}: servers.${name}`);
    return nginxRoutes(frontend, name);
  });
  const lists = {
    main: [...line("worker_processes", "main"), ...line("worker_rlimit_nofile", "main")],
    events: line("worker_connections", "events"),
    http: [...line("keepalive_timeout", "http"), ...line("client_max_body_size", "http")],
  };
  return {
    file: {
      config_file: config?.take(config.text, "a path", `${where}: config_file`) ?? "/etc/aurproxy/nginx/nginx.conf",
      pid_file: pid?.take(pid.text, "a path", `${where}: pid_file`) ?? "/var/run/nginx.pid",
      status_socket: "/run/lighthouse/nginx.sock",
      reload_interval: reloadInterval,
      ...Object.fromEntries(Object.entries(lists).filter(([, lines]) => lines.length > 0)),
      ...Object.keys(servers).length > 0 && { servers },
    },
    sections,
  };
}

function nginxServer({ hosts, ports, healthcheckRoute, context }: Frontend, where: string): FileValue {
  const isDefault = context?.get("default_server");
  isDefault?.converted(`${where}.default_server`);
  const deny = context?.get("location_blacklist");
  const denied = deny?.take(deny.texts, "a list of paths", `${where}.deny`) ?? [];
  context?.get("overflow_port")?.unsupported("overflow nodes form a separate cluster; set overflow_sources instead");
  const send = context?.get("send_timeout");
  const seconds = send?.take(send.number, "a number of seconds", `${where}.lines`);
  const route = healthcheckRoute?.take(healthcheckRoute.text, "a path", `${where}.healthcheck_route`);
  return {
    listen: ports.map((port) => `0.0.0.0:${port}`),
    ...hosts.length > 0 && { hosts },
    ...isTrue(isDefault) && { default_server: true },
    ...route !== undefined && { healthcheck_route: route },
    ...denied.length > 0 && { deny: denied },
    ...seconds !== undefined && { lines: [`send_timeout ${seconds}s;`] },
  };
}

/** aurproxy's templates want the string `True`. */
function isTrue(key: Key | undefined): boolean {
  return key?.value === true || key?.text?.toLowerCase() === "true";
}

function nginxRoutes({ routes, context }: Frontend, server: string): Frontends["sections"] {
  const timeouts = timeoutsOf(context);
  return routes.map(({ locations, emptyStatus, cluster }) => {
    const where = `clusters/${cluster.name}.yaml: nginx`;
    const paths = locations?.take(locations.texts, "a list of locations", `${where}.locations`);
    const status = emptyStatus?.take(emptyStatus.number, "a status", `${where}.empty_status`);
    const section = {
      server,
      ...paths !== undefined && { locations: paths },
      balance: "least_conn",
      ...status !== undefined && { empty_status: status },
      keepalive: 512,
      ...Object.keys(timeouts).length > 0 && { timeouts },
      lines: ["proxy_next_upstream off;"],
    };
    return { cluster, section: { nginx: section } };
  });
}

function timeoutsOf(context: Key | undefined): FileValue {
  return Object.fromEntries(
    Object.entries(TIMEOUTS).flatMap(([name, given]) => {
      const key = context?.get(given);
      const seconds = key?.take(key.number, "a number of seconds", `timeouts.${name}`);
      return seconds === undefined ? [] : [[name, seconds]];
    }),
  );
}

/** Each port of a stream is a cluster of its own, as a cluster listens once. */
function nginxStream(frontend: Frontend): Frontends["sections"] {
  const { read, connect } = timeoutsOf(frontend.context);
  const timeouts = { ...connect !== undefined && { connect }, ...read !== undefined && { read } };
  return streams(frontend, (port) => ({
    nginx: {
      listen: `0.0.0.0:${port}`,
      stream: "tcp",
      balance: "least_conn",
      ...Object.keys(timeouts).length > 0 && { timeouts },
    },
  }));
}

function streams(
  { routes, ports }: Frontend,
  sectionOf: (port: number) => FileValue,
): Frontends["sections"] {
  return routes.flatMap(({ cluster }) =>
    ports.map((port, i) => ({
      cluster: i === 0 ? cluster : { ...cluster, name: `${cluster.name}-${port}` },
      section: sectionOf(port),
    }))
  );
}

/** HAProxy: a server with one route is a frontend of a cluster, others are meta clusters. */
export function haproxyFrontends(frontends: readonly Frontend[], { root, reloadInterval }: Shared): Frontends {
  const where = "balancers/haproxy.yaml";
  for (const name of ["configuration_file", "nginx_pid_path"]) root.get(name)?.replaced(`the file paths in ${where}`);
  for (const key of root.get("context")?.children ?? []) {
    key.unsupported("an nginx directive; write HAProxy lines instead");
  }
  const meta: Record<string, FileValue> = {};
  const names = new FileNames();
  const sections = frontends.flatMap((frontend) => {
    const { ports, isStream, routes, portsKey } = frontend;
    if (isStream) return streams(frontend, (port) => ({ haproxy: tcpSection(port) }));
    const [port] = ports;
    if (port === undefined) return [];
    if (ports.length > 1) portsKey?.unsupported("with HAProxy, a server listens on one port; the first port is used");
    const neighbours = frontends.filter((each) => !each.isStream && each.ports[0] === port);
    const lines = haproxyFrontend(frontend);
    const paths = routes.map(({ locations }) => locations?.texts ?? []);
    const isAlone = neighbours.length === 1 && routes.length === 1 && paths[0]?.length === 1 && paths[0][0] === "/";
    if (isAlone) return haproxyRoutes(frontend, () => ({ port, frontend: lines }));
    const known = Object.entries(meta).find(([, { port: taken }]) => taken === port)?.[0];
    const name = known ?? names.nearest(frontend.hosts[0]?.replaceAll(/[^\w.-]/g, "-") ?? `port-${port}`);
    const before = meta[name]?.["frontend"];
    meta[name] = { port, frontend: [...new Set([...Array.isArray(before) ? before : [], ...lines])] };
    const own = paths.flat();
    return haproxyRoutes(frontend, (locations) => ({ acl: aclOf(locations, { own, frontend, neighbours }) }), name);
  });
  return {
    file: {
      config_file: "/etc/haproxy/haproxy.cfg",
      socket_file: "/run/haproxy/admin.sock",
      pid_file: "/run/haproxy.pid",
      restart_interval: reloadInterval,
      defaults: [
        ...["mode http", "timeout connect 60s", "timeout client 60s", "timeout server 60s"],
        ...["retries 2", "option redispatch", "option forwardfor"],
      ],
      ...Object.keys(meta).length > 0 && { meta_clusters: meta },
    },
    sections,
  };
}

function tcpSection(port: number): FileValue {
  return { port, frontend: ["mode tcp"], backend: ["mode tcp", "balance leastconn"] };
}

/** The lines of a frontend: what HAProxy itself answers. */
function haproxyFrontend({ healthcheckRoute, context }: Frontend): readonly string[] {
  const route = healthcheckRoute?.take(
    healthcheckRoute.text,
    "a path",
    "monitor-uri in haproxy.frontend of the cluster's file",
  );
  const deny = context?.get("location_blacklist");
  const denied =
    deny?.take(deny.texts, "a list of paths", "http-request deny in haproxy.frontend of the cluster's file") ?? [];
  context?.get("default_server")?.converted(
    "requests for hosts without a frontend of their own are routed to this backend",
  );
  for (const name of ["overflow_port", "send_timeout"]) context?.get(name)?.unsupported("an nginx directive");
  return [
    "mode http",
    ...route === undefined ? [] : [`monitor-uri ${route}`],
    ...denied.map((path) => `http-request deny if { path_beg ${path} }`),
  ];
}

function haproxyRoutes(
  { routes, context }: Frontend,
  listenOf: (locations: readonly string[]) => FileValue,
  metaCluster?: string,
): Frontends["sections"] {
  const { connect, read } = timeoutsOf(context);
  const timeouts = [
    ...connect === undefined ? [] : [`timeout connect ${connect}s`],
    ...read === undefined ? [] : [`timeout server ${read}s`],
  ];
  return routes.map(({ locations, emptyStatus, cluster }) => {
    const where = `clusters/${cluster.name}.yaml: haproxy`;
    const paths = locations?.take(locations.texts, "a list of locations", `${where}.acl`) ?? [];
    if (emptyStatus?.number === 503) emptyStatus.converted("HAProxy responds with 503");
    else emptyStatus?.unsupported("HAProxy responds with 503 while a cluster has no nodes");
    const { value, health } = checkedByHaproxy(cluster);
    const section = {
      ...listenOf(paths),
      backend: ["mode http", "balance leastconn", ...timeouts, ...health?.lines ?? []],
      ...health !== undefined && { server_options: health.options },
    };
    const meta = metaCluster === undefined ? {} : { meta_cluster: metaCluster };
    return { cluster: { ...cluster, value: { ...value, ...meta } }, section: { haproxy: section } };
  });
}

/** HAProxy checks by itself, unless the check is of another port than the one that is served. */
function checkedByHaproxy(
  { value, health }: ConvertedCluster,
): { readonly value: FileValue; readonly health?: { readonly lines: readonly string[]; readonly options: string } } {
  if (health === undefined || health.hasPort) return { value };
  const { route, method, intervalS, rise, fall } = health;
  const traffic = typeof value["traffic"] === "object" ? { ...value["traffic"] } as Record<string, unknown> : {};
  delete traffic["health"];
  const { traffic: _traffic, ...rest } = value;
  return {
    value: { ...rest, ...Object.keys(traffic).length > 0 && { traffic } },
    health: {
      lines: [`option httpchk ${method} ${route}`, "http-check expect status 200"],
      options: `check inter ${intervalS}s rise ${rise} fall ${fall}`,
    },
  };
}

/** The requests of a location: whatever the order of conditions, the longest location that fits has it. */
function aclOf(
  locations: readonly string[],
  { own, frontend, neighbours }: {
    readonly own: readonly string[];
    readonly frontend: Frontend;
    readonly neighbours: readonly Frontend[];
  },
): string {
  const paths = locations.map((location) => {
    const longer = own.filter((each) => each !== location && each.startsWith(location));
    const not = longer.length === 0
      ? ""
      : `(?!${longer.map((each) => escaped(each.slice(location.length))).join("|")})`;
    return `${escaped(location)}${not}`;
  });
  const path = paths.length === 1 ? paths[0] ?? "/" : `(?:${paths.join("|")})`;
  if (neighbours.length === 1) return `path_reg ^${path}`;
  const isDefault = isTrue(frontend.context?.get("default_server"));
  const others = neighbours.filter((each) => each !== frontend).flatMap(({ hosts }) => hosts);
  const oneOf = (hosts: readonly string[]) => `(?:${hosts.map(escaped).join("|")})(?::[0-9]+)?`;
  return `base_reg -i ^${isDefault ? `(?!${oneOf(others)}/)[^/]*` : oneOf(frontend.hosts)}${path}`;
}

/** A string in a regular expression in a line of HAProxy, where a backslash would need another. */
function escaped(text: string): string {
  return text.replaceAll(/[.*+?$()[\]{}|#]/g, "[$&]");
}
