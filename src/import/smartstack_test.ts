import assert from "node:assert/strict";
import { parse } from "yaml";
import { withoutErb } from "./erb.ts";
import { importNerve } from "./nerve.ts";
import { documentOf, ImportError } from "./read_input.ts";
import { type Imported, summary } from "./report.ts";
import { importSynapse } from "./synapse.ts";

const nerve = (value: unknown) => importNerve(documentOf("nerve.yaml", JSON.stringify(value, undefined, 1)));
const synapse = (value: unknown) => importSynapse(documentOf("synapse.yaml", JSON.stringify(value, undefined, 1)));
const file = ({ files }: Imported, path: string) => parse(files.get(path) ?? assert.fail(`no ${path}`));
const said = ({ report }: Imported, key: string) =>
  report.filter((entry) => entry.key === key).map(({ outcome, text }) => `${outcome}: ${text}`);

const SERVICE = { host: "10.0.1.11", port: 80, zk_hosts: ["zk01"], zk_path: "/web", checks: [{ type: "tcp" }] };

Deno.test("a nerve service with an address other than the host's is reported", () => {
  const services = { a: SERVICE, b: SERVICE, c: { ...SERVICE, host: "10.0.1.12" } };
  const imported = nerve({ instance_id: "app01", services });
  assert.deepEqual(file(imported, "host.yaml"), { name: "app01", ip: "10.0.1.11" });
  assert.match(said(imported, "services.c.host").join(), /^not supported: all services of a host/);
  assert.equal(file(imported, "services/c.yaml").host, "10.0.1.12");
});

Deno.test.each([{ checks: [] }, { checks: [{ type: "http" }], check_mocked: true }, {}])(
  "a nerve service without checks gets the noop check: %o",
  (checks) => {
    const { checks: _checks, ...rest } = SERVICE;
    const imported = nerve({ services: { web: { ...rest, ...checks } } });
    assert.deepEqual(file(imported, "services/web.yaml").checks, { interval: 0.5, noop: { rise: 1, fall: 1 } });
  },
);

Deno.test("a nerve service that loses a check is disabled", () => {
  const imported = nerve({
    services: { web: { ...SERVICE, checks: [{ type: "tcp" }, { type: "ours", module: "x" }] } },
  });
  assert.deepEqual([...imported.files.keys()].filter((path) => path.startsWith("services/")), [
    "services/web.yaml.disabled",
  ]);
});

Deno.test("weight and labels of nerve become those of the service", () => {
  const imported = nerve({ services: { web: { ...SERVICE, weight: "7", labels: { az: "a" } } } });
  const { weight, labels } = file(imported, "services/web.yaml");
  assert.deepEqual([weight, labels], [7, { az: "a" }]);
  assert.match(said(nerve({ services: { web: { ...SERVICE, weight: 1_000 } } }), "services.web.weight").join(), /^not/);
});

Deno.test("synapse's backend_port_override replaces the port of every node", () => {
  const discovery = { method: "zookeeper", hosts: ["zk01:2181"], path: "nerve/web/" };
  const imported = synapse({ services: { web: { discovery, backend_port_override: 9000, haproxy: {} } }, haproxy: {} });
  assert.deepEqual(file(imported, "clusters/web.yaml").zookeeper, {
    path: "/nerve/web",
    format: "json",
    fields: { ip: "host", port: "port_override", weight: "weight", labels: "labels" },
    port: 9000,
  });
});

Deno.test("Ruby in a synapse file is reported with its position", () => {
  const text = "services:\n  web:\n    haproxy: {port: <%= ENV['P'] %>}\n<% if true %>\nhaproxy: {}\n<% end %>\n";
  const { text: plain, tags } = withoutErb(text);
  const imported = importSynapse(documentOf("s.yaml", plain), new Map(), new Map([["s.yaml", tags]]));
  const places = imported.report.filter(({ key }) => key === "ERB").map(({ line, column }) => `${line}:${column}`);
  assert.deepEqual(places, ["3:21", "4:1", "6:1"]);
  assert.ok(imported.files.has("clusters/web.yaml.disabled"));
});

Deno.test("every key of the input is in the report, in any context", () => {
  const imported = synapse({
    ours: { a: [1, { b: 2 }] },
    services: {
      web: { discovery: { method: "zookeeper", hosts: ["zk01"], path: "/x", odd: 1 }, haproxy: { odd: [] } },
    },
    haproxy: { odd: { deep: true } },
  });
  for (const key of ["ours", "services.web.discovery.odd", "services.web.haproxy.odd", "haproxy.odd"]) {
    assert.deepEqual(said(imported, key), ["not supported: unknown key"], key);
  }
  assert.match(summary(imported.report), /^7 keys: 3 converted, 0 replaced, 4 not supported$/);
});

Deno.test("a file that is not a map is rejected with its name", () => {
  assert.throws(
    () => documentOf("x.yaml", "- 1\n"),
    new ImportError("Cannot import x.yaml: must be a map at the top level"),
  );
  assert.throws(() => documentOf("x.yaml", "a: [\n"), /x\.yaml:/);
});

Deno.test.each(["on", "1:30", "010", "null", "~", "# x", "a: b", "1e3", "*x"])(
  "the string %s is unchanged when a written file is read",
  (text) => {
    const imported = nerve({ services: { web: { ...SERVICE, labels: { text } } } });
    const written = documentOf("web.yaml", imported.files.get("services/web.yaml") ?? "");
    assert.deepEqual((written.value as { labels: unknown }).labels, { text });
  },
);
