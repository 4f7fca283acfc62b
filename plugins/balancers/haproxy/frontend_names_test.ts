import assert from "node:assert/strict";
import fc from "fast-check";
import { type CaseWanted, wantedOf } from "../../../tests/support/balancer_case.ts";
import { explain } from "./explain.ts";
import { render } from "./render.ts";
import { describeDifference } from "./structure.ts";

/** The headers of the sections that have names, in the file's order. */
function headers(given: CaseWanted): readonly string[] {
  return [...render(wantedOf(given)).text.matchAll(/^(?:frontend|backend|listen) \S+$/gm)].map(([header]) => header);
}

const GIVEN: CaseWanted = {
  balancer: { defaults: ["mode http"], bind_address: "127.0.0.1", meta_clusters: { api: { port: 8888 } } },
  clusters: [
    { name: "web", haproxy: { port: 8000 }, nodes: ["a.int:80 10.0.0.1"] },
    { name: "member", meta_cluster: "api", haproxy: { acl: "path_beg /m" } },
  ],
};

Deno.test("a cluster's frontend is named NAME:in from HAProxy 3.1 on, and like its backend before", () => {
  const old = ["frontend api", "frontend web", "backend member", "backend web"];
  for (const version of ["1.5.8", "2.6.12", "3.0.11"]) assert.deepEqual(headers({ ...GIVEN, version }), old, version);
  const now = ["frontend api", "frontend web:in", "backend member", "backend web"];
  for (const version of ["3.1.0", "3.2.26", "3.4.7", "4.0.0"]) {
    assert.deepEqual(headers({ ...GIVEN, version }), now, version);
  }
});

Deno.test("a meta cluster's frontend is named NAME:in only where a cluster has its name", () => {
  const api = { name: "api", haproxy: {} };
  const clusters = [...GIVEN.clusters ?? [], api];
  assert.ok(headers({ ...GIVEN, version: "3.4.7", clusters }).includes("frontend api:in"));
  assert.ok(headers({ ...GIVEN, version: "2.6.12", clusters }).includes("frontend api"));
});

Deno.test("a frontend whose name is taken gets another one, with a notice", () => {
  const clusters = [...GIVEN.clusters ?? [], { name: "web:in", haproxy: { port: 8001 } }];
  const { text, notices } = render(wantedOf({ ...GIVEN, version: "3.4.7", clusters }));
  assert.match(text, /^frontend web:in:in\n[^]*?\tdefault_backend web$/m);
  assert.match(text, /^frontend web:in:in:in\n[^]*?\tdefault_backend web:in$/m);
  const told = notices.find(({ text }) => text.startsWith("Cluster web: "));
  assert.equal(told?.text, "Cluster web: frontend is named web:in:in, because web:in is taken");
  assert.deepEqual(told?.origin, { cluster: "web", path: ["port"] });
});

const NAMES = ["a", "a:in", "a:in:in", "a:panic", "b", "stats"];
const clusters = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...NAMES),
    haproxy: fc.constantFrom({ port: 8000 }, {}, { port: 8000, server_options: "check", panic_threshold: 50 }),
    meta_cluster: fc.constantFrom(...NAMES),
  }),
  { selector: ({ name }) => name },
);
const metas = fc.dictionary(fc.constantFrom(...NAMES), fc.constant({ port: 8888 }));

Deno.test("no two frontends, and no frontend and backend, share a name from HAProxy 3.1 on, whatever they are named", () =>
  fc.assert(fc.property(clusters, metas, (clusters, meta_clusters) => {
    const given = { version: "3.4.7", balancer: { meta_clusters }, clusters };
    const names = headers(given).map((header) => header.replace(/^\S+ /, ""));
    assert.equal(new Set(names).size, names.length, names.join(", "));
  })));

Deno.test("a difference of names alone is a difference of frontends, and a new cluster is named as one", () => {
  const at = (version: string, clusters = GIVEN.clusters ?? []) =>
    render(wantedOf({ ...GIVEN, version, clusters })).text;
  assert.equal(
    describeDifference(at("3.0.11"), at("3.1.0")),
    "frontend web:in is new, frontend web is gone",
  );
  const more = [...GIVEN.clusters ?? [], { name: "more", haproxy: { port: 8002 } }];
  assert.equal(describeDifference(at("3.4.7"), at("3.4.7", more)), "cluster more is new");
  assert.equal(describeDifference(at("3.4.7", more), at("3.4.7")), "cluster more is gone");
});

Deno.test.each([
  { output: "Reload aborted: cannot bind 127.0.0.1:8000: address already in use", cluster: "web" },
  { output: "[ALERT]    (7) : Starting frontend web:in: cannot bind socket (Address already in use)", cluster: "web" },
  {
    output: "[ALERT]    (7) : config : Proxy 'web:in': unable to find table 'x' referenced in track-sc",
    cluster: "web",
  },
  { output: "[ALERT]    (7) : config : frontend 'api' has a bad line", cluster: undefined },
])("the cluster whose frontend has another name is found as the cause: $output", ({ output, cluster }) => {
  const rendered = render(wantedOf({ ...GIVEN, version: "3.4.7" }));
  assert.equal(explain(rendered, output).cluster, cluster);
});

Deno.test("HAProxy 3.3 and later are set to balance by roundrobin where no line sets it", () => {
  const defaults = (version: string, lines: readonly string[]) =>
    /^defaults\n((?:\t.*\n)*)/m.exec(render(wantedOf({ version, balancer: { defaults: lines } })).text)?.[1];
  assert.equal(defaults("3.2.26", ["mode http"]), "\tmode http\n");
  assert.equal(defaults("3.3.0", ["mode http"]), "\tmode http\n\tbalance roundrobin\n");
  assert.equal(defaults("3.4.7", ["balance leastconn"]), "\tbalance leastconn\n");
});
