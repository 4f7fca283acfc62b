import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { runCli } from "../support/cli.ts";
import { HaproxyBox } from "../support/haproxy.ts";
import { TempDir } from "../support/temp_dir.ts";

const COMMANDS = ["writer", "reporter", "run", "check", "plan"];

/** A service with a valid file. */
const THRESHOLDS = { rise: 1, fall: 1 };
const SERVICE = { discovery: "file", port: 8080, checks: { interval: 1, tcp: THRESHOLDS } };

/** A valid config directory, except for the files given: contents by name, `undefined` for none. */
async function configDir(files: Readonly<Record<string, unknown>> = {}): Promise<TempDir> {
  const temp = new TempDir();
  const all = { "discovery/file": { path: temp.file("registry") }, "services/web": SERVICE, ...files };
  for (const [name, contents] of Object.entries(all)) {
    if (contents === undefined) continue;
    await temp.write(`${name}.yaml`, typeof contents === "string" ? contents : JSON.stringify(contents));
  }
  return temp;
}

/** Every file of a directory, with its contents. */
async function contentsOf(dir: string): Promise<Readonly<Record<string, string>>> {
  const contents: Record<string, string> = {};
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    const path = `${dir}/${name}`;
    if (isDirectory) Object.assign(contents, await contentsOf(path));
    else contents[path] = await Deno.readTextFile(path);
  }
  return contents;
}

Deno.test.each([
  { args: ["--help"], says: /^Keeps the local load balancer in sync/ },
  { args: ["help"], says: /^Keeps the local load balancer in sync/ },
  { args: ["check", "--help"], says: /^Validate a config directory/ },
  { args: ["-h"], says: /^Keeps the local load balancer in sync/ },
  { args: ["writer", "-h"], says: /^Watch clusters and keep/ },
  {
    args: ["--version"],
    says: new RegExp(
      `^lighthouse ${RegExp.escape(config.version)}\ncommit [0-9a-f]{12}\ndeno ${
        RegExp.escape(Deno.version.deno)
      } \\(\\S+\\)\nhaproxy \\d+\\.\\d+\\S*\n$`,
    ),
  },
])("lighthouse $args prints its output, exit status 0", async ({ args, says }) => {
  const { code, stdout, stderr } = await runCli(args);
  assert.match(stdout, says);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
});

Deno.test.each([
  { args: [], says: /No command given; commands: writer, / },
  { args: ["nothing"], says: /Unknown command nothing\. See: lighthouse --help/ },
  { args: ["wirter", "dir"], says: /Unknown command wirter; did you mean writer\? See: lighthouse --help/ },
  { args: ["writer", "dir", "--statsu", "x"], says: /--statsu; did you mean --status\? See: lighthouse writer --help/ },
  { args: ["check"], says: /Expected a DIR, but too few arguments\. See: lighthouse check --help/ },
  { args: ["check", "a", "b"], says: / b\. See: lighthouse check --help/ },
  { args: ["check", "dir", "--file", "passwd=/etc/passwd"], says: /such as services\/web\.yaml=\/tmp\/new/ },
  { args: ["writer", "--log-level", "loud", "dir"], says: /"loud"/ },
  { args: ["reporter", "--ip", "nonsense", "dir"], says: /"nonsense"/ },
  { args: ["store", "gte", "/x"], says: /Unknown command gte; did you mean get\? See: lighthouse store --help/ },
  { args: ["completion", "tcsh"], says: /tcsh/ },
])("lighthouse $args is a usage error: one line of explanation, exit status 2", async ({ args, says }) => {
  const { code, stdout, stderr } = await runCli(args);
  assert.match(stderr, /^lighthouse: [^\n]+\n$/);
  assert.match(stderr, says);
  assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
});

Deno.test("lighthouse check exits with 0 for a valid config, and touches nothing", async () => {
  await using temp = await configDir();
  const before = await contentsOf(temp.path);
  const { code, stdout, stderr } = await runCli(["check", temp.path]);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.equal(stdout, `${temp.path}: valid: 0 errors, 0 warnings\n`);
  assert.deepEqual(await contentsOf(temp.path), before);
});

Deno.test("lighthouse check exits with status 1 for an invalid config, and reports every problem", async () => {
  await using temp = await configDir({
    "services/web": { ...SERVICE, port: "eighty" },
    "services/api": {
      ...SERVICE,
      port: 8081,
      checks: { interval: 1, tcp: { ...THRESHOLDS, query: "x" }, htpp: THRESHOLDS },
    },
    "services/broken": "checks: [",
  });
  const { code, stdout, stderr } = await runCli(["check", temp.path]);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: "" });
  assert.match(stdout, /services\/web\.yaml:1:\d+: error: Cannot use port: must be an integer from 1 to 65535/);
  assert.match(
    stdout,
    /services\/api\.yaml:1:\d+: error: Missing key checks.tcp.response: query requires a response/,
  );
  assert.match(stdout, /services\/api\.yaml:1:\d+: error: Unknown check "htpp": did you mean http\?/);
  assert.match(stdout, /services\/broken\.yaml:\d+:\d+: error: /);
  assert.match(stdout, /\n\S+: not valid: \d+ errors, \d+ warnings?\n$/);
});

Deno.test("lighthouse check reports an unknown key as a warning, and as a failure with --strict", async () => {
  await using temp = await configDir({ "services/web": { ...SERVICE, metdata: {} } });
  const lenient = await runCli(["check", temp.path]);
  assert.match(lenient.stdout, /warning: Unknown key metdata is ignored: did you mean metadata\?/);
  assert.match(lenient.stdout, /: valid: 0 errors, 1 warning\n$/);
  assert.equal(lenient.code, 0);
  const strict = await runCli(["check", "--strict", temp.path]);
  assert.match(strict.stdout, /: not valid: 0 errors, 1 warning\n$/);
  assert.equal(strict.code, 1);
});

Deno.test("lighthouse check --json prints one object for each finding, and nothing without findings", async () => {
  await using good = await configDir();
  assert.deepEqual(await runCli(["check", "--json", good.path]), { code: 0, stdout: "", stderr: "" });
  await using bad = await configDir({ "services/web": { ...SERVICE, port: 0, more: 1 }, "services/api": SERVICE });
  const { code, stdout } = await runCli(["check", "--json", bad.path]);
  assert.equal(code, 1);
  const findings = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(findings.map(({ severity }) => severity).toSorted(), ["error", "warning"]);
  for (const { file, line, column, message } of findings) {
    assert.equal(file, `${bad.path}/services/web.yaml`);
    assert.ok(line === 1 && column > 0 && message.length > 0);
  }
});

Deno.test("lighthouse check prints no secret", async () => {
  await using temp = await configDir({
    "services/web": {
      ...SERVICE,
      checks: { interval: 1, redis: { password: "hunter22", username: 5, tls: "hunter22" } },
    },
  });
  for (const flags of [[], ["--json"]]) {
    const { code, stdout, stderr } = await runCli(["check", ...flags, temp.path]);
    assert.equal(code, 1);
    assert.doesNotMatch(stdout + stderr, /hunter2/);
  }
});

Deno.test("lighthouse exits with status 1 if the config directory does not exist", async () => {
  await using temp = new TempDir();
  const missing = temp.file("nothing");
  for (const command of COMMANDS) {
    const { code, stdout, stderr } = await runCli([command, missing]);
    assert.equal(code, 1, command);
    assert.match(stdout + stderr, new RegExp(RegExp.escape(missing)), command);
    assert.doesNotMatch(stderr, /\bat file:|Uncaught/, "it is no crash");
  }
});

Deno.test("lighthouse plan prints the file and the steps, and touches nothing", async () => {
  await using box = new HaproxyBox();
  await using temp = await configDir({
    "balancers/haproxy": box.file,
    "clusters/web": { discovery: "file", haproxy: { port: 18_099, backend: ["mode http"] } },
  });
  await temp.write("registry/web/a.int:80.json", "not a node");
  const before = await contentsOf(temp.path);
  const { code, stdout, stderr } = await runCli(["plan", "--wait", "20", "--log-format", "logfmt", temp.path]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^# haproxy: not running, no response on its socket\n# steps: \n# {3}install .*\n# {3}start \(.*\): .*haproxy/,
  );
  assert.match(stdout, /\n# --- \S+ ---\n[^]*\nfrontend web\n/);
  assert.deepEqual(await contentsOf(temp.path), before);
  await assert.rejects(Deno.stat(String(box.file.config_file)), Deno.errors.NotFound);
});

Deno.test("lighthouse plan without a balancer reports the missing file, exit status 1", async () => {
  await using temp = await configDir();
  const { code, stdout, stderr } = await runCli(["plan", temp.path]);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: "" });
  assert.match(stderr, /Nothing to plan: no balancer is configured.*balancers\/haproxy\.yaml/);
});

Deno.test.each(["bash", "zsh", "fish", "nu", "pwsh"].map((shell) => ({ shell })))(
  "lighthouse completion $shell prints a script, and the completions that it requests name every command",
  async ({ shell }) => {
    const script = await runCli(["completion", shell]);
    assert.deepEqual([script.code, script.stderr], [0, ""]);
    assert.match(script.stdout, /lighthouse/);
    const { code, stdout } = await runCli(["completion", shell, ""]);
    assert.equal(code, 0);
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^${command}\\b`, "m"));
  },
);

Deno.test("bash completes lighthouse commands", async () => {
  await using temp = new TempDir();
  const command = config.tasks.lighthouse.command.replace(
    /\S+$/,
    new URL("../../src/main.ts", import.meta.url).pathname,
  );
  await temp.write("lighthouse", `#!/bin/sh\nexec ${command} "$@"\n`);
  await Deno.chmod(temp.file("lighthouse"), 0o755);
  const complete = (...words: readonly string[]) => {
    const line = words.join(" ");
    const quoted = words.map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; COMP_LINE='${line}'; COMP_POINT=${line.length}
      _lighthouse; echo "\${COMPREPLY[@]}"`;
  };
  const script = `eval "$(lighthouse completion bash)"
    ${complete("lighthouse", "w")}
    ${complete("lighthouse", "check", "--s")}
    ${complete("lighthouse", "run", "--log-format", "l")}`;
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script],
    env: { PATH: `${temp.path}:${Deno.env.get("PATH")}` },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "writer weight\n--strict\nlogfmt\n", new TextDecoder().decode(stderr));
});

Deno.test("lighthouse completes if nobody reads its output", async () => {
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  await using temp = await configDir({ "services/web": "checks: [" });
  const command = config.tasks.lighthouse.command.replace(/\S+$/, `${main} check --strict ${temp.path}`);
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", `${command} | true; echo "\${PIPESTATUS[0]}"`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).output();
  assert.deepEqual([new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)], ["1\n", ""]);
});

Deno.test("lighthouse check reports lines that HAProxy rejects, and lines that 1.0 never passed on, at their source", async () => {
  await using box = new HaproxyBox();
  await using own = new TempDir();
  await using dir = await configDir({
    "balancers/haproxy": `${
      JSON.stringify({ ...box.file, global: undefined }).slice(0, -1)
    },\n"global": ["nbthread 2"]}`,
    "clusters/web": { discovery: "file", haproxy: { port: 20_002, backend: ["mode http"] } },
    "clusters/other": `discovery: file\nhaproxy:\n  port: 20001\n  backend:\n    - balance roundrobbin\n`,
  });
  const { code, stdout } = await runCli(["check", dir.path], { variables: { TMPDIR: own.path } });
  assert.equal(code, 1, stdout);
  assert.match(stdout, /clusters\/other\.yaml:5:7: error: rejected by haproxy: balance only supports/);
  assert.match(
    stdout,
    /balancers\/haproxy\.yaml:2:12: warning: global: line "nbthread 2" is passed to HAProxy; 1\.0 skipped it/,
  );
  assert.deepEqual(await Array.fromAsync(Deno.readDir(own.path), ({ name }) => name), []);
  await assert.rejects(Deno.stat(box.configFile), Deno.errors.NotFound);
});

Deno.test("lighthouse resolves a relative directory from the caller's working directory", async () => {
  await using dir = await configDir();
  const { code, stdout } = await runCli(["check", "."], { variables: { INIT_CWD: dir.path } });
  assert.equal(code, 0, stdout);
  assert.match(stdout, new RegExp(`^${RegExp.escape(dir.path)}/\\.: valid`, "m"));
});
