/**
 * Stages the distribution in a directory of its own: the sources, each imported npm
 * package as one JavaScript module, and a `deno.json` without
 * packages. The npm package and the binary are both made of it, so
 * that neither downloads anything, nor contains what only tests import.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };
import { describeCommit } from "./commit.ts";

/** The project's root. */
export const ROOT = new URL("../../", import.meta.url);

/** What is distributed besides the modules of the packages. */
const CONTENTS = [
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "docs",
  "mod.ts",
  "plugins",
  "src",
  "workers",
] as const;

/** Directory of the packages' modules. */
const VENDOR = "vendor";

/** A staged directory, removed when disposed of. */
export interface Stage extends AsyncDisposable {
  /** Its absolute path, without a trailing slash. */
  readonly path: string;
}

/** Creates a stage in `dist/`. */
export async function makeStage(): Promise<Stage> {
  const dist = new URL("dist/", ROOT);
  await Deno.mkdir(dist, { recursive: true });
  const path = await Deno.makeTempDir({ dir: dist.pathname, prefix: "stage-" });
  const stage = { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
  try {
    // The package or binary is installed and run by other users.
    await Deno.chmod(path, 0o755);
    for (const each of CONTENTS) await copy(each, path);
    const imported = await packagesImported(path);
    await vendor(imported, path);
    await writeText(`${path}/deno.json`, `${JSON.stringify(shippedConfig(imported), null, 2)}\n`);
    await writeText(`${path}/dist/commit`, `${await describeCommit(ROOT)}\n`);
    return stage;
  } catch (error) {
    await stage[Symbol.asyncDispose]();
    throw error;
  }
}

/** Returns the version of Deno that `.tool-versions` pins. */
export async function pinnedDeno(): Promise<string> {
  const pinned = /^deno (\S+)$/m.exec(await Deno.readTextFile(new URL(".tool-versions", ROOT)))?.[1];
  if (pinned === undefined) throw new Error("Cannot find deno in .tool-versions");
  return pinned;
}

/** Whether a file is only for developers. */
function isForDevelopers(path: string): boolean {
  return path.endsWith("_test.ts") || path.startsWith("src/packaging/") ||
    /^src\/skeleton\/(?:balancer|check|discovery|notifier)\//.test(path);
}

/** Copies a file, or a folder with its contents. */
async function copy(path: string, stage: string): Promise<void> {
  const from = new URL(path, ROOT);
  if ((await Deno.stat(from)).isDirectory) {
    for await (const { name } of Deno.readDir(from)) await copy(`${path}/${name}`, stage);
  } else if (!isForDevelopers(path)) {
    const to = `${stage}/${path}`;
    await Deno.mkdir(folderOf(to), { recursive: true });
    await Deno.copyFile(from, to);
  }
}

/** The specifiers of packages that staged sources import, sorted. */
async function packagesImported(stage: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const file of filesIn(stage, ".ts")) {
    const text = await Deno.readTextFile(file);
    for (
      const [, typesOnly, specifier = ""] of text.matchAll(/^(?:import|export)\s+(type\s)?[^"';]*?from "([^"]+)"/gm)
    ) {
      if (typesOnly === undefined && isOfPackage(specifier)) found.add(specifier);
    }
  }
  return [...found].toSorted();
}

/** Whether a specifier names a package of `deno.json`, or a module in one. */
function isOfPackage(specifier: string): boolean {
  return Object.keys(config.imports).some((name) => specifier === name || specifier.startsWith(`${name}/`));
}

/** Bundles each specifier as a module; code shared by several is in chunks beside them. */
async function vendor(specifiers: readonly string[], stage: string): Promise<void> {
  const entries = `${stage}/entries`;
  for (const specifier of specifiers) {
    // The exports of a CommonJS module are known only after evaluation.
    const names = Object.keys(await import(specifier)).filter((name) =>
      /^[\w$]+$/.test(name) && name !== "module.exports"
    );
    await writeText(`${entries}/${specifier}.ts`, `export { ${names.join(", ")} } from "${specifier}";\n`);
  }
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--config=deno.json",
      "--platform=deno",
      "--code-splitting",
      `--outdir=${stage}/${VENDOR}`,
      ...specifiers.map((specifier) => `${entries}/${specifier}.ts`),
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`Cannot bundle the packages: ${new TextDecoder().decode(stderr).trim()}`);
  await Deno.remove(entries, { recursive: true });
  await tidyModules(`${stage}/${VENDOR}`);
}

/**
 * The bundler's note on the origin of code, in a comment or as a function name: a package in Deno's
 * cache, relative to the project's root.
 */
const ORIGIN = /^(\/\/ | +")([^\s"]*\/npm\/[^/\s"]+\/((?:@[^/\s"]+\/)?[^/\s"]+)\/([^/\s"]+))\//gm;

/** Removes the paths of this machine from the modules, and adds the licences of the bundled packages. */
async function tidyModules(folder: string): Promise<void> {
  const packages = new Map<string, string>();
  for (const file of await Array.fromAsync(filesIn(folder, ".js"))) {
    const text = await Deno.readTextFile(file);
    for (const [, , path = "", name, version] of text.matchAll(ORIGIN)) packages.set(`${name} ${version}`, path);
    await Deno.writeTextFile(file, text.replaceAll(ORIGIN, "$1$3@$4/"));
  }
  const licences: string[] = [];
  for (const [name, path] of [...packages].toSorted(([a], [b]) => a < b ? -1 : 1)) {
    const folder = new URL(`${path}/`, ROOT);
    const found = (await Array.fromAsync(Deno.readDir(folder))).find((entry) => /^licen[cs]e/i.test(entry.name));
    if (found === undefined) throw new Error(`Cannot ship ${name}: the package has no license file`);
    licences.push(`${name}\n\n${(await Deno.readTextFile(new URL(found.name, folder))).trim()}\n`);
  }
  await Deno.writeTextFile(`${folder}/LICENSES`, licences.join(`\n${"-".repeat(80)}\n\n`));
}

/** Deno's config for the stage: nothing to resolve, and nothing to look up. */
function shippedConfig(specifiers: readonly string[]): unknown {
  const { name, version, exports, license, unstable, compile } = config;
  const imports = Object.fromEntries(specifiers.map((specifier) => [specifier, `./${VENDOR}/${specifier}.js`]));
  return { name, version, exports, license, unstable, nodeModulesDir: "none", lock: false, imports, compile };
}

async function* filesIn(folder: string, ending: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* filesIn(`${folder}/${name}`, ending);
    else if (name.endsWith(ending)) yield `${folder}/${name}`;
  }
}

async function writeText(path: string, text: string): Promise<void> {
  await Deno.mkdir(folderOf(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
