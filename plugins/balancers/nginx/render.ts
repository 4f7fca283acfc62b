import { formatEndpoint } from "../../../src/model/endpoint.ts";
import { quote } from "../../../src/model/node.ts";
import type { Notice, Origin, WantedCluster } from "../../../mod.ts";
import type { NginxCluster, NginxServer, NginxWanted } from "./config.ts";
import { clusterComment, FIRST_LINE, type Members, membersOf, serverLine } from "./members.ts";
import { hashOf, STATUS_PATH, STUB_STATUS_PATH } from "./status.ts";
import { quoted, readLine } from "./words.ts";

/** The file, its findings, and the origin in the config of each of its lines. */
export interface NginxFile {
  /** Its text. */
  readonly text: string;
  /** Findings for the operator. */
  readonly notices: readonly Notice[];
  /** The place in the config of each line, by line number from 1. */
  readonly origins: ReadonlyMap<number, Origin>;
}

/** One line of the file. */
interface Line {
  readonly text: string;
  readonly origin?: Origin | undefined;
}

/** A cluster with its rendered members. */
interface Served extends Members {
  readonly cluster: WantedCluster<NginxCluster>;
}

/** The input of the parts of the file. */
interface Scene {
  readonly clusters: readonly Served[];
  readonly leftOut: readonly Origin[];
  readonly note: (text: string, origin: Origin) => void;
}

/** The placeholder of the text's hash. */
const HASH = "LIGHTHOUSE-HASH";

/** Renders the file: the same bytes for the same desired state. */
export function render({ config, clusters, leftOut = [] }: NginxWanted): NginxFile {
  const found = new Map<string, Notice>();
  const note: Scene["note"] = (text, origin) => void found.set(text, { text, origin });
  const scene: Scene = {
    clusters: clusters.map((cluster) => ({ cluster, ...membersOf(cluster) })),
    leftOut,
    note,
  };
  for (const served of scene.clusters) noteOf(served, note);
  const own = (key: "main" | "events" | "http" | "stream") => ownLines(config[key], { path: [key] }, leftOut);
  const streams = scene.clusters.filter(({ cluster }) => isStream(cluster));
  const streamLines = own("stream");
  const at = streams[0] && originOf(streams[0].cluster, "stream");
  const lines: readonly Line[] = [
    { text: FIRST_LINE },
    ...own("main"),
    { text: `pid ${quoted(config.pidFile)};`, origin: { path: ["pid_file"] } },
    { text: "events {" },
    ...indented(own("events")),
    { text: "}" },
    { text: "http {" },
    ...indented([...own("http"), ...statusLines(config.statusSocket), ...httpLines(scene, config.servers)]),
    { text: "}" },
    ...streams.length + streamLines.length === 0 ? [] : [
      { text: "stream {", origin: at ?? { path: ["stream"] } },
      ...indented([
        ...streamLines,
        ...streams.flatMap((served) => [...upstreamLines(served), ...streamServer(served, scene)]),
      ]),
      { text: "}" },
    ],
  ];
  const textWith = (hash: string) =>
    // Lines of the operator have an origin.
    lines.map(({ text, origin }) => `${origin === undefined ? text.replace(HASH, hash) : text}\n`).join("");
  const origins = new Map(lines.flatMap(({ origin }, i) => origin === undefined ? [] : [[i + 1, origin] as const]));
  const notices = [...found.values()].toSorted((a, b) => a.text < b.text ? -1 : 1);
  return { text: textWith(hashOf(textWith(""))), notices, origins };
}

function noteOf({ cluster, isEmpty, lacksBackup }: Served, note: Scene["note"]): void {
  const { name, config } = cluster;
  if (isEmpty) {
    const what = isStream(cluster) ? "nginx closes client connections" : `nginx responds with ${config.emptyStatus}`;
    note(`No member of cluster ${name} receives requests; ${what}`, originOf(cluster));
  }
  if (lacksBackup) {
    const loss = "if all preferred nodes go down, requests fail until the writer reloads nginx";
    note(
      `Cluster ${name} has no backup servers: balance ${config.balance} does not support backup; ${loss}`,
      originOf(cluster, "balance"),
    );
  }
}

/**
 * nginx reports which config it serves, and its counters, on a socket of its own; no line of `http` restricts
 * that.
 */
function statusLines(socket: string): readonly Line[] {
  const location = (path: string, content: string): Line => ({
    text: `  location = ${path} { allow all; auth_basic off; ${content} }`,
  });
  return [
    { text: "server {", origin: { path: ["status_socket"] } },
    { text: `  listen ${quoted(`unix:${socket}`)};`, origin: { path: ["status_socket"] } },
    { text: "  access_log off;" },
    location(STATUS_PATH, `return 200 "$pid ${HASH}\\n";`),
    location(STUB_STATUS_PATH, "stub_status;"),
    { text: "}" },
  ];
}

function httpLines(scene: Scene, servers: readonly NginxServer[]): readonly Line[] {
  const clusters = scene.clusters.filter(({ cluster }) => !isStream(cluster));
  const known = new Set(servers.map(({ name }) => name));
  for (const { cluster } of clusters) {
    const { server } = cluster.config;
    if (server === undefined || known.has(server)) continue;
    const which = known.size === 0 ? "no servers are configured" : `known servers are ${[...known].join(", ")}`;
    scene.note(
      `Cluster ${cluster.name} is not served: no server ${quote(server)}; ${which}`,
      originOf(cluster, "server"),
    );
  }
  return [
    ...clusters.flatMap(upstreamLines),
    ...clusters.flatMap(mirrorSplit),
    ...servers.flatMap((server) => {
      const origin: Origin = { path: ["servers", server.name] };
      if (isLeftOut(origin, scene.leftOut)) return [];
      return sharedServer(server, clusters.filter(({ cluster }) => cluster.config.server === server.name), scene);
    }),
    ...clusters.flatMap((served) => ownServer(served, scene)),
  ];
}

/** The members of a cluster, if any of them gets requests: otherwise nginx accepts no `upstream`. */
function upstreamLines({ cluster, members, isEmpty }: Served): readonly Line[] {
  const { config: { balance, keepalive } } = cluster;
  const origin = originOf(cluster);
  const comment = { text: clusterComment(cluster.name), origin };
  // A drained member is read back at the next start.
  if (isEmpty) return [comment, ...members.map((member) => ({ text: `# ${serverLine(member)}`, origin }))];
  return [
    comment,
    { text: `upstream ${upstreamOf(cluster.name)} {`, origin },
    ...balance === "round_robin" ? [] : [{ text: `  ${balance};`, origin: originOf(cluster, "balance") }],
    ...members.map((member) => ({ text: `  ${serverLine(member)}`, origin })),
    ...keepalive === 0 ? [] : [{ text: `  keepalive ${keepalive};`, origin: originOf(cluster, "keepalive") }],
    { text: "}", origin },
  ];
}

function sharedServer(server: NginxServer, clusters: readonly Served[], scene: Scene): readonly Line[] {
  const { name, listen, hosts, isDefault, tls, healthcheckRoute, deny } = server;
  const at = (...path: readonly (string | number)[]): Origin => ({ path: ["servers", name, ...path] });
  const options = `${isDefault ? " default_server" : ""}${tls === undefined ? "" : " ssl"}`;
  const taken = new Map<string, string>();
  const fixed: Line[] = [];
  const fix = (location: string, content: string, origin: Origin) => {
    if (taken.has(keyOf(location))) return;
    taken.set(keyOf(location), `server ${name}`);
    fixed.push({ text: `  location ${locationText(location)} { ${content} }`, origin });
  };
  if (healthcheckRoute !== undefined) {
    fix(`= ${healthcheckRoute}`, "access_log off; return 200;", at("healthcheck_route"));
  }
  deny.forEach((route, i) => fix(`^~ ${route}`, "deny all;", at("deny", i)));
  const locations = clusters.flatMap((served) => clusterLocations(served, taken, scene));
  return [
    { text: "server {", origin: at() },
    ...listen.map((address, i) => ({
      text: `  listen ${formatEndpoint(address)}${options};`,
      origin: at("listen", i),
    })),
    ...hosts.length === 0 ? [] : [{ text: `  server_name ${hosts.join(" ")};`, origin: at("hosts") }],
    ...tls === undefined ? [] : [
      { text: `  ssl_certificate ${quoted(tls.cert)};`, origin: at("tls", "cert") },
      { text: `  ssl_certificate_key ${quoted(tls.key)};`, origin: at("tls", "key") },
    ],
    ...indented(ownLines(server.lines, at("lines"), scene.leftOut)),
    ...fixed,
    ...indented(locations),
    // nginx would answer with files of its own.
    ...taken.has("/") ? [] : [{ text: "  location / { return 404; }" }],
    { text: "}" },
  ];
}

/** The server of a cluster that has an address of its own. */
function ownServer(served: Served, scene: Scene): readonly Line[] {
  const { cluster } = served;
  const { listen, server } = cluster.config;
  if (listen === undefined || server !== undefined) return [];
  const taken = new Map<string, string>();
  const locations = clusterLocations(served, taken, scene);
  return [
    { text: "server {", origin: originOf(cluster) },
    { text: `  listen ${formatEndpoint(listen)};`, origin: originOf(cluster, "listen") },
    ...indented(locations),
    ...taken.has("/") ? [] : [{ text: "  location / { return 404; }" }],
    { text: "}" },
  ];
}

/** The locations of a cluster in a server; `taken` are those that others have there. */
function clusterLocations(served: Served, taken: Map<string, string>, scene: Scene): readonly Line[] {
  const { cluster } = served;
  const { name, config } = cluster;
  const mirror = mirrorOf(served, scene);
  const lines = config.locations.flatMap((location, i): readonly Line[] => {
    const origin = originOf(cluster, "locations", i);
    if (isLeftOut(origin, scene.leftOut)) return [];
    const key = keyOf(location);
    const other = taken.get(key);
    if (other !== undefined) {
      scene.note(`Location ${quote(location)} of cluster ${name} is not served: ${other} already serves it`, origin);
      return [];
    }
    // Of two regular expressions nginx uses the first.
    if (!key.startsWith("~")) taken.set(key, `cluster ${name}`);
    return [
      { text: `location ${locationText(location)} {`, origin },
      ...indented(locationLines(served, mirror !== undefined, scene)),
      { text: "}" },
    ];
  });
  if (mirror === undefined || lines.length === 0) return lines;
  return [...lines, ...mirrorLocation(served, mirror)];
}

function locationLines({ cluster, isEmpty }: Served, isMirrored: boolean, { leftOut }: Scene): readonly Line[] {
  const { config, name } = cluster;
  const own = ownLines(config.lines, originOf(cluster, "lines"), leftOut);
  if (isEmpty) return [{ text: `return ${config.emptyStatus};`, origin: originOf(cluster, "empty_status") }, ...own];
  return [
    ...isMirrored ? [{ text: `mirror ${mirrorPath(name)};`, origin: originOf(cluster, "mirror") }] : [],
    ...proxyLines(config, originOf(cluster), own),
    ...own,
    { text: `proxy_pass http://${upstreamOf(name)};`, origin: originOf(cluster) },
  ];
}

/** The defaults of a request to a member, unless lines of the operator override them. */
function proxyLines({ timeouts }: NginxCluster, origin: Origin, own: readonly Line[] = []): readonly Line[] {
  const said = new Set(own.flatMap(({ text }) => {
    const read = readLine(text);
    return read.ok ? read.directives.map(nameOf) : [];
  }));
  const { connectMs, readMs, sendMs } = timeouts;
  const lines: readonly string[] = [
    "proxy_http_version 1.1",
    "proxy_set_header Host $http_host",
    "proxy_set_header X-Real-IP $remote_addr",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for",
    'proxy_set_header Connection ""',
    ...connectMs === undefined ? [] : [`proxy_connect_timeout ${connectMs}ms`],
    ...readMs === undefined ? [] : [`proxy_read_timeout ${readMs}ms`],
    ...sendMs === undefined ? [] : [`proxy_send_timeout ${sendMs}ms`],
  ];
  return lines.filter((line) => !said.has(nameOf(line.split(" ")))).map((line) => ({ text: `${line};`, origin }));
}

/** What a directive sets: nginx accepts most of them once, and a header once for each name. */
function nameOf([name = "", header = ""]: readonly string[]): string {
  return name === "proxy_set_header" ? `${name} ${header.toLowerCase()}` : name;
}

/** The cluster that gets copies of the requests of another; `undefined` if there are none. */
function mirrorOf({ cluster: { name, config }, isEmpty }: Served, { clusters, note }: Scene): Served | undefined {
  const { mirror } = config;
  if (mirror === undefined || isEmpty) return undefined;
  const origin: Origin = { cluster: name, path: ["mirror", "cluster"] };
  const shadow = clusters.find(({ cluster }) => cluster.name === mirror.cluster);
  const what = `Requests for cluster ${name} are not mirrored`;
  if (shadow === undefined || isStream(shadow.cluster)) {
    const section = "no cluster with that name has an nginx section without stream";
    note(`${what} to ${quote(mirror.cluster)}: ${section}`, origin);
    return undefined;
  }
  if (!shadow.isEmpty) return shadow;
  note(`${what} to ${mirror.cluster}: ${mirror.cluster} has no active members`, origin);
  return undefined;
}

function mirrorLocation({ cluster }: Served, { cluster: shadow }: Served): readonly Line[] {
  const { name, config } = cluster;
  const origin = originOf(cluster, "mirror");
  const isAll = config.mirror?.percent === 100;
  return [
    { text: `location = ${mirrorPath(name)} {`, origin },
    { text: "  internal;", origin },
    ...isAll ? [] : [{ text: `  if (${mirrorVariable(name)} = "") { return 204; }`, origin }],
    ...indented(proxyLines(shadow.config, origin)),
    { text: `  proxy_pass http://${upstreamOf(shadow.name)}$request_uri;`, origin },
    { text: "}", origin },
  ];
}

/** Chooses the requests to be copied, by their random ids. */
function mirrorSplit({ cluster }: Served): readonly Line[] {
  const { name, config: { mirror } } = cluster;
  if (mirror === undefined || mirror.percent === 100) return [];
  const origin = originOf(cluster, "mirror", "percent");
  return [{ text: `split_clients $request_id ${mirrorVariable(name)} { ${mirror.percent}% 1; * ""; }`, origin }];
}

function streamServer({ cluster, isEmpty }: Served, { leftOut }: Scene): readonly Line[] {
  const { name, config } = cluster;
  const { listen, stream, timeouts: { connectMs, readMs } } = config;
  if (listen === undefined) return [];
  const line = (text: string, ...path: readonly string[]): Line => ({ text, origin: originOf(cluster, ...path) });
  return [
    line("server {"),
    line(`  listen ${formatEndpoint(listen)}${stream === "udp" ? " udp" : ""};`, "listen"),
    ...connectMs === undefined ? [] : [line(`  proxy_connect_timeout ${connectMs}ms;`, "timeouts")],
    ...readMs === undefined ? [] : [line(`  proxy_timeout ${readMs}ms;`, "timeouts")],
    ...indented(ownLines(config.lines, originOf(cluster, "lines"), leftOut)),
    line(isEmpty ? '  return "";' : `  proxy_pass ${upstreamOf(name)};`),
    line("}"),
  ];
}

/** The operator's lines of a list, without those that nginx rejects. */
function ownLines(texts: readonly string[], list: Origin, leftOut: readonly Origin[]): readonly Line[] {
  return texts.flatMap((text, i): readonly Line[] => {
    const origin = { ...list, path: [...list.path, i] };
    const read = readLine(text);
    return !read.ok || read.text === "" || isLeftOut(origin, leftOut) ? [] : [{ text: read.text, origin }];
  });
}

function isLeftOut({ cluster, path }: Origin, leftOut: readonly Origin[]): boolean {
  return leftOut.some((out) =>
    out.cluster === cluster && out.path.length <= path.length && out.path.every((key, index) => key === path[index])
  );
}

function isStream({ config }: WantedCluster<NginxCluster>): boolean {
  return config.stream !== undefined;
}

function originOf({ name }: WantedCluster, ...path: readonly (string | number)[]): Origin {
  return { cluster: name, path };
}

function indented(lines: readonly Line[]): readonly Line[] {
  return lines.map(({ text, origin }) => ({ text: `  ${text}`, origin }));
}

/**
 * nginx compares the names of upstreams case-insensitively, and looks hosts up among them: another name for
 * each cluster.
 */
export function upstreamOf(cluster: string): string {
  return `lighthouse-${encoded(cluster, /[^a-z0-9.-]/gu)}`;
}

function mirrorPath(cluster: string): string {
  return `/.lighthouse-mirror-${encoded(cluster, /[^a-z0-9.-]/gu)}`;
}

function mirrorVariable(cluster: string): string {
  return `$lighthouse_mirror_${encoded(cluster, /[^a-z0-9]/gu)}`;
}

function encoded(name: string, unsafe: RegExp): string {
  return name.replaceAll(unsafe, (char) => `_${char.codePointAt(0)?.toString(16)}_`);
}

/** The modifier of a location, and what it is compared with. */
function partsOf(location: string): readonly [modifier: string, pattern: string] {
  const [, modifier = "", pattern = ""] = /^(=|\^~|~\*|~)? ?(.*)$/s.exec(location) ?? [];
  return [modifier, pattern];
}

function locationText(location: string): string {
  const [modifier, pattern] = partsOf(location);
  return `${modifier === "" ? "" : `${modifier} `}${quoted(pattern)}`;
}

/** Two locations of one key are duplicates to nginx, or the second of them gets nothing. */
function keyOf(location: string): string {
  const [modifier, pattern] = partsOf(location);
  return `${modifier === "^~" ? "" : modifier}${pattern}`;
}
