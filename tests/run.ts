/**
 * Runs what CI runs: `deno run tests/run.ts [STEP…]`, all steps unless named.
 * Each check that is no test (format, lint, types…) counts as one item. Ends
 * with the slowest tests, all that failed, and a line `N passed, N failed`;
 * exits with 1 if anything failed. `DENO_JOBS` in the environment sets how many
 * test files run at once.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- this program's output is its purpose
import { setUp } from "./setup.ts";

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
  /** Whether it runs programs that `setup.ts` has to bring. */
  readonly programs?: true;
  /** Whether its tests wait most of the time, for programs and clocks, so that more of them go side by side. */
  readonly waits?: true;
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
    tests: ["src", "workers", "plugins", "tests/tidy_test.ts"],
  },
  {
    name: "sim",
    title: "simulation and properties of the whole",
    args: ["test", "--no-check", "--parallel", ...UNIT_PERMISSIONS],
    tests: ["tests/simulation"],
  },
  {
    name: "store",
    title: "the store: its contract, and what befalls it",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/store"],
    programs: true,
    waits: true,
  },
  {
    name: "golden",
    title: "golden files, conformance of plugins, hostile input",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/golden", "tests/conformance", "tests/fuzz"],
    programs: true,
  },
  {
    name: "real",
    title: "real HAProxy, ZooKeeper and Redis",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/integration", "tests/compatibility"],
    programs: true,
    waits: true,
  },
  {
    name: "faults",
    title: "what befalls real processes, networks and disks, under traffic; and for long",
    args: ["test", "--no-check", "--parallel", "-A"],
    tests: ["tests/faults", "tests/soak"],
    programs: true,
    waits: true,
  },
];

/** A step that takes longer hangs. */
const STEP_DEADLINE_MS = 1_200_000;

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

/** Runs one step; its output goes where ours goes. */
async function runStep(step: Step): Promise<StepResult> {
  const junitPath = `junit-${step.name}.xml`;
  const tests = (step.tests ?? []).filter(isThere);
  // Without a path, deno would run every test there is.
  if (step.tests !== undefined && tests.length === 0) return { passed: 0, failed: [], timed: [] };
  if (step.tests !== undefined) await Deno.remove(junitPath).catch(() => {});
  const args = step.tests === undefined
    ? step.args
    : [...step.args, "--permit-no-files", `--junit-path=${junitPath}`, ...tests];
  const jobs = Deno.env.get("DENO_JOBS") ?? String(navigator.hardwareConcurrency * (step.waits ? 2 : 1));
  const env = { DENO_JOBS: jobs };
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

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Runs the steps of these names, in the table's order; answers the sum. */
async function run(names: readonly string[]): Promise<StepResult> {
  const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) {
    const failed = `Unknown step ${unknown.join(", ")}: known are ${STEPS.map((s) => s.name).join(", ")}`;
    return { passed: 0, failed: [failed], timed: [] };
  }
  const steps = names.length === 0 ? STEPS : STEPS.filter((step) => names.includes(step.name));
  if (steps.some((step) => step.programs)) {
    console.log("\n== setup: the programs that tests run");
    try {
      await setUp();
    } catch (error) {
      return { passed: 0, failed: [error instanceof Error ? error.message : String(error)], timed: [] };
    }
  }
  let passed = 0;
  const failed: string[] = [];
  const timed: TimedTest[] = [];
  for (const step of steps) {
    console.log(`\n== ${step.name}: ${step.title}`);
    const started = performance.now();
    const result = await runStep(step);
    passed += result.passed;
    failed.push(...result.failed.map((item) => `${step.name}: ${item}`));
    timed.push(...result.timed);
    const took = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`-- ${step.name}: ${result.passed} passed, ${result.failed.length} failed (${took} s)`);
  }
  return { passed, failed, timed };
}

if (import.meta.main) {
  Deno.chdir(new URL("..", import.meta.url));
  const { passed, failed, timed } = await run(Deno.args);
  const slow = slowest(timed).map(({ name, seconds }) => `  ${seconds.toFixed(1).padStart(6)} s  ${name}`);
  if (slow.length > 0) console.log(`\nSlowest tests:\n${slow.join("\n")}`);
  if (failed.length > 0) console.log(`\nFailed:\n${failed.map((item) => `  ${item}`).join("\n")}`);
  console.log(`\n${passed} passed, ${failed.length} failed`);
  Deno.exit(failed.length === 0 ? 0 : 1);
}
