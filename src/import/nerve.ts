/**
 * nerve's config to `services/`. Pure.
 *
 * @module
 */
import { isHost } from "../config/schema_words.ts";
import { isHostName, isIpv4, isIpv6 } from "../model/endpoint.ts";
import { isRecord, WEIGHT_MAX } from "../model/node.ts";
import { ConfigFiles, FileNames, type FileValue } from "./config_files.ts";
import { type Document, type Imported, type Key, Ledger, portOf } from "./report.ts";
import { absolute, zookeeperRegistry } from "./zookeeper.ts";

/** Keys with another means to the same end. */
const TOP_REPLACED: Readonly<Record<string, string>> = {
  heartbeat_path: "--status ADDRESS serves /health, which shows whether the reporter is alive",
  max_repeated_report_failures: "failed registrations are retried with backoff, without limit",
  statsd: "--status ADDRESS serves /metrics in the Prometheus format",
};

const NO_KEY: Readonly<Record<string, string>> = {
  rate_limiting:
    "Lighthouse does not limit the rate of registrations; rise, fall and the consumers' membership guard dampen flapping",
  haproxy_server_options: "set haproxy.server_options in the consumer's cluster file",
  load_test_concurrency: "copy the service's file, and give each copy a different name",
};

/** Where a service is registered. */
type Registry = { readonly discovery: string; readonly section: FileValue } | { readonly why: string };

/** A check, and whether the service can do without it. */
type Converted = { readonly config: FileValue } | { readonly why: string };

/**
 * Converts nerve's file. `services` are the files of its `service_conf_dir`, by
 * their names without the ending.
 */
export function importNerve(document: Document, services: ReadonlyMap<string, Document> = new Map()): Imported {
  const ledger = new Ledger(document);
  const { root } = ledger;
  const files = new ConfigFiles(document.file);
  const names = new FileNames();
  for (const [key, by] of Object.entries(TOP_REPLACED)) root.get(key)?.replaced(by);
  root.get("service_conf_dir")?.converted("each file is converted to a file in services/");
  const others = [...services].map(([name, each]) => ({ name, ledger: new Ledger(each) }));
  const all = [
    ...(root.get("services")?.children ?? []).map((key) => ({ name: key.name, key })),
    ...others.map(({ name, ledger }) => ({ name, key: ledger.root })),
  ];
  const announced = announce(root.get("instance_id"), all.flatMap(({ key }) => key.get("host") ?? []));
  if (Object.keys(announced).length > 0) files.add("host", announced);
  for (const { name, key } of all) convertService(name, key, { files, names, ip: announced.ip });
  return { files: files.all, report: [...ledger.end(), ...others.flatMap(({ ledger }) => ledger.end())] };
}

/** What this host is announced as: the name of the instance, and the address that most of its services have. */
function announce(
  id: Key | undefined,
  hosts: readonly Key[],
): { readonly name?: string; readonly ip?: string } {
  const isName = id?.text !== undefined && isHostName(id.text);
  if (isName) id.converted("host.yaml: name");
  else id?.unsupported("not a host name; the name of this host is announced");
  const counts = new Map<string, number>();
  for (const { text } of hosts) {
    if (text !== undefined && isAddress(text)) counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const [ip] = [...counts].toSorted(([, a], [, b]) => b - a)[0] ?? [];
  return { ...isName && { name: id?.text ?? "" }, ...ip !== undefined && { ip } };
}

/** Whether other hosts can reach it. */
function isAddress(text: string): boolean {
  return (isIpv4(text) && !text.startsWith("127.")) || (isIpv6(text) && text !== "::1");
}

function convertService(
  given: string,
  key: Key,
  { files, names, ip }: { readonly files: ConfigFiles; readonly names: FileNames; readonly ip: string | undefined },
): void {
  const name = names.nearest(given);
  const reasons: string[] = [];
  const lacks = (why: string) => void reasons.push(why);
  for (const [each, why] of Object.entries(NO_KEY)) key.get(each)?.unsupported(why);
  const host = convertHost(key.get("host"), ip);
  const port = key.get("port");
  const portNumber = port?.take(portOf(port), "a port", `services/${name}.yaml: port`);
  if (portNumber === undefined) lacks("port missing");
  const registry = convertReporter(key, files);
  if ("why" in registry) lacks(registry.why);
  const interval = key.get("check_interval");
  const seconds = interval?.take(interval.number, "a number of seconds", `services/${name}.yaml: checks.interval`);
  const checks = convertChecks(key, { name, lacks });
  const value = {
    ..."why" in registry
      ? { discovery: "zookeeper" }
      : { discovery: registry.discovery, [registry.discovery]: registry.section },
    ...host !== undefined && { host },
    ...portNumber !== undefined && { port: portNumber },
    ...weightOf(key, name),
    checks: { interval: Math.min(86_400, Math.max(0.01, seconds ?? 0.5)), ...checks },
  };
  const isOff = reasons.length > 0;
  files.add(`services/${name}`, value, {
    isOff,
    notes: isOff ? [`Disabled because the conversion is incomplete: ${reasons.join("; ")}`] : [],
  });
}

/** The weight and the labels, which are announced. */
function weightOf(key: Key, name: string): FileValue {
  const [weight, labels] = [key.get("weight"), key.get("labels")];
  const { number = -1 } = weight ?? {};
  const valid = Number.isInteger(number) && number >= 0 && number <= WEIGHT_MAX ? number : undefined;
  const map = labels?.take(isRecord(labels.value) ? labels.value : undefined, "a map", `services/${name}.yaml: labels`);
  weight?.take(valid, `an integer from 0 to ${WEIGHT_MAX}`, `services/${name}.yaml: weight`);
  return { ...valid !== undefined && { weight: valid }, ...map !== undefined && { labels: map } };
}

/** Where the checks connect to; what is announced is the host's own address. */
function convertHost(key: Key | undefined, ip: string | undefined): string | undefined {
  const { text } = key ?? {};
  if (key === undefined || text === undefined) return undefined;
  if (!isHost(text)) return void key.unsupported("not a host name or an address");
  if (text === ip) key.converted("host.yaml: ip; for checks: host in the service's file");
  else if (isAddress(text)) {
    key.unsupported(
      "all services of a host are announced with one address (host.yaml: ip); only checks connect to this address",
    );
  } else key.replaced("the host's own address is announced (host.yaml: ip); only checks connect to this address");
  return text;
}

function convertReporter(
  key: Key,
  files: ConfigFiles,
): Registry {
  const type = key.get("reporter_type");
  const kind = type?.text ?? "zookeeper";
  if (kind === "etcd") {
    for (const each of ["node_type", "ttl_seconds", "use_path_encoding"]) {
      key.get(each)?.unsupported("applies to ZooKeeper only");
    }
    type?.converted("discovery: etcd");
    return etcdReporter(key, files);
  }
  if (kind !== "zookeeper") {
    type?.unsupported(`no equivalent of reporter type ${kind}; write a discovery plugin`);
    return { why: `reporter ${kind}` };
  }
  type?.converted("discovery: zookeeper");
  key.get("use_path_encoding")?.replaced("values are written unencoded, which all clients of the format accept");
  const node = key.get("node_type");
  if (node?.text === "ephemeral_sequential") node.converted("nodes are always ephemeral and sequential");
  else node?.unsupported("nodes are always ephemeral and sequential, and are removed when the session ends");
  key.get("ttl_seconds")?.replaced("session_timeout in discovery/zookeeper.yaml");
  const registry = zookeeperRegistry(key, { hosts: "zk_hosts", path: "zk_path", files });
  if (registry === undefined) return { why: "missing key zk_hosts or zk_path" };
  const { discovery, path } = registry;
  return { discovery, section: { path, format: "nerve" } };
}

function etcdReporter(
  key: Key,
  files: ConfigFiles,
): Registry {
  const [host, port, path] = [key.get("etcd_host"), key.get("etcd_port"), key.get("etcd_path")];
  const name = host?.take(host.text, "a host", "discovery/etcd.yaml: endpoints");
  const number = port?.take(port.number, "a port", "discovery/etcd.yaml: endpoints") ?? 4003;
  const where = path?.take(absolute(path.text), "an absolute path", "etcd.path") ?? "/";
  if (name === undefined) return { why: "etcd_host missing" };
  const discovery = files.discovery("etcd", { endpoints: [`${name}:${number}`], api: "v2" });
  return { discovery, section: { path: where, format: "nerve" } };
}

function convertChecks(
  service: Key,
  { name, lacks }: { readonly name: string; readonly lacks: (why: string) => void },
): FileValue {
  const mocked = service.get("check_mocked");
  const list = service.get("checks");
  if (mocked?.value === true) {
    mocked.converted("the noop check, which always passes");
    list?.replaced("the noop check, because check_mocked is set");
    return { noop: { rise: 1, fall: 1 } };
  }
  mocked?.converted("checks are enabled");
  if ((list?.children.length ?? 0) === 0) {
    list?.converted("the noop check, which always passes");
    return { noop: { rise: 1, fall: 1 } };
  }
  const names = new FileNames();
  names.nearest("interval");
  names.nearest("unknown_grace");
  return Object.fromEntries((list?.children ?? []).flatMap((check) => {
    const type = check.get("type");
    const converted = type === undefined ? { why: "the check has no type" } : convertCheck(type, check);
    if ("why" in converted) {
      (type ?? check).unsupported(converted.why);
      lacks(converted.why);
      return [];
    }
    const kind = String(converted.config.type);
    const own = names.nearest(kind);
    const { type: _type, ...config } = converted.config;
    return [[own, {
      ...own !== kind && { type: kind },
      ...config,
      ...commonOf(check, `services/${name}.yaml: checks.${own}`),
    }]];
  }));
}

/** The keys that every check of nerve has. */
function commonOf(check: Key, where: string): FileValue {
  check.get("name")?.replaced("the check's key in checks");
  const [rise, fall, timeout, host, port] = ["rise", "fall", "timeout", "host", "port"].map((key) => check.get(key));
  const most = ["read_timeout", "open_timeout", "ssl_timeout"].flatMap((key) => {
    const each = check.get(key);
    each?.replaced("timeout, which covers the whole probe");
    return each?.number ?? [];
  });
  const seconds = Math.max(timeout?.take(timeout.number, "a number of seconds", `${where}.timeout`) ?? 0.1, ...most);
  const target = host?.take(isHost(host.text) ? host.text : undefined, "a host", `${where}.host`);
  const number = port?.take(portOf(port), "a port", `${where}.port`);
  return {
    timeout: Math.min(3_600, Math.max(0.01, seconds)),
    rise: rise?.take(rise.number, "a number", `${where}.rise`) ?? 1,
    fall: fall?.take(fall.number, "a number", `${where}.fall`) ?? 1,
    ...target !== undefined && { host: target },
    ...number !== undefined && { port: number },
  };
}

function convertCheck(type: Key, check: Key): Converted {
  if (check.has("module")) {
    check.get("module")?.unsupported("Ruby code; write a check plugin, or use the exec check");
    return { why: "the check is in a Ruby module" };
  }
  switch (type.text) {
    case "tcp":
    case "redis":
    case "noop":
      type.converted(`the ${type.text} check`);
      return { config: { type: type.text } };
    case "rabbitmq":
      type.replaced("the tcp check, which only connects, without AMQP");
      for (const key of ["username", "password"]) check.get(key)?.unsupported("the tcp check does not log in");
      return { config: { type: "tcp" } };
    case "http":
      type.converted("the http check");
      return httpCheck(check);
    default:
      return { why: `no equivalent of check ${type.text ?? ""}; write a check plugin, or use the exec check` };
  }
}

function httpCheck(check: Key): Converted {
  const [uri, ssl, headers, expect] = ["uri", "ssl", "headers", "expect"].map((key) => check.get(key));
  const path = uri?.take(/^\/[!-~]*$/.test(uri.text ?? "") ? uri.text : undefined, "a path", "http.uri");
  ssl?.converted("http.https, without certificate verification");
  headers?.converted("http.headers");
  expect?.converted("http.body");
  if (path === undefined) return { why: "the http check has no uri" };
  return {
    config: {
      type: "http",
      uri: path,
      // nerve takes redirects for healthy.
      status: "200-399",
      ...ssl?.value === true && { https: true, verify: false },
      ...headers !== undefined && { headers: headers.value },
      ...expect?.text !== undefined && { body: expect.text },
    },
  };
}
