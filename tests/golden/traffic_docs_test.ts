/**
 * Holds the worked examples of docs/traffic.md against what is decided: each
 * table below an example is what its nodes get.
 *
 * @module
 */
import assert from "node:assert/strict";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { composeWanted, shareRequest } from "../../src/membership/wanted.ts";
import { nodeName, parseNode } from "../../src/model/node.ts";
import { validateDirectory } from "../../src/app/validate.ts";
import { shareTraffic } from "../../src/traffic/shares.ts";
import type { Sighting } from "../../src/traffic/sightings.ts";
import { TempDir } from "../support/temp_dir.ts";

const PAGE = new URL("../../docs/traffic.md", import.meta.url);
const NOW = 1_700_000_000_000;

const sections = (await Deno.readTextFile(PAGE)).split(/^## /m).filter((each) => each.includes("```yaml"));

for (const section of sections) {
  const heading = section.slice(0, section.indexOf("\n"));
  Deno.test(`the examples of docs/traffic.md, ${heading}, come to what their table says`, async () => {
    await using temp = new TempDir();
    await temp.write("config/discovery/static.yaml", "{}\n");
    await temp.write("config/host.yaml", "zone: a\n");
    await temp.write(
      "config/balancers/haproxy.yaml",
      "config_file: /tmp/h.cfg\nsocket_file: /tmp/h.sock\npid_file: /tmp/h.pid\n" +
        "defaults: [mode http, timeout connect 2s, timeout client 20s, timeout server 20s]\n",
    );
    for (const [, path = "", contents = ""] of section.matchAll(/^```yaml\n# (\S+\.ya?ml)\n([\s\S]*?)^```$/gm)) {
      await temp.write(`config/${path}`, contents);
    }
    const { diagnostics, accepted } = await validateDirectory(temp.file("config"), { role: "check" });
    const found = diagnostics.filter(({ severity }) => severity !== "notice");
    assert.equal(found.map((each) => formatDiagnostic(each)).join("\n"), "");
    assert(accepted !== undefined);
    const members = new Map([...accepted.clusters.values()].map(({ cluster, options }) => {
      const nodes = [...options?.values() ?? []].flatMap((each) => each as readonly unknown[]).map((each) => {
        const parsed = parseNode(each);
        assert(parsed.ok);
        return parsed.node;
      });
      return [cluster.name, nodes] as const;
    }));
    const sources = [...accepted.clusters.get("web")?.options ?? []].flatMap(([source, nodes]) =>
      (nodes as readonly unknown[]).map((each): [string, string] => {
        const parsed = parseNode(each);
        assert(parsed.ok);
        return [nodeName(parsed.node), source];
      })
    );
    const web = accepted.clusters.get("web");
    const balancer = accepted.balancers.get("haproxy");
    assert(web !== undefined && balancer !== undefined);
    const host = { fqdn: "lb.test", ip: "10.0.0.9", zone: "a" };
    assert.equal(composeWanted("haproxy", balancer, accepted, members, host).clusters.length, 1);
    const request = shareRequest("haproxy", web, { clusters: accepted.clusters, members, host, overrides: [] });
    assert(request !== undefined);
    const rows = [...section.matchAll(/^\| (?!---|node \||down \||failing \||the node)(.+) \|$/gm)].map(([, row = ""]) => row.split(" | "));
    assert(rows.length > 0);
    for (const row of rows) {
      const [name = "", weight = "", share = "", why = ""] = row.slice(-4);
      const state = row.length === 5 ? row[0] ?? "" : "none";
      const ago = /^(\d+)s ago$/.exec(state)?.[1];
      const sightings = new Map(request.nodes.map((node): [string, Sighting] => [nodeName(node), {
        sinceMs: NOW - 86_400_000,
        ...ago !== undefined && node.host === "new" && { newSinceMs: NOW - Number(ago) * 1_000 },
        ...node.zone !== undefined && { zone: node.zone },
      }]));
      const named = state === "none" || ago !== undefined ? [] : state.split(", ").map((each) => `${each}:80`);
      const isOfChecks = section.includes("\n| failing | node |");
      const down = new Set(isOfChecks ? [] : named);
      const failing = { state: "failing", reason: "http: Got status 503" } as const;
      const { nodes } = shareTraffic({
        nowMs: NOW,
        startedMs: NOW - 86_400_000,
        policy: web.cluster.traffic,
        zone: "a",
        nodes: request.nodes,
        overflow: request.overflow,
        sightings,
        down,
        health: new Map(isOfChecks ? named.map((each) => [each, failing]) : []),
        sourceOf: (name) => new Map(sources).get(name),
      });
      const node = nodes.find((each) => each.node.host === name);
      assert(node !== undefined, name);
      const shown = node.pool === "overflow" ? "overflow" : node.state === "ready" ? `${node.weight}` : node.state;
      assert.equal(shown, weight, row.join(" | "));
      assert(Math.abs(node.share * 100 - parseFloat(share)) <= 0.5, `${row.join(" | ")}: ${node.share}`);
      const [factor = "", value = ""] = why.split(" ");
      const got = node.factors.find((each) => each.name === factor)?.value ?? NaN;
      assert(Math.abs(got - Number(value)) < 0.001, `${row.join(" | ")}: ${got}`);
    }
  });
}
