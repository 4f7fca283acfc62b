/** What to look at in one directory. */
export interface WatchPoint {
  /** Distinguishes this directory from another that took its path. */
  readonly identity: string;
  /** The names in it whose changes matter. */
  readonly names: ReadonlySet<string>;
  /** Whether all YAML files in it matter too. */
  readonly yaml: boolean;
}

/** The directories to watch, each by itself and not what is below, for any change of the config directory to be seen. */
export interface WatchPlan {
  /** By real path. */
  readonly points: ReadonlyMap<string, WatchPoint>;
  /** Whether that is all: some are left out if there are too many, or if the system does not let them be seen. */
  readonly complete: boolean;
}

/** More places than this are not watched. */
const POINTS_MAX = 128;

/** A path with more links on its way is a cycle. */
const LINKS_MAX = 40;

/**
 * Finds out what to watch: the directory and its folders; the directory that
 * holds it, or the nearest that exists, for its name alone; each link on the
 * way, where it can be swapped; and what linked files really are.
 */
export async function planWatch(
  dir: string,
  { folders, files, signal }: {
    readonly folders: readonly string[];
    /** Files that are watched besides, wherever they are. */
    readonly files: readonly string[];
    readonly signal: AbortSignal;
  },
): Promise<WatchPlan> {
  const wanted = new Map<string, { readonly names: Set<string>; yaml: boolean }>();
  let complete = true;
  const want = (path: string) => {
    let point = wanted.get(path);
    if (point === undefined) wanted.set(path, point = { names: new Set(), yaml: false });
    return point;
  };
  const hidden = () => void (complete = false);
  const absolute = (path: string) => path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  const root = await follow(absolute(dir), want, hidden);
  if (root !== undefined) {
    for (const name of folders) want(root).names.add(name);
    for (const path of [root, ...await Promise.all(folders.map((name) => follow(`${root}/${name}`, want, hidden)))]) {
      signal.throwIfAborted();
      if (path === undefined || !await isDirectory(path)) continue;
      want(path).yaml = true;
      await followFiles(path, want, hidden);
    }
  }
  for (const file of files) {
    signal.throwIfAborted();
    await follow(absolute(file), want, hidden);
  }
  const points = new Map<string, WatchPoint>();
  for (const [path, { names, yaml }] of wanted) {
    signal.throwIfAborted();
    const identity = await identify(path, hidden);
    if (identity === undefined) continue;
    if (points.size < POINTS_MAX) points.set(path, { identity, names, yaml });
    else complete = false;
  }
  return { points, complete };
}

type Want = (path: string) => { readonly names: Set<string> };

/** Walks a path link by link; answers where it ends, or `undefined` if it does not exist. */
async function follow(path: string, want: Want, hidden: () => void): Promise<string | undefined> {
  let [base, links] = ["", 0];
  const rest = path.split("/").reverse();
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      base = base.slice(0, Math.max(0, base.lastIndexOf("/")));
      continue;
    }
    const next = `${base}/${name}`;
    const target = await readLink(next, hidden);
    if (target === undefined || typeof target === "string") want(base || "/").names.add(name);
    if (target === undefined) return undefined;
    if (typeof target !== "string") {
      base = next;
      continue;
    }
    if (++links > LINKS_MAX) return undefined;
    if (target.startsWith("/")) base = "";
    rest.push(...target.split("/").reverse());
  }
  if (base === "") return "/";
  const slash = base.lastIndexOf("/");
  want(base.slice(0, slash) || "/").names.add(base.slice(slash + 1));
  return base;
}

/** Answers where a link leads, `null` if it is no link, `undefined` if there is nothing. */
async function readLink(path: string, hidden: () => void): Promise<string | null | undefined> {
  try {
    const { isSymlink } = await Deno.lstat(path);
    return isSymlink ? await Deno.readLink(path) : null;
  } catch (error) {
    if (isMissing(error)) return undefined;
    // What lies behind may be seen all the same.
    hidden();
    return null;
  }
}

/** Files that are links change where they lead to. */
async function followFiles(folder: string, want: Want, hidden: () => void): Promise<void> {
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (!entry.isSymlink || !/^[^.].*\.ya?ml$/.test(entry.name)) continue;
      await follow(`${folder}/${entry.name}`, want, hidden);
    }
  } catch (error) {
    if (!isMissing(error)) hidden();
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}

async function identify(path: string, hidden: () => void): Promise<string | undefined> {
  try {
    const { dev, ino, birthtime } = await Deno.stat(path);
    return `${dev}:${ino}:${birthtime?.getTime()}`;
  } catch (error) {
    if (!isMissing(error)) hidden();
    return undefined;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
