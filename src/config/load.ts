import { type Clock, systemClock } from "../kernel/clock.ts";
import { delay } from "../kernel/delay.ts";
import { Slices } from "../kernel/slices.ts";
import type { Cluster } from "../model/cluster.ts";
import { DEFAULT_LOGGING, type Logging } from "../logging/plan.ts";
import type { Service } from "../model/service.ts";
import type { Desired, Draft, HostSettings, PluginEntry, PluginFile, Settings } from "./desired.ts";
import type { Addition } from "../model/addition.ts";
import { withAdditions } from "./additions.ts";
import { readCluster } from "./cluster_schema.ts";
import { overflowNames } from "./traffic_schema.ts";
import { suggest } from "../kernel/suggest.ts";
import { isRecord } from "../model/node.ts";
import { compareDiagnostics, type Diagnostic } from "./diagnostics.ts";
import type { Checked } from "../kernel/known_keys.ts";
import { readPluginFile } from "./plugin_file_schema.ts";
import { NO_PLUGINS, readPlugins } from "./plugins_schema.ts";
import { readLogging } from "../logging/schema.ts";
import type { Accepted } from "./accepted.ts";
import { findMissing } from "./relations.ts";
import { sameValue } from "./same_value.ts";
import { isName, NAME_WANTED } from "./schema_words.ts";
import { readService } from "./service_schema.ts";
import { DEFAULT_HOST, DEFAULT_SETTINGS, readHost, readSettings } from "./settings_schema.ts";
import { Source } from "./source.ts";
import { type FileState, type Folder, type FolderName, FOLDERS, readTree, ROOT_FILES, type Tree } from "./tree.ts";

/** What the process does, and so which parts of the directory it reads. */
export type Role = "writer" | "reporter" | "run" | "check";

/** The folders that each reads, and needs to watch. */
export const FOLDERS_OF: { readonly [role in Role]: readonly FolderName[] } = {
  writer: ["balancers", "discovery", "notifiers", "clusters"],
  reporter: ["discovery", "notifiers", "services"],
  run: FOLDERS,
  check: FOLDERS,
};

/** The directory as it was read. */
export interface Loaded {
  /** Told apart from {@linkcode NotLoaded}. */
  readonly ok: true;
  /** What it asks for. */
  readonly desired: Desired;
  /** All that is wrong with it now, sorted by file and place. */
  readonly diagnostics: readonly Diagnostic[];
  /** Why the directory could not be read this time; absent if it could. */
  readonly unread?: string | undefined;
  /** What makes the next load cheap; of no use to others. */
  readonly memory: Memory;
}

/** The memory of the pipeline: what was last accepted, and what it was read from. */
export interface LastGood {
  /** The newest reading, good or bad. */
  readonly loaded: Loaded;
  /** What was accepted: the value of each object that a bad file, a missing folder or a rejection leaves active. */
  readonly accepted: Accepted;
  /** Where each accepted object was read, by `folder/name`. */
  readonly sources: Desired["sources"];
}

/** There is nothing to start from. */
export interface NotLoaded {
  /** Told apart from {@linkcode Loaded}. */
  readonly ok: false;
  /** Why. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Each file as it was last read, by its path in the directory. */
export type Memory = ReadonlyMap<string, Remembered>;

interface Remembered {
  readonly source: Source;
  /** What else the reading depended on. */
  readonly context: string;
  readonly value: unknown;
  readonly draft: Draft<unknown> | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

export interface LoadOptions {
  /** What the process does. */
  readonly role: Role;
  /** Ends the reading. */
  readonly signal: AbortSignal;
  /** The time; the machine's own unless told. */
  readonly clock?: Clock;
  /** The checks that ship, by name: one at a wrong place is distinguished from an unknown key. */
  readonly checks?: readonly string[];
  /** The balancers that ship, by name: their sections are known even while their own files are missing. */
  readonly balancers?: readonly string[];
  /** Files that are read in the place of those of the directory, by their path in it: `services/web.yaml`. */
  readonly candidates?: ReadonlyMap<string, string> | undefined;
  /** What was added to clusters over the admin interface. */
  readonly additions?: readonly Addition[] | undefined;
}

/**
 * While something that was there is missing, the directory is read again after
 * this time, until two readings agree: an editor that saves by renaming, or a
 * directory that is removed and made again, must not take a service out.
 */
const SETTLE_MS = 50;

/** So often at most. */
const SETTLE_ROUNDS_MAX = 5;

/** The maximum number of findings of one file. */
const FINDINGS_MAX = 50;

/**
 * Reads the whole config directory `dir` each time: there are no deltas.
 *
 * Given `lastGood`, a file that cannot be used keeps its last accepted value; a
 * file that is gone takes its object with it; a missing or unreadable folder, or
 * the whole directory, keeps everything: it is looked for again. Without it, a
 * directory that is missing or unreadable is {@linkcode NotLoaded}.
 *
 * Never throws but for the signal's reason.
 */
export function loadDirectory(dir: string, options: LoadOptions & { readonly lastGood: LastGood }): Promise<Loaded>;
export function loadDirectory(
  dir: string,
  options: LoadOptions & { readonly lastGood?: LastGood | undefined },
): Promise<Loaded | NotLoaded>;
export async function loadDirectory(
  dir: string,
  { role, signal, clock = systemClock, checks = [], balancers = [], candidates, additions = [], lastGood }:
    & LoadOptions
    & {
      readonly lastGood?: LastGood | undefined;
    },
): Promise<Loaded | NotLoaded> {
  const read = () => readTree(dir, FOLDERS_OF[role], { signal, candidates });
  let tree = await read();
  for (
    let round = 0;
    round < SETTLE_ROUNDS_MAX && lastGood !== undefined && lacksSomething(tree, lastGood.loaded);
    round++
  ) {
    await delay(SETTLE_MS, { clock, signal });
    const again = await read();
    const settled = outline(again) === outline(tree);
    tree = again;
    if (settled) break;
  }
  if (tree.state === "unread") {
    const severity = lastGood === undefined ? "error" : "warning";
    const kept = lastGood === undefined ? "" : "; the previous version stays active";
    const message = `Cannot read the config directory: ${tree.reason}${kept}`;
    const diagnostics = Object.freeze([Object.freeze({ severity, file: tree.dir, message } as const)]);
    return Object.freeze(
      lastGood === undefined ? { ok: false, diagnostics } : { ...lastGood.loaded, diagnostics, unread: tree.reason },
    );
  }
  const reading = new Reading(tree, { role, checks, balancers, additions, lastGood, slices: new Slices(clock) });
  const loaded = await reading.finish();
  signal.throwIfAborted();
  return loaded;
}

/** Whether anything that was there last time is not there now. */
function lacksSomething(tree: Tree, { desired }: Loaded): boolean {
  if (tree.state === "unread") return true;
  return desired.sources.keys().some((key) => {
    const slash = key.indexOf("/");
    if (slash === -1) return !tree.root.has(key);
    const folder = tree.folders.get(key.slice(0, slash) as FolderName);
    return folder !== undefined && (folder.state === "unread" || !folder.files.has(key.slice(slash + 1)));
  });
}

/** What is there, without what the files say. */
function outline(tree: Tree): string {
  if (tree.state === "unread") return "unread";
  const folders = [...tree.folders].map((
    [name, folder],
  ) => [name, folder.state === "read" ? [...folder.files.keys()] : null]);
  return JSON.stringify([[...tree.root.keys()], folders]);
}

/** One reading of the directory, put together part by part. */
class Reading {
  readonly #tree: Tree & { readonly state: "read" };
  readonly #role: Role;
  readonly #checks: readonly string[];
  readonly #balancers: readonly string[];
  readonly #additions: readonly Addition[];
  readonly #last: LastGood | undefined;
  readonly #slices: Slices;
  readonly #memory = new Map<string, Remembered>();
  readonly #sources = new Map<string, Source>();
  /** What plugins can judge of files that cannot be used, by the file's path without the ending. */
  readonly #drafts = new Map<string, Draft<unknown>>();
  readonly #diagnostics: Diagnostic[] = [];

  constructor(
    tree: Tree & { readonly state: "read" },
    { role, checks, balancers, additions, lastGood, slices }: Pick<LoadOptions, "role"> & {
      readonly additions: readonly Addition[];
      readonly checks: readonly string[];
      readonly balancers: readonly string[];
      readonly lastGood: LastGood | undefined;
      readonly slices: Slices;
    },
  ) {
    [this.#tree, this.#role, this.#checks, this.#last] = [tree, role, checks, lastGood];
    [this.#balancers, this.#additions, this.#slices] = [balancers, additions, slices];
  }

  async finish(): Promise<Loaded> {
    const last = this.#last?.accepted;
    const settings = this.#rootFile("lighthouse", readSettings, last?.settings) ?? DEFAULT_SETTINGS;
    const host = this.#rootFile("host", readHost, last?.host) ?? DEFAULT_HOST;
    const logging = this.#rootFile("logging", readLogging, last?.logging) ?? DEFAULT_LOGGING;
    const plugins = this.#rootFile("plugins", readPlugins, last?.plugins) ?? NO_PLUGINS;
    const balancers = await this.#pluginFiles("balancers", last?.balancers);
    const discovery = await this.#pluginFiles("discovery", last?.discovery);
    const notifiers = await this.#pluginFiles("notifiers", last?.notifiers);
    const names = { balancers: this.#names("balancers", balancers), discovery: this.#names("discovery", discovery) };
    const rendered = renderedWithoutSection([...balancers.values()]);
    const overflow = this.#overflowNames(valuesOf(last?.clusters, ({ cluster }) => cluster));
    const lastClusters = valuesOf(last?.clusters, ({ cluster }) => cluster);
    const clusters = await this.#folder<Cluster>(
      "clusters",
      lastClusters,
      (raw, fileName) => {
        const balancers = [...this.#balancers, ...names.balancers];
        const given = { fileName, balancers, discovery: names.discovery, overflow, rendered };
        const joined = withAdditions(raw, { fileName, additions: this.#additions });
        const read = readCluster(joined, given);
        // An addition that does not fit the file any more harms itself: the file is used without it.
        return read.value === undefined && joined !== raw
          ? { ...readCluster(raw, given), findings: read.findings }
          : read;
      },
      JSON.stringify([names, overflow, rendered, this.#additions]),
    );
    const own = [...plugins.values()].filter(({ kind }) => kind === "check").map(({ name }) => name);
    const checks = [...new Set([...this.#checks, ...own])].toSorted();
    const services = await this.#folder<Service>(
      "services",
      valuesOf(last?.services, ({ service }) => service),
      (raw, fileName) => readService(raw, { fileName, plugins: checks, discovery: names.discovery }),
      JSON.stringify([checks, names.discovery]),
    );
    for (const { key, finding } of findMissing({ clusters, services, ...names })) {
      const source = this.#sources.get(key);
      if (source !== undefined) this.#diagnostics.push(source.diagnose(finding));
    }
    this.#strayFiles();
    this.#nothingToDo({ balancers, clusters, services });
    const desired = Object.freeze({
      settings,
      host,
      logging,
      plugins,
      balancers,
      discovery,
      notifiers,
      clusters,
      services,
      sources: this.#sources,
      clusterFiles: this.#clusterFiles(),
      drafts: { clusters: this.#draftsOf<Cluster>("clusters"), services: this.#draftsOf<Service>("services") },
    });
    const diagnostics = Object.freeze(this.#diagnostics.toSorted(compareDiagnostics));
    return Object.freeze({ ok: true, desired, diagnostics, memory: this.#memory });
  }

  #pluginFiles(
    folder: "balancers" | "discovery" | "notifiers",
    last: ReadonlyMap<string, { readonly file: PluginFile }> | undefined,
  ): Promise<ReadonlyMap<string, PluginFile>> {
    return this.#folder(
      folder,
      valuesOf(last, ({ file }) => file),
      (raw, fileName) => readPluginFile(raw, { fileName }),
    );
  }

  #rootFile<T extends Settings | HostSettings | Logging | ReadonlyMap<string, PluginEntry>>(
    key: string,
    read: (raw: unknown) => Checked<T>,
    last: T | undefined,
  ): T | undefined {
    const file = this.#tree.root.get(key);
    // A file that is gone no longer says anything; one that is bad goes on saying what it said.
    return file === undefined ? undefined : this.#file(key, file, last, read, "");
  }

  async #folder<T>(
    name: FolderName,
    last: ReadonlyMap<string, T> | undefined,
    read: (raw: unknown, fileName: string) => Checked<T>,
    context = "",
  ): Promise<Map<string, T>> {
    const folder = this.#tree.folders.get(name);
    const objects = new Map<string, T>();
    if (folder?.state === "read") {
      for (const [key, file] of folder.files) {
        // Thousands of files are read while probes and members go on.
        if (this.#slices.isOver) await this.#slices.next();
        const value = this.#file(`${name}/${key}`, file, last?.get(key), (raw) => read(raw, key), context);
        if (value !== undefined) objects.set(key, value);
      }
      return objects;
    }
    if (folder !== undefined) this.#unreadFolder(name, folder, last?.size ?? 0);
    for (const [key, value] of last ?? []) {
      objects.set(key, value);
      this.#keepSource(`${name}/${key}`);
    }
    return objects;
  }

  #unreadFolder(name: FolderName, folder: Folder & { readonly state: "unread" }, kept: number): void {
    if (folder.missing && kept === 0) return;
    const [severity, stays] = kept > 0
      ? ["warning", "; the previous version stays active"] as const
      : ["error", ""] as const;
    this.#say({
      severity,
      file: `${this.#tree.dir}/${name}`,
      message: `Cannot read the directory: ${folder.reason}${stays}`,
    });
  }

  /** Reads one file: its value, or its last good one if it cannot be used. `key` is its path without the ending. */
  #file<T>(
    key: string,
    file: FileState,
    last: T | undefined,
    read: (raw: unknown) => Checked<T>,
    context: string,
  ): T | undefined {
    const shown = `${this.#tree.dir}/${file.path}`;
    if (file.shadowed !== undefined) {
      const message = `Cannot use the file: ${file.path} also exists and takes precedence`;
      this.#say({ severity: "error", file: `${this.#tree.dir}/${file.shadowed}`, message });
    }
    const stem = key.slice(key.indexOf("/") + 1);
    if (!isName(stem)) {
      const message = `Cannot use this file name: must be ${NAME_WANTED}, followed by .yaml; current value is ${
        JSON.stringify(stem)
      }`;
      this.#say({ severity: "error", file: shown, message });
      return undefined;
    }
    if (file.bytes === undefined) {
      this.#say({ severity: "error", file: shown, message: `Cannot read the file: ${file.reason}` });
      return this.#keepLast(key, last);
    }
    const remembered = this.#recall(file.path, shown, file.bytes, context) ??
      remember(new Source(shown, file.bytes), context, read);
    this.#memory.set(file.path, remembered);
    this.#diagnostics.push(...remembered.diagnostics);
    if (remembered.draft !== undefined) this.#drafts.set(key, remembered.draft);
    const value = remembered.value as T | undefined;
    if (value === undefined) return this.#keepLast(key, last);
    this.#sources.set(key, remembered.source);
    return last !== undefined && sameValue(last, value) ? last : value;
  }

  #recall(path: string, shown: string, bytes: Uint8Array, context: string): Remembered | undefined {
    const known = this.#last?.loaded.memory.get(path);
    return known?.context === context && known.source.file === shown && known.source.holds(bytes) ? known : undefined;
  }

  #keepLast<T>(key: string, last: T | undefined): T | undefined {
    if (last !== undefined) this.#keepSource(key);
    return last;
  }

  #keepSource(key: string): void {
    const source = this.#last?.sources.get(key);
    if (source !== undefined) this.#sources.set(key, source.kept);
  }

  /** The names that other files may refer to: a file that is there but bad counts. */
  #names(name: "balancers" | "discovery", objects: ReadonlyMap<string, PluginFile>): readonly string[] {
    const folder = this.#tree.folders.get(name);
    const files = folder?.state === "read" ? folder.files.keys().filter(isName) : [];
    return [...new Set([...files, ...objects.keys()])].toSorted();
  }

  /** The clusters that others name as their overflow, in files of today or in last good ones. */
  #overflowNames(last: ReadonlyMap<string, Cluster> | undefined): readonly string[] {
    const folder = this.#tree.folders.get("clusters");
    const files = folder?.state === "read" ? [...folder.files.values()] : [];
    const decoder = new TextDecoder();
    // Few files name any: the others are not read twice.
    const named = files.flatMap(({ path, bytes }) =>
      bytes !== undefined && /\boverflow\b/.test(decoder.decode(bytes))
        ? overflowNames(new Source(`${this.#tree.dir}/${path}`, bytes).value)
        : []
    );
    const kept = [...last?.values() ?? []].flatMap(({ traffic }) => traffic?.overflow?.clusters ?? []);
    return [...new Set([...named, ...kept])].toSorted();
  }

  /** The names of the files in `clusters/`, usable or not; `undefined` if the folder cannot be read. */
  #clusterFiles(): Desired["clusterFiles"] {
    const folder = this.#tree.folders.get("clusters");
    if (folder === undefined) return [];
    return folder.state === "read" ? [...folder.files.keys()] : undefined;
  }

  #draftsOf<T>(folder: "clusters" | "services"): ReadonlyMap<string, Draft<T>> {
    const drafts = [...this.#drafts].filter(([key]) => key.startsWith(`${folder}/`));
    return new Map(drafts.map(([key, draft]) => [key.slice(folder.length + 1), draft as Draft<T>]));
  }

  #strayFiles(): void {
    for (const path of this.#tree.strayFiles) {
      const read = [...ROOT_FILES].map((name) => `${name}.yaml`).join(", ");
      const message = `The file is ignored: only ${read} are read here`;
      this.#say({ severity: "warning", file: `${this.#tree.dir}/${path}`, message });
    }
    for (const [folder, found] of this.#last === undefined ? this.#tree.folders : []) {
      // 1.0 reads them at its start, and never again.
      for (const name of found.state === "read" ? found.unread : []) {
        const message = "The file is ignored: the file name must end in .yaml or .yml";
        this.#say({ severity: "warning", file: `${this.#tree.dir}/${folder}/${name}`, message });
      }
    }
    for (const path of this.#tree.strayFolders) {
      const missing = [...this.#tree.folders].filter(([, folder]) => folder.state === "unread").map(([name]) => name);
      const meant = suggest(path, missing);
      if (meant === undefined) continue;
      const message = `The directory is ignored: did you mean ${meant}?`;
      this.#say({ severity: "warning", file: `${this.#tree.dir}/${path}`, message });
    }
  }

  #nothingToDo(have: { readonly [part in "balancers" | "clusters" | "services"]: ReadonlyMap<string, unknown> }): void {
    const lacking = (part: keyof typeof have) => have[part].size === 0;
    const writes = this.#role !== "reporter" && !lacking("clusters");
    const reports = this.#role !== "writer" && !lacking("services");
    const say = (message: string) => this.#say({ severity: "warning", file: this.#tree.dir, message });
    if (!writes && !reports) {
      const wanted = this.#role === "writer"
        ? "clusters/"
        : this.#role === "reporter"
        ? "services/"
        : "clusters/ or services/";
      say(`Nothing to do: no valid file in ${wanted}`);
    } else if (writes && lacking("balancers")) say("No cluster is served: no valid file in balancers/");
  }

  #say(diagnostic: Diagnostic): void {
    this.#diagnostics.push(Object.freeze(diagnostic));
  }
}

function valuesOf<In, Out>(
  objects: ReadonlyMap<string, In> | undefined,
  value: (object: In) => Out,
): ReadonlyMap<string, Out> | undefined {
  return objects && new Map([...objects].map(([name, object]) => [name, value(object)]));
}

function remember<T>(source: Source, context: string, read: (raw: unknown) => Checked<T>): Remembered {
  if (source.problems.length > 0) {
    return { source, context, value: undefined, draft: undefined, diagnostics: source.problems };
  }
  if (source.blank) {
    // Not the same as a file that says {}: this is what a file looks like that somebody is about to write.
    const message = "Cannot use the file: the file is empty; write {} for an empty map";
    const diagnostics = [source.diagnose({ severity: "error", path: [], at: "value", message })];
    return { source, context, value: undefined, draft: undefined, diagnostics };
  }
  const { value, findings, draft } = read(source.value);
  const diagnostics = findings.slice(0, FINDINGS_MAX).map((finding) => source.diagnose(finding));
  return { source, context, value, draft: draft === undefined ? undefined : { value: draft, source }, diagnostics };
}

/** The clusters that balancers render without a section in their files. */
function renderedWithoutSection(balancers: readonly PluginFile[]): "all" | readonly string[] {
  const said = balancers.flatMap(({ config }) => isRecord(config) ? [config.clusters] : []);
  if (said.includes("all")) return "all";
  return said.flatMap((names) => Array.isArray(names) ? names.filter((name) => typeof name === "string") : []);
}
