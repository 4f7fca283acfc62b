import assert from "node:assert/strict";
import type { Wanted } from "../../../mod.ts";
import { balancerSchema, type SupervisedConfig } from "./config.ts";
import supervised from "./mod.ts";

const RUNNING = { supervised: [{ name: "program", run: ["/bin/gor", "--out", "10.0.0.1:80"] }] };

function wantedOf(clusters: readonly string[], unknown: Wanted["unknown"]): Wanted<SupervisedConfig, object> {
  const command = ["/bin/gor", { each: "web", arguments: ["--out", "{address}"] }];
  const result = balancerSchema["~standard"].validate({ command, pid_file: "/run/x.pid" });
  assert(!("issues" in result), JSON.stringify(result));
  const node = { host: "n.int", ip: "10.0.0.1", port: 80, metadata: {} };
  return {
    config: result.value,
    host: { fqdn: "lb.int", ip: "10.0.9.9" },
    clusters: clusters.map((name) => ({ name, config: {}, nodes: [{ node, state: "ready", pool: "primary" }] })),
    ...unknown !== undefined && { unknown },
  };
}

async function planned(clusters: readonly string[], unknown: Wanted["unknown"]) {
  const wanted = wantedOf(clusters, unknown);
  const rendered = await supervised.render(wanted);
  const steps = await supervised.plan(wanted, rendered, RUNNING as never, { reload: true });
  return { steps: steps.map(({ do: what }) => what), faults: rendered.faults ?? [], notices: rendered.notices };
}

Deno.test.each([{ unknown: ["web"] }, { unknown: "all" as const }])(
  "plan() leaves the program running while the file of a cluster it names is invalid: $unknown",
  async ({ unknown }) => {
    const { steps, faults, notices } = await planned([], unknown);
    assert.deepEqual([steps, notices], [[], []]);
    assert.match(faults[0]?.text ?? "", /the file of cluster web is invalid or unreadable/);
  },
);

Deno.test("plan() stops the program when a cluster it names is gone, and is not held by files of others", async () => {
  assert.deepEqual((await planned([], ["other"])).steps, ["supervise"]);
  assert.deepEqual((await planned([], undefined)).steps, ["supervise"]);
  assert.deepEqual((await planned(["web"], "all")).faults, []);
});
