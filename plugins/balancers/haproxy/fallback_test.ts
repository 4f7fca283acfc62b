import assert from "node:assert/strict";
import type { WantedNode } from "../../../mod.ts";
import { haproxyCluster, haproxyConfig } from "../../../tests/support/haproxy.ts";
import { adopt, adoptRunning } from "./adopt.ts";
import type { HaproxyWanted } from "./config.ts";
import { render } from "./render.ts";

function node(host: string, more: Partial<WantedNode> = {}): WantedNode {
  return { node: { host, ip: "10.0.0.1", port: 80, metadata: {} }, state: "ready", pool: "primary", ...more };
}

function wanted(nodes: readonly WantedNode[], section: Record<string, unknown> = {}): HaproxyWanted {
  return {
    config: haproxyConfig({ config_file: "/x/h.cfg", socket_file: "/x/h.sock", pid_file: "/x/h.pid" }),
    host: { fqdn: "lb.test", ip: "10.0.0.9" },
    version: [2, 6, 12],
    clusters: [{ name: "web", config: haproxyCluster({ port: 8000, ...section }), nodes, hasFallback: true }],
  };
}

/** The lines of a section of the file. */
function section(text: string, header: string): readonly string[] {
  const lines = text.split("\n");
  const from = lines.indexOf(header) + 1;
  assert(from > 0, `${header} is missing:\n${text}`);
  const length = lines.slice(from).findIndex((line) => !line.startsWith("\t"));
  return lines.slice(from, from + length).map((line) => line.trim());
}

const NODES = [
  node("a", { weight: 256 }),
  node("b", { weight: 128, settledWeight: 128, pool: "overflow", isFallback: true }),
  node("o", { weight: 256, pool: "overflow", isFallback: true, from: "backup" }),
  node("d", { weight: 256, state: "drain", isFallback: true }),
];

Deno.test("nodes in reserve are in a backend of their own with their weights, and in the cluster's with weight 0", () => {
  const { text, notices } = render(wanted(NODES));
  assert.deepEqual(section(text, "backend web"), [
    "server a:80 10.0.0.1:80 weight 256 # lighthouse: share=256",
    "server b:80 10.0.0.1:80 weight 0 # lighthouse: share=128 pool=overflow",
    "server d:80 10.0.0.1:80 weight 0 # lighthouse: share=256 drained",
    "server o:80 10.0.0.1:80 weight 0 # lighthouse: share=256 pool=overflow from=backup",
  ]);
  assert.deepEqual(section(text, "backend web:fallback"), [
    "server b:80 10.0.0.1:80 weight 128 # lighthouse: share=128",
    "server d:80 10.0.0.1:80 weight 0 # lighthouse: share=256 drained",
    "server o:80 10.0.0.1:80 weight 256 # lighthouse: share=256 from=backup",
  ]);
  assert.deepEqual(section(text, "frontend web"), [
    "bind :8000",
    "use_backend web:fallback if { nbsrv(web) eq 0 } { nbsrv(web:fallback) gt 0 }",
    "default_backend web",
  ]);
  assert.deepEqual(notices, []);
});

Deno.test("nodes that are up serve before a panic sends requests to those that are not", () => {
  const { text } = render(wanted(NODES, { panic_threshold: 50, server_options: "check" }));
  const choices = section(text, "frontend web").filter((line) => line.startsWith("use_backend"));
  assert.deepEqual(choices, [
    "use_backend web:fallback if { nbsrv(web) eq 0 } { nbsrv(web:fallback) gt 0 }",
    "use_backend web:fallback if { nbsrv(web),mul(100),div(txn.lighthouse_all_web) lt 50 } { nbsrv(web:fallback) gt 0 }",
    "use_backend web:panic if { nbsrv(web),mul(100),div(txn.lighthouse_all_web) lt 50 }",
  ]);
});

Deno.test("nodes that join, leave or move to another pool do not change the structure", () => {
  const mark = (nodes: readonly WantedNode[]) => /LIGHTHOUSE_STRUCTURE (\w+)/.exec(render(wanted(nodes)).text)?.[1];
  assert.equal(mark([]), mark(NODES));
  assert.equal(mark(NODES.map((each) => ({ ...each, pool: "primary" }))), mark(NODES));
});

Deno.test("nodes of another cluster are not taken as members when members are read back", () => {
  const { text } = render(wanted(NODES));
  assert.deepEqual([...adopt(text)].map(([name, nodes]) => [name, nodes.map(({ host }) => host)]), [["web", [
    "a",
    "b",
    "d",
  ]]]);
  const server = { address: "10.0.0.1", port: 80, inMaintenance: false, draining: false };
  const servers = new Map(["a:80", "o:80"].map((name) => [name, { name, ...server }]));
  const running = { backends: new Map([["web", servers], ["web:fallback", servers]]) };
  const adopted = adoptRunning({ running, file: text, orphans: [] } as never);
  assert.deepEqual([...adopted].map(([name, nodes]) => [name, nodes.map(({ host }) => host)]), [["web", ["a"]]]);
});

Deno.test("a backend with servers of its own has no last resort, which is logged", () => {
  const { text, notices } = render(wanted(NODES, { backend: ["server own 10.0.0.7:80"] }));
  assert.doesNotMatch(text, /fallback/);
  assert.match(notices[0]?.text ?? "", /^Cluster web has no fallback backend: its own backend lines define servers/);
});
