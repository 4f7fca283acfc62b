/**
 * docs/plugins and examples/third_party_check, followed as by a reader.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { skeletonOf } from "../../src/skeleton/skeleton.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { ANNOUNCED, Lighthouse, TestHost } from "../support/lighthouse.ts";
import { hashOf, PluginServer, servedBelow } from "../support/plugin_server.ts";
import { receive, ScriptedServer, sends } from "../support/scripted_server.ts";
import { runCli } from "../support/cli.ts";
import { TempDir } from "../support/temp_dir.ts";
import { readWalkthrough, Transcript } from "../support/walkthrough.ts";

const ROOT = new URL("../../", import.meta.url);
/** Separates the output of two blocks of a walk-through. */
const CUT = "-- the next block --";

Deno.test("docs/plugins/README.md: its ten-minute tutorial works on an empty machine", async () => {
  await using dir = new TempDir("lighthouse-newcomer-");
  const ports = new Map([["2525", String(freePort())], ["8000", String(freePort())]]);
  const page = (await Deno.readTextFile(new URL("docs/plugins/README.md", ROOT)))
    .replaceAll(/\b(?:2525|8000)\b/g, (port) => ports.get(port) ?? port);
  const steps = readWalkthrough(page);
  assert.ok(steps.length >= 7);
  const command =
    `INIT_CWD=$PWD; export INIT_CWD; cd ${ROOT.pathname} && exec ${Deno.execPath()} task -q lighthouse "$@"`;
  await dir.write("bin/lighthouse", `#!/bin/sh\n${command}\n`);
  await dir.write("bin/deno", `#!/bin/sh\nexec ${Deno.execPath()} "$@"\n`);
  for (const name of ["lighthouse", "deno"]) await Deno.chmod(dir.file(`bin/${name}`), 0o755);
  // The host name of the test machine must not matter.
  await dir.write("work/config/host.yaml", "name: newcomer.test\nip: 10.0.0.1\n");
  const script = [
    "set -e",
    "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT",
    ...steps.map((step) => `${step.script}\necho "${CUT}"`),
    "wait || true",
  ];
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script.join("\n")],
    cwd: dir.file("work"),
    env: { PATH: `${dir.file("bin")}:${Deno.env.get("PATH")}`, CACHE_DIRECTORY: dir.file("cache"), NO_COLOR: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(120_000),
  }).output();
  const printed = new TextDecoder().decode(stdout).split(`${CUT}\n`);
  assert.equal(code, 0, `${printed.join("")}${new TextDecoder().decode(stderr)}`);
  const transcript = new Transcript();
  steps.forEach(({ expected }, i) => {
    if (expected !== undefined) transcript.compare(printed[i] ?? "", expected);
  });
  assert.match(await Deno.readTextFile(dir.file("work/reporter.log")), /event=service\.up/);
});

Deno.test.each(
  [
    { page: "check", kind: "check", name: "greeting" },
    { page: "discovery", kind: "discovery", name: "web_registry" },
    { page: "balancer", kind: "balancer", name: "proxyd" },
  ] as const,
)(
  "the page of docs/plugins on a $kind shows exactly what plugin new writes, which is compiled and run",
  async ({ page, kind, name }) => {
    const text = await Deno.readTextFile(new URL(`docs/plugins/${page}.md`, ROOT));
    const [, code] = /^```ts\n([^]*?)^```$/m.exec(text) ?? [];
    assert.equal(code, skeletonOf(kind, name).get("mod.ts"));
    assert.ok(text.includes(`\`lighthouse plugin new ${kind} ${name}\``));
  },
);

/** memcached's answers, as far as the check needs them. */
function memcached(bytes: () => number): ScriptedServer {
  return new ScriptedServer(async (connection) => {
    await receive(connection, "stats\r\n");
    await sends(`VERSION 1.6.18\r\nSTAT pid 1\r\nSTAT bytes ${bytes()}\r\nSTAT limit_maxbytes 1000\r\nEND\r\n`)(
      connection,
    );
  });
}

/** The modules of the example, as served. */
async function exampleSource(): Promise<Readonly<Record<string, string>>> {
  const names = ["mod.ts", "ask.ts", "config.ts"];
  const read = (name: string) => Deno.readTextFile(new URL(`examples/third_party_check/plugin/${name}`, ROOT));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await read(name)] as const)));
}

Deno.test("examples/third_party_check conforms", async () => {
  await using server = memcached(() => 100);
  const source = new URL("examples/third_party_check/plugin/mod.ts", ROOT).pathname;
  const { code, stdout } = await runCli(["plugin", "test", source, "--target", server.target]);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^10 ok, 0 failed, 0 skipped$/m);
});

Deno.test("examples/third_party_check is loaded by its URL and its hash, and keeps its service registered while it is healthy", async () => {
  const source = await exampleSource();
  const folder = new URL("examples/third_party_check/configs/", ROOT);
  const read = async (path: string) => parse(await Deno.readTextFile(new URL(path, folder)));
  const plugins = await read("plugins.yaml");
  assert.equal(
    plugins.checks.memcached.sha256,
    await hashOf(source),
    "the hash in its plugins.yaml is that of its modules",
  );

  let bytes = 100;
  await using service = memcached(() => bytes);
  await using web = new PluginServer(servedBelow("/memcached/1.0.0", source));
  await using host = new TestHost();
  const { memcached: entry } = plugins.checks;
  const { pathname } = new URL(entry.url);
  await host.write("lighthouse", { plugin_cache: host.dir.file("cache") });
  await host.write("plugins", { checks: { memcached: { ...entry, url: web.url(pathname) } } });
  await host.write("discovery/file", { ...await read("discovery/file.yaml"), path: host.registryDir });
  await host.write("services/cache", { ...await read("services/cache.yaml"), port: service.port });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  const file = `${host.registryDir}/cache/${ANNOUNCED.host}:${service.port}.json`;
  const isRegistered = () => Deno.stat(file).then(() => true, () => false);
  await eventually("it is registered", isRegistered).catch((error) => {
    throw new Error(`${error.message}\n${reporter.log}`);
  });
  assert.ok(web.asked.length === 3, `fetched were ${web.asked}`);
  bytes = 990;
  await eventually("it is deregistered", async () => !await isRegistered());
  await reporter.event("check.down", { reason: /is 99 % full: want at most 95 %/ });
});
