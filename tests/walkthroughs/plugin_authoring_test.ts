/**
 * The tasks of a plugin's author: writes one with `lighthouse plugin new`, tests
 * it with `lighthouse plugin test`, and reads docs/plugins.
 *
 * @module
 */
import assert from "node:assert/strict";
import { balancerRules, type Functions } from "../../src/conformance/balancer_rules.ts";
import { type CliResult, runCli } from "../support/cli.ts";
import { answers, ScriptedServer, sends } from "../support/scripted_server.ts";
import { TempDir } from "../support/temp_dir.ts";
import balancer from "../../src/skeleton/balancer/mod.ts";
import { Registry } from "../../src/skeleton/discovery/registry.ts";

const KINDS = ["check", "discovery", "balancer", "notifier"] as const;

async function deno(...args: readonly string[]): Promise<CliResult> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("plugin new writes plugins of every kind that type-check without downloads", async () => {
  await using dir = new TempDir("lighthouse-author-");
  const folders = KINDS.map((kind) => dir.file(kind));
  for (const kind of KINDS) {
    const made = await runCli(["plugin", "new", kind, "my_own", "--dir", dir.file(kind)]);
    assert.deepEqual([made.code, made.stderr], [0, ""]);
  }
  // One run for all of them: the shared types take most of the time.
  const { code, stdout, stderr } = await deno("check", "--no-config", "--no-remote", ...folders);
  assert.equal(code, 0, `${stdout}${stderr}`);
});

Deno.test.each(KINDS.map((kind) => ({ kind })))(
  "plugin new $kind writes a conforming plugin whose tests pass without downloads",
  async ({ kind }) => {
    await using dir = new TempDir("lighthouse-author-");
    const folder = dir.file("my_own");
    const made = await runCli(["plugin", "new", kind, "my_own", "--dir", folder]);
    assert.deepEqual([made.code, made.stderr], [0, ""]);
    const tested = await deno("test", "--no-check", "--no-config", "--no-remote", "--allow-net=127.0.0.1", folder);
    assert.equal(tested.code, 0, `${tested.stdout}${tested.stderr}`);
    const { code, stdout } = await runCli(["plugin", "test", `${folder}/mod.ts`]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^my_own: a /);
    assert.match(stdout, /^\d+ ok, 0 failed, \d+ skipped$/m);
    const again = await runCli(["plugin", "new", kind, "my_own", "--dir", folder]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^Cannot write .*: the file exists; set another directory with --dir$/m);
  },
);

Deno.test("plugin new rejects an invalid plugin name", async () => {
  const { code, stderr } = await runCli(["plugin", "new", "check", "My-Own"]);
  assert.deepEqual([code, stderr], [
    2,
    'Invalid plugin name "My-Own": must be lower-case letters, digits and _, starting with a letter\n',
  ]);
});

Deno.test("the skeleton of a check passes every rule with a healthy server", async () => {
  await using server = new ScriptedServer(sends("220 here I am\r\n"));
  const source = "src/skeleton/check/mod.ts";
  const { code, stdout } = await runCli(["plugin", "test", source, "--target", server.target]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^10 ok, 0 failed, 0 skipped$/m);
});

Deno.test("the skeleton of a discovery passes every rule with a registry", async () => {
  await using dir = new TempDir("lighthouse-author-");
  await using registry = new Registry();
  const example = await dir.write("example.yaml", `address: ${registry.address}\n`);
  const source = "src/skeleton/discovery/mod.ts";
  const { code, stdout } = await runCli(["plugin", "test", source, "--example", example, "--live"]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^13 ok, 0 failed, 0 skipped$/m);
});

/** A read-only discovery in JavaScript over the registry of the skeleton; `unreachable` is its code without an answer. */
function readOnlyText(unreachable: string): string {
  return `export default {
  kind: "discovery", apiVersion: 1, name: "seen", summary: "Reads alone", stability: "experimental", capabilities: ["watch"],
  config: { "~standard": { version: 1, vendor: "seen", validate: (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { issues: [{ message: "must be a map" }] };
    const { address, ...others } = value;
    if (typeof address !== "string") return { issues: [{ message: "address must be host:port", path: ["address"] }] };
    const issues = Object.keys(others).map((key) => ({ message: "unknown " + key, path: [key], unknownKey: { known: ["address"] } }));
    return issues.length > 0 ? { issues } : { value: { address } };
  } } },
  permissions: ({ address }) => ({ net: [address] }),
  async open({ address }, context) {
    return {
      ended: new Promise(() => {}),
      async [Symbol.asyncDispose]() {},
      async *watch(cluster, signal) {
        for (let version = 0;;) {
          try {
            const either = AbortSignal.any([signal, context.signal]);
            const response = await fetch("http://" + address + "/" + cluster + "?after=" + version, { signal: either });
            const answer = await response.json();
            version = answer.version;
            yield { nodes: answer.nodes, exists: true, epoch: answer.epoch };
          } catch (error) { ${unreachable} }
        }
      },
    };
  },
};`;
}

Deno.test("plugin test --live checks a read-only discovery only against the rules of its capabilities", async () => {
  await using dir = new TempDir("lighthouse-author-");
  await using registry = new Registry();
  const node = { host: "one.example", ip: "192.0.2.1", port: 8001, metadata: {} };
  const url = `http://${registry.address}/conformance/one.example%3A8001`;
  await (await fetch(url, { method: "PUT", body: JSON.stringify(node) })).body?.cancel();
  const example = await dir.write("example.yaml", `address: ${registry.address}\n`);
  const test = async (unreachable: string) => {
    const source = await dir.write("mod.js", readOnlyText(unreachable));
    return await runCli(["plugin", "test", source, "--example", example, "--live"]);
  };
  const good = await test("throw error;");
  assert.equal(good.code, 0, good.stdout);
  assert.match(good.stdout, /^8 ok, 0 failed, 7 skipped$/m);
  assert.match(good.stdout, /^skip {2}registers idempotently, .*: the plugin lacks the register capability$/m);
  const bad = await test(
    `version = 0; yield { nodes: [], exists: true, epoch: "none" }; await new Promise((go) => setTimeout(go, 50)); throw error;`,
  );
  assert.equal(bad.code, 1, bad.stdout);
  assert.match(
    bad.stdout,
    /^FAIL {2}survives a registry outage, .*: the cluster is reported as empty although it has members/m,
  );
});

Deno.test("the skeleton of a notifier passes every rule with a server", async () => {
  await using dir = new TempDir("lighthouse-author-");
  const taken: unknown[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    taken.push(...await request.json());
    return new Response(null, { status: 204 });
  });
  const example = await dir.write("example.yaml", `address: 127.0.0.1:${server.addr.port}\n`);
  const { code, stdout } = await runCli([
    "plugin",
    "test",
    "src/skeleton/notifier/mod.ts",
    "--example",
    example,
    "--live",
  ]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^7 ok, 0 failed, 0 skipped$/m);
  assert.equal(taken.length, 4, "twice two events");
});

Deno.test("plugin test finds a notifier that ignores its signal", async () => {
  await using dir = new TempDir("lighthouse-author-");
  const text = (await Deno.readTextFile(new URL("../../src/skeleton/notifier/mod.ts", import.meta.url)))
    .replace("body: JSON.stringify(events), signal }", "body: JSON.stringify(events) }");
  const { code, stdout } = await runCli(["plugin", "test", await dir.write("mod.ts", text)]);
  assert.equal(code, 1, stdout);
  assert.match(
    stdout,
    /^FAIL {2}is aborted at its deadline.*: the delivery continued after the signal was aborted$/m,
  );
});

Deno.test("the skeleton of a balancer passes the rules of its functions", async (t) => {
  const { example } = balancer;
  const rules = balancerRules({
    name: balancer.name,
    source: { module: "data:text/javascript,", origin: "foreign" },
    example,
    functions: {
      plugin: balancer as Functions,
      config: example,
      cluster: { port: 8080 },
      running: ({ files }) => ["12\n", `${[...files.values()][0]?.text.split("\n", 1)[0]}\n`],
    },
  });
  for (const { title, run } of rules.slice(-5)) await t.step(title, async () => void await run());
});

Deno.test("plugin test calls a balancer's functions in a worker, given a valid cluster section", async () => {
  await using dir = new TempDir("lighthouse-author-");
  const source = "src/skeleton/balancer/mod.ts";
  const section = await dir.write("section.yaml", "port: 8080\n");
  const told = await runCli(["plugin", "test", source, "--cluster", section]);
  assert.equal(told.code, 0, told.stdout);
  assert.match(told.stdout, /^10 ok, 0 failed, 0 skipped$/m);
  const untold = await runCli(["plugin", "test", source]);
  assert.match(
    untold.stdout,
    /^skip {2}renders .*: no valid cluster section was given: .*port.*\(set one with --cluster FILE\)$/m,
  );
});

/** A check in JavaScript that passes all rules, except for the replaced parts. */
function checkText(
  {
    permissions = "({ net: [target] })",
    validate = `typeof value !== "object" || value === null || Array.isArray(value)
      ? { issues: [{ message: "must be a map" }] }
      : Object.keys(value).length > 0
      ? { issues: Object.keys(value).map((key) => ({ message: "unknown " + key, path: [key], unknownKey: { known: ["a"] } })) }
      : { value }`,
    probe = `
      const [hostname, port] = target.split(":");
      const connection = await Deno.connect({ hostname, port: Number(port) });
      const close = () => { try { connection.close(); } catch {} };
      signal.addEventListener("abort", close);
      try {
        const buffer = new Uint8Array(99);
        const count = await connection.read(buffer);
        const text = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
        return text.startsWith("hi") ? { status: "pass" } : { status: "fail", reason: target + " says " + text };
      } finally { close(); }`,
  }: { readonly permissions?: string; readonly validate?: string; readonly probe?: string } = {},
): string {
  return `export default {
  kind: "check", apiVersion: 1, name: "hi", summary: "Says hi", stability: "experimental", example: {},
  config: { "~standard": { version: 1, vendor: "hi", validate: (value) => ${validate} } },
  permissions: (config, { target }) => ${permissions},
  async probe(config, { target, signal }) {
    try { ${probe} } catch (error) { return { status: "fail", reason: target + ": " + error.message }; }
  },
};`;
}

Deno.test.each([
  { what: "nothing", parts: {}, told: /^10 ok, 0 failed, 0 skipped$/m },
  {
    what: "an unknown key that is ignored",
    parts: { validate: "({ value })" },
    told: /^FAIL {2}reports an unknown key .*: the unknown key unknown_key is accepted/m,
  },
  {
    what: "an unknown key without its path",
    parts: { validate: `({ issues: [{ message: "unknown_key", unknownKey: { known: [] } }] })` },
    told: /^FAIL {2}reports an unknown key with its path.*: the path of the issue is \[\]/m,
  },
  {
    what: "a validator that throws",
    parts: { validate: "(value.x, { value })" },
    told: /^FAIL {2}rejects a config that is not a map/m,
  },
  {
    what: "a permission for a whole host",
    parts: { permissions: '({ net: [target, "127.0.0.1"] })' },
    told: /^FAIL {2}is described the same each time.*: net \\?"127\.0\.0\.1\\?" is not a single address/m,
  },
  {
    what: "a use of something not requested",
    parts: { permissions: "({ net: [target], read: [] })", probe: 'await Deno.readTextFile("/etc/hostname");' },
    told: /^FAIL {2}passes on a healthy server .*: probe 1 of 3 ended with fail: .*Requires read access/m,
  },
  {
    what: "a requested permission that varies",
    parts: { permissions: "({ net: [target], env: ['A' + Math.floor(Math.random() * 1e9)] })" },
    told: /^FAIL {2}is described the same each time.*: a second description differs$/m,
  },
  {
    what: "an ignored signal",
    parts: {
      probe: `
        const [hostname, port] = target.split(":");
        const connection = await Deno.connect({ hostname, port: Number(port) });
        const count = await connection.read(new Uint8Array(99));
        connection.close();
        return count === 2 ? { status: "pass" } : { status: "fail", reason: target };`,
    },
    told: /^FAIL {2}is aborted at its deadline.*: closing the connection took \d+(?:ms|s): expected at most 200ms$/m,
  },
  {
    what: "a pass whatever the server answers",
    parts: { probe: 'return { status: "pass" };' },
    told:
      /^FAIL {2}fails when nothing listens on the target, and names the target: the probe passes although nothing listens on the target$/m,
  },
])("plugin test reports $what", async ({ parts, told }) => {
  await using dir = new TempDir("lighthouse-author-");
  await using server = new ScriptedServer(sends("hi"));
  const path = await dir.write("mod.js", checkText(parts));
  const { code, stdout } = await runCli(["plugin", "test", path, "--target", server.target], { deadlineMs: 120_000 });
  assert.match(stdout, told);
  assert.equal(code, stdout.includes("FAIL") ? 1 : 0, stdout);
});

Deno.test("plugin test reports why it cannot start", async () => {
  await using dir = new TempDir("lighthouse-author-");
  await using web = new ScriptedServer(answers("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"));
  for (
    const [source, said] of [
      [dir.file("nowhere.ts"), /^Cannot read .*nowhere\.ts/],
      [await dir.write("none.ts", "export default 1;"), /not a plugin: the default export must be an object/],
      [`http://${web.target}/mod.ts`, /404/],
      ["npm:x", /^Cannot test npm:x: must be an https:/],
      [await dir.write("bare.js", checkText().replace("example: {},", "")), /set one with --example FILE/],
    ] as const
  ) {
    const { code, stderr } = await runCli(["plugin", "test", source]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, said);
  }
});
