/**
 * confd's templates and template resources to balancers of the type
 * `template`. Pure.
 *
 * @module
 */
import { ConfigFiles, FileNames, type FileValue } from "./config_files.ts";
import { GoTemplateError, parseGoTemplate } from "./go_template.ts";
import { commandList } from "./haproxy_lines.ts";
import { toLiquid, type Unconverted } from "./liquid_template.ts";
import { type Document, type Entry, type Imported, type Key, Ledger } from "./report.ts";

/** What confd has on a host. */
export interface ConfdInput {
  /** How the directory is called in the files that are made. */
  readonly origin: string;
  /** `confd.toml`, if there is one. */
  readonly settings?: Document | undefined;
  /** Its command line, if it is known. */
  readonly commandLine?: Document | undefined;
  /** The files of `conf.d`, by their names without the ending. */
  readonly resources: ReadonlyMap<string, Document>;
  /** The files of `templates`, by their paths in it. */
  readonly templates: ReadonlyMap<string, { readonly file: string; readonly text: string }>;
}

/** The options of confd that are followed by no value. */
export const CONFD_FLAGS: readonly string[] = [
  ..."watch onetime noop sync-only keep-stage-file client-insecure basic-auth version".split(" "),
];

/** The options that may be given several times. */
export const CONFD_LISTS: readonly string[] = ["node"];

const SETTINGS_REPLACED: Readonly<Record<string, string>> = {
  interval: "keys are watched",
  watch: "keys are always watched",
  onetime: "lighthouse writer DIR --once",
  noop: "lighthouse plan DIR",
  "log-level": "--log-level, or logging.yaml",
  confdir: "lighthouse import takes the directory as an argument",
  "config-file": "lighthouse import reads confd.toml from the directory",
};

const SETTINGS_UNSUPPORTED: Readonly<Record<string, string>> = {
  "sync-only": "omit reload_command for files that require no reload",
  "keep-stage-file": "staged files are always removed",
  "client-insecure": "certificates are always verified",
  "srv-domain": "list the registry's addresses in the discovery's file",
  "srv-record": "list the registry's addresses in the discovery's file",
  scheme: "start the URL of each node with https://",
};

/** Where the keys come from. */
interface Backend {
  /** The name of the discovery; `undefined` if there is none of the kind. */
  readonly discovery: string | undefined;
  readonly why: string;
  /** The prefix that replaces those of the resources. */
  readonly prefix: string | undefined;
}

/** Converts what confd has on a host. */
export function importConfd({ origin, settings, commandLine, resources, templates }: ConfdInput): Imported {
  const files = new ConfigFiles(origin);
  const ledgers = [settings, commandLine].filter((each) => each !== undefined).map((each) => new Ledger(each));
  const backend = convertBackend(ledgers.map(({ root }) => root), files);
  const names = new FileNames();
  const report: Entry[] = [];
  const used = new Set<string>();
  for (const [given, document] of resources) {
    const ledger = new Ledger(document);
    const name = names.nearest(given);
    const { src, unconverted } = convertResource(ledger.root, { name, files, backend, templates });
    report.push(...ledger.end());
    if (src === undefined || used.has(src)) continue;
    used.add(src);
    const file = templates.get(src)?.file ?? src;
    report.push(...unconverted.map((each) => templateEntry(file, each)));
    if (unconverted.length === 0) {
      report.push({
        file,
        line: 1,
        column: 1,
        key: "template",
        outcome: "converted",
        text: `templates/${name}.liquid`,
      });
    }
  }
  for (const [path, { file }] of templates) {
    if (used.has(path)) continue;
    report.push({
      file,
      line: 1,
      column: 1,
      key: "template",
      outcome: "not supported",
      text: "unused: no template resource references this template",
    });
  }
  return { files: files.all, report: [...ledgers.flatMap((ledger) => ledger.end()), ...report] };
}

function templateEntry(file: string, { line, column, what, why }: Unconverted): Entry {
  return { file, line, column, key: what, outcome: "not supported", text: why };
}

/** Names of the file and of the command line: `log_level`, `log-level`. */
function setting(roots: readonly Key[], name: string): Key | undefined {
  const names = [...new Set([name, name.replaceAll("-", "_")])];
  const [first, ...others] = roots.flatMap((root) => names.flatMap((each) => root.get(each) ?? []));
  for (const each of others) each.replaced("the value in the config file takes precedence, as in confd");
  return first;
}

function convertBackend(roots: readonly Key[], files: ConfigFiles): Backend {
  for (const [name, by] of Object.entries(SETTINGS_REPLACED)) setting(roots, name)?.replaced(by);
  for (const [name, why] of Object.entries(SETTINGS_UNSUPPORTED)) setting(roots, name)?.unsupported(why);
  for (const root of roots) root.get("arguments")?.replaced("the program name");
  const prefix = setting(roots, "prefix");
  const common = prefix?.take(prefix.text, "a path", "keys.prefix, which overrides the prefix of each resource");
  const key = setting(roots, "backend");
  const kind = key?.text ?? "etcd";
  const [nodesKey, ...otherNodes] = ["nodes", "node"].flatMap((name) => setting(roots, name) ?? []);
  for (const each of otherNodes) each.replaced("the value in the config file takes precedence, as in confd");
  const said = {
    nodes: nodesKey,
    username: setting(roots, "username"),
    password: setting(roots, "password"),
    ca: setting(roots, "client-ca-keys") ?? setting(roots, "client-cakeys"),
    cert: setting(roots, "client-cert"),
    clientKey: setting(roots, "client-key"),
  };
  setting(roots, "basic-auth")?.converted("username and password in the discovery's file");
  const nodes = said.nodes?.texts ?? [];
  const value = registry(kind, nodes, said);
  if (value === undefined) {
    key?.unsupported(`no discovery reads keys from ${kind} for templates`);
    return { discovery: undefined, why: `keys of ${kind}`, prefix: common };
  }
  const [type, file] = value;
  key?.converted(`discovery: ${type}`);
  said.nodes?.converted(`discovery/${type}.yaml`);
  return { discovery: files.discovery(type, file), why: "", prefix: common };
}

function registry(
  kind: string,
  nodes: readonly string[],
  said: Readonly<Record<"username" | "password" | "ca" | "cert" | "clientKey", Key | undefined>>,
): readonly [type: string, file: FileValue] | undefined {
  const take = (key: Key | undefined, to: string) => key?.take(key.text, "a string", to);
  const tls = () => {
    const [ca, cert, key] = [take(said.ca, "tls.ca"), take(said.cert, "tls.cert"), take(said.clientKey, "tls.key")];
    const files = { ...ca !== undefined && { ca }, ...cert !== undefined && { cert }, ...key !== undefined && { key } };
    return Object.keys(files).length > 0 && { tls: files };
  };
  switch (kind) {
    case "etcd":
    case "etcdv3": {
      const standard = kind === "etcd" ? "http://127.0.0.1:4001" : "127.0.0.1:2379";
      const [username, password] = [take(said.username, "username"), take(said.password, "password")];
      return ["etcd", {
        endpoints: nodes.length === 0 ? [standard] : nodes.map((node) => node.replace(/\/+$/, "")),
        ...kind === "etcd" && { api: "v2" },
        ...username !== undefined && { username },
        ...password !== undefined && { password },
        ...tls(),
      }];
    }
    case "zookeeper":
      return ["zookeeper", { hosts: nodes.length === 0 ? ["127.0.0.1:2181"] : nodes, path: "/lighthouse/services" }];
    default:
      return undefined;
  }
}

function convertResource(
  root: Key,
  { name, files, backend, templates }: {
    readonly name: string;
    readonly files: ConfigFiles;
    readonly backend: Backend;
    readonly templates: ConfdInput["templates"];
  },
): { readonly src: string | undefined; readonly unconverted: readonly Unconverted[] } {
  const reasons: string[] = backend.discovery === undefined ? [backend.why] : [];
  const where = `balancers/${name}.yaml`;
  const template = root.get("template");
  const take = (key: string, to: string, wanted = "a string") => {
    const each = template?.get(key);
    return each?.take(each.text, wanted, `${where}: ${to}`);
  };
  const src = take("src", "template");
  const dest = take("dest", "dest", "a path");
  const keys = template?.get("keys");
  const list = keys?.take(keys.texts, "a list of keys", `${where}: keys.prefix`) ?? [];
  const own = template?.get("prefix");
  if (backend.prefix === undefined) own?.take(own.text, "a path", `${where}: keys.prefix`);
  else own?.replaced("the global prefix overrides the prefix of the resource");
  const below = commonPath(list);
  const prefix = joinPath(backend.prefix ?? own?.text ?? "", below);
  const found = src === undefined ? undefined : templates.get(src);
  if (src === undefined || dest === undefined) reasons.push("missing key src or dest");
  else if (found === undefined) {
    template?.get("src")?.unsupported("template not found");
    reasons.push("template missing");
  }
  const { text, unconverted } = found === undefined
    ? { text: "", unconverted: [] }
    : convertTemplate(found.text, below);
  if (unconverted.length > 0) reasons.push(`in the template: ${unconverted.map(({ what }) => what).join(", ")}`);
  if (found !== undefined) files.addText(`templates/${name}.liquid`, text);
  const check = take("check_cmd", "check_command");
  const reload = take("reload_cmd", "reload_command");
  const [uid, gid] = [take("uid", "owner"), take("gid", "owner")];
  const mode = take("mode", "mode");
  files.add(`balancers/${name}`, {
    ...name !== "template" && { type: "template" },
    files: [{
      template: `templates/${name}.liquid`,
      dest,
      ...mode !== undefined && { mode: mode.padStart(4, "0") },
      ...uid !== undefined && { owner: gid === undefined ? uid : `${uid}:${gid}` },
      keys: { discovery: backend.discovery ?? "etcd", prefix },
      ...check !== undefined && { check_command: checkCommand(check) },
      ...reload !== undefined && { reload_command: commandList(reload) },
    }],
  }, {
    isOff: reasons.length > 0,
    notes: reasons.length > 0 ? [`Disabled because the conversion is incomplete: ${reasons.join("; ")}`] : [],
  });
  return { src, unconverted };
}

/** The staged file is the argument `%`; a shell gets it as `$1`. */
function checkCommand(line: string): readonly string[] {
  const staged = /\{\{\s*\.src\s*\}\}/g;
  const words = commandList(line.replaceAll(staged, "%"));
  if (words[0] !== "/bin/sh" && words.includes("%") && words.every((word) => word === "%" || !word.includes("%"))) {
    return words;
  }
  return ["/bin/sh", "-c", line.replaceAll(staged, '"$1"'), "check", "%"];
}

function convertTemplate(
  text: string,
  below: string,
): { readonly text: string; readonly unconverted: readonly Unconverted[] } {
  try {
    return toLiquid(parseGoTemplate(text), { below });
  } catch (error) {
    if (!(error instanceof GoTemplateError)) throw error;
    return { text: "", unconverted: [{ ...error.at, what: "template", why: `cannot be read: ${error.message}` }] };
  }
}

/** The directory that all keys are in: `/app` of `/app/web` and `/app/db`; a key alone is one itself. */
function commonPath(keys: readonly string[]): string {
  const [first = [], ...others] = keys.map((key) => key.split("/").filter((part) => part !== ""));
  const differs = first.findIndex((part, i) => others.some((other) => other[i] !== part));
  const common = differs === -1 ? first : first.slice(0, differs);
  return common.map((part) => `/${part}`).join("");
}

function joinPath(...paths: readonly string[]): string {
  return `/${paths.flatMap((path) => path.split("/")).filter((part) => part !== "").join("/")}`;
}
