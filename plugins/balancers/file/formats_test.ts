import assert from "node:assert/strict";
import fc from "fast-check";
import type { Node, Step, Wanted, WantedNode } from "../../../mod.ts";
import { balancerSchema, type FileConfig } from "./config.ts";
import file from "./mod.ts";

function configOf(keys: Record<string, unknown>): FileConfig {
  const result = balancerSchema["~standard"].validate(keys);
  assert(!("issues" in result), JSON.stringify(result));
  return result.value;
}

function node(
  index: number,
  more: Partial<Omit<WantedNode, "node">> & { readonly node?: Partial<Node> } = {},
): WantedNode {
  const own = { host: `n${index}.int`, ip: `10.0.0.${index}`, port: 80, metadata: {}, ...more.node };
  return { state: "ready", pool: "primary", ...more, node: own };
}

const NODES = [
  node(1, { weight: 3, node: { zone: "a", labels: { team: "x" } } }),
  node(2, { state: "drain" }),
  node(3, { state: "maint" }),
  node(4, { pool: "overflow" }),
  node(5, { isFallback: true, node: { ip: "2001:db8::5", zone: "b" } }),
];

function wantedOf(
  keys: Record<string, unknown>,
  clusters: Readonly<Record<string, readonly WantedNode[]>> = { web: NODES },
): Wanted<FileConfig, object> {
  return {
    config: configOf(keys),
    host: { fqdn: "lb.int", ip: "10.0.9.9" },
    clusters: Object.entries(clusters).map(([name, nodes]) => ({ name, config: {}, nodes })),
  };
}

function textOf(wanted: Wanted<FileConfig, object>): string {
  const [rendered] = file.render(wanted).files.values();
  return rendered?.text ?? "";
}

Deno.test("json is a list as synapse's file_output writes it", () => {
  assert.deepEqual(JSON.parse(textOf(wantedOf({ format: "json", directory: "/d" }))), [
    { host: "10.0.0.1", port: 80, name: "n1.int", weight: 3, labels: { team: "x" } },
    { host: "2001:db8::5", port: 80, name: "n5.int" },
  ]);
});

Deno.test("envoy-eds is a DiscoveryResponse of one ClusterLoadAssignment", () => {
  const endpoint = (address: string, hostname: string, health_status: string, more: object = {}) => ({
    endpoint: { address: { socket_address: { address, port_value: 80 } }, hostname },
    health_status,
    ...more,
  });
  const { version_info, resources } = JSON.parse(textOf(wantedOf({ format: "envoy-eds", directory: "/d" })));
  assert.match(version_info, /^[0-9a-f]{16}$/);
  assert.deepEqual(resources, [{
    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    cluster_name: "web",
    endpoints: [
      {
        locality: { zone: "a" },
        lb_endpoints: [endpoint("10.0.0.1", "n1.int", "HEALTHY", { load_balancing_weight: 3 })],
      },
      { lb_endpoints: [endpoint("10.0.0.2", "n2.int", "DRAINING")] },
      { locality: { zone: "b" }, priority: 1, lb_endpoints: [endpoint("2001:db8::5", "n5.int", "HEALTHY")] },
    ],
  }]);
});

Deno.test.each([
  {
    scheme: "http",
    kind: "http",
    servers: [{ url: "http://10.0.0.1:80", weight: 3 }, { url: "http://[2001:db8::5]:80" }],
  },
  { scheme: "tcp", kind: "tcp", servers: [{ address: "10.0.0.1:80" }, { address: "[2001:db8::5]:80" }] },
])("traefik has $kind services for $scheme", ({ scheme, kind, servers }) => {
  const text = textOf(wantedOf({ format: "traefik", path: "/t.yml", scheme }));
  assert.match(text, /^# Written by Lighthouse\. Clusters: web\n/);
  assert.deepEqual(JSON.parse(text.slice(text.indexOf("\n"))), {
    [kind]: { services: { web: { loadBalancer: { servers } } } },
  });
});

Deno.test("prometheus has the targets that are up, by cluster, zone and labels", () => {
  const text = textOf(
    wantedOf({ format: "prometheus", path: "/p.json", labels: { env: "test" } }, { empty: [], web: NODES }),
  );
  assert.deepEqual(JSON.parse(text), [
    { targets: [], labels: { env: "test", cluster: "empty" } },
    { targets: ["10.0.0.1:80"], labels: { env: "test", cluster: "web", zone: "a", __meta_lighthouse_label_team: "x" } },
    { targets: ["[2001:db8::5]:80"], labels: { env: "test", cluster: "web", zone: "b" } },
    { targets: ["10.0.0.2:80", "10.0.0.4:80"], labels: { env: "test", cluster: "web" } },
  ]);
});

Deno.test("hosts and env have the addresses of each cluster", () => {
  assert.equal(
    textOf(wantedOf({ format: "hosts", path: "/h", domain: "int" })),
    "# Written by Lighthouse. Clusters: web\n10.0.0.1\tweb.int\n2001:db8::5\tweb.int\n",
  );
  assert.equal(
    textOf(wantedOf({ format: "env", path: "/e", prefix: "LH_" }, { "my-web": NODES })),
    "# Written by Lighthouse. Clusters: my-web\nLH_MY_WEB_ADDRESSES=10.0.0.1:80,[2001:db8::5]:80\n",
  );
  const { files, faults } = file.render(wantedOf({ format: "env", path: "/e" }, { "a-b": [], a_b: [] }));
  assert.equal(files.size, 0);
  assert.match(faults?.[0]?.text ?? "", /clusters a-b and a_b both map to A_B_ADDRESSES/);
});

Deno.test("a label of any text is only a label in a JSON format", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (value) => {
    const nodes = [node(1, { node: { labels: { x: value } } })];
    for (const keys of [{ format: "prometheus", path: "/p" }, { format: "json", directory: "/d" }]) {
      const parsed = JSON.parse(textOf(wantedOf(keys, { web: nodes })));
      const [{ labels }] = parsed;
      assert.equal(labels.x ?? labels.__meta_lighthouse_label_x, value);
    }
    const traefik = textOf(wantedOf({ format: "traefik", path: "/t" }, { web: nodes }));
    assert.ok(!traefik.includes(value) || value.length < 8);
  }));
});

function planned(wanted: Wanted<FileConfig, object>, files: Readonly<Record<string, string>>): readonly string[] {
  const seen = { files: new Map(Object.entries(files)) };
  const steps = file.plan(wanted, file.render(wanted), seen, { reload: true }) as readonly Step[];
  return steps.map((step) => step.do === "install" || step.do === "remove" ? `${step.do} ${step.path}` : step.do);
}

Deno.test("files of removed clusters are deleted with purge only, and stay while their config is invalid", () => {
  const keys = { format: "json", directory: "/d" };
  const files = { "/d/web.json": textOf(wantedOf(keys)), "/d/gone.json": "[]", "/d/broken.json": "[]" };
  assert.deepEqual(planned(wantedOf(keys), files), []);
  const purging = { ...wantedOf({ ...keys, purge: true }), unknown: ["broken"] };
  assert.deepEqual(planned(purging, files), ["remove /d/gone.json"]);
  assert.deepEqual(planned({ ...purging, unknown: "all" }, files), []);
});

Deno.test.each([
  { format: "traefik" },
  { format: "prometheus" },
  { format: "hosts" },
  { format: "env" },
])("$format stays while the config of a cluster that it has is invalid", ({ format }) => {
  const keys = { format, path: "/f" };
  const files = { "/f": textOf(wantedOf(keys, { api: NODES, web: NODES })) };
  assert.deepEqual(file.servedBy?.(new Map(Object.entries(files)), configOf(keys)), ["api", "web"]);
  assert.deepEqual(planned({ ...wantedOf(keys), unknown: ["api"] }, files), []);
  assert.deepEqual(planned(wantedOf(keys), files), ["install /f"]);
});

Deno.test("a reload follows the change of any file, once", () => {
  const keys = { format: "json", directory: "/d", reload_command: ["/bin/reload"] };
  assert.deepEqual(planned(wantedOf(keys, { api: NODES, web: NODES }), {}), [
    "install /d/api.json",
    "install /d/web.json",
    "notify",
    "install /d/.lighthouse",
  ]);
});
