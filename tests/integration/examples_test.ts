import assert from "node:assert/strict";
import { findProcesses } from "../../src/system/processes.ts";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { TempDir } from "../support/temp_dir.ts";
import { readWalkthrough, type Step, Transcript } from "../support/walkthrough.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** A step that launches hosts on a busy machine takes its time; one that hangs ends here. */
const STEP_DEADLINE_MS = 90_000;

/** How long what only looks is looked at until it shows what is expected. */
const LOOK_DEADLINE_MS = 45_000;

/** An example in a directory and on a network of the test's own; whatever still runs at the end is killed. */
class Stage implements AsyncDisposable {
  readonly dir: TempDir = new TempDir("example-");
  /** As long as the READMEs' own, since columns are as wide as what is in them. */
  readonly network: string = `127.${10 + Math.floor(Math.random() * 78)}.${Math.floor(Math.random() * 10)}`;

  /** Runs lines for a shell, as if the example were where its README puts it. */
  async run(lines: string, of: { readonly network: string; readonly name: string }): Promise<Outcome> {
    const script = lines.replaceAll(of.network, this.network)
      .replaceAll(`deno task example ${of.name}`, `deno task --quiet example ${of.name} ${this.options}`);
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-euc", script],
      cwd: ROOT,
      env: { PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}` },
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

  get options(): string {
    return `--dir ${this.dir.path} --network ${this.network}`;
  }

  /** The processes of the example that are there. */
  processes(): Promise<readonly number[]> {
    return findProcesses((args) =>
      args.some((arg) => arg.includes(this.dir.path) || arg.startsWith(`${this.network}.`))
    );
  }

  /** What the hosts' Lighthouses have logged last. */
  async logs(): Promise<string> {
    let text = "";
    for await (const { name } of Deno.readDir(this.dir.path)) {
      const log = await Deno.readTextFile(this.dir.file(`${name}/lighthouse.log`)).catch(() => "");
      text += `--- ${name}\n${log.split("\n").slice(-15).join("\n")}\n`;
    }
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of await this.processes()) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    await this.dir[Symbol.asyncDispose]();
  }
}

/** What came of a step. */
interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a step, again and again if all it does is to look, until it prints what the README says. */
async function follow(stage: Stage, step: Step, transcript: Transcript, of: Parameters<Stage["run"]>[1]) {
  const attempt = async () => {
    const { code, stdout, stderr } = await stage.run(step.script, of);
    assert.equal(code, 0, stderr);
    if (step.expected !== undefined) transcript.compare(stdout, step.expected);
    return true;
  };
  const onlyLooks = step.script.split("\n").every((line) => /^deno task example \S+ (?:connect|status)\b/.test(line));
  try {
    if (onlyLooks) await eventually("it looks as expected", attempt, { deadlineMs: LOOK_DEADLINE_MS, everyMs: 300 });
    else await attempt();
  } catch (error) {
    throw new Error(`README line ${step.line}: ${step.script}\n${(error as Error).message}\n${await stage.logs()}`, {
      cause: error,
    });
  }
}

Deno.test.each([
  { name: "simple_web", network: "127.88.0" },
  { name: "api_meta_cluster", network: "127.89.0" },
])("the walk-through of $name goes as its README says, and leaves nothing behind", async (of) => {
  await setUp(["haproxy", "zookeeper", "redis"]);
  await using stage = new Stage();
  const transcript = new Transcript();
  for (const step of readWalkthrough(await Deno.readTextFile(`${ROOT}examples/${of.name}/README.md`))) {
    await follow(stage, step, transcript, of);
  }
  assert.deepEqual(await stage.processes(), []);
});

Deno.test("an example says what it cannot do, and does nothing", async () => {
  await using stage = new Stage();
  const of = { name: "api_meta_cluster", network: stage.network };
  for (
    const [command, message] of [
      ["launch", "Want a type and a name after launch"],
      ["launch webapp app01", 'There is no type of host "webapp": want zookeeper, client, cache, widgets'],
      ["launch cache Cache_1", 'Cannot launch a host named "Cache_1": want at most 20 small letters, digits and -'],
      ["connect app01", 'There is no host "app01": launched are none'],
      ["lunch cache cache01", 'Unknown command "lunch"'],
      ["status --network 10.0.0", 'Cannot use the network "10.0.0": want three numbers, such as 127.88.0'],
      ["load 127.0.0.1 status", "Want an address, a port and a command after load"],
    ] as const
  ) {
    const { code, stderr } = await stage.run(`deno task example ${of.name} ${command}`, of);
    assert.equal(code, 2, stderr);
    assert.ok(stderr.startsWith(message), `${command}: ${stderr}`);
  }
  assert.deepEqual(await stage.processes(), []);
});

Deno.test("a host that cannot be launched leaves nothing, and stop ends no process but its own", async () => {
  await setUp(["zookeeper"]);
  await using stage = new Stage();
  const of = { name: "api_meta_cluster", network: stage.network };
  const example = (command: string) => stage.run(`deno task example ${of.name} ${command}`, of);

  const early = await example("launch proxy proxy01");
  assert.equal(early.code, 2, early.stderr);
  assert.match(early.stderr, /Cannot launch proxy01 as its files name partnerapi, which is not there/);

  {
    using _taken = Deno.listen({ hostname: `${stage.network}.2`, port: 8088 });
    const taken = await example("launch partner partnerapi");
    assert.equal(taken.code, 2, taken.stderr);
    assert.match(taken.stderr, /^Cannot launch partnerapi as another program listens on port 8088 of 127\./);
  }
  const { stdout } = await example("status");
  assert.match(stdout, /^NAME .*\nzk01 .* zookeeper\n$/);

  assert.equal((await example("launch partner partnerapi")).code, 0);
  const again = await example("launch partner partnerapi");
  assert.match(again.stderr, /Cannot launch partnerapi as there is a host of that name: stop it first/);

  // As after a restart of the machine: by now the number is another process's.
  const partner = Number(await Deno.readTextFile(stage.dir.file("partnerapi/partner-8088.pid")));
  const stranger = new Deno.Command("sleep", { args: ["600"] }).spawn();
  try {
    await Deno.writeTextFile(stage.dir.file("partnerapi/partner-8088.pid"), String(stranger.pid));
    assert.equal((await example("stop")).code, 0);
    const alive = await findProcesses(([name, seconds]) => name?.endsWith("sleep") === true && seconds === "600");
    assert.ok(alive.includes(stranger.pid), "the stranger lives");
    assert.deepEqual(await stage.processes(), [partner]);
  } finally {
    stranger.kill("SIGKILL");
    await stranger.status;
  }
});
