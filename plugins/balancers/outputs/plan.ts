/**
 * Plans how files become what is rendered: previous versions, installation, reload, and a record of what was
 * loaded.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { FileAttributes, Rendered, Seen, Step } from "../../../mod.ts";
import { isRecord } from "../../../src/model/node.ts";

/** A file that is written. */
export interface OutputFile {
  readonly path: string;
  /** Its mode; absent: that of the existing file, or 0644. */
  readonly mode?: number | undefined;
  readonly owner?: string | undefined;
  /** The command that checks it before it is installed; `%` stands for its path. */
  readonly check?: readonly string[] | undefined;
  /** How long the check, and the reload, may take. */
  readonly timeoutMs: number;
  /** Whether its previous version is kept, and restored after a reload that failed. */
  readonly rollback: boolean;
}

/** Files that are loaded by one command, or one file without one. */
export interface OutputGroup {
  /** Its name, for the host. */
  readonly name: string;
  readonly files: readonly OutputFile[];
  /** The command that makes their readers load them. */
  readonly reload?: readonly string[] | undefined;
  /** Where the loaded version and the clusters of the files are recorded; absent: nowhere. */
  readonly note?: string | undefined;
}

/** The record of a group. */
interface Note {
  /** The hash of the files as their readers last loaded them. */
  readonly loaded?: string | undefined;
  readonly clusters: readonly string[];
}

/** The mode of a new file, unless configured. */
const FILE_MODE = 0o644;

/** Where the previous version of a file is kept. */
export function previousOf(path: string): string {
  return `${path}.previous`;
}

/** Where the loaded version of a file is recorded: beside it, and hidden. */
export function noteOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return `${path.slice(0, slash)}/.${path.slice(slash + 1)}.lighthouse`;
}

/** All files of groups that are read at each look. */
export function pathsOf(groups: readonly OutputGroup[]): readonly string[] {
  return groups.flatMap(({ files, note }) => [
    ...files.flatMap(({ path, rollback }) => rollback ? [path, previousOf(path)] : [path]),
    ...note === undefined ? [] : [note],
  ]);
}

/** Joins files that are loaded by the same command. */
export function grouped(
  files: readonly (OutputFile & { readonly reload?: readonly string[] | undefined })[],
): readonly OutputGroup[] {
  const groups = new Map<string, { files: OutputFile[]; reload?: readonly string[] | undefined }>();
  for (const { reload, ...file } of files) {
    const name = reload === undefined ? file.path : JSON.stringify(reload);
    const group = groups.get(name) ?? { files: [], reload };
    group.files.push(file);
    groups.set(name, group);
  }
  return [...groups].map(([name, group]) => ({ name, ...group, note: noteOf(group.files[0]?.path ?? name) }));
}

/** The clusters that the files of groups were made of, as recorded beside them. */
export function notedClusters(groups: readonly OutputGroup[], files: ReadonlyMap<string, string>): readonly string[] {
  const all = groups.flatMap(({ note }) => note === undefined ? [] : readNote(files.get(note))?.clusters ?? []);
  return [...new Set(all)];
}

/** Plans the steps of groups; a group with a file that was not rendered stays as it is. */
export function planOutputs(
  groups: readonly OutputGroup[],
  { rendered, seen, clusters, unknown, mayReload }: {
    readonly rendered: Rendered;
    readonly seen: Seen;
    /** The clusters that the files are made of. */
    readonly clusters: readonly string[];
    /** Whether nothing is known about a cluster, so that it must not vanish from a file. */
    readonly unknown: (cluster: string) => boolean;
    readonly mayReload: boolean;
  },
): readonly Step[] {
  return groups.flatMap((group): readonly Step[] => {
    const { name: output, files, reload, note } = group;
    const before = note === undefined ? undefined : readNote(seen.files?.get(note));
    if (before?.clusters.some((cluster) => unknown(cluster) && !clusters.includes(cluster))) return [];
    const wanted = files.map((file) => ({ file, text: rendered.files.get(file.path)?.text }));
    if (wanted.some(({ text }) => text === undefined)) return [];
    const texts = wanted.map(({ file, text = "" }) => ({ file, text, there: seen.files?.get(file.path) }));
    const isSame = texts.every(({ text, there }) => text === there);
    const hash = hashOf(texts.map(({ file, text }) => [file.path, text]));
    const hashThere = isSame ? hash : hashOf(texts.map(({ file, there = "" }) => [file.path, there]));
    const needsReload = reload !== undefined && !(isSame && before?.loaded === hash);
    // A version that was never loaded may not be loadable.
    const isProven = before?.loaded === undefined || before.loaded === hashThere;
    const steps: Step[] = [];
    const install = (path: string, contents: string, { mode, owner, check, timeoutMs }: Partial<OutputFile>) => {
      steps.push({
        do: "install",
        path,
        contents,
        mode: mode ?? seen.attributes?.get(path)?.mode ?? FILE_MODE,
        ...mode !== undefined && { setsMode: true },
        ...owner !== undefined && { owner },
        check: check ?? [],
        ...check !== undefined && { checkDeadlineMs: timeoutMs },
        when: "now",
        output,
      });
    };
    // Files that are restored together are kept together, changed or not.
    for (const { file, there } of texts) {
      const { path, rollback, mode, owner } = file;
      const previous = previousOf(path);
      if (rollback && there !== undefined && !isSame && isProven && seen.files?.get(previous) !== there) {
        install(previous, there, { mode: mode ?? seen.attributes?.get(path)?.mode, owner });
      }
    }
    for (const { file, text, there } of texts) {
      if (text !== there || !isOwnedAsWanted(seen.attributes?.get(file.path), file)) install(file.path, text, file);
    }
    if (reload !== undefined && needsReload) {
      if (!mayReload) return steps;
      const rollback = texts.flatMap(({ file, there }) => {
        const contents = isProven ? there : seen.files?.get(previousOf(file.path));
        const mode = file.mode ?? seen.attributes?.get(file.path)?.mode ?? FILE_MODE;
        return file.rollback && contents !== undefined ? [{ path: file.path, contents, mode, owner: file.owner }] : [];
      });
      steps.push({
        do: "notify",
        reason: isSame ? "files not loaded yet" : `${texts.map(({ file }) => file.path).join(", ")} changed`,
        run: reload,
        deadlineMs: Math.max(...files.map(({ timeoutMs }) => timeoutMs)),
        ...rollback.length > 0 && { rollback },
        output,
      });
    }
    const noted = writeNote({ clusters, ...reload !== undefined && { loaded: hash } });
    if (note !== undefined && seen.files?.get(note) !== noted) install(note, noted, {});
    return steps;
  });
}

function isOwnedAsWanted(there: FileAttributes | undefined, { mode, owner }: OutputFile): boolean {
  if (there === undefined) return true;
  const [user, group] = owner?.split(":") ?? [];
  return (mode === undefined || there.mode === mode) && (user === undefined || there.user.includes(user)) &&
    (group === undefined || there.group.includes(group));
}

function hashOf(files: readonly (readonly [path: string, text: string])[]): string {
  const hash = createHash("sha256");
  for (const [path, text] of files) hash.update(`${path}\0${text.length}\0${text}`);
  return hash.digest("hex");
}

function writeNote(note: Note): string {
  return `${JSON.stringify(note)}\n`;
}

function readNote(text: string | undefined): Note | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    if (!isRecord(value)) return undefined;
    const { loaded, clusters } = value;
    return {
      loaded: typeof loaded === "string" ? loaded : undefined,
      clusters: Array.isArray(clusters) ? clusters.filter((name) => typeof name === "string") : [],
    };
  } catch {
    return undefined;
  }
}
