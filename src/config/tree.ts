import { Gate } from "../kernel/gate.ts";
import { SOURCE_BYTES_MAX } from "./source.ts";

/** The folders of the config directory. */
export type FolderName = "balancers" | "discovery" | "notifiers" | "clusters" | "services";

/** All of them, in the order of reading: what others refer to comes first. */
export const FOLDERS: readonly FolderName[] = ["balancers", "discovery", "notifiers", "clusters", "services"];

/** The files that are read in the config directory itself, without their endings. */
export const ROOT_FILES: ReadonlySet<string> = new Set(["host", "lighthouse", "logging", "plugins"]);

/** So many files are read at once. */
const READS_AT_ONCE_MAX = 32;

/** A folder with more files is not read: it is not a config directory. */
const FILES_MAX = 20_000;

/** One file as it was found. */
export interface FileState {
  /** Its path in the config directory: `services/web.yaml`. */
  readonly path: string;
  /** What it holds; absent if it could not be read. */
  readonly bytes?: Uint8Array;
  /** Why it could not be read. */
  readonly reason?: string;
  /** The path of the file of the same name that ends with `.yml`, which is not read. */
  readonly shadowed?: string;
}

/** A folder as it was found. */
export type Folder =
  | {
    readonly state: "read";
    /** By name without ending, sorted. */
    readonly files: ReadonlyMap<string, FileState>;
    /** The names of files that nothing reads, and that look as if somebody meant them to be, sorted. */
    readonly unread: readonly string[];
  }
  | { readonly state: "unread"; readonly missing: boolean; readonly reason: string };

/** The whole directory as it was found: bytes, nothing interpreted. */
export type Tree =
  | {
    readonly state: "read";
    /** The directory as the user named it, without a slash at the end. */
    readonly dir: string;
    /** The files that are read in the directory itself. */
    readonly root: ReadonlyMap<string, FileState>;
    /** The folders that were asked for. */
    readonly folders: ReadonlyMap<FolderName, Folder>;
    /** YAML files in the directory itself that nothing reads. */
    readonly strayFiles: readonly string[];
    /** Folders that nothing reads. */
    readonly strayFolders: readonly string[];
  }
  | { readonly state: "unread"; readonly dir: string; readonly reason: string };

/** How a directory is read. */
export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Files that are read in the place of those of the directory, or beside them, by their path in it. */
  readonly candidates?: ReadonlyMap<string, string> | undefined;
}

/** Reads the directory with those folders in it. Never throws but for the signal's reason. */
export async function readTree(dir: string, folders: readonly FolderName[], options: ReadOptions): Promise<Tree> {
  const { signal, candidates = new Map() } = options;
  const shown = dir.replace(/(?<=.)\/+$/, "");
  const gate = new Gate(READS_AT_ONCE_MAX);
  const root = await listFolder(shown, "", { signal, candidates });
  if (!Array.isArray(root)) return { state: "unread", dir: shown, reason: root.reason };
  const yaml = pairUp(root.filter((entry) => !entry.isDirectory).map((entry) => entry.name));
  const stray = [...yaml].filter(([key]) => !ROOT_FILES.has(key)).map(([, { name }]) => name);
  const wanted = new Map([...yaml].filter(([key]) => ROOT_FILES.has(key)));
  const known = new Set<string>(FOLDERS);
  const read = await Promise.all(folders.map((name) => readFolder(shown, name, { gate, signal, candidates })));
  return {
    state: "read",
    dir: shown,
    root: await readFiles(shown, "", wanted, { gate, signal, candidates }),
    folders: new Map(folders.map((name, i) => [name, read[i] ?? { state: "unread", missing: true, reason: "" }])),
    strayFiles: stray,
    strayFolders: root.filter((entry) => entry.isDirectory && !/^\./.test(entry.name) && !known.has(entry.name))
      .map((entry) => entry.name).toSorted(),
  };
}

interface Reads {
  readonly gate: Gate;
  readonly signal: AbortSignal;
  readonly candidates: ReadonlyMap<string, string>;
}

async function readFolder(dir: string, name: FolderName, reads: Reads): Promise<Folder> {
  const entries = await listFolder(dir, `${name}/`, reads);
  if (!Array.isArray(entries)) return { state: "unread", ...entries };
  const names = entries.filter((entry) => !entry.isDirectory).map((entry) => entry.name);
  const files = pairUp(names);
  if (files.size > FILES_MAX) {
    return {
      state: "unread",
      missing: false,
      reason: `must contain at most ${FILES_MAX} files; current count is ${files.size}`,
    };
  }
  const unread = names.filter((name) => !/\.ya?ml$/.test(name) && !LEFTOVER.test(name)).toSorted();
  return { state: "read", files: await readFiles(dir, `${name}/`, files, reads), unread };
}

async function listFolder(
  dir: string,
  folder: "" | `${FolderName}/`,
  { signal, candidates }: Omit<Reads, "gate">,
): Promise<Pick<Deno.DirEntry, "name" | "isDirectory">[] | { readonly missing: boolean; readonly reason: string }> {
  signal.throwIfAborted();
  const added = [...candidates.keys()].flatMap((path) => {
    const name = path.startsWith(folder) ? path.slice(folder.length) : "";
    return name === "" || name.includes("/") ? [] : [name];
  });
  try {
    const there = await Array.fromAsync(Deno.readDir(`${dir}/${folder}`));
    const known = new Set(there.map(({ name }) => name));
    return [...there, ...added.filter((name) => !known.has(name)).map((name) => ({ name, isDirectory: false }))];
  } catch (error) {
    if (folder !== "" && added.length > 0 && error instanceof Deno.errors.NotFound) {
      return added.map((name) => ({ name, isDirectory: false }));
    }
    return { missing: error instanceof Deno.errors.NotFound, reason: reasonOf(error, "directory") };
  }
}

/** What editors leave, what is switched off, and what speaks to people. */
const LEFTOVER = /^[.#]|[~#]$|\.(?:disabled|bak|orig|tmp|swp|md|txt)$|^README$/i;

/** A file that is read, and perhaps another of the same name that is not. */
interface Pair {
  readonly name: string;
  readonly shadowed?: string;
}

/** Picks the YAML files out of a folder's names: no dotfile, nothing that an editor left; `.yaml` before `.yml`. */
function pairUp(names: readonly string[]): ReadonlyMap<string, Pair> {
  const found = new Map<string, Pair>();
  for (const name of names.toSorted()) {
    const match = /^([^.].*)\.(yaml|yml)$/s.exec(name);
    const key = match?.[1];
    if (key === undefined) continue;
    // Sorted, .yaml comes first.
    const first = found.get(key);
    found.set(key, first === undefined ? { name } : { ...first, shadowed: name });
  }
  return new Map([...found].toSorted(([a], [b]) => a < b ? -1 : 1));
}

async function readFiles(
  dir: string,
  folder: string,
  files: ReadonlyMap<string, Pair>,
  { gate, signal, candidates }: Reads,
): Promise<ReadonlyMap<string, FileState>> {
  const read = await Promise.all(
    [...files].map(([key, { name, shadowed }]) =>
      gate.run(async (): Promise<readonly [string, FileState]> => {
        signal.throwIfAborted();
        const path = `${folder}${name}`;
        const beside = shadowed === undefined ? {} : { shadowed: `${folder}${shadowed}` };
        return [key, { path, ...beside, ...await readBytes(candidates.get(path) ?? `${dir}/${path}`) }];
      })
    ),
  );
  return new Map(read);
}

async function readBytes(path: string): Promise<Pick<FileState, "bytes" | "reason">> {
  try {
    const { isFile, size } = await Deno.stat(path);
    // Opening a pipe would wait until somebody writes to it.
    if (!isFile) return { reason: "must be a regular file" };
    if (size <= SOURCE_BYTES_MAX) {
      const bytes = await Deno.readFile(path);
      if (bytes.length <= SOURCE_BYTES_MAX) return { bytes };
    }
    return { reason: `must be at most ${SOURCE_BYTES_MAX} bytes; current size is ${size}` };
  } catch (error) {
    return { reason: reasonOf(error, "file") };
  }
}

/** Says why something could not be read, without its path: that stands before the message. */
function reasonOf(error: unknown, what: "file" | "directory"): string {
  if (error instanceof Deno.errors.NotFound) {
    return what === "file" ? "no such file: dangling symlink, or just removed" : "no such directory";
  }
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotADirectory) return "not a directory";
  if (error instanceof Deno.errors.NotCapable) return "read access denied by Deno (--allow-read)";
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code === "" ? "operating system error" : `operating system error ${code}`;
}
