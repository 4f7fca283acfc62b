import assert from "node:assert/strict";
import type { Wanted } from "../../../mod.ts";
import plugin, { type ClusterConfig, type Config } from "./mod.ts";

const config: Config = { config_file: "/etc/b.conf", socket_file: "/run/b.sock", program: "/usr/sbin/b" };

/** A cluster with members at these ports. */
function wanted(...ports: readonly number[]): Wanted<Config, ClusterConfig> {
  const nodes = ports.map((port) => ({
    node: { host: "app.example", ip: "192.0.2.1", port, metadata: {} },
    state: "ready" as const,
    pool: "primary" as const,
  }));
  const host = { fqdn: "here.example", ip: "192.0.2.9" };
  return { config, host, clusters: [{ name: "web", config: { port: 8080 }, nodes }] };
}

Deno.test("my_balancer renders a line for each cluster and each member, and reads them back", () => {
  const { files } = plugin.render(wanted(8001, 8002));
  const { text = "", origins } = files.get(config.config_file) ?? {};
  assert.equal(
    text.split("\n").slice(1).join("\n"),
    "cluster web at 8080\n  server app.example:8001 192.0.2.1:8001\n  server app.example:8002 192.0.2.1:8002\n",
  );
  assert.deepEqual(origins?.get(2), { cluster: "web", path: [] });
  const adopted = plugin.adopt(new Map([[config.config_file, text]]), config).get("web");
  assert.deepEqual(adopted, wanted(8001, 8002).clusters[0]?.nodes.map(({ node }) => node));
});

Deno.test("my_balancer is started when not running, reloaded when its config differs, and otherwise left alone", () => {
  const rendered = plugin.render(wanted(8001));
  const { text = "" } = rendered.files.get(config.config_file) ?? {};
  const [heading = ""] = text.split("\n");
  const steps = (answers: readonly string[] | undefined, file: string | undefined, reload = true) => {
    const files = new Map(file === undefined ? [] : [[config.config_file, file]]);
    const seen = plugin.observe({ answers, files }, config);
    return plugin.plan(wanted(8001), rendered, seen, { reload }).map((step) => step.do);
  };
  assert.deepEqual(steps(undefined, undefined), ["install", "start"]);
  assert.deepEqual(steps(["12\n", "# my_balancer old\n"], "old"), ["install", "reload"]);
  assert.deepEqual(steps(["12\n", "# my_balancer old\n"], "old", false), []);
  assert.deepEqual(steps(["12\n", `${heading}\n`], text), []);
});
