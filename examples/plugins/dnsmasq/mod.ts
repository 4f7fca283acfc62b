/**
 * A balancer of files: names for clusters in DNS. Each cluster gets a name with
 * the addresses of its ready members in a hosts file, and dnsmasq, which is
 * started with `--addn-hosts` of that file, reads it again on SIGHUP. DNS has
 * no ports and no weights: clients know the port, and take any address.
 *
 * ```yaml
 * # plugins.yaml
 * balancers:
 *   dnsmasq:
 *     url: plugins/dnsmasq.ts
 *     allow: { write: [/var/lib/lighthouse/hosts], run: [/usr/bin/pkill] }
 * # balancers/dnsmasq.yaml
 * hosts_file: /var/lib/lighthouse/hosts
 * notify: [/usr/bin/pkill, --signal, HUP, --pidfile, /run/dnsmasq/dnsmasq.pid]
 * # clusters/web.yaml
 * discovery: zookeeper
 * dnsmasq: { name: web.internal }
 * ```
 *
 * @module
 */
import type {
  BalancerPlugin,
  Node,
  Notice,
  PlanAllowance,
  Rendered,
  Schema,
  SchemaIssue,
  Seen,
  Step,
  Wanted,
} from "../../../mod.ts";

/** `balancers/dnsmasq.yaml`. */
interface Config {
  /** The hosts file that is written. */
  readonly hosts_file: string;
  /** A program and its arguments that have dnsmasq read it. */
  readonly notify: readonly string[];
}

/** The section of a cluster's file. */
interface Section {
  /** The name whose addresses are those of the members. */
  readonly name: string;
}

/** dnsmasq may run as another user. */
const MODE = 0o644;
const FIRST_LINE = "# Written by Lighthouse";

/** Makes a schema of a map: each key has what it must be, and a test for that. */
function mapOf<T>(
  keys: { readonly [K in keyof T]: { readonly wanted: string; readonly is: (value: unknown) => boolean } },
): Schema<T> {
  const known = Object.keys(keys);
  const validate = (value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return { issues: [{ message: "Cannot use the file: must be a map" }] };
    }
    const given = value as Readonly<Record<string, unknown>>;
    const issues: SchemaIssue[] = Object.keys(given).filter((key) => !known.includes(key)).map((key) => ({
      message: `Unknown key ${key}`,
      path: [key],
      unknownKey: { known },
    }));
    for (const key of known) {
      const { wanted, is } = keys[key as keyof T];
      if (is(given[key])) continue;
      const current = given[key] === undefined ? "missing" : `current value is ${JSON.stringify(given[key])}`;
      issues.push({ message: `Cannot use ${key}: must be ${wanted}; ${current}`, path: [key] });
    }
    return issues.length > 0 ? { issues } : { value: value as T };
  };
  return { "~standard": { version: 1, vendor: "dnsmasq", validate } };
}

const isPath = (value: unknown) => typeof value === "string" && /^\/[!-~]+$/.test(value);

const dnsmasq: BalancerPlugin<Config, Section, Seen> = {
  kind: "balancer",
  apiVersion: 1,
  name: "dnsmasq",
  summary: "Writes cluster names to a hosts file for dnsmasq",
  stability: "experimental",
  ignoresMetadata: true,
  example: {
    hosts_file: "/var/lib/lighthouse/hosts",
    notify: ["/usr/bin/pkill", "--signal", "HUP", "--pidfile", "/run/dnsmasq/dnsmasq.pid"],
  },
  config: mapOf<Config>({
    hosts_file: { wanted: "an absolute path", is: isPath },
    notify: {
      wanted: "a list of the path of a program and its arguments",
      is: (value) => Array.isArray(value) && isPath(value[0]) && value.every((each) => typeof each === "string"),
    },
  }),
  cluster: mapOf<Section>({
    name: {
      wanted: "a host name",
      is: (value) => typeof value === "string" && /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(value),
    },
  }),
  permissions: ({ hosts_file, notify: [program = ""] }) => ({ write: [hosts_file], run: [program] }),
  weighing: () => ({ by: "other", reason: "a DNS response contains all addresses of a name", path: [] }),
  sources: ({ hosts_file }) => ({ kind: "files", file: hosts_file, reloadIntervalMs: 1_000 }),
  pid: () => undefined,
  observe: (seen) => seen,
  adopt,
  render,
  plan,
};
export default dnsmasq;

/** Renders a line for each member that gets requests: its address, and the name of its cluster. */
function render({ config, clusters }: Wanted<Config, Section>): Rendered {
  const notices: Notice[] = [];
  const lines = clusters.flatMap(({ name, config: section, nodes }) => {
    const serving = nodes.filter(({ state, pool }) => state === "ready" && pool === "primary");
    const text = `Cluster ${name} has no members: no address for ${section.name}`;
    if (serving.length === 0) notices.push({ text, origin: { cluster: name, path: ["name"] } });
    // The comment is for `adopt`: DNS has no ports.
    const own = serving.filter(({ from }) => from === undefined);
    return [
      `# cluster ${JSON.stringify(name)} ${
        JSON.stringify(own.map(({ node: { host, ip, port } }) => [host, ip, port]))
      }`,
      ...new Set(serving.map(({ node }) => `${node.ip} ${section.name}`)),
    ];
  });
  const text = [FIRST_LINE, ...lines, ""].join("\n");
  return { files: new Map([[config.hosts_file, { text, mode: MODE }]]), notices };
}

/** Reads the members back from a file that `render` made. */
function adopt(files: ReadonlyMap<string, string>, { hosts_file }: Config): ReadonlyMap<string, readonly Node[]> {
  const lines = (files.get(hosts_file) ?? "").split("\n");
  if (lines[0] !== FIRST_LINE) return new Map();
  return new Map(lines.flatMap((line) => {
    const [, name = "", members = ""] = /^# cluster ("(?:[^"\\]|\\.)*") (\[.*\])$/.exec(line) ?? [];
    if (name === "") return [];
    const nodes = (JSON.parse(members) as [string, string, number][])
      .map(([host, ip, port]): Node => ({ host, ip, port, metadata: {} }));
    return [[JSON.parse(name), nodes]];
  }));
}

/** Writes the file if it differs, and has dnsmasq read it. */
function plan(
  { config: { hosts_file, notify } }: Wanted<Config, Section>,
  { files }: Rendered,
  seen: Seen,
  { reload, owesNotify }: PlanAllowance,
): readonly Step[] {
  const contents = files.get(hosts_file)?.text ?? "";
  const isWritten = seen.files?.get(hosts_file) === contents;
  if (!reload || (isWritten && owesNotify !== true)) return [];
  const install: Step = { do: "install", path: hosts_file, contents, mode: MODE, check: [], when: "now" };
  return [...isWritten ? [] : [install], { do: "notify", reason: "the hosts file changed", run: notify }];
}
