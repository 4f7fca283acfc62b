/**
 * A third-party balancer plugin, for tests, whose process reports its config over
 * HTTP: a small one for nginx, named `edge` because `nginx` itself ships.
 *
 * @module
 */
import type {
  BalancerPlugin,
  Explanation,
  Listening,
  Node,
  Origin,
  PlanAllowance,
  Rendered,
  Seen,
  Step,
  Wanted,
  WantedCluster,
  WantedNode,
} from "../../../mod.ts";
import { listOfTexts, mapSchema, path, port, text } from "./schema.ts";

/** The config in `balancers/NAME.yaml`. */
interface NginxConfig {
  /** The file that is written, and that nginx runs. */
  readonly config_file: string;
  /** The socket at which nginx reports the config that it runs. */
  readonly socket_file: string;
  /** nginx's pid file. */
  readonly pid_file: string;
  /** nginx's error log. */
  readonly error_log: string;
  /** nginx itself. */
  readonly program: string;
}

/** A cluster's section. */
interface NginxCluster {
  /** The port of the cluster. */
  readonly port: number;
  /** The address of the cluster. */
  readonly bind_address: string;
  /** Lines for its server, in nginx's syntax without the semicolon. */
  readonly lines: readonly string[];
}

/** The observed state of nginx. */
interface Observed {
  /** The hash of the running config; `undefined` if nobody answers. */
  readonly running?: string | undefined;
  /** The contents of the file. */
  readonly file?: string | undefined;
}

/** The path at which nginx reports its pid and the hash of its config. */
const STATUS_PATH = "/lighthouse";
/** Reloads within this time are joined. */
const RELOAD_INTERVAL_MS = 1_000;
/** The file mode: members are not readable by everybody. */
const FILE_MODE = 0o640;

const edge: BalancerPlugin<NginxConfig, NginxCluster, Observed> = {
  kind: "balancer",
  apiVersion: 1,
  name: "edge",
  summary: "Keeps a local nginx in sync by reloads",
  stability: "experimental",
  example: {
    config_file: "/run/nginx/lighthouse.conf",
    socket_file: "/run/nginx/lighthouse.sock",
    pid_file: "/run/nginx/lighthouse.pid",
  },
  config: mapSchema({
    config_file: path(),
    socket_file: path(),
    pid_file: path(),
    error_log: path("/var/log/nginx/error.log"),
    program: path("/usr/sbin/nginx"),
  }),
  cluster: mapSchema({ port: port(), bind_address: text("127.0.0.1"), lines: listOfTexts() }),
  permissions: ({ config_file, socket_file, program }) => ({
    net: [`unix:${socket_file}`],
    write: [config_file],
    run: [program],
  }),
  listens: (_config, cluster): readonly Listening[] =>
    cluster === undefined ? [] : [{ host: cluster.bind_address, port: cluster.port, path: ["port"] }],
  sources: ({ config_file, socket_file, program }) => ({
    kind: "process",
    file: config_file,
    program,
    contact: { by: "http", socket: socket_file, queries: [STATUS_PATH] },
    // A graceful shutdown; `-t` checks a file, and ends.
    leavesOn: "SIGQUIT",
    otherRuns: ["-t"],
    reloadIntervalMs: RELOAD_INTERVAL_MS,
  }),
  pid: ([status = ""]) => {
    const pid = parseStatus(status)?.pid;
    return pid === undefined ? undefined : Number(pid);
  },
  observe,
  adopt,
  render,
  plan,
  explain,
};
export default edge;

function observe({ answers, files }: Seen, { config_file }: NginxConfig): Observed {
  const file = files?.get(config_file);
  if (answers === undefined) return { file };
  const [answer = ""] = answers;
  const status = parseStatus(answer);
  if (status === undefined) {
    throw new Error(`Not an nginx managed by Lighthouse: the answer is ${JSON.stringify(answer)}`);
  }
  return { running: status.print, file };
}

function parseStatus(answer: string): { readonly pid: string; readonly print: string } | undefined {
  const [, pid, print] = /^([0-9]+) ([0-9a-f]+)$/.exec(answer) ?? [];
  return pid === undefined || print === undefined ? undefined : { pid, print };
}

function render({ config, clusters, leftOut = [] }: Wanted<NginxConfig, NginxCluster>): Rendered {
  const lines: { readonly text: string; readonly origin?: Origin }[] = clusters.flatMap((cluster, index) =>
    renderCluster(cluster, { upstream: `lighthouse_${index}`, leftOut })
  );
  // The status reports which config runs, so it is excluded from the hash.
  const body = [
    "# Written by Lighthouse: changes are reverted.",
    "worker_processes 1;",
    `pid ${config.pid_file};`,
    `error_log ${config.error_log};`,
    "events {}",
    "http {",
    "access_log off;",
  ];
  const print = printOf([...body, config.socket_file, ...lines.map(({ text }) => text)].join("\n"));
  const head = [
    ...body,
    `server { listen unix:${config.socket_file}; location = ${STATUS_PATH} { return 200 "$pid ${print}\\n"; } }`,
  ];
  const origins = new Map(
    lines.flatMap(({ origin }, index) => origin === undefined ? [] : [[head.length + index + 1, origin] as const]),
  );
  const notices = clusters.filter(({ nodes }) => nodes.length === 0)
    .map(({ name }) => ({
      text: `Cluster ${name} has no members: answering 503`,
      origin: { cluster: name, path: [] },
    }));
  const text = [...head, ...lines.map(({ text }) => text), "}", ""].join("\n");
  return { files: new Map([[config.config_file, { text, mode: FILE_MODE, origins }]]), notices };
}

function renderCluster(
  { name, config, nodes }: WantedCluster<NginxCluster>,
  { upstream, leftOut }: { readonly upstream: string; readonly leftOut: readonly Origin[] },
): readonly { readonly text: string; readonly origin?: Origin }[] {
  const origin = (...path: readonly (string | number)[]): Origin => ({ cluster: name, path });
  const isLeftOut = (index: number) =>
    leftOut.some(({ cluster, path: [key, at] }) => cluster === name && key === "lines" && at === index);
  const own = config.lines.flatMap((line, index) =>
    isLeftOut(index) ? [] : [{ text: `${line};`, origin: origin("lines", index) }]
  );
  // nginx rejects an upstream without servers; one whose servers are all down answers 502.
  const members = nodes.length === 0 ? [] : [`upstream ${upstream} {`, ...nodes.map(serverLine), "}"];
  return [
    { text: `# cluster ${JSON.stringify(name)}`, origin: origin() },
    ...members.map((text) => ({ text, origin: origin() })),
    { text: "server {", origin: origin() },
    { text: `listen ${config.bind_address}:${config.port};`, origin: origin("port") },
    ...own,
    {
      text: `location / { ${nodes.length === 0 ? "return 503" : `proxy_pass http://${upstream}`}; }`,
      origin: origin(),
    },
    { text: "}", origin: origin() },
  ];
}

/** nginx has no drain: requests in progress continue after a reload, and a server that is down gets nothing new. */
function serverLine({ node, weight, state, pool }: WantedNode): string {
  const isDown = state !== "ready" || pool === "overflow" || weight === 0;
  const share = isDown ? " down" : weight === undefined ? "" : ` weight=${weight}`;
  return `server ${endpoint(node)}${share}; # ${node.host}`;
}

function endpoint({ ip, port }: Node): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The hash of a string, in hexadecimal digits (FNV-1a, 32 bits). */
function printOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The hash in a file that was rendered here. */
function printIn(file: string): string | undefined {
  return /return 200 "\$pid ([0-9a-f]+)\\n"/.exec(file)?.[1];
}

/** Reads the members that get requests from the file. */
function adopt(
  files: ReadonlyMap<string, string>,
  { config_file }: NginxConfig,
): ReadonlyMap<string, readonly Node[]> {
  const file = files.get(config_file) ?? "";
  const members = new Map<string, Node[]>();
  let cluster: Node[] = [];
  for (const line of file.split("\n")) {
    const name = /^# cluster (".*")$/.exec(line)?.[1];
    if (name !== undefined) members.set(JSON.parse(name), cluster = []);
    const [, v6, v4, port, host] =
      /^server (?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]+)(?: weight=[0-9]+)?; # (\S+)$/.exec(line) ?? [];
    const ip = v6 ?? v4;
    if (ip !== undefined && host !== undefined) cluster.push({ host, ip, port: Number(port), metadata: {} });
  }
  return members;
}

function plan(
  { config }: Wanted<NginxConfig, NginxCluster>,
  { files }: Rendered,
  { running, file }: Observed,
  { reload, because }: PlanAllowance,
): readonly Step[] {
  const { config_file, program } = config;
  const text = files.get(config_file)?.text ?? "";
  const install = (when: "now" | "soon"): readonly Step[] =>
    file === text ? [] : [{
      do: "install",
      path: config_file,
      contents: text,
      mode: FILE_MODE,
      check: [program, "-t", "-q", "-c", "%"],
      when,
    }];
  if (running === undefined) {
    return [...install("now"), { do: "start", reason: "not running", run: [program, "-c", config_file] }];
  }
  const reason = because ?? (running === printIn(text) ? undefined : "config changed");
  if (reason === undefined) return install("soon");
  if (!reload) return [];
  const how = { run: [program, "-c", config_file, "-s", "reload"] };
  return [...install("now"), { do: "reload", reason, listens: [], how }];
}

function explain({ files }: Rendered, output: string): Explanation {
  const [{ origins } = {}] = files.values();
  const [, message = output, line] = /\[emerg\] (?:[0-9]+#[0-9]+: )?(.*) in \S+:([0-9]+)$/m.exec(output) ?? [];
  const origin = origins?.get(Number(line));
  const remedy = origin?.path[0] === "lines" ? [origin] : [];
  return { cluster: origin?.cluster, faults: [{ message, origin, remedy }] };
}
