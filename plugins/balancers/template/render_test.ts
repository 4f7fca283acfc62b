import assert from "node:assert/strict";
import type { Node, Rendered, Wanted, WantedKeys, WantedNode } from "../../../mod.ts";
import { balancerSchema, type TemplateConfig } from "./config.ts";
import { render } from "./render.ts";

function configOf(files: readonly Record<string, unknown>[]): TemplateConfig {
  const result = balancerSchema["~standard"].validate({ files });
  assert(!("issues" in result), JSON.stringify(result));
  return result.value;
}

function node(index: number, more: Partial<WantedNode> & { readonly node?: Partial<Node> } = {}): WantedNode {
  const own = { host: `n${index}.int`, ip: `10.0.0.${index}`, port: 80, metadata: {}, ...more.node };
  return { state: "ready", pool: "primary", ...more, node: own };
}

function wantedOf(
  template: string,
  { nodes = [node(1), node(2)], keys, place }: {
    readonly nodes?: readonly WantedNode[];
    readonly keys?: readonly WantedKeys[];
    readonly place?: { readonly discovery: string; readonly prefix: string };
  } = {},
): Wanted<TemplateConfig> {
  const file = { text: template, dest: "/etc/app.conf", ...place && { keys: place } };
  return {
    config: configOf([file]),
    host: { fqdn: "lb.int", ip: "10.0.9.9" },
    clusters: [{ name: "web", config: {}, nodes }],
    ...keys && { keys },
  };
}

function textOf(rendered: Rendered): string {
  assert.equal(rendered.faults, undefined, JSON.stringify(rendered.faults));
  return rendered.files.get("/etc/app.conf")?.text ?? "";
}

function faultOf(rendered: Rendered): string {
  assert.equal(rendered.files.size, 0);
  return rendered.faults?.[0]?.text ?? "";
}

Deno.test.each([
  { template: "{% for n in cluster.web.nodes %}{{ n.address }} {% endfor %}", is: "10.0.0.1:80 10.0.0.2:80 " },
  { template: "{% for c in clusters %}{{ c.name }}={{ c.nodes | size }}{% endfor %}", is: "web=2" },
  { template: '{{ cluster["web"].nodes[0].host }} {{ host.fqdn }}', is: "n1.int lb.int" },
  { template: "{{ cluster.web.nodes | map: 'ip' | sort | reverse | join: ',' }}", is: "10.0.0.2,10.0.0.1" },
  { template: "{% if cluster.absent %}a{% else %}b{% endif %}{{ cluster.absent | default: 'c' }}", is: "bc" },
  {
    template: "{{ 'a,b' | split: ',' | json }}{{ 'a' | base64_encode }}{{ 'YQ==' | base64_decode }}",
    is: '["a","b"]YQ==a',
  },
  { template: "{{ 2 | plus: 3 | times: 4 | minus: 1 | divided_by: 2 }}", is: "9.5" },
  { template: "{% assign g = cluster.web.nodes | group_by: 'zone' %}{{ g | size }}", is: "1" },
  { template: "{{ cluster.web.nodes[0].weight }}|{{ cluster.web.nodes[0].zone }}", is: "|" },
])("render() renders $template", ({ template, is }) => assert.equal(textOf(render(wantedOf(template))), is));

Deno.test("render() gives each node its share of the requests; drained and waiting nodes get none", () => {
  const nodes = [
    node(1, { weight: 3, settledWeight: 3 }),
    node(2, { weight: 1 }),
    node(3, { state: "drain", weight: 5 }),
    node(4, { pool: "overflow" }),
    node(5, { weight: 0 }),
  ];
  const template = "{% for n in cluster.web.nodes %}{{ n.state }}/{{ n.pool }}/{{ n.share }} {% endfor %}" +
    "{{ cluster.web.ready | size }}";
  assert.equal(
    textOf(render(wantedOf(template, { nodes }))),
    "ready/primary/75 ready/primary/25 drain/primary/0 ready/overflow/0 ready/primary/0 2",
  );
});

Deno.test.each([
  { template: "a\n{% for n in x %}", fault: /^Cannot render \/etc\/app.conf: text:2:1: tag .* not closed/ },
  { template: "{{ 1 | nothing }}", fault: /text:1:1: undefined filter: nothing/ },
  { template: "a\n  {{ cluster.absent.nodes }}", fault: /text:2:6: undefined variable: cluster.absent/ },
  { template: "{{ cluster.web.constructor }}", fault: /undefined variable/ },
  { template: "{% include 'other' %}", fault: /text:1:1: .*other/ },
  { template: "{{ 'x' | get: '/a' }}", fault: /must be the keys of a registry/ },
  { template: "{{ 'a\nb' | haproxy }}", fault: /control characters/ },
])(
  "render() reports where $template is wrong",
  ({ template, fault }) => assert.match(faultOf(render(wantedOf(template))), fault),
);

Deno.test("render() returns text that a file holds unchanged: a lone surrogate is replaced", () => {
  const odd = node(1);
  const nodes = [{ ...odd, node: { ...odd.node, metadata: { x: "a\ud800b" } } }];
  assert.equal(textOf(render(wantedOf("{{ cluster.web.nodes[0].metadata.x }}", { nodes }))), "a\ufffdb");
  assert.match(faultOf(render(wantedOf("{{ cluster.web.nodes[0].metadata.x | shell }}", { nodes }))), /Unicode/);
});

Deno.test("render() ends an endless template, and rejects a file of more than 10 MB", () => {
  assert.match(faultOf(render(wantedOf("{% for i in (1..30000000) %}{{ i }}{% endfor %}"))), /limit exceeded/);
  const long = "x".repeat(1_000);
  const template = `{% for i in (1..11000) %}${long}{% endfor %}`;
  assert.match(faultOf(render(wantedOf(template))), /11000000 bytes, expected at most 10000000/);
});

const PLACE = { discovery: "etcd", prefix: "/app" };
const KEYS: readonly WantedKeys[] = [{
  ...PLACE,
  entries: [
    { key: "db/host", value: "db1" },
    { key: "db/port", value: "5432" },
    { key: "up/a", value: "1.1.1.1" },
    { key: "up/b", value: "2.2.2.2" },
  ],
}];

Deno.test.each([
  { template: "{{ keys | get: '/db/host' }}:{{ keys | get: 'db/port' }}", is: "db1:5432" },
  { template: "{{ keys | get: '/db/user', 'nobody' }}", is: "nobody" },
  {
    template: "{% assign all = keys | gets: '/up/*' %}{% for k in all %}{{ k.key }}={{ k.value }} {% endfor %}",
    is: "/up/a=1.1.1.1 /up/b=2.2.2.2 ",
  },
  { template: "{{ keys | getvs: '/up/*' | join: ',' }}", is: "1.1.1.1,2.2.2.2" },
  {
    template: "{{ keys | ls: '/' | join: ',' }} {{ keys | ls: '/db' | join: ',' }} {{ keys | lsdir | join: ',' }}",
    is: "db,up host,port db,up",
  },
  {
    template: "{% assign e = keys | exists: '/db' %}{% assign f = keys | exists: '/dx' %}{{ e }} {{ f }}",
    is: "true false",
  },
])(
  "render() reads keys: $template",
  ({ template, is }) => assert.equal(textOf(render(wantedOf(template, { keys: KEYS, place: PLACE }))), is),
);

Deno.test("render() names all missing keys, and writes no file", () => {
  const template = "{{ keys | get: '/db/user' }}{{ keys | get: '/db/host' }}{{ keys | get: '/db/password' }}";
  const rendered = render(wantedOf(template, { keys: KEYS, place: PLACE }));
  assert.equal(faultOf(rendered), "Cannot render /etc/app.conf: etcd has no keys /app/db/password, /app/db/user");
  assert.equal(rendered.faults?.[0]?.isOfData, true);
  assert.deepEqual(rendered.faults?.[0]?.origin, { path: ["files", 0, "text"] });
});

Deno.test("render() waits for keys that no registry has reported", () => {
  assert.match(faultOf(render(wantedOf("x", { place: PLACE }))), /etcd has not reported the keys under \/app yet/);
});

Deno.test("render() handles 1,000 clusters with 10 nodes each", () => {
  const clusters = Array.from({ length: 1_000 }, (_, i) => ({
    name: `c${i}`,
    config: {},
    nodes: Array.from({ length: 10 }, (_, j) => node(j + 1)),
  }));
  const template =
    "{% for c in clusters %}{% for n in c.nodes %}{{ c.name }} {{ n.address }}\n{% endfor %}{% endfor %}";
  assert.equal(textOf(render({ ...wantedOf(template), clusters })).split("\n").length, 10_001);
});
