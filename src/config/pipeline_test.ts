import assert from "node:assert/strict";
import fc from "fast-check";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { formatDiagnostic } from "./diagnostics.ts";
import { DEFAULT_SETTINGS } from "./settings_schema.ts";
import type { Role } from "./load.ts";
import type { TakenConfig } from "./pipeline.ts";
import { takeWithAnyPlugin } from "../../tests/support/taken_config.ts";

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

async function take(temp: TempDir, last?: TakenConfig, role: Role = "run"): Promise<TakenConfig> {
  const result = await takeWithAnyPlugin(temp.file("conf"), { role, signal: AbortSignal.timeout(60_000) }, last);
  assert.ok(result.ok, said(temp, result));
  return result;
}

function said(temp: TempDir, { diagnostics }: Pick<TakenConfig, "diagnostics">): string {
  return diagnostics.map((each) => formatDiagnostic(each).split("\n")[0]?.replaceAll(`${temp.path}/`, "")).join("\n");
}

/** The names of all objects: `balancers/haproxy …`. */
function names({ accepted }: TakenConfig): string {
  const of = (folder: "balancers" | "discovery" | "clusters" | "services") =>
    [...accepted[folder].keys()].map((name) => `${folder}/${name}`);
  return [...of("balancers"), ...of("discovery"), ...of("clusters"), ...of("services")].join(" ");
}

/** The ports of each service: `web:8000`. */
function ports({ accepted }: TakenConfig): string {
  return [...accepted.services].map(([file, { service }]) => `${file}:${service.ports.join("+")}`).join(" ");
}

const ALL = "balancers/haproxy discovery/zookeeper clusters/cache services/web";

Deno.test("takeDirectory() reads the whole directory", async () => {
  await using temp = await fine();
  const loaded = await take(temp);
  assert.equal(said(temp, loaded), "");
  assert.equal(names(loaded), ALL);
  assert.deepEqual(loaded.accepted.settings, { ...DEFAULT_SETTINGS, isolation: "shared" });
  assert.equal(loaded.accepted.logging.root.level, 40);
  assert.deepEqual(loaded.accepted.host, { name: "a.int", peerPort: 1025 });
  assert.deepEqual([...loaded.sources.keys()].toSorted(), [
    "balancers/haproxy",
    "clusters/cache",
    "discovery/zookeeper",
    "host",
    "lighthouse",
    "logging",
    "services/web",
  ]);
  const source = loaded.sources.get("clusters/cache");
  assert.deepEqual(source?.locate(["haproxy", "port"]), { line: 3, column: 9 });
});

Deno.test.each(
  [
    ["writer", "balancers/haproxy discovery/zookeeper clusters/cache"],
    ["reporter", "discovery/zookeeper services/web"],
    ["run", ALL],
    ["check", ALL],
  ] as const,
)("takeDirectory() for the role %s reads only the files of that role", async (role, wanted) => {
  await using temp = await fine();
  assert.equal(names(await take(temp, undefined, role)), wanted);
});

Deno.test("takeDirectory() rejects a check beside checks once plugins.yaml has a check of that name", async () => {
  await using temp = await fine();
  await temp.write("conf/services/web.yaml", `${SERVICE}memcached: {port: 11211}\n`);
  const before = await take(temp);
  assert.match(said(temp, before), /web\.yaml:6:1: warning: Unknown key memcached/);
  await temp.write("conf/plugins.yaml", "checks: {memcached: {url: memcached.ts}}\n");
  const after = await take(temp, before);
  assert.match(said(temp, after), /web\.yaml:6:1: error: Cannot use memcached here: memcached is a check/);
  assert.equal(after.accepted.services.get("web")?.service, before.accepted.services.get("web")?.service);
});

Deno.test("takeDirectory() returns an error value for a directory that is missing at first", async () => {
  await using temp = new TempDir();
  const result = await takeWithAnyPlugin(`${temp.file("conf")}//`, {
    role: "run",
    signal: AbortSignal.timeout(60_000),
  });
  assert.ok(!result.ok);
  assert.equal(said(temp, result), "conf: error: Cannot read the config directory: no such directory");
  await temp.write("conf", "a file");
  const file = await takeWithAnyPlugin(temp.file("conf"), { role: "run", signal: AbortSignal.timeout(60_000) });
  assert.ok(!file.ok);
  assert.equal(said(temp, file), "conf: error: Cannot read the config directory: not a directory");
});

Deno.test("takeDirectory() validates only changed files again, also those that a comment has shifted", async () => {
  await using temp = await fine();
  const first = await take(temp);
  assert.ok(first.isChanged);
  const second = await take(temp, first);
  assert.ok(!second.isChanged);
  assert.equal(second.accepted, first.accepted);
  await temp.write("conf/services/web.yaml", `# mine\n${SERVICE}`);
  const third = await take(temp, second);
  assert.ok(third.isChanged);
  assert.equal(third.accepted.services.get("web")?.service, first.accepted.services.get("web")?.service);
  assert.equal(third.sources.get("services/web")?.locate(["port"]).line, 3);
  await temp.write("conf/services/web.yaml", SERVICE.replace("8000", "8001"));
  const fourth = await take(temp, third);
  assert.equal(ports(fourth), "web:8001");
  assert.equal(fourth.accepted.clusters.get("cache")?.cluster, first.accepted.clusters.get("cache")?.cluster);
  assert.equal(fourth.accepted.host, first.accepted.host);
});

Deno.test.each([
  ["broken", "port: [\n"],
  ["invalid", "port: x\n"],
  ["empty, as if about to be written", ""],
  ["no text", "\0"],
])("takeDirectory() keeps the last good value of a file that is %s", async (_what, contents) => {
  await using temp = await fine();
  const first = await take(temp);
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
    const second = await take(temp, first);
    // To a plugin's file only its plugin can say that a key is invalid.
    if (contents.startsWith("port: x") && /^(?:discovery|balancers)/.test(file)) assert.equal(said(temp, second), "");
    else if (contents.startsWith("port: x") && /^(?:lighthouse|host)$/.test(file)) {
      assert.match(said(temp, second), /warning: Unknown key port/);
    } else {
      assert.deepEqual(second.accepted, first.accepted, file);
      assert.deepEqual(new Map(second.sources), new Map(first.sources), file);
      assert.match(said(temp, second), new RegExp(`^conf/${file}.yaml:1:\\d+: error: `));
    }
    await temp.write(`conf/${file}.yaml`, good);
    assert.equal(said(temp, await take(temp, second)), "");
  }
});

Deno.test("takeDirectory() has no object for a file that was never valid, and one once it is", async () => {
  await using temp = await fine();
  await temp.write("conf/services/web.yaml", "port: x\n");
  const first = await take(temp);
  assert.equal(first.accepted.services.size, 0);
  assert.equal(first.sources.has("services/web"), false);
  await temp.write("conf/services/web.yaml", SERVICE);
  assert.equal(names(await take(temp, first)), ALL);
});

Deno.test("takeDirectory() lists the clusters of files that were never valid, under any names", async () => {
  await using temp = await fine();
  const cluster = await Deno.readTextFile(temp.file("conf/clusters/cache.yaml"));
  await temp.write("conf/clusters/empty.yaml", "");
  await temp.write("conf/clusters/other.yaml", "name: api\ndiscovery: 7\n");
  const first = await take(temp);
  assert.deepEqual(first.accepted.unknownClusters, ["api", "empty", "other"]);
  await temp.write("conf/clusters/empty.yaml", cluster);
  await Deno.remove(temp.file("conf/clusters/other.yaml"));
  const second = await take(temp, first);
  assert.deepEqual(second.accepted.unknownClusters, []);
  await temp.write("conf/clusters/empty.yaml", "");
  assert.deepEqual((await take(temp, second)).accepted.unknownClusters, [], "it says what it said");
  await Deno.rename(temp.file("conf/clusters"), temp.file("conf/away"));
  assert.deepEqual((await take(temp, second)).accepted.unknownClusters, []);
  assert.deepEqual((await take(temp, first)).accepted.unknownClusters, ["api", "empty", "other"], "they stay unknown");
  assert.equal((await take(temp)).accepted.unknownClusters, "all");
});

Deno.test("takeDirectory() drops the object of a file that is deleted", async () => {
  await using temp = await fine();
  const first = await take(temp);
  await Deno.remove(temp.file("conf/services/web.yaml"));
  await Deno.remove(temp.file("conf/lighthouse.yaml"));
  await Deno.remove(temp.file("conf/logging.yaml"));
  const second = await take(temp, first);
  assert.equal(names(second), "balancers/haproxy discovery/zookeeper clusters/cache");
  assert.deepEqual([...second.sources.keys()], [
    "host",
    "balancers/haproxy",
    "discovery/zookeeper",
    "clusters/cache",
  ]);
  assert.deepEqual(second.accepted.settings, DEFAULT_SETTINGS);
  assert.equal(second.accepted.logging.root.level, undefined);
});

Deno.test("takeDirectory() keeps everything when the directory is removed, and reports it", async () => {
  await using temp = await fine();
  const first = await take(temp);
  await Deno.rename(temp.file("conf"), temp.file("away"));
  const second = await take(temp, first);
  assert.deepEqual(second.accepted, first.accepted);
  assert.equal(
    said(temp, second),
    "conf: warning: Cannot read the config directory: no such directory; the previous version stays active",
  );
  await Deno.rename(temp.file("away"), temp.file("conf"));
  const third = await take(temp, second);
  assert.deepEqual(third.accepted, first.accepted);
  assert.equal(said(temp, third), "");
});

Deno.test("takeDirectory() keeps the objects of a removed folder, but not of an empty one", async () => {
  await using temp = await fine();
  const first = await take(temp);
  await Deno.remove(temp.file("conf/services"), { recursive: true });
  const second = await take(temp, first);
  assert.deepEqual(second.accepted, first.accepted);
  assert.equal(
    said(temp, second),
    "conf/services: warning: Cannot read the directory: no such directory; the previous version stays active",
  );
  await Deno.mkdir(temp.file("conf/services"));
  const third = await take(temp, second);
  assert.equal(third.accepted.services.size, 0);
  assert.equal(third.sources.has("services/web"), false);
});

Deno.test("takeDirectory() treats a file in place of a folder as unreadable", async () => {
  await using temp = new TempDir();
  await temp.write("conf/services", "x");
  assert.match(said(temp, await take(temp)), /conf\/services: error: Cannot read the directory: not a directory/);
});

Deno.test("takeDirectory() rereads a file that disappears briefly while an editor saves it", async () => {
  await using temp = await fine();
  const first = await take(temp);
  await Deno.rename(temp.file("conf/services/web.yaml"), temp.file("conf/services/web.yaml~"));
  const loading = take(temp, first);
  await temp.write("conf/services/web.yaml", SERVICE.replace("8000", "8002"));
  assert.equal(ports(await loading), "web:8002");
});

Deno.test("takeDirectory() reads .yaml before .yml and nothing else", async () => {
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
  const loaded = await take(temp);
  assert.equal(ports(loaded), "app:9001 web:8000");
  assert.equal(
    said(temp, loaded),
    [
      "conf/services/4913: warning: The file is ignored: the file name must end in .yaml or .yml",
      "conf/services/web.json: warning: The file is ignored: the file name must end in .yaml or .yml",
      "conf/services/web.yml: error: Cannot use the file: services/web.yaml also exists and takes precedence",
    ].join("\n"),
  );
  const shadowed = /^conf\/services\/web\.yml: error: .*$/;
  assert.match(said(temp, await take(temp, loaded)), shadowed, "what else lies there is reported once");
});

Deno.test({
  name: "takeDirectory() keeps the last good value of an unreadable file",
  // The superuser may read everything.
  ignore: Deno.uid() === 0,
  async fn() {
    await using temp = await fine();
    const first = await take(temp);
    await Deno.chmod(temp.file("conf/services/web.yaml"), 0);
    const second = await take(temp, first);
    assert.deepEqual(second.accepted, first.accepted);
    assert.match(said(temp, second), /web\.yaml: error: Cannot read the file: permission denied$/);
  },
});

Deno.test("takeDirectory() reads clusters again when a balancer is added or removed", async () => {
  await using temp = await fine();
  await temp.write("conf/clusters/cache.yaml", `${CLUSTER}nginx: {}\n`);
  const first = await take(temp);
  assert.deepEqual([...first.accepted.clusters.get("cache")?.cluster.balancers.keys() ?? []], ["haproxy"]);
  assert.match(first.accepted.clusters.get("cache")?.cluster.unknownKeys[0]?.message ?? "", /^Unknown key nginx/);
  await temp.write("conf/balancers/nginx.yaml", "type: haproxy\n");
  const second = await take(temp, first);
  assert.deepEqual([...second.accepted.clusters.get("cache")?.cluster.balancers.keys() ?? []], ["haproxy", "nginx"]);
  assert.equal(said(temp, second), "");
});

Deno.test("takeDirectory() gives a name to the first file in order, and to the second once the first is removed", async () => {
  await using temp = await fine();
  await temp.write("conf/services/a.yaml", `name: web\n${SERVICE}`);
  const first = await take(temp);
  assert.deepEqual([...first.accepted.services.keys()], ["a"]);
  assert.equal(first.sources.has("services/web"), false);
  await Deno.remove(temp.file("conf/services/a.yaml"));
  assert.deepEqual([...(await take(temp, first)).accepted.services.keys()], ["web"]);
});

Deno.test("takeDirectory() has plugins validate again when the name servers change, and only then", async () => {
  await using temp = await fine();
  const takeWith = async (server: string, last?: TakenConfig) => {
    const readNameService = () => Promise.resolve({ nameServers: [server], searchDomains: [], ndots: 1 });
    const options = { role: "run", signal: AbortSignal.timeout(20_000), readNameService } as const;
    const taken = await takeWithAnyPlugin(temp.file("conf"), options, last);
    assert.ok(taken.ok);
    return taken;
  };
  const first = await takeWith("10.0.0.2:53");
  const second = await takeWith("10.0.0.2:53", first);
  assert.ok(!second.isChanged);
  assert.ok((await takeWith("10.0.0.3:53", second)).isChanged);
});

Deno.test("takeDirectory() returns objects in the order of names, whatever the order of creation", async () => {
  await using temp = await fine();
  for (const name of ["zeta", "alpha", "B", "a.b"]) {
    await temp.write(`conf/services/${name}.yaml`, `name: ${name}\n${SERVICE}`);
  }
  assert.deepEqual([...(await take(temp)).accepted.services.keys()], ["B", "a.b", "alpha", "web", "zeta"]);
});

Deno.test("takeDirectory() never parses an unchanged file again", async () => {
  await using temp = await fine();
  const first = await take(temp);
  const second = await take(temp, first);
  for (const [path, { source }] of first.loaded.memory) assert.equal(second.loaded.memory.get(path)?.source, source);
});

Deno.test("takeDirectory() ends with its signal", async () => {
  await using temp = await fine();
  const reason = new Error("enough");
  await assert.rejects(
    takeWithAnyPlugin(temp.file("conf"), { role: "run", signal: AbortSignal.abort(reason) }),
    reason,
  );
});

Deno.test("takeDirectory() never throws, and points inside the file, whatever its contents", async () => {
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
  let last: TakenConfig | undefined;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...files), contents, async (file, bytes) => {
      await Deno.writeFile(temp.file(`conf/${file}.yaml`), bytes);
      last = await take(temp, last);
      const lines = new TextDecoder().decode(bytes).split("\n");
      for (const { file: told, line, column = 0 } of last.diagnostics) {
        if (!told.endsWith(`conf/${file}.yaml`) || line === undefined) continue;
        assert.ok(line >= 1 && line <= lines.length && column >= 1 && column <= [...lines[line - 1] ?? ""].length + 1);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("a warning about the version of a file that stays active names no line of the version that is there now", async () => {
  await using temp = await fine();
  const before = await take(temp);
  await temp.write("conf/clusters/cache.yaml", `${CLUSTER}\n\nchecks:\n  port: 1\n`);
  const warned = await take(temp, before);
  await temp.write("conf/clusters/cache.yaml", "]");
  const { diagnostics } = await take(temp, warned);
  assert.deepEqual(diagnostics.map(({ severity, line }) => [severity, line]), [["warning", undefined], ["error", 1]]);
  assert.match(
    diagnostics[0]?.message ?? "",
    /^Unknown key checks is ignored: .* \(in the active version\)$/,
  );
});

Deno.test("takeDirectory() yields to other work while it reads and validates thousands of files", async () => {
  await using temp = await fine();
  for (let i = 0; i < 300; i++) await temp.write(`conf/clusters/c${i}.yaml`, CLUSTER);
  let [nowMs, turns] = [0, 0];
  const clock = {
    now: () => nowMs++,
    after: (_ms: number, callback: () => void) => {
      turns++;
      queueMicrotask(callback);
      return () => {};
    },
  };
  const taken = await takeWithAnyPlugin(temp.file("conf"), { role: "run", signal: AbortSignal.timeout(60_000), clock });
  assert.ok(taken.ok);
  assert.equal(taken.accepted.clusters.size, 301);
  assert.ok(turns >= 60, `${turns} turns`);
});

Deno.test("takeDirectory() uses a cluster's file without its additions if one no longer fits", async () => {
  await using temp = await fine();
  await temp.write("conf/clusters/cache.yaml", `${CLUSTER}api: {sources: [zookeeper]}\n`);
  const options = { role: "run", signal: AbortSignal.timeout(60_000) } as const;
  const same = { cluster: "cache", kind: "sources", name: "same", value: { zookeeper: null } } as const;
  const start = await takeWithAnyPlugin(temp.file("conf"), { ...options, additions: [same] });
  assert.ok(start.ok);
  assert.match(said(temp, start), /conf\/clusters\/cache\.yaml:.*error: /);
  assert.equal(names(start), ALL, "the file itself is accepted at a start");
  const before = await takeWithAnyPlugin(temp.file("conf"), options);
  assert.ok(before.ok);
  const later = await takeWithAnyPlugin(temp.file("conf"), { ...options, additions: [same] }, before);
  assert.ok(later.ok);
  assert.equal(names(later), ALL, "what is accepted stays while an addition is validated");
});
