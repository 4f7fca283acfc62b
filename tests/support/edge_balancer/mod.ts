/**
 * A third-party balancer of a process that is asked over HTTP, for tests: a
 * small one for nginx, by the name `edge`, as `nginx` itself ships.
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

/** What `balancers/NAME.yaml` says. */
interface NginxConfig {
  /** The file that is written, and that nginx is started from. */
  readonly config_file: string;
  /** The socket at which nginx says which config it runs. */
  readonly socket_file: string;
  /** Where nginx writes its pid. */
  readonly pid_file: string;
  /** Where nginx writes what goes wrong. */
  readonly error_log: string;
  /** nginx itself. */
  readonly program: string;
}

/** What a cluster's section says. */
interface NginxCluster {
  /** The port at which it is served. */
  readonly port: number;
  /** The address at which it is served. */
  readonly bind_address: string;
  /** Lines for its server, as nginx wants them, without the semicolon. */
  readonly lines: readonly string[];
}

/** What is seen of nginx. */
interface Observed {
  /** The print of the config that it runs; `undefined` if nobody answers. */
  readonly running?: string | undefined;
  /** The file as it is. */
  readonly file?: string | undefined;
}

/** The path at which nginx says its pid and the print of its config. */
const STATUS_PATH = "/lighthouse";
/** Reloads are joined for as long. */
const RELOAD_INTERVAL_MS = 1_000;
/** Members are nobody else's business. */
const FILE_MODE = 0o640;

const edge: BalancerPlugin<NginxConfig, NginxCluster, Observed> = {
  kind: "balancer",
  apiVersion: 1,
  name: "edge",
  summary: "Keeps a local nginx in step by reloads",
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
  if (status === undefined) throw new Error(`It is no nginx of Lighthouse's: it answers ${JSON.stringify(answer)}`);
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
  // The status says which config runs, so it cannot be in what is printed.
  const body = [
    "# Written by Lighthouse: what is changed here is undone.",
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
      text: `Cluster ${name} has no members: it answers 503`,
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
  // An upstream without servers is rejected; one whose servers are all down answers 502.
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

/** nginx knows no drain: what it has begun with a server goes on after a reload, and one that is down gets nothing new. */
function serverLine({ node, weight, state, pool }: WantedNode): string {
  const isDown = state !== "ready" || pool === "overflow" || weight === 0;
  const share = isDown ? " down" : weight === undefined ? "" : ` weight=${weight}`;
  return `server ${endpoint(node)}${share}; # ${node.host}`;
}

function endpoint({ ip, port }: Node): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** A number for a text, in hexadecimal digits (FNV-1a, 32 bits): other text, other number, but for chance. */
function printOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The print in a file that was rendered here. */
function printIn(file: string): string | undefined {
  return /return 200 "\$pid ([0-9a-f]+)\\n"/.exec(file)?.[1];
}

/** Reads the members back that get requests. */
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
    return [...install("now"), { do: "start", reason: "it does not run", run: [program, "-c", config_file] }];
  }
  const reason = because ?? (running === printIn(text) ? undefined : "its config has changed");
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
