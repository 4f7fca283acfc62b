/**
 * `lighthouse plugin` as an operator uses it, with real servers on loopback.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { setUp } from "../setup.ts";
import { makeCertificates } from "../support/certificates.ts";
import { type CliResult, runCli } from "../support/cli.ts";
import { attackerText } from "../support/sandbox.ts";
import { checkSource, hashOf, PluginServer, servedBelow } from "../support/plugin_server.ts";
import { TempDir } from "../support/temp_dir.ts";

/** A config directory and a cache, and the commands on them. */
class Desk implements AsyncDisposable {
  readonly dir: TempDir = new TempDir("lighthouse-plugin-cli-");
  /** The file of an additional trusted authority. */
  authority: string | undefined;

  get file(): string {
    return this.dir.file("config/plugins.yaml");
  }

  /** Runs `lighthouse plugin …` on the config directory. */
  async run(...args: readonly string[]): Promise<CliResult> {
    await Deno.mkdir(this.dir.file("config"), { recursive: true });
    return await runCli(["plugin", ...args, "--config", this.dir.file("config")], { variables: this.variables });
  }

  /** The environment of the commands. */
  get variables(): Readonly<Record<string, string>> {
    return {
      CACHE_DIRECTORY: this.dir.file("cache"),
      ...this.authority === undefined ? {} : { DENO_CERT: this.authority },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("plugin add shows a plugin fetched over https, and writes its entry with the hash, which check accepts", async () => {
  await setUp(["openssl"]);
  await using desk = new Desk();
  const { ca, good, key } = await makeCertificates(desk.dir);
  desk.authority = ca;
  const source = checkSource();
  const tls = { cert: await Deno.readTextFile(good), key: await Deno.readTextFile(key) };
  const sha256 = await hashOf(source);
  let url: string;
  {
    await using server = new PluginServer(servedBelow("/1.0", source), { tls });
    url = server.url("/1.0/mod.ts");
    await desk.dir.write("config/plugins.yaml", "# of this host\n");
    const { code, stdout, stderr } = await desk.run("add", url);
    assert.deepEqual([code, stderr], [0, ""], stdout);
    for (
      const line of [
        "memcached: a check, experimental",
        "  Connects, version 1.",
        `  from     ${url}`,
        `  sha256   ${sha256}`,
        "  API      version 1",
        `           mod.ts          ${source["mod.ts"]?.length} bytes`,
        "    net    {target}  granted",
        `Added to ${desk.file} as checks.memcached.`,
      ]
    ) assert.ok(stdout.split("\n").includes(line), `${line}\n${stdout}`);
  }
  const text = await Deno.readTextFile(desk.file);
  assert.match(text, /^# of this host\n/);
  assert.deepEqual(parse(text), { checks: { memcached: { url, sha256, allow: { net: ["{target}"] } } } });
  // The server is down: from here on there is only the cache.
  const verified = await desk.run("verify");
  assert.equal(verified.code, 0, verified.stdout);
  assert.match(verified.stdout, /^check\/memcached: ok, sha256 /);
  await desk.dir.write("config/discovery/file.yaml", `path: ${desk.dir.file("registry")}\n`);
  await desk.dir.write(
    "config/services/web.yaml",
    "discovery: file\nport: 80\nchecks: { interval: 1, memcached: { rise: 1, fall: 1 } }\n",
  );
  const checked = await runCli(["check", desk.dir.file("config")], { variables: desk.variables });
  assert.deepEqual([checked.code, checked.stderr], [0, ""], checked.stdout);
});

Deno.test("plugin add accepts a file, without a hash unless pinned, and does not add a name twice", async () => {
  await using desk = new Desk();
  for (const [path, text] of Object.entries(checkSource())) await desk.dir.write(`config/plugins/${path}`, text);
  const path = desk.dir.file("config/plugins/mod.ts");
  assert.equal((await desk.run("add", path)).code, 0);
  assert.equal((await desk.run("add", path, "--name", "other", "--pin")).code, 0);
  assert.deepEqual(parse(await Deno.readTextFile(desk.file)).checks, {
    memcached: { url: "./plugins/mod.ts", allow: { net: ["{target}"] } },
    other: { url: "./plugins/mod.ts", sha256: await hashOf(checkSource()), allow: { net: ["{target}"] } },
  });
  const before = await Deno.readTextFile(desk.file);
  const again = await desk.run("add", path);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^Cannot add memcached: already in .*; update it with lighthouse plugin update memcached/);
  const shipped = await desk.run("add", path, "--name", "tcp");
  assert.equal(shipped.code, 1);
  assert.match(shipped.stderr, /^Plugin name tcp is taken by a built-in check; set another name with --name/);
  assert.equal(await Deno.readTextFile(desk.file), before);
});

Deno.test("plugin add and show print no text of a plugin that could move the cursor, forge a line or add an entry", async () => {
  // deno-lint-ignore no-control-regex -- the output must contain none.
  const LOUD = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
  const evil = "x\u001b[2J\u001b]0;t\u0007\u009b1m\u202e\u2066\u2028\r\nchecks: {evil: {url: /evil.ts}}\n#";
  const text = JSON.stringify(evil);
  for (
    const [what, attacker, code] of [
      ["name", { members: `name: ${text},` }, 1],
      ["kind", { members: `kind: ${text},` }, 1],
      ["summary", { members: `summary: ${text},` }, undefined],
      ["example", { members: `example: { ${text}: [${text}] },` }, undefined],
      ["stability", { members: `stability: ${text},` }, undefined],
      ["permissions", { permissions: `{ read: ["/" + ${text}] }` }, undefined],
      ["issues", { validate: `({ issues: [{ message: ${text}, path: [${text}] }] })` }, undefined],
      ["error", { top: `throw new Error(${text});` }, 1],
    ] as const
  ) {
    await using desk = new Desk();
    const path = await desk.dir.write("config/p/mod.ts", attackerText(attacker));
    const added = await desk.run("add", path, "--allow");
    const shown = await desk.run("show", "attacker");
    for (const { stdout, stderr } of [added, shown]) {
      assert.doesNotMatch(stdout + stderr, LOUD, `${what}: ${JSON.stringify(stdout + stderr)}`);
      assert.doesNotMatch(stdout + stderr, /^checks:/m, what);
    }
    if (code !== undefined) assert.equal(added.code, code, what);
    const file = await Deno.readTextFile(desk.file).catch(() => "");
    assert.doesNotMatch(file, LOUD, what);
    if (file !== "") assert.deepEqual(Object.keys(parse(file).checks), ["attacker"], what);
  }
});

Deno.test("plugin add shows permissions beyond the target, and does not grant them", async () => {
  await using desk = new Desk();
  const source = checkSource({ permissions: '{ net: [target, "10.0.0.1:53"], read: ["/etc/memcached.conf"] }' });
  for (const [path, text] of Object.entries(source)) await desk.dir.write(`p/${path}`, text);
  const { code, stdout } = await desk.run("add", desk.dir.file("p/mod.ts"));
  assert.equal(code, 0, stdout);
  assert.match(stdout, /read {3}\/etc\/memcached\.conf {2}NOT granted/);
  const [, line = ""] = /^ {4}(allow: .*)$/m.exec(stdout) ?? [];
  assert.deepEqual(parse(line), { allow: { net: ["{target}", "10.0.0.1:53"], read: ["/etc/memcached.conf"] } });
  assert.deepEqual(parse(await Deno.readTextFile(desk.file)).checks.memcached.allow, { net: ["{target}"] });
});

Deno.test("plugin add --allow shows and writes the requested permissions, in an entry that check accepts", async () => {
  await using desk = new Desk();
  const source = checkSource({ permissions: '{ net: [target, "10.0.0.1:53"], read: ["/etc/memcached.conf"] }' });
  for (const [path, text] of Object.entries(source)) await desk.dir.write(`config/p/${path}`, text);
  const { code, stdout, stderr } = await desk.run("add", desk.dir.file("config/p/mod.ts"), "--allow");
  assert.deepEqual([code, stderr], [0, ""], stdout);
  assert.match(stdout, /read {3}\/etc\/memcached\.conf {2}granted/);
  assert.doesNotMatch(stdout, /NOT granted/);
  assert.deepEqual(parse(await Deno.readTextFile(desk.file)).checks.memcached.allow, {
    net: ["{target}", "10.0.0.1:53"],
    read: ["/etc/memcached.conf"],
  });
  const shown = await desk.run("show", "memcached");
  assert.equal(shown.code, 0, shown.stderr);
  assert.doesNotMatch(shown.stdout, /NOT granted/);
});

Deno.test("plugin add --allow writes no permission that cannot be granted", async () => {
  await using desk = new Desk();
  const source = checkSource({ permissions: '{ net: [target], read: ["../relative"] }' });
  for (const [path, text] of Object.entries(source)) await desk.dir.write(`config/p/${path}`, text);
  const { code, stdout } = await desk.run("add", desk.dir.file("config/p/mod.ts"), "--allow");
  assert.equal(code, 0, stdout);
  assert.match(stdout, /\.\.\/relative {2}NOT granted/);
  assert.deepEqual(parse(await Deno.readTextFile(desk.file)).checks.memcached.allow, { net: ["{target}"] });
});

Deno.test.each([
  {
    what: "a file that does not exist",
    source: "/nowhere/mod.ts",
    fault: /^Cannot add \/nowhere\/mod\.ts: no such file$/m,
  },
  {
    what: "http beyond this machine",
    source: "http://example.com/mod.ts",
    fault: /http: requires a loopback host or --insecure/m,
  },
  { what: "a package", source: "npm:memcached", fault: /^Cannot add npm:memcached: must be an https:/m },
])("plugin add rejects $what, and writes nothing", async ({ source, fault }) => {
  await using desk = new Desk();
  const { code, stderr } = await desk.run("add", source);
  assert.equal(code, 1);
  assert.match(stderr, fault);
  await assert.rejects(Deno.stat(desk.file), Deno.errors.NotFound);
});

Deno.test("plugin update shows changes and writes the new hash, but never permissions", async () => {
  await using desk = new Desk();
  const [one, two] = [checkSource(), checkSource({ version: 2, permissions: '{ net: [target], env: ["HOME"] }' })];
  await using server = new PluginServer({ ...servedBelow("", one), ...servedBelow("/2", two) });
  assert.equal((await desk.run("add", server.url("/mod.ts"))).code, 0);
  const same = await desk.run("update");
  assert.deepEqual([same.code, same.stdout], [0, `check/memcached: unchanged, sha256 ${await hashOf(one)}\n`]);
  for (const [path, text] of Object.entries(two)) server.files.set(`/${path}`, text);
  const { code, stdout, stderr } = await desk.run("update", "memcached");
  assert.deepEqual([code, stderr], [0, ""], stdout);
  for (
    const part of [await hashOf(one), await hashOf(two), "  ~ mod.ts\n", "newly requested permission: env HOME"]
  ) {
    assert.ok(stdout.includes(part), `${part}\n${stdout}`);
  }
  assert.match(stdout, /env +HOME +NOT granted/);
  const { memcached } = parse(await Deno.readTextFile(desk.file)).checks;
  assert.deepEqual(memcached, { url: server.url("/mod.ts"), sha256: await hashOf(two), allow: { net: ["{target}"] } });
  const moved = await desk.run("update", "check/memcached", "--url", server.url("/2/mod.ts"));
  assert.equal(moved.code, 0, moved.stderr);
  assert.equal(parse(await Deno.readTextFile(desk.file)).checks.memcached.url, server.url("/2/mod.ts"));
  assert.equal((await desk.run("update", "--url", "https://x/mod.ts")).code, 2);
  assert.equal((await desk.run("update", "nobody")).code, 1);
});

Deno.test("plugin update writes a missing hash, and leaves an entry that it cannot update", async () => {
  await using desk = new Desk();
  const source = checkSource();
  await using server = new PluginServer({ ...servedBelow("", source), "/bad.ts": "export default 1;" });
  const text = `checks:\n  good:\n    url: ${server.url("/mod.ts")}\n  bad:\n    url: ${server.url("/bad.ts")}\n`;
  await desk.dir.write("config/plugins.yaml", text);
  const { code, stderr } = await desk.run("update");
  assert.equal(code, 1);
  assert.match(stderr, /^check\/bad: Cannot use the plugin: .*not a plugin: the default export must be an object$/m);
  const url = server.url("/mod.ts");
  assert.deepEqual(parse(await Deno.readTextFile(desk.file)).checks, {
    good: { url, sha256: await hashOf(source) },
    bad: { url: server.url("/bad.ts") },
  });
});

Deno.test("plugin verify and list report plugins that differ from their approval, exit status 1", async () => {
  await using desk = new Desk();
  const source = checkSource();
  for (const [path, text] of Object.entries(source)) await desk.dir.write(`config/${path}`, text);
  const sha256 = await hashOf(source);
  await desk.dir.write(
    "config/plugins.yaml",
    JSON.stringify({
      checks: {
        away: { url: "https://plugins.invalid/mod.ts", sha256: "0".repeat(64) },
        pinned: { url: "mod.ts", sha256 },
        changed: { url: "mod.ts", sha256: "1".repeat(64) },
      },
    }),
  );
  const { code, stdout } = await desk.run("verify");
  assert.equal(code, 1);
  const lines = stdout.split("\n");
  assert.equal(
    lines[0],
    `check/away: FAILED: No verified copy of sha256 ${"0".repeat(64)} in ${desk.dir.file("cache")}`,
  );
  assert.equal(lines[1], `check/pinned: ok, sha256 ${sha256}`);
  assert.match(lines[2] ?? "", /^check\/changed: FAILED: Code does not match its approved hash: expected sha256 /);
  assert.equal(lines[3], `${desk.file}: 1 of 3 plugins match their approved hash`);
  const listed = await desk.run("list");
  assert.equal(listed.code, 1);
  assert.match(listed.stdout, /^check +http +built-in +Passes when/m);
  assert.match(listed.stdout, /^check +pinned +mod\.ts +Connects, version 1\.$/m);
  assert.match(listed.stdout, /^check +away +https:\/\/plugins\.invalid\/mod\.ts +unavailable: No verified copy/m);
});

Deno.test("plugin show describes shipped and added plugins, and rejects an unknown name", async () => {
  await using desk = new Desk();
  await desk.dir.write("config/plugins.yaml", "{}\n");
  const shipped = await desk.run("show", "check/tcp");
  assert.equal(shipped.code, 0);
  assert.match(shipped.stdout, /^tcp: a check, stable\n/);
  const none = await desk.run("show", "nobody");
  assert.equal(none.code, 1);
  assert.match(
    none.stderr,
    /^Unknown plugin nobody: neither built-in nor in .*; see lighthouse plugin list$/m,
  );
});

Deno.test("the plugin commands exit with 1 for an invalid file, and report each fault with its location", async () => {
  await using desk = new Desk();
  await desk.dir.write("config/plugins.yaml", "checks:\n  x: { url: npm:x }\n");
  for (const action of [["list"], ["verify"], ["update"], ["show", "x"], ["add", "x.ts"]]) {
    const { code, stderr } = await desk.run(...action);
    assert.equal(code, 1, action.join(" "));
    assert.match(stderr, /plugins\.yaml:2:13: error: Cannot use checks\.x\.url: must be an https:/);
  }
  const elsewhere = await runCli(["plugin", "list", "--config", desk.dir.file("nowhere")]);
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.stderr, /^Cannot read the config directory .*nowhere; set another directory with --config$/m);
});

Deno.test("a plugin's own output never reaches that of plugin add, plugin show, check and plan", async () => {
  await using desk = new Desk();
  const forge = (place: string) =>
    `for (const print of Object.values(console)) if (typeof print === "function") print(false, "FORGED ${place} \\x1b[31m\\x1b[2J", [{ a: 1 }]);`;
  const text = attackerText({
    top: forge("top"),
    validate: `(() => { ${forge("validate")} return { value }; })()`,
    permissions: `(() => { ${forge("permissions")} return { net: [target] }; })()`,
  });
  await desk.dir.write("config/p/mod.ts", text);
  await desk.dir.write("config/discovery/file.yaml", `path: ${desk.dir.file("registry")}\n`);
  const added = await desk.run("add", desk.dir.file("config/p/mod.ts"), "--name", "forger");
  assert.equal(added.code, 0, added.stderr);
  const shown = await desk.run("show", "forger");
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^forger: a check/);
  await desk.dir.write(
    "config/services/web.yaml",
    "discovery: file\nport: 80\nchecks: { interval: 1, forger: { rise: 1, fall: 1 } }\n",
  );
  await desk.dir.write("config/clusters/web.yaml", "discovery: file\nhaproxy: { port: 8000 }\n");
  const { variables } = desk;
  const checked = await runCli(["check", desk.dir.file("config")], { variables });
  assert.match(checked.stdout, /errors?, \d+ warning/);
  const planned = await runCli(["plan", desk.dir.file("config")], { variables });
  assert.notEqual(planned.stdout + planned.stderr, "");
  for (const { stdout, stderr } of [added, shown, checked, planned]) {
    // deno-lint-ignore no-control-regex -- escapes are the subject.
    assert.doesNotMatch(stdout + stderr, /FORGED|\x1b/);
  }
});
