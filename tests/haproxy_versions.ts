/**
 * Brings the HAProxy versions that people run next to the installed one:
 * `deno run -A tests/haproxy_versions.ts [--refresh] [VERSION…]`, all of them unless
 * named. Prints where each is, or why it is unavailable; an unavailable
 * version is skipped, not an error.
 *
 * Each comes from a Debian suite, with its own libraries and its own loader,
 * into `$XDG_CACHE_HOME/lighthouse/haproxy/VERSION` (by default below
 * `~/.cache`). apt works in a private root and verifies the suite's signatures:
 * the machine's packages are neither used nor changed. It needs no root, but
 * apt-get, dpkg-deb and patchelf.
 *
 * @module
 */

/** A Debian suite, in one or more parts: libraries of experimental come from unstable. */
interface Source {
  /** The suite that has the `haproxy` package. */
  readonly suite: string;
  /** Where its libraries come from, if not from the suite alone. */
  readonly with?: string;
}

/** Where each version is looked for, the likeliest suite first. Versions move from suite to suite. */
const SOURCES = {
  "2.6": [{ suite: "bookworm" }],
  "3.0": [{ suite: "trixie" }],
  "3.2": [{ suite: "forky" }, { suite: "sid" }],
  "3.4": [{ suite: "experimental", with: "sid" }, { suite: "sid" }, { suite: "forky" }],
} as const satisfies Record<string, readonly Source[]>;

/** A version that {@linkcode haproxyProgram} knows: the first two numbers. */
export type HaproxyVersion = keyof typeof SOURCES;

/** All of them, the oldest first. */
export const HAPROXY_VERSIONS = Object.keys(SOURCES) as readonly HaproxyVersion[];

/** A HAProxy that can be run. */
export interface HaproxyProgram {
  /** Which one it is. */
  readonly version: HaproxyVersion;
  /** The program's path. */
  readonly path: string;
  /** What `haproxy -v` prints in its first line. */
  readonly banner: string;
}

/** Thrown when a version is unavailable; the message says why. */
export class UnavailableVersionError extends Error {
  override name = "UnavailableVersionError";
}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** One apt-get, dpkg-deb or patchelf; an index of 10 MB over a slow line is the longest. */
const COMMAND_DEADLINE_MS = 120_000;

/** What `haproxy` links to: anything else of the closure serves its installation only. */
const KEPT_PACKAGE = /^(?:haproxy|lib.+|zlib1g)$/;

/**
 * Answers the program of a version: the installed one if it is of that version,
 * the cached one, or one that is fetched now.
 *
 * @throws {UnavailableVersionError} if it is unavailable
 */
export async function haproxyProgram(
  version: HaproxyVersion,
  { refresh = false, mayFetch = true }: {
    /** Whether a cached one is fetched again. Defaults to false. */
    readonly refresh?: boolean;
    /** Whether one that is neither installed nor cached is fetched. Defaults to true. */
    readonly mayFetch?: boolean;
  } = {},
): Promise<HaproxyProgram> {
  const installed = await tryProgram("/usr/sbin/haproxy", version);
  if (installed !== undefined) return installed;
  const dir = `${cacheDir()}/${version}`;
  const cached = refresh ? undefined : await tryProgram(`${dir}/haproxy`, version);
  if (cached !== undefined) return cached;
  if (!mayFetch) throw new UnavailableVersionError("neither installed nor cached");
  const failures: string[] = [];
  for (const source of SOURCES[version]) {
    try {
      await fetchInto(dir, version, source);
      const fetched = await tryProgram(`${dir}/haproxy`, version);
      if (fetched !== undefined) return fetched;
      failures.push(`${source.suite}: the fetched program does not run`);
    } catch (error) {
      if (!(error instanceof UnavailableVersionError)) throw error;
      failures.push(`${source.suite}: ${error.message}`);
    }
  }
  throw new UnavailableVersionError(failures.join("; "));
}

function cacheDir(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") || "/var"}/.cache`;
  return `${base.startsWith("/") ? base : `${Deno.cwd()}/${base}`}/lighthouse/haproxy`;
}

/** Answers the program at a path if it runs and is of the version. */
async function tryProgram(path: string, version: HaproxyVersion): Promise<HaproxyProgram | undefined> {
  try {
    const [banner = ""] = (await run([path, "-v"])).split("\n");
    return new RegExp(`^HA-?Proxy version ${RegExp.escape(version)}[.-]`).test(banner)
      ? { version, path, banner }
      : undefined;
  } catch (error) {
    if (error instanceof UnavailableVersionError) return undefined;
    throw error;
  }
}

/** The mirror of Debian that this machine installs from: it has the other suites too. */
async function debianMirror(): Promise<string> {
  const uris = await run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
  const uri = uris.split("\n").find((line) => /\/debian\/$/.test(line));
  if (uri === undefined) throw new UnavailableVersionError("apt knows no mirror of Debian");
  return uri;
}

/** Fetches a version from a suite and puts it into a folder, whole or not at all. */
async function fetchInto(dir: string, version: HaproxyVersion, source: Source): Promise<void> {
  await Deno.mkdir(cacheDir(), { recursive: true });
  const work = await Deno.makeTempDir({ dir: cacheDir(), prefix: `${version}.` });
  try {
    const root = `${work}/root`;
    const packages = await download(`${work}/apt`, version, source);
    for (const file of packages) await run(["dpkg-deb", "-x", file, root]);
    await relink(root, dir);
    await Deno.remove(dir, { recursive: true }).catch(ignoreNotFound);
    await Deno.rename(root, dir);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Downloads `haproxy` and what it links to; answers the paths of the packages. */
async function download(dir: string, version: HaproxyVersion, { suite, with: libraries }: Source): Promise<string[]> {
  const apt = await privateApt(dir, libraries === undefined ? [suite] : [suite, libraries]);
  await run(["apt-get", "update", "--quiet=2"], apt);
  const closure = await run(["apt-get", "install", "--simulate", "--target-release", suite, "haproxy"], apt);
  const packages = new Map(
    [...closure.matchAll(/^Inst (\S+) \((\S+)/gm)].map(([, name = "", version = ""]) => [name, version]),
  );
  const offered = packages.get("haproxy");
  if (offered === undefined) throw new UnavailableVersionError("the suite has no haproxy");
  if (!offered.replace(/^\d+:/, "").startsWith(`${version}.`)) {
    throw new UnavailableVersionError(`the suite has ${offered}`);
  }
  const wanted = [...packages].filter(([name]) => KEPT_PACKAGE.test(name)).map(([name, exact]) => `${name}=${exact}`);
  await run(["apt-get", "download", "--quiet=2", ...wanted], { ...apt, cwd: dir });
  const files = await Array.fromAsync(Deno.readDir(dir));
  return files.filter(({ name }) => name.endsWith(".deb")).map(({ name }) => `${dir}/${name}`);
}

/** Makes a root for apt that knows these suites and no package as installed. */
async function privateApt(dir: string, suites: readonly string[]): Promise<{ env: Record<string, string> }> {
  for (const name of ["state/lists/partial", "cache/archives/partial", "etc"]) {
    await Deno.mkdir(`${dir}/${name}`, { recursive: true });
  }
  await Deno.writeTextFile(`${dir}/status`, "");
  const mirror = await debianMirror();
  await Deno.writeTextFile(
    `${dir}/etc/sources.list`,
    suites.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`).join(""),
  );
  // The way to the network is the machine's; all else is private.
  const proxies = (await run(["apt-config", "dump"])).match(/^Acquire::https?::.*$/gm) ?? [];
  const config = [
    ...proxies,
    `Dir::State "${dir}/state";`,
    `Dir::State::status "${dir}/status";`,
    `Dir::Cache "${dir}/cache";`,
    `Dir::Etc "${dir}/etc";`,
    'Dir::Etc::parts "/dev/null";',
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    'APT::Install-Recommends "false";',
    'APT::Sandbox::User "root";',
    'APT::Update::Error-Mode "any";',
    'Acquire::Languages "none";',
    'Acquire::Retries "1";',
    'Acquire::http::Timeout "20";',
    // A mirror may lag behind; the signature is verified all the same.
    'Acquire::Check-Valid-Until "false";',
  ];
  await Deno.writeTextFile(`${dir}/apt.conf`, config.map((line) => `${line}\n`).join(""));
  return { env: { APT_CONFIG: `${dir}/apt.conf` } };
}

/** Makes the program in `root` run with the loader and the libraries beside it, once `root` is at `home`. */
async function relink(root: string, home: string): Promise<void> {
  const program = `${root}/haproxy`;
  await Deno.copyFile(`${root}/usr/sbin/haproxy`, program);
  const loader = (await run(["patchelf", "--print-interpreter", program])).trim().replace(/^.*\//, "");
  const folders: string[] = [];
  for (const parent of ["usr/lib", "lib"]) {
    const entries = await Array.fromAsync(Deno.readDir(`${root}/${parent}`)).catch(ignoreNotFound);
    for (const { name } of entries ?? []) if (name.includes("-linux-gnu")) folders.push(`${parent}/${name}`);
  }
  const loaderFolder = folders.find((folder) => isFile(`${root}/${folder}/${loader}`));
  if (loaderFolder === undefined) throw new UnavailableVersionError(`its packages have no ${loader}`);
  await run([
    "patchelf",
    "--set-interpreter",
    `${home}/${loaderFolder}/${loader}`,
    // DT_RPATH and not DT_RUNPATH: it has to hold for the libraries of libraries as well.
    "--force-rpath",
    "--set-rpath",
    folders.map((folder) => `$ORIGIN/${folder}`).join(":"),
    program,
  ]);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    ignoreNotFound(error);
    return false;
  }
}

function ignoreNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Runs a command to its end; answers what it wrote. */
async function run(
  [name, ...args]: readonly [string, ...string[]],
  { env = {}, cwd }: { readonly env?: Record<string, string>; readonly cwd?: string } = {},
): Promise<string> {
  const deadline = AbortSignal.timeout(COMMAND_DEADLINE_MS);
  try {
    const { success, code, stdout, stderr } = await new Deno.Command(name, {
      args,
      env: { ...env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      ...cwd === undefined ? {} : { cwd },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: deadline,
    }).output();
    if (success) return new TextDecoder().decode(stdout);
    const said = new TextDecoder().decode(stderr).trim().replaceAll(/\s*\n\s*/g, " / ") || `exit status ${code}`;
    const why = deadline.aborted ? `no end within ${COMMAND_DEADLINE_MS / 1000}s` : said;
    throw new UnavailableVersionError(`${[name, args[0]].join(" ")} failed: ${why}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UnavailableVersionError(`${name} is missing`);
  }
}

if (import.meta.main) {
  const refresh = Deno.args.includes("--refresh");
  const names = Deno.args.filter((arg) => arg !== "--refresh");
  const known: readonly string[] = HAPROXY_VERSIONS;
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    // deno-lint-ignore no-console -- a program's last word
    console.error(`Cannot fetch HAProxy ${unknown.join(", ")}: known versions are ${HAPROXY_VERSIONS.join(", ")}`);
    Deno.exit(2);
  }
  const wanted = HAPROXY_VERSIONS.filter((version) => names.length === 0 || names.includes(version));
  for (const version of wanted) {
    const line = await haproxyProgram(version, { refresh }).then(
      ({ banner, path }) => `${version}: ${banner}, ${path}`,
      (error) => {
        if (!(error instanceof UnavailableVersionError)) throw error;
        return `${version}: skipped, ${error.message}`;
      },
    );
    // deno-lint-ignore no-console -- this program's output is its purpose
    console.log(line);
  }
}
