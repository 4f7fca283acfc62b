import assert from "node:assert/strict";
import fc from "fast-check";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { formatDiagnostic } from "./diagnostics.ts";
import { DEFAULT_SETTINGS } from "./settings_schema.ts";
import { loadDirectory, type Loaded, type Role } from "./load.ts";

const SERVICE = "discovery: zookeeper\nport: 8000\nchecks:\n  interval: 2\n  tcp: {rise: 1, fall: 1}\n";
const CLUSTER = "discovery: zookeeper\nhaproxy:\n  port: 80\n";

/** A directory with one object of each kind, all fine. */
async function fine(): Promise<TempDir> {
  const temp = new TempDir();
  await temp.write("conf/balancers/haproxy.yaml", "config_file: /tmp/x\n");
  await temp.write("conf/discovery/zookeeper.yaml", "hosts: [a]\n");
  await temp.write("conf/clusters/cache.yaml", CLUSTER);
  await temp.write("conf/services/web.yaml", SERVICE);
  await temp.write("conf/lighthouse.yaml", "isolation: shared\n");
  await temp.write("conf/logging.yaml", "version: 1\nroot: {level: ERROR}\n");
  await temp.write("conf/host.yaml", "name: a.int\npeer_port: '1025'\n");
  return temp;
}

async function load(temp: TempDir, lastGood?: Loaded, role: Role = "run"): Promise<Loaded> {
  const result = await loadDirectory(temp.file("conf"), { role, lastGood, signal: AbortSignal.timeout(20_000) });
  assert.ok(result.ok, said(temp, result));
  return result;
}

function said(temp: TempDir, { diagnostics }: Pick<Loaded, "diagnostics">): string {
  return diagnostics.map((each) => formatDiagnostic(each).split("\n")[0]?.replaceAll(`${temp.path}/`, "")).join("\n");
}

/** The names of all objects: `balancers/haproxy …`. */
function names({ desired }: Loaded): string {
  const of = (folder: "balancers" | "discovery" | "clusters" | "services") =>
    [...desired[folder].keys()].map((name) => `${folder}/${name}`);
  return [...of("balancers"), ...of("discovery"), ...of("clusters"), ...of("services")].join(" ");
}

const ALL = "balancers/haproxy discovery/zookeeper clusters/cache services/web";

Deno.test("loadDirectory() reads the whole directory", async () => {
  await using temp = await fine();
  const loaded = await load(temp);
  assert.equal(said(temp, loaded), "");
  assert.equal(names(loaded), ALL);
  assert.deepEqual(loaded.desired.settings, { ...DEFAULT_SETTINGS, isolation: "shared" });
  assert.equal(loaded.desired.logging.root.level, 40);
  assert.deepEqual(loaded.desired.host, { name: "a.int", peerPort: 1025 });
  assert.deepEqual([...loaded.desired.sources.keys()].toSorted(), [
    "balancers/haproxy",
    "clusters/cache",
    "discovery/zookeeper",
    "host",
    "lighthouse",
    "logging",
    "services/web",
  ]);
  const source = loaded.desired.sources.get("clusters/cache");
  assert.deepEqual(source?.locate(["haproxy", "port"]), { line: 3, column: 9 });
});

Deno.test.each(
  [
    ["writer", "balancers/haproxy discovery/zookeeper clusters/cache"],
    ["reporter", "discovery/zookeeper services/web"],
    ["run", ALL],
    ["check", ALL],
  ] as const,
)("loadDirectory() for the role %s reads what it needs", async (role, wanted) => {
  await using temp = await fine();
  assert.equal(names(await load(temp, undefined, role)), wanted);
});

Deno.test("loadDirectory() refuses a check beside checks as soon as plugins.yaml has a check of that name", async () => {
  await using temp = await fine();
  await temp.write("conf/services/web.yaml", `${SERVICE}memcached: {port: 11211}\n`);
  const before = await load(temp);
  assert.match(said(temp, before), /web\.yaml:6:1: warning: Unknown key memcached/);
  await temp.write("conf/plugins.yaml", "checks: {memcached: {url: memcached.ts}}\n");
  const after = await load(temp, before);
  assert.match(said(temp, after), /web\.yaml:6:1: error: Cannot use memcached here as it is a check/);
  assert.equal(after.desired.services.get("web"), before.desired.services.get("web"));
});

Deno.test("loadDirectory() answers an error value for a directory that is missing at first", async () => {
  await using temp = new TempDir();
  const result = await loadDirectory(`${temp.file("conf")}//`, { role: "run", signal: AbortSignal.timeout(20_000) });
  assert.ok(!result.ok);
  assert.equal(said(temp, result), "conf: error: Cannot read the config directory as it does not exist");
  await temp.write("conf", "a file");
  const file = await loadDirectory(temp.file("conf"), { role: "run", signal: AbortSignal.timeout(20_000) });
  assert.ok(!file.ok);
  assert.equal(said(temp, file), "conf: error: Cannot read the config directory as it is not a directory");
});

Deno.test("loadDirectory() answers the very same objects when nothing has changed", async () => {
  await using temp = await fine();
  const first = await load(temp);
  const second = await load(temp, first);
  assert.equal(second.desired, first.desired);
});

Deno.test("loadDirectory() answers the same objects for what has not changed, and new ones for what has", async () => {
  await using temp = await fine();
  const first = await load(temp);
  await temp.write("conf/services/web.yaml", SERVICE.replace("8000", "8001"));
  const second = await load(temp, first);
  assert.notEqual(second.desired, first.desired);
  assert.notEqual(second.desired.services, first.desired.services);
  assert.equal(second.desired.clusters, first.desired.clusters);
  assert.deepEqual(second.desired.services.get("web")?.ports, [8001]);
});

Deno.test("loadDirectory() answers the same object when only a comment has changed, and where it stands now", async () => {
  await using temp = await fine();
  const first = await load(temp);
  await temp.write("conf/services/web.yaml", `# mine\n${SERVICE}`);
  const second = await load(temp, first);
  assert.equal(second.desired.services, first.desired.services);
  assert.equal(second.desired.sources.get("services/web")?.locate(["port"]).line, 3);
});

Deno.test.each([
  ["broken", "port: [\n"],
  ["invalid", "port: x\n"],
  ["empty, as if about to be written", ""],
  ["no text", "\0"],
])("loadDirectory() keeps the last good value of a file that is %s", async (_what, contents) => {
  await using temp = await fine();
  const first = await load(temp);
  for (
    const file of [
      "services/web",
      "clusters/cache",
      "discovery/zookeeper",
      "balancers/haproxy",
      "lighthouse",
      "host",
      "logging",
    ]
  ) {
    const good = await Deno.readTextFile(temp.file(`conf/${file}.yaml`));
    await temp.write(`conf/${file}.yaml`, contents);
    const second = await load(temp, first);
    // To a plugin's file only its plugin can say that a key is invalid.
    if (contents.startsWith("port: x") && /^(?:discovery|balancers)/.test(file)) assert.equal(said(temp, second), "");
    else if (contents.startsWith("port: x") && /^(?:lighthouse|host)$/.test(file)) {
      assert.match(said(temp, second), /warning: Unknown key port/);
    } else {
      // What plugins can judge of the file is another thing.
      assert.deepEqual({ ...second.desired, drafts: first.desired.drafts }, first.desired, file);
      assert.match(said(temp, second), new RegExp(`^conf/${file}.yaml:1:\\d+: error: `));
    }
    await temp.write(`conf/${file}.yaml`, good);
    assert.equal(said(temp, await load(temp, second)), "");
  }
});

Deno.test("loadDirectory() has no object of a file that was never good, and has it once it is", async () => {
  await using temp = await fine();
  await temp.write("conf/services/web.yaml", "port: x\n");
  const first = await load(temp);
  assert.equal(first.desired.services.size, 0);
  assert.equal(first.desired.sources.has("services/web"), false);
  await temp.write("conf/services/web.yaml", SERVICE);
  assert.equal(names(await load(temp, first)), ALL);
});

Deno.test("loadDirectory() names the clusters of files that were never good, whatever their files call them", async () => {
  await using temp = await fine();
  const cluster = await Deno.readTextFile(temp.file("conf/clusters/cache.yaml"));
  await temp.write("conf/clusters/empty.yaml", "");
  await temp.write("conf/clusters/other.yaml", "name: api\ndiscovery: 7\n");
  const first = await load(temp);
  assert.deepEqual(first.desired.unknownClusters, ["api", "empty", "other"]);
  assert.equal((await load(temp, first)).desired, first.desired);
  await temp.write("conf/clusters/empty.yaml", cluster);
  await Deno.remove(temp.file("conf/clusters/other.yaml"));
  const second = await load(temp, first);
  assert.deepEqual(second.desired.unknownClusters, []);
  await temp.write("conf/clusters/empty.yaml", "");
  assert.deepEqual((await load(temp, second)).desired.unknownClusters, [], "it says what it said");
  await Deno.rename(temp.file("conf/clusters"), temp.file("conf/away"));
  assert.deepEqual((await load(temp, second)).desired.unknownClusters, []);
  assert.equal((await load(temp)).desired.unknownClusters, "all");
});

Deno.test("loadDirectory() drops the object of a file that is deleted", async () => {
  await using temp = await fine();
  const first = await load(temp);
  await Deno.remove(temp.file("conf/services/web.yaml"));
  await Deno.remove(temp.file("conf/lighthouse.yaml"));
  await Deno.remove(temp.file("conf/logging.yaml"));
  const second = await load(temp, first);
  assert.equal(names(second), "balancers/haproxy discovery/zookeeper clusters/cache");
  assert.deepEqual([...second.desired.sources.keys()], [
    "host",
    "balancers/haproxy",
    "discovery/zookeeper",
    "clusters/cache",
  ]);
  assert.deepEqual(second.desired.settings, DEFAULT_SETTINGS);
  assert.equal(second.desired.logging.root.level, undefined);
});

Deno.test("loadDirectory() keeps everything when the directory is gone, and says so", async () => {
  await using temp = await fine();
  const first = await load(temp);
  await Deno.rename(temp.file("conf"), temp.file("away"));
  const second = await load(temp, first);
  assert.equal(second.desired, first.desired);
  assert.equal(
    said(temp, second),
    "conf: warning: Cannot read the config directory as it does not exist; what was last read stays in force",
  );
  await Deno.rename(temp.file("away"), temp.file("conf"));
  const third = await load(temp, second);
  assert.equal(third.desired, first.desired);
  assert.equal(said(temp, third), "");
});

Deno.test("loadDirectory() keeps what was in a folder that is gone, but not in one that is empty", async () => {
  await using temp = await fine();
  const first = await load(temp);
  await Deno.remove(temp.file("conf/services"), { recursive: true });
  const second = await load(temp, first);
  assert.equal(second.desired, first.desired);
  assert.equal(
    said(temp, second),
    "conf/services: warning: Cannot read the folder as it does not exist; what was last read stays in force",
  );
  await Deno.mkdir(temp.file("conf/services"));
  const third = await load(temp, second);
  assert.equal(third.desired.services.size, 0);
  assert.equal(third.desired.sources.has("services/web"), false);
});

Deno.test("loadDirectory() takes a folder that is a file for unreadable", async () => {
  await using temp = new TempDir();
  await temp.write("conf/services", "x");
  assert.match(said(temp, await load(temp)), /conf\/services: error: Cannot read the folder as it is not a directory/);
});

Deno.test("loadDirectory() looks again for a file that has just gone, as while an editor saves it", async () => {
  await using temp = await fine();
  const first = await load(temp);
  await Deno.rename(temp.file("conf/services/web.yaml"), temp.file("conf/services/web.yaml~"));
  const loading = load(temp, first);
  await temp.write("conf/services/web.yaml", SERVICE.replace("8000", "8002"));
  assert.deepEqual((await loading).desired.services.get("web")?.ports, [8002]);
});

Deno.test("loadDirectory() reads .yaml before .yml and nothing else", async () => {
  await using temp = await fine();
  await temp.write("conf/services/web.yml", SERVICE.replace("8000", "9000"));
  await temp.write("conf/services/app.yml", SERVICE.replace("8000", "9001"));
  for (
    const name of [
      ".hidden.yaml",
      "web.yaml~",
      "web.yaml.disabled",
      "#web.yaml#",
      ".web.yaml.swp",
      "web.json",
      "4913",
      ".yaml",
    ]
  ) {
    await temp.write(`conf/services/${name}`, "broken: [");
  }
  await temp.write("conf/services/..data/deep.yaml", SERVICE);
  await temp.write("conf/services/folder.yaml/x", "");
  const loaded = await load(temp);
  assert.deepEqual([...loaded.desired.services].map(([name, { ports }]) => [name, ports[0]]), [["app", 9001], [
    "web",
    8000,
  ]]);
  assert.equal(
    said(temp, loaded),
    [
      "conf/services/4913: warning: The file is not read as its name does not end in .yaml or .yml: rename it if it is meant",
      "conf/services/web.json: warning: The file is not read as its name does not end in .yaml or .yml: rename it if it is meant",
      "conf/services/web.yml: error: Cannot use the file as services/web.yaml is there too: only that one is read",
    ].join("\n"),
  );
  const shadowed = /^conf\/services\/web\.yml: error: .*$/;
  assert.match(said(temp, await load(temp, loaded)), shadowed, "what else lies there is told once");
});

Deno.test({
  name: "loadDirectory() keeps the last good value of a file that it may not read",
  // The superuser may read everything.
  ignore: Deno.uid() === 0,
  async fn() {
    await using temp = await fine();
    const first = await load(temp);
    await Deno.chmod(temp.file("conf/services/web.yaml"), 0);
    const second = await load(temp, first);
    assert.equal(second.desired, first.desired);
    assert.match(said(temp, second), /web\.yaml: error: Cannot read the file as its permissions do not allow it$/);
  },
});

Deno.test("loadDirectory() reads clusters again when a balancer comes or goes", async () => {
  await using temp = await fine();
  await temp.write("conf/clusters/cache.yaml", `${CLUSTER}nginx: {}\n`);
  const first = await load(temp);
  assert.deepEqual([...first.desired.clusters.get("cache")?.balancers.keys() ?? []], ["haproxy"]);
  assert.match(first.desired.clusters.get("cache")?.unknownKeys[0]?.message ?? "", /^Unknown key nginx/);
  await temp.write("conf/balancers/nginx.yaml", "type: haproxy\n");
  const second = await load(temp, first);
  assert.deepEqual([...second.desired.clusters.get("cache")?.balancers.keys() ?? []], ["haproxy", "nginx"]);
  assert.equal(said(temp, second), "");
});

Deno.test("loadDirectory() gives a name to the first file by name, and to the other when that is gone", async () => {
  await using temp = await fine();
  await temp.write("conf/services/a.yaml", `name: web\n${SERVICE}`);
  const first = await load(temp);
  assert.deepEqual([...first.desired.services.keys()], ["a"]);
  assert.equal(first.desired.sources.has("services/web"), false);
  await Deno.remove(temp.file("conf/services/a.yaml"));
  assert.deepEqual([...(await load(temp, first)).desired.services.keys()], ["web"]);
});

Deno.test("loadDirectory() answers in the order of names, whatever the order of making", async () => {
  await using temp = await fine();
  for (const name of ["zeta", "alpha", "B", "a.b"]) {
    await temp.write(`conf/services/${name}.yaml`, `name: ${name}\n${SERVICE}`);
  }
  assert.deepEqual([...(await load(temp)).desired.services.keys()], ["B", "a.b", "alpha", "web", "zeta"]);
});

Deno.test("loadDirectory() does not read a file anew that has not changed", async () => {
  await using temp = await fine();
  const first = await load(temp);
  const second = await load(temp, first);
  for (const [path, { source }] of first.memory) assert.equal(second.memory.get(path)?.source, source);
});

Deno.test("loadDirectory() ends with its signal", async () => {
  await using temp = await fine();
  const reason = new Error("enough");
  await assert.rejects(loadDirectory(temp.file("conf"), { role: "run", signal: AbortSignal.abort(reason) }), reason);
});

Deno.test("loadDirectory() never throws, and points inside of the file, whatever the files hold", async () => {
  await using temp = await fine();
  const files = ["services/web", "clusters/cache", "balancers/haproxy", "discovery/zookeeper", "logging", "lighthouse"];
  const parts = fc.array(
    fc.constantFrom(
      SERVICE,
      CLUSTER,
      "port: ",
      "checks:\n  ",
      "- ",
      "{",
      "}",
      "[",
      '"',
      "'",
      "\n",
      "\t",
      ": ",
      "&a ",
      "*a",
      "!x ",
      "|",
      "\0",
      "\xFF",
      "é",
      "\r\n",
      "name: web\n",
      "__proto__: 1\n",
    ),
    { maxLength: 12 },
  );
  const contents = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    parts.map((each) => new TextEncoder().encode(each.join(""))),
  );
  let last: Loaded | undefined;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...files), contents, async (file, bytes) => {
      await Deno.writeFile(temp.file(`conf/${file}.yaml`), bytes);
      last = await load(temp, last);
      const lines = new TextDecoder().decode(bytes).split("\n");
      for (const { file: told, line, column = 0 } of last.diagnostics) {
        if (!told.endsWith(`conf/${file}.yaml`) || line === undefined) continue;
        assert.ok(line >= 1 && line <= lines.length && column >= 1 && column <= [...lines[line - 1] ?? ""].length + 1);
      }
    }),
    { numRuns: 300 },
  );
});
