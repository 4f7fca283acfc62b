import assert from "node:assert/strict";
import { parse } from "yaml";
import { CONFD_FLAGS, CONFD_LISTS, importConfd } from "./confd.ts";
import { readCommandLine } from "./command_line.ts";
import { GoTemplateError, parseGoTemplate } from "./go_template.ts";
import { toLiquid } from "./liquid_template.ts";
import { tomlDocument } from "./toml_document.ts";
import type { Imported } from "./report.ts";

function toml(file: string, text: string) {
  const document = tomlDocument(file, text);
  if (typeof document === "string") assert.fail(document);
  return document;
}

function confd(
  { keys = `["/app"]`, more = "", settings = "", words = [], template = "x" }: {
    readonly keys?: string;
    readonly more?: string;
    readonly settings?: string;
    readonly words?: readonly string[];
    readonly template?: string;
  },
): Imported {
  const resource = `[template]\nsrc = "app.tmpl"\ndest = "/etc/app.conf"\nkeys = ${keys}\n${more}`;
  return importConfd({
    origin: "/etc/confd",
    settings: toml("confd.toml", settings),
    commandLine: readCommandLine(words, { flags: CONFD_FLAGS, lists: CONFD_LISTS }),
    resources: new Map([["app", toml("app.toml", resource)]]),
    templates: new Map([["app.tmpl", { file: "app.tmpl", text: template }]]),
  });
}

const file = ({ files }: Imported, path: string) => parse(files.get(path) ?? assert.fail(`no ${path}`));

Deno.test.each([
  { keys: `["/app"]`, prefix: "/app", asked: "/name" },
  { keys: `["/app/a", "/app/b/c"]`, prefix: "/app", asked: "/name" },
  { keys: `["/app", "/db"]`, prefix: "/", asked: "/app/name" },
  { keys: `["/"]`, prefix: "/", asked: "/app/name" },
])("keys are read below their common path: $keys", ({ keys, prefix, asked }) => {
  const imported = confd({ keys, template: '{{getv "/app/name"}}{{range gets "/app/*"}}{{.Key}}{{end}}' });
  assert.deepEqual(file(imported, "balancers/app.yaml").files[0].keys, { discovery: "etcd", prefix });
  const liquid = imported.files.get("templates/app.liquid") ?? "";
  assert.ok(liquid.startsWith(`{{ keys | get: "${asked}" }}`), liquid);
  assert.equal(liquid.includes('prepend: "/app"'), prefix === "/app");
});

Deno.test("a global prefix replaces that of a resource, and is prepended to the keys", () => {
  const imported = confd({ more: 'prefix = "/own"', settings: 'prefix = "/all"' });
  assert.equal(file(imported, "balancers/app.yaml").files[0].keys.prefix, "/all/app");
  assert.equal(file(confd({ more: 'prefix = "/own"' }), "balancers/app.yaml").files[0].keys.prefix, "/own/app");
});

Deno.test.each([
  { settings: "", words: [], discovery: "etcd", wanted: { endpoints: ["http://127.0.0.1:4001"], api: "v2" } },
  {
    settings:
      'backend = "etcdv3"\nusername = "u"\npassword = "p"\nclient_cert = "/c"\nclient_key = "/k"\nclient_cakeys = "/a"',
    words: ["confd", "-node", "https://a:2379", "-node=https://b:2379/"],
    discovery: "etcd",
    wanted: {
      endpoints: ["https://a:2379", "https://b:2379"],
      username: "u",
      password: "p",
      tls: { ca: "/a", cert: "/c", key: "/k" },
    },
  },
  {
    settings: "",
    words: ["-backend", "zookeeper", "-node", "zk01:2181"],
    discovery: "zookeeper",
    wanted: { hosts: ["zk01:2181"], path: "/lighthouse/services" },
  },
])("confd backends are converted to discoveries: $discovery $words", ({ settings, words, discovery, wanted }) => {
  const imported = confd({ settings, words });
  assert.deepEqual(file(imported, `discovery/${discovery}.yaml`), wanted);
  assert.ok(imported.files.has("balancers/app.yaml"));
});

Deno.test.each(["consul", "redis", "vault", "rancher", "env", "file", "dynamodb", "ssm"])(
  "confd backends are converted to discoveries; without an equivalent, the resources are disabled: %s",
  (backend) => {
    const imported = confd({ words: ["-backend", backend] });
    assert.ok(imported.files.has("balancers/app.yaml.disabled"));
    const entry = imported.report.find(({ key }) => key === "backend");
    assert.deepEqual([entry?.outcome, entry?.line, entry?.column], ["not supported", 1, 1]);
  },
);

Deno.test("confd options without an equivalent are reported", () => {
  const words = ["-sync-only", "-keep-stage-file", "-client-insecure", "-srv-domain", "x", "-scheme=https", "-odd=1"];
  const { report } = confd({ words });
  const named = report.filter(({ outcome }) => outcome === "not supported").map(({ key }) => key);
  assert.deepEqual(named, ["sync-only", "keep-stage-file", "client-insecure", "srv-domain", "scheme", "odd"]);
});

Deno.test.each([
  { line: "haproxy -c -f {{.src}}", wanted: ["haproxy", "-c", "-f", "%"] },
  { line: "test -s {{ .src }} && x", wanted: ["/bin/sh", "-c", 'test -s "$1" && x', "check", "%"] },
  { line: "check --file={{.src}}", wanted: ["/bin/sh", "-c", 'check --file="$1"', "check", "%"] },
])("a check command gets the staged file: $line", ({ line, wanted }) => {
  const imported = confd({ more: `check_cmd = ${JSON.stringify(line)}` });
  assert.deepEqual(file(imported, "balancers/app.yaml").files[0].check_command, wanted);
});

Deno.test.each([
  { template: "a\n {{datetime}}", what: "datetime", line: 2, column: 4 },
  { template: '{{if and true (fileExists "/x")}}{{end}}', what: "fileExists", line: 1, column: 16 },
  { template: '{{define "x"}}{{getv "/a"}}{{end}}', what: "define", line: 1, column: 3 },
  { template: '{{template "x" .}}', what: "template", line: 1, column: 3 },
  { template: '{{ printf "%05d" 3 }}', what: "printf", line: 1, column: 4 },
  { template: "{{ ours 3 }}", what: "ours", line: 1, column: 4 },
  { template: "é{{ $x }}", what: "$x", line: 1, column: 5 },
  { template: '{{ replace "a" "b" "c" 2 }}', what: "replace", line: 1, column: 4 },
  { template: '{{ gets "/a/[ab]" }}', what: "gets", line: 1, column: 4 },
  { template: "{{ if }}x{{ end }}", what: "template", line: 1, column: 6 },
  { template: "{{ if true }}x", what: "template", line: 1, column: 4 },
  { template: "x{{", what: "template", line: 1, column: 2 },
])(
  "a construct without an equivalent in Liquid is reported with its position: $template",
  ({ template, what, line, column }) => {
    const imported = confd({ template });
    const faults = imported.report.filter(({ file }) => file === "app.tmpl");
    assert.deepEqual(faults.map((each) => [each.key, each.line, each.column]), [[what, line, column]]);
    assert.ok(imported.files.has("balancers/app.yaml.disabled"));
  },
);

Deno.test("invalid TOML is rejected with its position", () => {
  assert.match(String(tomlDocument("x.toml", "a = 1\nb = \n")), /^x\.toml:2:/);
});

Deno.test("a template without an action is unchanged", () => {
  const text = "plain { text } % with {% and #\n";
  assert.equal(toLiquid(parseGoTemplate("a { b }")).text, "a { b }");
  assert.doesNotMatch(toLiquid(parseGoTemplate(text)).text, /^plain { text } % with {%/);
  assert.throws(() => parseGoTemplate("{{ end }}"), GoTemplateError);
});
