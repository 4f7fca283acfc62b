/**
 * synapse's config to `clusters/` and `balancers/`. Pure.
 *
 * @module
 */
import { formatEndpoint, isIpv4, isIpv6 } from "../model/endpoint.ts";
import { ConfigFiles, FileNames, type FileValue } from "./config_files.ts";
import { ERB_MARK, type ErbTag } from "./erb.ts";
import { commandList, pidFileOf, readBind, splitListen, statsSocketOf } from "./haproxy_lines.ts";
import { type Document, type Entry, type Imported, type Key, Ledger, portOf } from "./report.ts";
import { absolute, zookeeperRegistry } from "./zookeeper.ts";

/** The name of the meta cluster that stands for synapse's shared frontend. */
const SHARED = "shared";

/** The file where a balancer's cluster section is made, and what all of them share. */
interface Context {
  readonly files: ConfigFiles;
  readonly names: FileNames;
  /** The balancers that a cluster can have a section for. */
  readonly balancers: { readonly haproxy: boolean; readonly files: boolean };
  readonly hasShared: boolean;
  readonly bindAddress: string | undefined;
}

/** One source of a cluster. */
interface Item {
  readonly discovery: string;
  readonly options: FileValue;
}

/** What a discovery comes to. */
type Sources =
  | { readonly items: readonly Item[]; readonly combine?: "union" | "first" }
  | { readonly why: string };

/**
 * Converts synapse's file. `services` are the files of its `service_conf_dir`
 * by their names without the ending; `erb` are the tags of all of them.
 */
export function importSynapse(
  document: Document,
  services: ReadonlyMap<string, Document> = new Map(),
  erb: ReadonlyMap<string, readonly ErbTag[]> = new Map(),
): Imported {
  const ledger = new Ledger(document);
  const { root } = ledger;
  const files = new ConfigFiles(document.file);
  root.get("service_conf_dir")?.converted("each file is converted to a file in clusters/");
  root.get("statsd")?.replaced("--status ADDRESS serves /metrics in the Prometheus format");
  const haproxy = root.get("haproxy");
  const output = root.get("file_output");
  const hasShared = (haproxy?.get("shared_frontend")?.children.length ?? 0) > 0;
  const bindAddress = haproxy && convertHaproxy(haproxy, { files, hasShared });
  if (output !== undefined) convertFileOutput(output, files);
  const context: Context = {
    files,
    names: new FileNames(),
    balancers: { haproxy: haproxy !== undefined, files: output !== undefined },
    hasShared,
    bindAddress,
  };
  const others = [...services].map(([name, each]) => ({ name, ledger: new Ledger(each) }));
  for (const key of root.get("services")?.children ?? []) convertService(key.name, key, context);
  for (const { name, ledger } of others) convertService(name, ledger.root, context);
  const tags = [...erb].flatMap(([file, each]) => each.map((tag) => erbEntry(file, tag)));
  return { files: files.all, report: [...tags, ...ledger.end(), ...others.flatMap(({ ledger }) => ledger.end())] };
}

function erbEntry(file: string, { line, column, isLeftOut }: ErbTag): Entry {
  const text = isLeftOut ? "removed; the surrounding lines are kept" : "not evaluated; the value is unknown";
  return {
    file,
    line,
    column,
    key: "ERB",
    outcome: "not supported",
    text: `Ruby tag ${text}; render the file with erb and import the output`,
  };
}

/** Whether a value depends on an expression of Ruby. */
function hasErb(value: unknown): boolean {
  return value !== undefined && JSON.stringify(value).includes(ERB_MARK);
}

const HAPROXY_REPLACED: Readonly<Record<string, string>> = {
  do_checks: "haproxy -c validates each file before installation",
  check_command: "haproxy -c validates each file before installation",
  candidate_config_file_path: "haproxy -c validates each file before installation",
  state_file_path: "the topology file keeps the last known good members (topology_file in lighthouse.yaml)",
  state_file_ttl: "lighthouse.yaml: max_age",
  server_order_seed: "the server order is fixed, and server ids stay stable",
  max_server_id: "server ids are assigned automatically and stay stable",
  use_nerve_weights: "node weights are always applied",
};

/** Converts the generator's section; answers what frontends bind to. */
function convertHaproxy(
  key: Key,
  { files, hasShared }: { readonly files: ConfigFiles; readonly hasShared: boolean },
): string | undefined {
  for (const [name, by] of Object.entries(HAPROXY_REPLACED)) key.get(name)?.replaced(by);
  const where = "balancers/haproxy.yaml";
  const lines = (name: string) => {
    const list = key.get(name);
    return list?.take(list.texts, "a list of lines", `${where}: ${name}`) ?? [];
  };
  const global = lines("global");
  const configFile = key.get("config_file_path");
  const socket = key.get("socket_file_path");
  const sockets = socket?.texts ?? [];
  socket?.take(sockets[0], "a path", `${where}: socket_file${sockets.length > 1 ? " (the first)" : ""}`);
  for (const name of ["do_writes", "do_socket", "do_reloads"]) {
    const each = key.get(name);
    if (each?.value === false) {
      each.unsupported("the writer always writes the file, and uses the socket or reloads as required");
    } else each?.converted("always enabled");
  }
  const command = key.get("reload_command");
  const reload = command?.take(command.text, "a command line", `${where}: reload_command`);
  const interval = key.get("restart_interval");
  const seconds = interval?.take(interval.number, "a number of seconds", `${where}: restart_interval`);
  const jitter = key.get("restart_jitter");
  const part = jitter?.take(jitter.number, "a number", `${where}: reload_jitter, in seconds`);
  const bind = key.get("bind_address");
  const address = bindAddress(bind?.text ?? "localhost");
  bind?.take(address.value, "an address", `${where}: bind_address`);
  const value: FileValue = {
    config_file: configFile?.take(configFile.text, "a path", `${where}: config_file`) ?? "/etc/haproxy/haproxy.cfg",
    socket_file: sockets[0] ?? statsSocketOf(global) ?? "/run/haproxy/admin.sock",
    pid_file: pidFileOf(global) ?? "/run/haproxy.pid",
    ...address.value !== undefined && { bind_address: address.value },
    ...seconds !== undefined && { restart_interval: Math.min(3_600, seconds) },
    ...part !== undefined && part > 0 && { reload_jitter: Math.min(3_600, part * (seconds ?? 2)) },
    ...reload !== undefined && { reload_command: commandList(reload) },
    global: global.filter((line) => !/^\s*pidfile\s/.test(line)),
    defaults: lines("defaults"),
    ...hasShared && { meta_clusters: sharedFrontend(key.get("shared_frontend"), where) },
    ...extraSections(key.get("extra_sections"), where),
  };
  files.add("balancers/haproxy", value);
  return address.value;
}

/** `localhost` is the address, `*` and `0.0.0.0` are all. */
function bindAddress(text: string): { readonly value: string | undefined } {
  if (text === "localhost") return { value: "127.0.0.1" };
  if (text === "*") return { value: "0.0.0.0" };
  return { value: isIpv4(text) || isIpv6(text) ? text : undefined };
}

/** The shared frontend is a meta cluster: one `bind`, and the lines that choose nothing. */
function sharedFrontend(key: Key | undefined, where: string): FileValue {
  const lines = key?.texts ?? [];
  const binds = lines.map(readBind).filter((bind) => bind !== undefined);
  const rest = lines.filter((line) => !/^\s*bind\s/.test(line));
  const [bind] = binds;
  if (bind === undefined || binds.length > 1 || bind.options !== "") {
    key?.unsupported("a meta cluster has one bind line without options");
  } else key?.converted(`${where}: meta_clusters.${SHARED}`);
  return { [SHARED]: { port: bind?.port ?? 80, frontend: rest } };
}

/** A `listen` section with an address is a proxy of its own. */
function extraSections(key: Key | undefined, where: string): FileValue {
  const proxies = (key?.children ?? []).flatMap((section) => {
    const [, name = "", address = ""] = /^listen\s+(\S+)(?:\s+(\S+))?$/.exec(section.name.trim()) ?? [];
    const lines = section.texts ?? [];
    const binds = [...address === "" ? [] : [`bind ${address}`], ...lines.filter((line) => /^\s*bind\s/.test(line))];
    const bind = binds.length === 1 ? readBind(binds[0] ?? "") : undefined;
    if (name === "" || bind === undefined || bind.options !== "") {
      section.unsupported(
        "only listen sections with one address become proxies; put this section into an additional file that HAProxy loads",
      );
      return [];
    }
    section.converted(`${where}: proxies.${name}`);
    const options = lines.filter((line) => !/^\s*bind\s/.test(line));
    return [[name, {
      port: bind.port,
      ...bind.address !== undefined && { bind_address: bind.address },
      upstreams: [],
      options,
    }]];
  });
  return proxies.length === 0 ? {} : { proxies: Object.fromEntries(proxies) };
}

/** Files of JSON for each cluster. */
function convertFileOutput(key: Key, files: ConfigFiles): void {
  const dir = key.get("output_directory");
  const path = dir?.take(dir.text, "a path", "balancers/files.yaml: directory");
  files.add("balancers/files", { type: "file", format: "json", directory: path ?? "/var/lib/lighthouse/files" });
}

const SERVICE_UNSUPPORTED: Readonly<Record<string, string>> = {
  leader_election: "a cluster includes all members; only the mesos-master format selects the leader",
  load_test_concurrency: "copy the cluster's file, and give each copy a different name",
};

function convertService(given: string, key: Key, context: Context): void {
  const { files, names, balancers } = context;
  const name = names.nearest(given);
  const reasons: string[] = [];
  const lacks = (why: string) => void reasons.push(why);
  if (hasErb(key.value)) lacks("values computed by Ruby code");
  for (const [each, why] of Object.entries(SERVICE_UNSUPPORTED)) {
    const found = key.get(each);
    if (found?.value === false) found.converted("no key required: Lighthouse does not have this feature");
    else if (found?.unsupported(why) !== undefined && each === "leader_election") lacks("leader election");
  }
  const defaults = defaultServers(key.get("default_servers"));
  const override = key.get("backend_port_override");
  const port = override?.take(portOf(override), "a port", "port, in the discovery's section");
  const sources = convertDiscovery(key.get("discovery"), { files, port, defaults });
  if ("why" in sources) lacks(sources.why);
  const keep = key.get("keep_default_servers")?.converted("an additional static source");
  const items = "items" in sources
    ? [...sources.items, ...keep?.value === true ? staticItem(defaults, files) : []]
    : [];
  const previous = key.get("use_previous_backends");
  previous?.converted("on_empty");
  const haproxy = clusterSection(key, name, context);
  const output = key.get("file_output");
  output?.converted("the section for the files balancer, in the cluster's file");
  const isWritten = balancers.files && output?.get("disabled")?.value !== true;
  const sections = {
    ...haproxy,
    ...isWritten && { files: {} },
  };
  if (Object.keys(sections).length === 0) lacks("no output");
  const value = {
    ...discoverySection(items, "combine" in sources ? sources.combine : undefined),
    // With servers to fall back on, an empty registry is one that says so.
    ...(previous?.value ?? true) !== false && defaults.length === 0 && { on_empty: "keep" },
    ...defaults.length > 0 && keep?.value !== true && { default_servers: defaults.map(formatEndpoint) },
    ...sections,
  };
  const isOff = reasons.length > 0;
  files.add(`clusters/${name}`, value, {
    isOff,
    notes: isOff ? [`Disabled because the conversion is incomplete: ${reasons.join("; ")}`] : [],
  });
}

/** One source by its name and a section, several as a list. */
function discoverySection(items: readonly Item[], combine: "union" | "first" | undefined): FileValue {
  const [only] = items;
  if (only !== undefined && items.length === 1) {
    return { discovery: only.discovery, [only.discovery]: only.options };
  }
  return {
    discovery: items.map(({ discovery, options }) => ({ [discovery]: options })),
    ...items.length > 1 && combine !== undefined && { combine },
  };
}

interface Server {
  readonly host: string;
  readonly port: number;
}

function defaultServers(list: Key | undefined): readonly Server[] {
  return (list?.children ?? []).flatMap((server) => serverOf(server, "default_servers") ?? []);
}

/** `{name, host, port}` by an address; a name has none. */
function serverOf(key: Key, to: string): Server | undefined {
  const [name, host, port] = [key.get("name"), key.get("host"), key.get("port")];
  name?.replaced("static nodes are named after their address");
  const address = host?.text === "localhost" ? "127.0.0.1" : host?.text;
  const isAddress = address !== undefined && (isIpv4(address) || isIpv6(address));
  const number = port === undefined ? undefined : portOf(port);
  if (isAddress) host?.converted(to);
  else host?.unsupported("a host name; replace it with an address");
  port?.take(number, "a port", to);
  return isAddress && number !== undefined ? { host: address, port: number } : undefined;
}

/** Nodes that stand in the cluster's file. */
function staticItem(servers: readonly Server[], files: ConfigFiles): readonly Item[] {
  const nodes = servers.map(formatEndpoint);
  return servers.length === 0 ? [] : [{ discovery: files.discovery("static", {}), options: { nodes } }];
}

interface DiscoveryContext {
  readonly files: ConfigFiles;
  /** The port of all members, whatever their own. */
  readonly port: number | undefined;
  readonly defaults: readonly Server[];
}

function convertDiscovery(key: Key | undefined, context: DiscoveryContext): Sources {
  if (key === undefined) return { why: "no discovery" };
  const filters = ["label_filters", "label_filter"].flatMap((name) => key.get(name) ?? []);
  const filtering = filters.filter(({ children }) => children.length > 0);
  for (const none of filters) if (!filtering.includes(none)) none.converted("no filter");
  for (const each of filtering) {
    each.unsupported("a cluster includes all members of its source; configure a separate source for each label");
  }
  const sources = convertMethod(key, context);
  return filtering.length === 0 || "why" in sources ? sources : { why: "label filters" };
}

function convertMethod(key: Key, context: DiscoveryContext): Sources {
  const method = key.get("method");
  switch (method?.text) {
    case "zookeeper_dns":
    case "zookeeper_dns_poll":
      key.get("nameserver")?.replaced("the name servers in /etc/resolv.conf");
      key.get("check_interval")?.replaced("names are resolved again when the TTL of the DNS record expires");
      method.converted("discovery: zookeeper, with resolve_names");
      return zookeeper(key, context, { resolvesNames: true });
    case "zookeeper":
    case "zookeeper_poll":
      method.converted("discovery: zookeeper");
      return zookeeper(key, context, { resolvesNames: false });
    case "base":
    case undefined: {
      method?.converted("discovery: static");
      const items = staticItem(context.defaults, context.files);
      return items.length > 0 ? { items } : { why: "no servers" };
    }
    case "dns": {
      const servers = key.get("servers")?.children ?? [];
      const found = servers.flatMap((server) => serverOf(server, "static.nodes") ?? []);
      if (found.length < servers.length) {
        method.unsupported("host names are not resolved; replace them with addresses");
        return { why: "host names" };
      }
      method.converted("discovery: static");
      for (const each of ["nameserver", "check_interval"]) {
        key.get(each)?.replaced("static nodes require no DNS lookups");
      }
      const nodes = found.map((server) => ({ ...server, port: context.port ?? server.port }));
      return { items: staticItem(nodes, context.files) };
    }
    case "multi":
      return multi(key, method, context);
    default:
      key.unsupported("no equivalent discovery; write a plugin, or register the nodes in another registry");
      return { why: `discovery ${method?.text}` };
  }
}

function zookeeper(
  key: Key,
  { files, port }: DiscoveryContext,
  { resolvesNames }: { readonly resolvesNames: boolean },
): Sources {
  key.get("polling_interval_sec")?.replaced("znode watches");
  key.get("retry_policy")?.replaced("unlimited retries, with backoff and jitter");
  key.get("discovery_jitter")?.replaced("backoff with jitter");
  const generator = key.get("generator_config_path");
  if (generator?.text === "disabled") generator.converted("options are set only in the cluster's file");
  else generator?.unsupported("Lighthouse reads options from the cluster's file, not from the registry");
  const [method, endpoint] = ["method", "endpoint_name"].map((name) => key.get("decode")?.get(name));
  const isServerset = method?.text === "serverset";
  method?.take(isServerset || method.text === "nerve" ? method.text : undefined, "nerve or serverset", "format");
  endpoint?.take(endpoint.text, "a name", "endpoint");
  const registry = zookeeperRegistry(key, { hosts: "hosts", path: "path", files, resolvesNames });
  if (registry === undefined) return { why: "missing key hosts or path" };
  const { discovery, path } = registry;
  if (isServerset && port !== undefined) return { why: "backend_port_override with serversets" };
  const format = isServerset
    ? { format: "serverset", ...endpoint?.text !== undefined && { endpoint: endpoint.text } }
    : port === undefined
    ? { format: "nerve" }
    // No entry has this field, so that all have the one port.
    : { format: "json", fields: { ip: "host", port: "port_override", weight: "weight", labels: "labels" }, port };
  return { items: [{ discovery, options: { path: absolute(path), ...format } }] };
}

function multi(key: Key, method: Key, context: DiscoveryContext): Sources {
  method.converted("discovery: a list");
  const resolver = key.get("resolver");
  const how = resolver?.get("method");
  const watchers = (key.get("watchers")?.children ?? []).map((watcher) => ({
    name: watcher.name,
    sources: convertDiscovery(watcher, context),
  }));
  const order = resolver?.get("sequential_order");
  if (how?.text === "sequential") order?.converted("the order of the sources in the list");
  if (how?.text !== "union" && how?.text !== "sequential") {
    how?.unsupported("set traffic.weight on each source of the list");
    return { why: `resolver ${how?.text ?? "missing"}` };
  }
  how.converted(how.text === "union" ? "combine: union" : "combine: first");
  const names = order?.texts ?? [];
  const place = (name: string) => names.includes(name) ? names.indexOf(name) : names.length;
  const sorted = how.text === "union" ? watchers : watchers.toSorted((a, b) => place(a.name) - place(b.name));
  const bad = sorted.map(({ sources }) => "why" in sources ? sources.why : "").find((why) => why !== "");
  if (bad !== undefined) return { why: bad };
  const items = sorted.flatMap(({ sources }) => "items" in sources ? sources.items : []);
  return { items, combine: how.text === "union" ? "union" : "first" };
}

const SECTION_REPLACED: Readonly<Record<string, string>> = {
  backend_order: "the server order is fixed, and server ids stay stable",
  cookie_value_method: "the plugin derives cookies from node names; see Cookies on the plugin's page",
};

/** The cluster's section for HAProxy, with the meta cluster that it is part of. */
function clusterSection(key: Key, name: string, { balancers, hasShared, bindAddress: common }: Context): FileValue {
  const section = key.get("haproxy");
  if (section === undefined || !balancers.haproxy) {
    section?.unsupported("the file has no top-level haproxy section");
    return {};
  }
  if (section.get("disabled")?.converted("no haproxy section").value === true) return {};
  for (const [each, by] of Object.entries(SECTION_REPLACED)) section.get(each)?.replaced(by);
  const where = `clusters/${name}.yaml: haproxy`;
  const lines = (of: string) => {
    const list = section.get(of);
    return list?.take(list.texts, "a list of lines", `${where}.${of}`) ?? [];
  };
  const listen = splitListen(lines("listen"));
  const [port, options, backend] = [section.get("port"), section.get("server_options"), section.get("backend_name")];
  const bind = section.get("bind_address");
  if (bind !== undefined && bindAddress(bind.text ?? "").value === common) {
    bind.converted("the balancer's bind_address");
  } else bind?.unsupported("all frontends bind to the balancer's bind_address");
  section.get("bind_options")?.unsupported("a cluster's bind line has no options");
  section.get("server_port_override")?.unsupported("use backend_port_override instead");
  const shared = hasShared ? section.get("shared_frontend") : undefined;
  if (!hasShared) section.get("shared_frontend")?.unsupported("the file has no top-level shared_frontend");
  const acl = shared === undefined ? undefined : sharedAcl(shared.texts ?? []);
  shared?.take(acl, "one acl line and its use_backend line", `clusters/${name}.yaml: meta_cluster, haproxy.acl`);
  const number = port?.take(portOf(port), "a port", `${where}.port`);
  return {
    ...backend !== undefined && { name: backend.take(backend.text, "a name", `clusters/${name}.yaml: name`) },
    ...acl !== undefined && { meta_cluster: SHARED },
    haproxy: {
      ...number !== undefined && { port: number },
      ...acl !== undefined && { acl },
      ...nonEmpty("frontend", [...lines("frontend"), ...number === undefined ? [] : listen.frontend]),
      ...nonEmpty("backend", [...lines("backend"), ...listen.backend]),
      ...options !== undefined && { server_options: options.take(options.text, "a string", `${where}.server_options`) },
    },
  };
}

function nonEmpty(key: string, lines: readonly string[]): FileValue {
  return lines.length === 0 ? {} : { [key]: lines };
}

/** `acl is_web hdr(host) web` with `use_backend web if is_web`: the condition. */
function sharedAcl(lines: readonly string[]): string | undefined {
  const acls = lines.map((line) => /^acl\s+(\S+)\s+(.+)$/.exec(line.trim())).filter((found) => found !== null);
  const uses = lines.map((line) => /^use_backend\s+\S+\s+if\s+(\S+)$/.exec(line.trim())).filter((use) => use !== null);
  const [acl, use] = [acls[0], uses[0]];
  return lines.length === 2 && acl !== undefined && acl[1] === use?.[1] ? acl[2] : undefined;
}
