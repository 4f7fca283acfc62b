/**
 * aurproxy's command line and config to `clusters/` and `balancers/`. Pure.
 *
 * @module
 */
import { isIpv4, isIpv6 } from "../model/endpoint.ts";
import { isRecord } from "../model/node.ts";
import { adjusted, type Adjustment } from "./aurproxy_shares.ts";
import { ConfigFiles, FileNames, type FileValue } from "./config_files.ts";
import { type Frontend, haproxyFrontends, nginxFrontends } from "./aurproxy_frontends.ts";
import { type Document, type Imported, type Key, Ledger, portOf } from "./report.ts";
import { absolute, zookeeperRegistry } from "./zookeeper.ts";

/** Balancer that replaces aurproxy's nginx. */
export type AurproxyBalancer = "nginx" | "haproxy";

/** What aurproxy is started with. */
export interface AurproxyInput {
  readonly commandLine: Document;
  /** `--config`. */
  readonly config?: Document | undefined;
  /** `--mirror_source` or `--replay_source`. */
  readonly source?: Document | undefined;
  readonly balancer: AurproxyBalancer;
}

/** The options of aurproxy that may be given several times. */
export const AURPROXY_LISTS: readonly string[] = ["registration_arg", "metric_publisher_arg"];
/** The options that are followed by no value. */
export const AURPROXY_FLAGS: readonly string[] = ["setup", "write"];

const OPTIONS_REPLACED: Readonly<Record<string, string>> = {
  update_period: "changes are applied as soon as they arrive",
  metric_publisher_class: "--status ADDRESS serves /metrics in the Prometheus format",
  metric_publisher_arg: "--status ADDRESS serves /metrics in the Prometheus format",
  sentry_dsn: "notifiers/, or logging.yaml",
  mirror_pid_path: "pid_file of the mirror balancer: /run/lighthouse/mirror.pid",
  replay_pid_path: "pid_file of the replay balancer: /run/lighthouse/replay.pid",
};

/** Where gor is, and how it is called. */
const GOR = ["/opt/go/bin/gor", "-output-http-stats", "-stats"];

/** What the parts of an import share. */
interface Context {
  readonly files: ConfigFiles;
  readonly names: FileNames;
  /** `warm_up`, where shares change. */
  readonly warmUp: number;
}

/** Converts what aurproxy is started with. */
export function importAurproxy({ commandLine, config, source, balancer }: AurproxyInput): Imported {
  const ledger = new Ledger(commandLine);
  const options = ledger.root;
  const files = new ConfigFiles("aurproxy");
  for (const [name, by] of Object.entries(OPTIONS_REPLACED)) options.get(name)?.replaced(by);
  options.get("setup")?.replaced("lighthouse writer DIR --once --no-reload");
  const words = options.get("arguments");
  const command = words?.texts?.at(-1);
  words?.converted(`${command}: the command`);
  const port = options.get("management_port");
  port?.take(portOf(port), "a port", `lighthouse writer DIR --lifecycle 0.0.0.0:${port.text}`);
  convertRegistration(options);
  const delay = options.get("weight_adjustment_delay_seconds");
  const warmUp = delay?.take(delay.number, "a number of seconds", "traffic.warm_up in each cluster") ?? 180;
  const context: Context = { files, names: new FileNames(), warmUp: Math.min(3_600, warmUp) };
  const ledgers = [ledger];
  if (config !== undefined) {
    const ofConfig = new Ledger(config);
    ledgers.push(ofConfig);
    options.get("config")?.converted("balancers/ and clusters/");
    const frequency = options.get("max_update_frequency");
    const seconds = frequency?.take(frequency.number, "a number of seconds", "the minimum interval between reloads") ??
      10;
    options.get("backend")?.converted(balancer);
    convertConfig(ofConfig.root, { ...context, balancer, reloadInterval: Math.min(3_600, seconds) });
  }
  if (source !== undefined) {
    const ofSource = new Ledger(source);
    ledgers.push(ofSource);
    convertGor(ofSource.root, options, context);
  }
  return { files: files.all, report: ledgers.flatMap((each) => each.end()) };
}

function convertRegistration(options: Key): void {
  const by = options.get("registration_class");
  const isNone = by?.text?.endsWith("NoOpRegisterer") === true;
  if (isNone) by?.converted("no registration");
  else by?.unsupported("Lighthouse does not register hosts in cloud load balancers or DNS zones");
  options.get("registration_arg")?.unsupported("see the reason for registration_class");
  for (const name of ["registration_source", "write"]) {
    options.get(name)?.replaced("lighthouse bridge copies the nodes of one registry to another");
  }
}

function convertConfig(
  root: Key,
  context: Context & { readonly balancer: AurproxyBalancer; readonly reloadInterval: number },
): void {
  const { files, balancer, reloadInterval } = context;
  root.get("backend")?.converted(balancer);
  root.get("template_file")?.unsupported(
    "move the directives to main, events and http in the balancer's file, and to the cluster files",
  );
  const frontends = (root.get("servers")?.children ?? []).map((server) => convertServer(server, context));
  const stats = root.get("stats_port");
  stats?.replaced("--status ADDRESS serves the balancer's counters at /metrics");
  const make = balancer === "nginx" ? nginxFrontends : haproxyFrontends;
  const { file, sections } = make(frontends, { root, reloadInterval });
  files.add(`balancers/${balancer}`, file);
  for (const { cluster, section } of sections) {
    const { value, notes, isOff } = cluster;
    files.add(`clusters/${cluster.name}`, { ...value, ...section }, { notes, isOff });
  }
}

function convertServer(key: Key, context: Context & { readonly balancer: AurproxyBalancer }): Frontend {
  const { balancer } = context;
  const hosts = key.get("hosts");
  const ports = key.get("ports");
  const numbers = (ports?.children ?? []).map((each) => portOf(each));
  const valid = numbers.every((each) => each !== undefined);
  if (balancer === "nginx" || numbers.length === 1 || !valid || key.has("streams")) {
    ports?.take(valid ? numbers : undefined, "a list of ports", "the listen ports");
  }
  const isStream = key.has("streams");
  const parts = key.get(isStream ? "streams" : "routes")?.children ?? [];
  if (isStream && key.has("routes")) key.get("routes")?.unsupported("a server has either routes or streams");
  return {
    portsKey: ports,
    hosts: hosts?.take(hosts.texts, "a list of hosts", "the server's host names") ?? [],
    ports: numbers.filter((each) => each !== undefined),
    isStream,
    healthcheckRoute: key.get("healthcheck_route"),
    context: key.get("context"),
    routes: parts.map((part) => ({
      locations: part.get("locations"),
      emptyStatus: part.get("empty_endpoint_status_code"),
      cluster: convertPart(part, context),
    })),
  };
}

/** A cluster of a route or a stream: its sources, and those that help out. */
function convertPart(part: Key, { files, names, warmUp }: Context): Frontend["routes"][number]["cluster"] {
  const sources = part.get("sources")?.children ?? [];
  const [first] = sources;
  const name = names.nearest(first === undefined ? "cluster" : nameOf(first));
  const reasons: string[] = [];
  const read = sources.map((source) => convertSource(source, files, reasons));
  const overflow = part.get("overflow_sources")?.children ?? [];
  const threshold = part.get("overflow_threshold_pct");
  const spare = `${name}-overflow`;
  const below = overflow.length === 0
    ? void threshold?.replaced("unused without overflow_sources")
    : threshold?.take(threshold.number, "a percentage", "traffic.overflow.below");
  if (overflow.length > 0) {
    const others = overflow.map((source) => convertSource(source, files, reasons));
    files.add(`clusters/${names.nearest(spare)}`, discoverySection(others.map(({ item }) => item).filter(isRecord)));
    for (const source of overflow) {
      for (const each of source.get("share_adjusters")?.children ?? []) {
        each.unsupported("nodes of an overflow cluster always have their full share");
      }
    }
  }
  const checks = read.map(({ adjustment }) => adjustment.health);
  const health = checks.find((check) => check !== undefined);
  const isOne = checks.every((check) => JSON.stringify(check?.value) === JSON.stringify(health?.value));
  if (!isOne) {
    for (const check of checks) check?.key.unsupported("a cluster has a single check for the nodes of all its sources");
    reasons.push("sources with different health checks");
  }
  const changes = read.some(({ adjustment }) => adjustment.traffic !== undefined) || overflow.length > 0;
  const items = read.flatMap(({ item, adjustment }) =>
    item === undefined ? [] : [{
      ...item,
      ...adjustment.traffic !== undefined && sources.length > 1 && { traffic: adjustment.traffic },
    }]
  );
  const [only] = read;
  const traffic = {
    ...sources.length === 1 && only?.adjustment.traffic,
    ...isOne && health !== undefined && { health: health.value },
    ...overflow.length > 0 && { overflow: { clusters: [spare], below: `${Math.max(1, Math.round(below ?? 1))}%` } },
    ...changes && warmUp > 0 && { warm_up: warmUp },
  };
  const api = read.map(({ api }) => api).find((each) => each !== undefined);
  if (items.length === 0) reasons.push("no source");
  return {
    name,
    value: {
      ...discoverySection(items),
      ...Object.keys(traffic).length > 0 && { traffic },
      ...api !== undefined && { api },
    },
    health: isOne ? health : undefined,
    isOff: reasons.length > 0,
    notes: reasons.length > 0 ? [`Disabled because the conversion is incomplete: ${reasons.join("; ")}`] : [],
  };
}

/** What a cluster is called after: the job, the last part of a path, the name of a static source. */
function nameOf(source: Key): string {
  const value = isRecord(source.value) ? source.value : {};
  const path = [value["path"], value["mesos_master_path"]].find((each) => typeof each === "string");
  const last = path === undefined ? undefined : path.split("/").findLast((part) => part !== "");
  return String(value["job"] ?? last ?? value["name"] ?? "cluster");
}

/** One source alone has a section; several are a list. */
function discoverySection(items: readonly FileValue[]): FileValue {
  const [only] = items;
  const [discovery] = only === undefined ? [] : Object.keys(only);
  if (only === undefined || discovery === undefined) return { discovery: [] };
  return items.length === 1 && !Object.hasOwn(only, "traffic") ? { discovery, ...only } : { discovery: items };
}

interface ConvertedSource {
  /** An item of `discovery:`. */
  readonly item?: FileValue | undefined;
  readonly adjustment: Adjustment;
  /** What may be added over the admin interface. */
  readonly api?: FileValue | undefined;
}

function convertSource(source: Key, files: ConfigFiles, reasons: string[]): ConvertedSource {
  const type = source.get("source_class");
  const name = type?.text?.split(".").at(-1) ?? "";
  const adjustment = adjusted(source.get("share_adjusters"), reasons);
  const zookeeper = (path: string, options: FileValue): ConvertedSource => {
    type?.converted("discovery: zookeeper");
    const registry = zookeeperRegistry(source, { hosts: "zk_servers", path: "path", files, znode: path });
    if (registry === undefined) {
      reasons.push("zk_servers missing");
      return { adjustment };
    }
    return { item: { [registry.discovery]: { path: registry.path, ...options } }, adjustment };
  };
  switch (name) {
    case "AuroraProxySource":
    case "AuroraSource": {
      const parts = ["role", "environment", "job"].map((key) => {
        const part = source.get(key);
        return part?.take(part.text, "a name", "zookeeper.path") ?? "";
      });
      const base = source.get("announcer_serverset_path");
      const above = base?.take(base.text, "a path", "zookeeper.path") ?? "/aurora";
      return zookeeper(absolute([above, ...parts].join("/")) ?? "/", serverset(source));
    }
    case "ServerSetSource": {
      const path = source.get("path");
      return zookeeper(absolute(path?.take(path.text, "a path", "zookeeper.path")) ?? "/", serverset(source));
    }
    case "MesosMasterProxySource": {
      const path = source.get("mesos_master_path");
      const znode = absolute(path?.take(path.text, "a path", "zookeeper.path")) ?? "/";
      return zookeeper(znode, { format: "mesos-master" });
    }
    case "StaticProxySource":
    case "StaticSource":
      type?.converted("discovery: static");
      return { item: staticNode(source, files, reasons), adjustment };
    case "ApiSource": {
      type?.converted("`api` in the cluster's file, and a static source without nodes");
      source.get("name")?.replaced("the name of the cluster");
      const allowed = source.get("source_whitelist");
      const classes = allowed?.texts ?? ["StaticProxySource", "AuroraProxySource"];
      allowed?.converted("api.sources");
      const kinds = classes.map((each) =>
        /Static/.test(each) ? "static" : /Aurora|ServerSet|Mesos/.test(each) ? "zookeeper" : ""
      );
      const sources = [...new Set(kinds.filter((kind) => kind !== ""))];
      return {
        item: { [files.discovery("static", {})]: { nodes: [] } },
        adjustment,
        api: { nodes: true, sources },
      };
    }
    default:
      type?.unsupported("no equivalent source; write a discovery plugin");
      reasons.push(`source ${name}`);
      return { adjustment };
  }
}

function serverset(source: Key): FileValue {
  const [endpoint, prefix] = [source.get("endpoint"), source.get("zk_member_prefix")];
  const name = endpoint?.take(endpoint.text, "a name", "zookeeper.endpoint");
  const start = prefix?.take(prefix.text, "a string", "zookeeper.member_prefix");
  return {
    format: "serverset",
    ...name !== undefined && { endpoint: name },
    ...start !== undefined && { member_prefix: start },
  };
}

function staticNode(source: Key, files: ConfigFiles, reasons: string[]): FileValue | undefined {
  const [name, host, port] = [source.get("name"), source.get("host"), source.get("port")];
  name?.converted("the name of the node");
  const address = host?.text === "localhost" ? "127.0.0.1" : host?.text;
  const isAddress = address !== undefined && (isIpv4(address) || isIpv6(address));
  host?.take(isAddress ? address : undefined, "an IP address (host names are not resolved)", "static.nodes");
  const number = port?.take(portOf(port), "a port", "static.nodes");
  if (!isAddress || number === undefined) {
    reasons.push("a host name instead of an address");
    return undefined;
  }
  return { [files.discovery("static", {})]: { nodes: [{ address, port: number }] } };
}

/** gor, which mirrors or replays requests, is a program that the writer supervises. */
function convertGor(root: Key, options: Key, { files, names }: Context): void {
  const isReplay = options.has("replay_source");
  const name = names.nearest(isReplay ? "replay" : "mirror");
  const option = (key: string) => options.get(`${isReplay ? "replay" : "mirror"}_${key}`);
  option("source")?.converted(`clusters/${name}.yaml`);
  const [ports, most, frequency] = [
    option(isReplay ? "port" : "ports"),
    option("max_qps"),
    option("max_update_frequency"),
  ];
  const list = (ports?.text ?? "8080,8081").split(",").map((port) => port.trim());
  ports?.converted(`balancers/${name}.yaml: command`);
  const qps = most?.take(most.number, "a number", `balancers/${name}.yaml: command`) ?? 0;
  const interval = frequency?.take(frequency.number, "seconds", `balancers/${name}.yaml: restart_interval`) ?? 15;
  const reasons: string[] = [];
  const { item } = convertSource(root, files, reasons);
  const inputs = list.flatMap((port) => isReplay ? ["--input-tcp", `0.0.0.0:${port}`] : ["--input-raw", `:${port}`]);
  files.add(`balancers/${name}`, {
    type: "supervised",
    command: [...GOR, ...inputs, {
      each: name,
      arguments: [isReplay ? "--output-http" : "--output-tcp", qps > 0 ? `{address}|${qps}` : "{address}"],
    }],
    pid_file: `/run/lighthouse/${name}.pid`,
    restart_interval: Math.min(3_600, interval),
  });
  const isOff = reasons.length > 0;
  files.add(`clusters/${name}`, { ...discoverySection(item === undefined ? [] : [item]), [name]: {} }, {
    isOff,
    notes: isOff ? [`Disabled because the conversion is incomplete: ${reasons.join("; ")}`] : [],
  });
}
