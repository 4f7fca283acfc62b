/**
 * Compares `docs/config` with the code: every example is read without a
 * word of complaint, and every key that is known has its row.
 *
 * @module
 */
import assert from "node:assert/strict";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { loadDirectory } from "../../src/config/load.ts";
import { readCluster } from "../../src/config/cluster_schema.ts";
import { readLogging } from "../../src/logging/schema.ts";
import { readPlugins } from "../../src/config/plugins_schema.ts";
import { readService } from "../../src/config/service_schema.ts";
import { readHost, readSettings } from "../../src/config/settings_schema.ts";
import { validateDirectory } from "../../src/app/validate.ts";
import { setUp } from "../setup.ts";
import { TempDir } from "../support/temp_dir.ts";

const DOCS = new URL("../../docs/config/", import.meta.url);
const pages = [...Deno.readDirSync(DOCS)].map(({ name }) => name).toSorted();

/** What the examples of a page refer to, unless they bring it. */
const AROUND: Readonly<Record<string, string>> = {
  "discovery/static.yaml": "{}\n",
  "discovery/zookeeper.yaml": "hosts: [zk01:2181]\npath: /lighthouse/services\n",
  "discovery/etcd.yaml": "endpoints: [etcd01:2379]\n",
  "discovery/serf.yaml": "address: 127.0.0.1:7373\n",
  "balancers/haproxy.yaml": "config_file: /tmp/h.cfg\nsocket_file: /tmp/h.sock\npid_file: /tmp/h.pid\n" +
    "defaults: [mode http, timeout connect 2s, timeout client 20s, timeout server 20s]\n" +
    "meta_clusters: {stuff_api: {port: 8080}}\n",
  "clusters/shadow.yaml": "discovery: zookeeper\nnginx: {}\n",
  "balancers/nginx.yaml": "config_file: /tmp/n.conf\npid_file: /tmp/n.pid\nstatus_socket: /tmp/n.sock\n" +
    "main: [load_module modules/ngx_stream_module.so]\nservers: {public: {listen: [64002]}}\n",
  "plugins/memcached.ts": "export default { kind: 'check', apiVersion: 1, name: 'x', summary: '', stability: 'stable', " +
    "config: { '~standard': { version: 1, vendor: 'x', validate: (value: unknown) => ({ value }) } }, " +
    "permissions: () => ({}), probe() {} };\n",
  "plugins.yaml": "checks: { memcached: { url: plugins/memcached.ts } }\n",
  "clusters/around.yaml": "discovery: zookeeper\nhaproxy: {port: 64000}\n",
  "clusters/webapp-spare.yaml": "discovery: zookeeper\nhaproxy: {port: 64001}\n",
  "secrets/redis": "not-this-one\n",
};

for (const page of pages) {
  Deno.test(`the examples of docs/config/${page} are valid as they stand`, async () => {
    await setUp(["nginx_stream"]);
    const text = await Deno.readTextFile(new URL(page, DOCS));
    const examples = [...text.matchAll(/^```yaml\n# (\S+\.ya?ml)\n([\s\S]*?)^```$/gm)];
    assert.equal(examples.length, text.match(/^```yaml$/gm)?.length ?? 0, "each example names its file");
    for (const [, path = "", contents = ""] of examples) {
      await using temp = new TempDir();
      for (const [around, own] of Object.entries(AROUND)) {
        // A plugin is described in a worker: where no example names it, that only takes time.
        if (around.startsWith("plugins") && !/memcached|plugins/.test(`${path} ${contents}`)) continue;
        await temp.write(`config/${around}`, own);
      }
      await temp.write(`config/${path}`, contents);
      const { diagnostics } = await validateDirectory(temp.file("config"), { role: "check" });
      const told = diagnostics.filter(({ severity }) => severity !== "notice");
      assert.equal(told.map((each) => formatDiagnostic(each)).join("\n"), "", path);
    }
  });
}

/** The keys that a reader knows, as its complaint about another lists them. */
function knownKeys(findings: readonly { readonly message: string }[]): readonly string[] {
  const list = findings.map(({ message }) => /known keys are (.*)$/.exec(message)?.[1]).find((each) => each !== undefined);
  assert.ok(list !== undefined);
  return list.split(", ");
}

Deno.test.each([
  { page: "services.md", findings: readService({ zzzzzzzz: 1 }, { fileName: "x" }).findings },
  { page: "services.md", findings: [{ message: "known keys are interval, rise, fall, timeout, type, host, port" }] },
  { page: "clusters.md", findings: readCluster({ zzzzzzzz: 1 }, { fileName: "x", balancers: [] }).draft?.unknownKeys ?? [], but: ["haproxy", "nginx"] },
  { page: "logging.md", findings: readLogging({ zzzzzzzz: 1 }).findings },
  { page: "host.md", findings: readHost({ zzzzzzzz: 1 }).findings },
  { page: "plugins.md", findings: readPlugins({ zzzzzzzz: 1 }).findings },
  { page: "plugins.md", findings: readPlugins({ checks: { x: { url: "x", zzzzzzzz: 1 } } }).findings },
  { page: "plugins.md", findings: readPlugins({ checks: { x: { url: "x", allow: { zzzzzzzz: 1 } } } }).findings },
  { page: "lighthouse.md", findings: readSettings({ zzzzzzzz: 1 }).findings },
])("docs/config/$page has a row for each key", async ({ page, findings, but }) => {
  const text = await Deno.readTextFile(new URL(page, DOCS));
  const rows = text.split("\n").filter((line) => line.startsWith("| `")).map((line) => line.split(" | ")[0] ?? "");
  const missing = knownKeys(findings).filter((key) => !but?.some((each) => each === key) && !rows.some((row) => row.includes(`\`${key}\``)));
  assert.deepEqual(missing, []);
});

Deno.test("docs/config/README.md shows the real messages", async () => {
  const text = await Deno.readTextFile(new URL("README.md", DOCS));
  const shown = /^## Errors affect[\s\S]*?^```\n([\s\S]*?)^```$/m.exec(text)?.[1];
  assert.ok(shown !== undefined);
  await using temp = new TempDir();
  await temp.write(
    "config/services/web.yaml",
    "discovery: zookeeper\nport: 8000\nprot: 9\nchecks:\n  interval: 2\n  http:\n    rise: two\n    fall: 3\n",
  );
  const { diagnostics } = await loadDirectory(temp.file("config"), { role: "check", signal: AbortSignal.timeout(60_000) });
  const told = diagnostics.map((each) => `${formatDiagnostic(each).replaceAll(`${temp.path}/`, "")}\n`);
  for (const each of shown.split(/^(?=config)/m)) assert.ok(told.includes(each), each);
});
