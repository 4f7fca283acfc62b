import assert from "node:assert/strict";
import { findProcesses } from "../../src/system/processes.ts";
import { eventually } from "./eventually.ts";
import { TempDir } from "./temp_dir.ts";
import { readWalkthrough, type Step, Transcript } from "./walkthrough.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** An example, and the network that its README names. */
export interface ExampleName {
  /** Its folder. */
  readonly name: string;
  /** The first three numbers of its hosts' addresses. */
  readonly network: string;
}

/** The deadline of a step that launches hosts, long enough for a busy machine. */
const STEP_DEADLINE_MS = 90_000;

/** How long a step that only looks is repeated until it shows the expected output. */
const LOOK_DEADLINE_MS = 45_000;

/** An example in a test's own directory and network; whatever still runs at the end is killed. */
export class ExampleStage implements AsyncDisposable {
  /** The directory of its hosts' files. */
  readonly dir: TempDir = new TempDir("example-");
  /** As long as the READMEs' own, since the width of columns depends on it. */
  readonly network: string;
  readonly #claim: Deno.Listener;

  constructor() {
    [this.network, this.#claim] = claimNetwork();
  }

  /** Runs shell lines, with the example in this stage's directory instead of the README's. */
  async run(lines: string, of: ExampleName): Promise<Outcome> {
    const own = `deno task --quiet example ${of.name} ${this.options}`;
    return await this.shell(lines.replaceAll(`deno task example ${of.name}`, own), of);
  }

  /** Runs shell lines, with this stage's network instead of the README's. */
  async shell(
    lines: string,
    of: Pick<ExampleName, "network">,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Outcome> {
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euc", lines.replaceAll(of.network, this.network)],
      cwd: ROOT,
      env: { PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`, ...env },
      stdin: "null",
      signal: AbortSignal.timeout(STEP_DEADLINE_MS),
    }).output();
    const decoder = new TextDecoder();
    return {
      code,
      stdout: decoder.decode(stdout).replaceAll(this.network, of.network),
      stderr: decoder.decode(stderr),
    };
  }

  /** The options of its commands. */
  get options(): string {
    return `--dir ${this.dir.path} --network ${this.network}`;
  }

  /** The example's live processes. */
  processes(): Promise<readonly number[]> {
    return findProcesses((args) => args.some((arg) => arg.includes(this.dir.path) || arg.includes(`${this.network}.`)));
  }

  /** The end of the log of each host's Lighthouse. */
  async logs(): Promise<string> {
    let text = "";
    for await (const { name } of Deno.readDir(this.dir.path)) {
      const log = await Deno.readTextFile(this.dir.file(`${name}/lighthouse.log`)).catch(() => "");
      text += `--- ${name}\n${log.split("\n").slice(-15).join("\n")}\n`;
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#claim.close();
    // A command that was on its way may just have started another.
    for (let pids = await this.processes(); pids.length > 0; pids = await this.processes()) {
      for (const pid of pids) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // It has ended by itself.
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await this.dir[Symbol.asyncDispose]();
  }
}

/** Finds a network that no other test has, and keeps it by listening at an address that no host gets. */
function claimNetwork(): [string, Deno.Listener] {
  for (;;) {
    const network = `127.${10 + Math.floor(Math.random() * 78)}.${Math.floor(Math.random() * 10)}`;
    try {
      return [network, Deno.listen({ hostname: `${network}.255`, port: 20_000 })];
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** The result of a step. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a step until it prints what the README shows; repeats it only if it has no effect. */
async function follow(stage: ExampleStage, step: Step, transcript: Transcript, of: ExampleName) {
  const attempt = async () => {
    const { code, stdout, stderr } = await stage.run(step.script, of);
    assert.equal(code, 0, stderr);
    if (step.expected !== undefined) transcript.compare(stdout, step.expected);
    return true;
  };
  const onlyLooks = step.script.split("\n").every((line) => /^deno task example \S+ (?:connect|status)\b/.test(line));
  try {
    if (onlyLooks) {
      await eventually("the step prints what is expected", attempt, { deadlineMs: LOOK_DEADLINE_MS, everyMs: 300 });
    } else await attempt();
  } catch (error) {
    throw new Error(`README line ${step.line}: ${step.script}\n${(error as Error).message}\n${await stage.logs()}`, {
      cause: error,
    });
  }
}

/** Follows the walk-through in an example's README from end to end; nothing may be left behind. */
export async function followReadme(of: ExampleName): Promise<void> {
  await using stage = new ExampleStage();
  const transcript = new Transcript();
  for (const step of readWalkthrough(await Deno.readTextFile(`${ROOT}examples/${of.name}/README.md`))) {
    await follow(stage, step, transcript, of);
  }
  assert.deepEqual(await stage.processes(), []);
}
