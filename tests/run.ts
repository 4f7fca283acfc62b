/**
 * Runs what CI runs: `deno run tests/run.ts [STEP…]`, all steps unless named,
 * and all but the heavy ones with `--short`.
 * Each check that is no test (format, lint, types…) counts as one item. Ends
 * with the slowest tests, all that failed, and a line `N passed, N failed`;
 * exits with 1 if anything failed. `DENO_JOBS` in the environment sets how many
 * test files run at once.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- this program's output is its purpose
import { haproxyProgram, type HaproxyVersion, UnavailableVersionError } from "./haproxy_versions.ts";
import { type RequirementName, setUp } from "./setup.ts";

/** One thing to run: an item by itself, or a set of tests. */
export interface Step {
  /** What it is called on the command line. */
  readonly name: string;
  /** What it shows, for the heading. */
  readonly title: string;
  /** The arguments to `deno`. */
  readonly args: readonly string[];
  /** For tests: the files and folders that hold them. */
  readonly tests?: readonly string[];
  /** The programs that it runs and `setup.ts` has to bring; `all` that there are. */
  readonly programs?: "all" | readonly RequirementName[];
  /**
   * The HAProxy versions that its tests are run with, instead of the installed
   * one: of each list the first available one. An unavailable one is
   * named and skipped.
   */
  readonly haproxy?: readonly (readonly HaproxyVersion[])[];
  /** Whether its tests wait most of the time, for programs and clocks, so that more files run at once. */
  readonly waits?: true;
  /** Whether `--short` leaves it out. */
  readonly isHeavy?: true;
}

/** What tests beside their source may do: files, loopback, no program. */
const UNIT_PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-sys=hostname,networkInterfaces,uid",
  "--allow-net=127.0.0.1,[::1],localhost",
];

/**
 * Every step, in the order of running: the quick before the slow. Types are
 * checked once, by a step of their own: a test run that checks them does so
 * again for each worker that it boots.
 */
export const STEPS: readonly Step[] = [
  { name: "fmt", title: "format", args: ["fmt", "--check"] },
  { name: "lint", title: "lint and layers", args: ["lint"] },
  { name: "check", title: "types", args: ["check"] },
  { name: "doc", title: "documented symbols", args: ["doc", "--lint", "mod.ts"] },
  { name: "publish", title: "fit to publish", args: ["publish", "--dry-run", "--allow-dirty", "--quiet"] },
  {
    name: "unit",
    title: "one module at a time",
    args: ["test", "--no-check", "--parallel", ...UNIT_PERMISSIONS],
    tests: ["src", "workers", "plugins", "tests/tidy_test.ts", "tests/events_test.ts"],
  },
  {
    name: "sim",
    title: "simulation and properties of the whole, a quarter of its worlds",
    args: ["test", "--no-check", "--parallel", ...UNIT_PERMISSIONS],
    tests: ["tests/simulation"],
  },
  {
    name: "store",
    title: "the store: its contract, and what befalls it",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/store"],
    programs: "all",
    waits: true,
  },
  {
    name: "golden",
    title: "golden files, conformance of plugins, hostile input",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/golden", "tests/conformance", "tests/fuzz"],
    programs: "all",
    waits: true,
  },
  {
    name: "real",
    title: "real HAProxy, registries and Redis, and what befalls them under traffic",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/integration", "tests/compatibility", "tests/faults", "tests/soak"],
    programs: "all",
    waits: true,
  },
  {
    name: "worlds",
    title: "the other worlds of the simulation",
    args: ["test", "--no-check", "--parallel", ...UNIT_PERMISSIONS],
    tests: ["tests/worlds"],
    isHeavy: true,
  },
  {
    name: "packages",
    title: "the npm package, the binaries, an older Deno, the units under systemd",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/packages"],
    programs: ["haproxy", "curl", "iproute"],
    isHeavy: true,
  },
  {
    name: "long",
    title: "long faults, attackers in a sandbox, walk-throughs",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/endurance", "tests/sandbox", "tests/walkthroughs"],
    programs: "all",
    waits: true,
    isHeavy: true,
  },
  {
    name: "haproxy",
    title: "the HAProxy versions that are not installed",
    args: ["test", "--no-check", "--parallel", "-A"],
    programs: ["haproxy", "patchelf"],
    haproxy: [["3.0"], ["3.4", "3.2"]],
    waits: true,
    isHeavy: true,
  },
];

/** The tests in which the version of HAProxy shows: a minute for each version. */
const HAPROXY_TESTS: readonly string[] = [
  "tests/golden/directories_test.ts",
  "tests/golden/render_test.ts",
  ...[
    "converge",
    "demo_once",
    "drain",
    "haproxy_model",
    "haproxy_writer",
    "master_socket",
    "old_haproxy_bugs",
    "panic",
    "peers",
    "reload",
  ].map((name) => `tests/integration/${name}_test.ts`),
];

/**
 * The test files that take longest, longest first. A step starts with its own:
 * a long file that starts last runs alone at the end.
 */
export const LONG_FILES: readonly string[] = [
  "tests/conformance/discovery_test.ts",
  "tests/conformance/formats_test.ts",
  "tests/golden/config_docs_test.ts",
  "tests/golden/directories_test.ts",
  "tests/store/registry_test.ts",
  "tests/store/durability_test.ts",
  "tests/store/connections_test.ts",
  "tests/store/model_test.ts",
  "tests/integration/traffic_test.ts",
  "tests/faults/haproxy_test.ts",
  "tests/faults/etcd_test.ts",
  "tests/faults/registry_test.ts",
  "tests/faults/serf_test.ts",
  "tests/compatibility/bugs_test.ts",
  "tests/integration/etcd_test.ts",
  "tests/faults/lighthouse_test.ts",
  "tests/integration/plugin_cli_test.ts",
  "tests/integration/admin_test.ts",
  "tests/faults/disk_test.ts",
  "tests/integration/haproxy_writer_test.ts",
  "tests/integration/zookeeper_test.ts",
  "tests/compatibility/moving_over_test.ts",
  "tests/faults/backup_test.ts",
  "tests/integration/nginx_test.ts",
  "tests/integration/app_test.ts",
  "tests/integration/reload_test.ts",
  "tests/faults/silence_test.ts",
  "tests/integration/hostile_haproxy_test.ts",
  "tests/faults/network_test.ts",
  "tests/integration/maintenance_test.ts",
  "tests/faults/rights_test.ts",
  "tests/integration/services_test.ts",
  "tests/faults/name_test.ts",
  "tests/integration/foreign_balancer_test.ts",
  "tests/integration/status_test.ts",
  "tests/integration/last_known_test.ts",
  "tests/integration/addresses_test.ts",
  "tests/integration/clusters_test.ts",
  "tests/integration/hostile_registry_test.ts",
  "tests/integration/cli_test.ts",
  "tests/integration/fleet_test.ts",
  "tests/integration/bind_test.ts",
  "tests/faults/store_test.ts",
  "tests/integration/moving_test.ts",
  "tests/compatibility/interop_test.ts",
  "tests/integration/import_aurproxy_test.ts",
  "tests/endurance/seen_test.ts",
  "tests/endurance/sources_test.ts",
  "tests/endurance/sources_serf_test.ts",
  "tests/endurance/sources_zookeeper_test.ts",
  "tests/endurance/sources_etcd_test.ts",
  "tests/endurance/files_test.ts",
  "tests/endurance/sources_lighthouse_test.ts",
  "tests/walkthroughs/plugin_authoring_test.ts",
  "tests/walkthroughs/examples_test.ts",
  "tests/sandbox/daemon_test.ts",
  "tests/walkthroughs/examples_api_test.ts",
];

/**
 * How many files run at once for each idle core in a step that waits; one that computes runs one for each
 * core. Where others use a core, as many files as for two would only be late together, past the times that
 * sessions last.
 */
const WAITING_FILES_PER_CORE = 4;

/** For how long a step looks how busy the machine is before it starts. */
const IDLE_SAMPLE_MS = 1_000;

/** A step that takes longer hangs, even with one file at a time on a busy machine. */
const STEP_DEADLINE_MS = 3_600_000;

/** How many of the slowest tests the run ends with. */
const SLOWEST_COUNT = 10;

/** A test, and how long it took. */
export interface TimedTest {
  readonly name: string;
  readonly seconds: number;
}

/** How one step went. */
export interface StepResult {
  /** How many items passed. */
  readonly passed: number;
  /** The items that failed, each in a line. */
  readonly failed: readonly string[];
  /** Every test that ran, with its duration. */
  readonly timed: readonly TimedTest[];
}

/** Reads what `deno test --junit-path` wrote. */
export function readJunit(xml: string): StepResult {
  const failed: string[] = [];
  const timed: TimedTest[] = [];
  let passed = 0;
  for (
    const [, attributes = "", slash, body = ""] of xml.matchAll(
      /<testcase\b([^>]*?)(?:(\/)>|>([\s\S]*?)<\/testcase>)/g,
    )
  ) {
    const attribute = (name: string) =>
      unescapeXml(new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const name = `${attribute("classname")}: ${attribute("name")}`;
    timed.push({ name, seconds: Number(attribute("time")) || 0 });
    if (slash === undefined && /<(?:failure|error)\b/.test(body)) {
      failed.push(name);
    } else if (slash !== undefined || !/<skipped\b/.test(body)) {
      passed++;
    }
  }
  return { passed, failed, timed };
}

/** The slowest of these tests, slowest first. */
export function slowest(timed: readonly TimedTest[], count = SLOWEST_COUNT): readonly TimedTest[] {
  return timed.toSorted((a, b) => b.seconds - a.seconds).slice(0, count);
}

function unescapeXml(text: string): string {
  const NAMED: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? parseInt(hex, 16) : Number(decimal));
  });
}

/** Runs a step with each version of HAProxy that can be had. */
async function runVersions(step: Step, versions: NonNullable<Step["haproxy"]>): Promise<StepResult> {
  const results: StepResult[] = [];
  for (const any of versions) {
    const program = await firstProgram(any);
    if (program === undefined) continue;
    const { version, path, banner } = program;
    console.log(`\n-- ${banner}`);
    const folder = path.slice(0, path.lastIndexOf("/"));
    const { haproxy: _, ...rest } = step;
    const result = await runStep({ ...rest, name: `haproxy-${version}`, tests: HAPROXY_TESTS }, {
      PATH: `${folder}:${Deno.env.get("PATH")}`,
    });
    results.push({ ...result, failed: result.failed.map((item) => `HAProxy ${version}: ${item}`) });
  }
  return {
    passed: results.reduce((sum, { passed }) => sum + passed, 0),
    failed: results.flatMap(({ failed }) => failed),
    timed: results.flatMap(({ timed }) => timed),
  };
}

/** The first of some versions that can be had; says why the others cannot. */
async function firstProgram(versions: readonly HaproxyVersion[]) {
  for (const version of versions) {
    try {
      return await haproxyProgram(version);
    } catch (error) {
      if (!(error instanceof UnavailableVersionError)) throw error;
      console.log(`\n-- HAProxy ${version}: skipped, unavailable: ${error.message}`);
    }
  }
  return undefined;
}

/** Runs one step; its output goes where ours goes. */
async function runStep(step: Step, environment: Readonly<Record<string, string>> = {}): Promise<StepResult> {
  if (step.haproxy !== undefined) return await runVersions(step, step.haproxy);
  const junitPath = `junit-${step.name}.xml`;
  const tests = longestFirst((step.tests ?? []).filter(isThere).flatMap(testFiles));
  // Without a path, deno would run every test there is.
  if (step.tests !== undefined && tests.length === 0) return { passed: 0, failed: [], timed: [] };
  if (step.tests !== undefined) await Deno.remove(junitPath).catch(() => {});
  const args = step.tests === undefined
    ? step.args
    : [...step.args, "--permit-no-files", `--junit-path=${junitPath}`, ...tests];
  const chosen = async () =>
    step.waits ? Math.round(await idleCores() * WAITING_FILES_PER_CORE) : navigator.hardwareConcurrency;
  const jobs = Deno.env.get("DENO_JOBS") ?? String(await chosen());
  if (step.tests !== undefined) console.log(`${step.name}: ${jobs} files at once`);
  const env = { ...environment, DENO_JOBS: jobs };
  const child = new Deno.Command(Deno.execPath(), { args: [...args], env, stdin: "null" }).spawn();
  const hung = setTimeout(() => child.kill("SIGKILL"), STEP_DEADLINE_MS);
  const { success, code } = await child.status;
  clearTimeout(hung);
  const own = `deno ${args.join(" ")}`;
  if (step.tests === undefined) return { passed: success ? 1 : 0, failed: success ? [] : [own], timed: [] };
  const xml = await Deno.readTextFile(junitPath).catch(() => "");
  const result = readJunit(xml);
  // A crash, a leak between tests or a module that does not load is no test case, but a failure all the same.
  return success || result.failed.length > 0
    ? result
    : { ...result, failed: [`${own} left with ${code}, though no test failed`] };
}

/** How many cores others leave to this run: at least one, and all of them where the system does not say. */
async function idleCores(): Promise<number> {
  const cores = navigator.hardwareConcurrency;
  // user, nice, system, idle, iowait… in ticks since the system started (proc_stat(5)).
  const count = async () => {
    // Deno itself reads nothing below /proc without all permissions.
    const { stdout } = await new Deno.Command("cat", { args: ["/proc/stat"], stderr: "null" }).output();
    const [line = ""] = new TextDecoder().decode(stdout).split("\n");
    const ticks = line.split(/\s+/).slice(1, 9).map(Number);
    return { idle: (ticks[3] ?? 0) + (ticks[4] ?? 0), all: ticks.reduce((sum, each) => sum + each, 0) };
  };
  const before = await count();
  await new Promise((resolve) => setTimeout(resolve, IDLE_SAMPLE_MS));
  const after = await count();
  const all = after.all - before.all;
  return all <= 0 ? cores : Math.max(1, cores * (after.idle - before.idle) / all);
}

/** The test files at a path, sorted by name: the path itself, or all in that folder. */
function testFiles(path: string): readonly string[] {
  if (path.endsWith(".ts")) return [path];
  return Deno.readDirSync(path).toArray().toSorted((a, b) => a.name < b.name ? -1 : 1).flatMap((
    { name, isDirectory },
  ) => isDirectory ? testFiles(`${path}/${name}`) : name.endsWith("_test.ts") ? [`${path}/${name}`] : []);
}

/** Orders test files: those of {@linkcode LONG_FILES} first. */
export function longestFirst(paths: readonly string[]): readonly string[] {
  const rank = (path: string) => LONG_FILES.includes(path) ? LONG_FILES.indexOf(path) : LONG_FILES.length;
  return paths.toSorted((a, b) => rank(a) - rank(b));
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** The steps of these names, in the table's order; all of them without a name, and all but the heavy ones with `--short`. */
function stepsNamed(names: readonly string[]): readonly Step[] {
  if (names.length === 1 && names[0] === "--short") return STEPS.filter(({ isHeavy }) => isHeavy === undefined);
  const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) {
    console.error(`Unknown step ${unknown.join(", ")}: known are ${STEPS.map((s) => s.name).join(", ")}`);
    Deno.exit(2);
  }
  return names.length === 0 ? STEPS : STEPS.filter((step) => names.includes(step.name));
}

/** Whether a step is no test: such steps use one core each. */
function isCheck({ tests, haproxy }: Step): boolean {
  return tests === undefined && haproxy === undefined;
}

/** Runs steps, those that are no test at once, then one after the other; returns the sum. */
async function run(steps: readonly Step[]): Promise<StepResult> {
  const programs = steps.flatMap(({ programs }) => programs ?? []);
  const names = programs.filter((name) => name !== "all");
  if (programs.length > 0) {
    console.log("\n== setup: the programs that tests run");
    try {
      await setUp(names.length < programs.length ? undefined : names);
    } catch (error) {
      return { passed: 0, failed: [error instanceof Error ? error.message : String(error)], timed: [] };
    }
  }
  let passed = 0;
  const failed: string[] = [];
  const timed: TimedTest[] = [];
  for (const together of [steps.filter(isCheck), ...steps.filter((step) => !isCheck(step)).map((step) => [step])]) {
    for (const { name, title } of together) console.log(`\n== ${name}: ${title}`);
    const results = await Promise.all(together.map(async (step) => {
      const started = performance.now();
      return { step, result: await runStep(step), seconds: (performance.now() - started) / 1000 };
    }));
    for (const { step, result, seconds } of results) {
      passed += result.passed;
      failed.push(...result.failed.map((item) => `${step.name}: ${item}`));
      timed.push(...result.timed);
      const counts = `${result.passed} passed, ${result.failed.length} failed`;
      console.log(`-- ${step.name}: ${counts} (${seconds.toFixed(1)} s)`);
    }
  }
  return { passed, failed, timed };
}

/** Runs steps in the project's folder, prints the sum, and ends this program. */
export async function runAndExit(steps: readonly Step[]): Promise<never> {
  Deno.chdir(new URL("..", import.meta.url));
  const { passed, failed, timed } = await run(steps);
  const slow = slowest(timed).map(({ name, seconds }) => `  ${seconds.toFixed(1).padStart(6)} s  ${name}`);
  if (slow.length > 0) console.log(`\nSlowest tests:\n${slow.join("\n")}`);
  if (failed.length > 0) console.log(`\nFailed:\n${failed.map((item) => `  ${item}`).join("\n")}`);
  console.log(`\n${passed} passed, ${failed.length} failed`);
  Deno.exit(failed.length === 0 ? 0 : 1);
}

if (import.meta.main) await runAndExit(stepsNamed(Deno.args));
