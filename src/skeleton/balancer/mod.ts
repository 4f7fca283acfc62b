/**
 * my_balancer: manages a balancer that reads one file, reloads on command,
 * and answers two commands on a Unix socket: `show pid`, and `show config` with
 * the first line of its running config. Replace these by your balancer's.
 *
 * @module
 */
import type {
  BalancerPlugin,
  Node,
  Rendered,
  Schema,
  SchemaIssue,
  Seen,
  Step,
  Wanted,
  WantedCluster,
} from "../../../mod.ts";

/** A file of balancers/, validated. */
export interface Config {
  /** The file that the balancer is started with. */
  readonly config_file: string;
  /** The Unix socket on which it accepts commands. */
  readonly socket_file: string;
  /** The program. */
  readonly program: string;
}

/** The section of a file of clusters/ with the name of this balancer, validated. */
export interface ClusterConfig {
  /** The port of this host on which the cluster is served. */
  readonly port: number;
}

/** The observed state of the balancer. */
export interface Observed {
  /** Whether it answers. */
  readonly runs: boolean;
  /** The first line of its running config. */
  readonly running: string | undefined;
  /** The config that it would load at a restart. */
  readonly file: string | undefined;
}

/** Makes a schema of a map: `faults` returns for each key what it must be, or nothing if the value is valid. */
function mapOf<T>(keys: { readonly [K in keyof T]: (value: unknown) => string | undefined }): Schema<T> {
  const known = Object.keys(keys);
  const validate = (value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return { issues: [{ message: "Cannot use the config: must be a map" }] };
    }
    const given = value as Record<string, unknown>;
    const issues: SchemaIssue[] = Object.keys(given).filter((key) => !known.includes(key)).map((key) => ({
      message: `Cannot use ${key}: unknown key`,
      path: [key],
      unknownKey: { known },
    }));
    for (const key of known) {
      const fault = keys[key as keyof T](given[key]);
      if (fault === undefined) continue;
      const message = `Cannot use ${key}: must be ${fault}; current value is ${JSON.stringify(given[key])}`;
      issues.push({ message, path: [key] });
    }
    return issues.length > 0 ? { issues } : { value: value as T };
  };
  return { "~standard": { version: 1, vendor: "my_balancer", validate } };
}

const isPath = (value: unknown) => typeof value === "string" && value.startsWith("/") ? undefined : "an absolute path";
const isPort = (value: unknown) =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535 ? undefined : "a port";

/** A line of the file for one cluster, and one for each of its members. */
function linesOf({ name, config, nodes }: WantedCluster<ClusterConfig>): readonly string[] {
  // This balancer has no weights, and drained members are left out.
  const serving = nodes.filter(({ state, pool }) => state === "ready" && pool === "primary");
  const servers = serving.map(({ node: { host, ip, port } }) =>
    `  server ${host}:${port} ${ip.includes(":") ? `[${ip}]` : ip}:${port}`
  );
  return [`cluster ${name} at ${config.port}`, ...servers];
}

/** A hash of a string (FNV-1a), to compare the running config with the desired one. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function render({ config, clusters }: Wanted<Config, ClusterConfig>): Rendered {
  const lines = clusters.flatMap(linesOf);
  const origins = new Map();
  lines.forEach((line, i) => {
    const [, cluster] = /^cluster (\S+) /.exec(line) ?? [];
    // The first line of the file is the header.
    if (cluster !== undefined) origins.set(i + 2, { cluster, path: [] });
  });
  const body = lines.map((line) => `${line}\n`).join("");
  const notices = clusters.filter(({ nodes }) => nodes.length === 0).map(({ name }) => ({
    text: `Cluster ${name} has no members`,
    origin: { cluster: name, path: [] },
  }));
  const text = `# my_balancer ${fingerprint(body)}\n${body}`;
  return { files: new Map([[config.config_file, { text, mode: 0o644, origins }]]), notices };
}

/** Reads the members back from a file that `render` made. */
function adopt(files: ReadonlyMap<string, string>, { config_file }: Config): ReadonlyMap<string, readonly Node[]> {
  const clusters = new Map<string, Node[]>();
  const file = files.get(config_file) ?? "";
  if (!file.startsWith("# my_balancer ")) return clusters;
  let nodes: Node[] = [];
  for (const line of file.split("\n")) {
    const [, cluster] = /^cluster (\S+) at \d+$/.exec(line) ?? [];
    if (cluster !== undefined) clusters.set(cluster, nodes = []);
    const [, host, ip, port] = /^ {2}server (\S+):\d+ \[?([^\]\s]+?)\]?:(\d+)$/.exec(line) ?? [];
    if (host !== undefined && ip !== undefined) nodes.push({ host, ip, port: Number(port), metadata: {} });
  }
  return clusters;
}

function plan(
  { config: { config_file, program } }: Wanted<Config, ClusterConfig>,
  { files }: Rendered,
  { runs, running, file }: Observed,
  { reload, because }: { readonly reload: boolean; readonly because?: string | undefined },
): readonly Step[] {
  const steps: Step[] = [];
  const text = files.get(config_file)?.text ?? "";
  const isRunning = runs && running === text.split("\n", 1)[0] && because === undefined;
  if (file !== text && (isRunning || !runs || reload)) {
    steps.push({
      do: "install",
      path: config_file,
      contents: text,
      mode: 0o644,
      // % stands for the path of the candidate.
      check: [program, "-t", "-c", "%"],
      when: "now",
    });
  }
  if (!runs) steps.push({ do: "start", reason: "not running", run: [program, "-c", config_file] });
  else if (!isRunning && reload) {
    steps.push({
      do: "reload",
      reason: because ?? "clusters or members changed",
      listens: [],
      how: { run: [program, "-s", "reload"] },
    });
  }
  return steps;
}

const plugin: BalancerPlugin<Config, ClusterConfig, Observed> = {
  kind: "balancer",
  apiVersion: 1,
  name: "my_balancer",
  summary: "Keeps my balancer in sync through its config file",
  stability: "experimental",
  example: {
    config_file: "/etc/my_balancer.conf",
    socket_file: "/run/my_balancer.sock",
    program: "/usr/sbin/my_balancer",
  },
  config: mapOf<Config>({ config_file: isPath, socket_file: isPath, program: isPath }),
  cluster: mapOf<ClusterConfig>({ port: isPort }),
  // The plugin touches nothing itself; these are the host's permissions to act for it.
  permissions: ({ config_file, socket_file, program }) => ({
    net: [`unix:${socket_file}`],
    read: [config_file],
    write: [config_file],
    run: [program],
  }),
  listens: (_config, cluster) => cluster === undefined ? [] : [{ host: "*", port: cluster.port, path: ["port"] }],
  sources: ({ config_file, socket_file, program }) => ({
    kind: "process",
    file: config_file,
    program,
    contact: {
      by: "commands",
      socket: socket_file,
      queries: ["show pid", "show config"],
      // After `prompt` each answer ends with a line break and `> `, as HAProxy's do.
      dialect: { opening: "prompt", ending: "\n> ", batchBytesMax: 15_000 },
    },
    reloadIntervalMs: 2_000,
  }),
  pid: ([pid = ""]) => /^\d+$/.test(pid.trim()) ? Number(pid) : undefined,
  observe({ answers, files }: Seen, { config_file }: Config): Observed {
    const [pid, running] = answers ?? [];
    if (pid !== undefined && !/^\d+\s*$/.test(pid)) throw new Error(`unexpected response from my_balancer: ${pid}`);
    return { runs: answers !== undefined, running: running?.trimEnd(), file: files?.get(config_file) };
  },
  adopt,
  render,
  plan,
};

export default plugin;
