import assert from "node:assert/strict";
import fc from "fast-check";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { UnreadableAnswerError } from "../../plugins/balancers/haproxy/observe.ts";
import { isOneCommand } from "../../src/balance/runtime_socket.ts";
import { haproxyCluster, haproxyConfig, localNode } from "../support/haproxy.ts";
import { HaproxyModel } from "../support/haproxy_model.ts";
import { nearly, RUNS } from "./mutation.ts";
import { wantedNode } from "../../src/membership/wanted.ts";
import { QUERIES } from "../../plugins/balancers/haproxy/observe.ts";

const CONFIG = haproxyConfig({ config_file: "/run/h.cfg", socket_file: "/run/h.sock", pid_file: "/run/h.pid" });
const WANTED = {
  config: CONFIG,
  host: { fqdn: "lb.test", ip: "127.0.0.1" },
  version: [2, 6, 12] as const,
  clusters: [{
    name: "web",
    config: haproxyCluster({ port: 8000, backend: ["mode http"] }),
    nodes: [localNode(9001), localNode(9002)].map(wantedNode),
  }],
};

Deno.test("an almost valid response from HAProxy is parsed or rejected, and leads only to valid steps", async () => {
  const rendered = haproxy.render(WANTED);
  const model = new HaproxyModel();
  const { text } = rendered.files.get(CONFIG.configFile) ?? {};
  assert.ok(text !== undefined);
  model.file = text;
  model.boot();
  model.command("del server web/app.test:9001");
  const sources = haproxy.sources(CONFIG);
  const seen = await model.observe(sources, haproxy.pid, new AbortController().signal);
  const answers = seen.answers ?? [];
  assert.equal(answers.length, QUERIES.length);

  fc.assert(
    fc.property(fc.nat(answers.length - 1), nearly(...answers), (at, text) => {
      const heard = answers.with(at, text);
      let observed;
      try {
        observed = haproxy.observe({ ...seen, answers: heard }, CONFIG);
      } catch (error) {
        assert.ok(error instanceof UnreadableAnswerError, String(error));
        return;
      }
      for (const step of haproxy.plan(WANTED, rendered, observed, { reload: true })) {
        if (step.do === "command") {
          for (const part of step.command.split(";")) assert.ok(isOneCommand(part.trim()), part);
        }
        if (step.do === "reload" || step.do === "start") assert.ok(step.reason.length > 0);
        if (step.do === "install") assert.equal(step.contents, text);
      }
    }),
    { numRuns: RUNS },
  );
});

Deno.test("an almost valid config file of ours gives harmless members, or none", () => {
  const { text = "" } = haproxy.render(WANTED).files.get(CONFIG.configFile) ?? {};
  fc.assert(
    fc.property(nearly(text), (torn) => {
      for (const nodes of haproxy.adopt(new Map([[CONFIG.configFile, torn]]), CONFIG).values()) {
        for (const { host, ip, port } of nodes) {
          assert.match(`${host} ${ip} ${port}`, /^[A-Za-z0-9._:-]+ [0-9a-fA-F.:]+ [0-9]+$/);
        }
      }
    }),
    { numRuns: RUNS },
  );
});
