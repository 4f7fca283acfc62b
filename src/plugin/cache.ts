import { hashGraph } from "./hash.ts";
import type { ModuleGraph } from "./graph.ts";
import { writeAtomically } from "../system/atomic_file.ts";
import { makeDirectory, placeFileSync, readTrusted } from "../system/trusted_file.ts";

/** Contents of a cache file. */
interface Kept {
  /** The version of the format. */
  readonly format: 1;
  /** The path of the entry. */
  readonly entry: string;
  /** Pairs of path and text. */
  readonly modules: readonly (readonly [path: string, text: string])[];
}

/**
 * Verified modules of plugins by hash, one file each in `DIR/plugins/`. Every read is verified again,
 * so the directory need not be trusted; files are replaced atomically, so any number of processes may
 * share it.
 */
export class PluginCache {
  /** The directory. */
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Returns the modules of that hash; `undefined` if they are missing or were modified. Never throws. */
  async get(sha256: string): Promise<ModuleGraph | undefined> {
    try {
      const kept = JSON.parse(await Deno.readTextFile(this.#file(sha256))) as Kept;
      if (kept.format !== 1) return undefined;
      // In UTF-8, a lone surrogate and its replacement are the same bytes.
      if (!kept.modules.flat().every((text) => text.isWellFormed())) return undefined;
      const graph = { entry: kept.entry, modules: new Map(kept.modules) };
      return await hashGraph(graph) === sha256 ? graph : undefined;
    } catch {
      // Missing, unreadable or modified: fetch again.
      return undefined;
    }
  }

  /** Stores modules under their hash. Throws the system's error if it cannot. */
  async put(sha256: string, { entry, modules }: ModuleGraph): Promise<void> {
    const file = this.#file(sha256);
    const kept: Kept = { format: 1, entry, modules: [...modules] };
    await makeDirectory(`${this.dir}/plugins`);
    await writeAtomically(file, JSON.stringify(kept), { mode: 0o644 });
  }

  /** The file that records that a plugin hung. While it exists, the plugin is not run. */
  hungFile(sha256: string): string {
    return `${this.dir}/hung/${sha256}`;
  }

  /** How a plugin of that hash hung in an earlier process; `undefined` if it did not. */
  async hung(sha256: string): Promise<string | undefined> {
    return await readTrusted(this.hungFile(sha256)).then((how) => how.trim().slice(0, 500), () => undefined);
  }

  /** Records that a plugin hung, before this process may end because of it. Throws the system's error if it cannot. */
  noteHung(sha256: string, how: string): void {
    placeFileSync(this.hungFile(sha256), `${how}\n`, { mode: 0o644 });
  }

  #file(sha256: string): string {
    return `${this.dir}/plugins/${sha256}.json`;
  }
}

/** Returns the default directory of the cache: the service manager's, then the user's, then the machine's. */
export function defaultCacheDir(variable: (name: string) => string | undefined): string {
  const given = (name: string) => {
    const value = variable(name);
    return value?.startsWith("/") ? value.replace(/(?<=.)\/+$/, "") : undefined;
  };
  // systemd may pass several, separated by colons.
  const ofService = given("CACHE_DIRECTORY")?.split(":")[0];
  if (ofService !== undefined) return ofService;
  const ofUser = given("XDG_CACHE_HOME");
  if (ofUser !== undefined) return `${ofUser}/lighthouse`;
  const home = given("HOME");
  return home === undefined || home === "/" ? "/var/cache/lighthouse" : `${home}/.cache/lighthouse`;
}
