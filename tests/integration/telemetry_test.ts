/** Spans of OpenTelemetry: a real process, its runtime's exporter, and a collector over OTLP/HTTP. */
import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { OtlpCollector } from "../support/otlp_collector.ts";
import { StatusClient } from "../support/status_client.ts";

Deno.test("telemetry: with OTEL_DENO=true the collector gets spans of the config, of propagation and of probes, without a secret", async () => {
  await using collector = new OtlpCollector();
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  await host.write("clusters/web", { discovery: "file", haproxy: { port: freePort() } });
  await host.write("services/web", {
    host: "127.0.0.1",
    port: web.port,
    discovery: "file",
    checks: { interval: 0.2, http: { uri: "/health?token=hush-hush", rise: 1, fall: 1 } },
  });
  await host.write("notifiers/hook", { type: "webhook", url: "http://127.0.0.1:1/hush-hush", token: "hush-hush" });
  const status = new StatusClient();
  await using daemon = Lighthouse.start("run", host.configDir, status.flags, { within: collector.within });
  await host.untilServing("web", [web.port]);
  const spans = (name: string) => collector.spans.filter((span) => span.name === name);
  const seen = async (name: string) =>
    await eventually(`${name} is a span`, () => spans(name)[0], { deadlineMs: 60_000 });
  assert.deepEqual((await seen("config.apply")).attributes, {});
  const propagated = await seen("cluster.propagate");
  assert.deepEqual(propagated.attributes, { "lighthouse.balancer": "haproxy", "lighthouse.cluster": "web" });
  const service = `web:${web.port}`;
  const probe = (result: string) => ({
    "lighthouse.check": "http",
    "lighthouse.service": service,
    "lighthouse.result": result,
  });
  assert.deepEqual((await seen("probe")).attributes, probe("pass"));
  assert.deepEqual((await seen("balancer.turn")).attributes, { "lighthouse.balancer": "haproxy" });
  web.healthy = false;
  const failed = await eventually("a probe fails", () => spans("probe").find((span) => span.status === 2));
  assert.deepEqual(failed.attributes, probe("fail"));
  // The last ones come when the process ends.
  await host.remove("services/web");
  await daemon.event("config.applied", {}, { times: 2 });
  assert.equal(await daemon.stop(), 0);
  await eventually("the edit is a span", () => spans("config.apply").length >= 2);
  for (const { seconds, name } of collector.spans) assert.ok(seconds >= 0 && seconds < 600, `${name}: ${seconds}`);
  assert.deepEqual(
    new Set(collector.spans.map(({ scope }) => scope)),
    new Set(["lighthouse"]),
    "the host process alone",
  );
  assert.doesNotMatch(collector.received, /hush-hush/);
});
