/** Pushed metrics: real processes, and servers written after the documentation of StatsD, OpenTSDB and Graphite. */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { MetricSink } from "../support/metric_sink.ts";
import { StatusClient } from "../support/status_client.ts";

/** A host with a service that is checked five times a second. */
async function stage(resources: AsyncDisposableStack, publishers: Record<string, unknown>): Promise<TestHost> {
  const host = resources.use(new TestHost());
  const web = resources.use(new WebService());
  await host.configure();
  await host.write("lighthouse", { publishers });
  await host.write("services/web", {
    host: "127.0.0.1",
    port: web.port,
    discovery: "file",
    checks: { interval: 0.2, http: { uri: "/health", rise: 1, fall: 1 } },
  });
  return host;
}

Deno.test("publishers: one Meter feeds StatsD, OpenTSDB, Graphite and /metrics, and the last values are sent at the end", async () => {
  await using resources = new AsyncDisposableStack();
  const statsd = resources.use(MetricSink.udp());
  const [opentsdb, graphite] = [resources.use(MetricSink.tcp()), resources.use(MetricSink.tcp())];
  const common = { interval: 1, prefix: "edge" };
  const host = await stage(resources, {
    agent: { type: "statsd", address: statsd.address, tags: { env: "prod" }, ...common },
    tsdb: { type: "opentsdb", address: opentsdb.address, tags: { dc: "eu" }, ...common },
    carbon: { type: "graphite", address: graphite.address, ...common },
  });
  const status = new StatusClient();
  await using reporter = Lighthouse.start("reporter", host.configDir, status.flags);
  await eventually(
    "each has probes",
    () =>
      [statsd, opentsdb, graphite].every(({ lines }) => lines.some((line) => line.includes("lighthouse_probes_total"))),
  );
  await eventually(
    "/metrics counts what was sent",
    async () =>
      /lighthouse_published_samples_total\{publisher="carbon",result="sent"\} [1-9]/.test(
        await (await status.ask("/metrics")).text(),
      ),
  );
  const before = [statsd, opentsdb, graphite].map(({ lines }) => lines.length);
  assert.equal(await reporter.stop(), 0);
  await eventually(
    "the last values come",
    () => [statsd, opentsdb, graphite].every(({ lines }, i) => lines.length > (before[i] ?? 0)),
  );
  for (const line of statsd.lines) {
    assert.match(
      line,
      /^edge\.[a-z_]+:[0-9.e+-]+\|[cg]\|#env:prod(?:,[a-z]+:[^,|]+)*,host:test\.host(?:,[a-z]+:[^,|]+)*$/,
    );
  }
  for (const line of opentsdb.lines) {
    assert.match(
      line,
      /^put edge\.[a-z_]+ 1[0-9]{9} [0-9.e+-]+ dc=eu(?: [a-z]+=\S+)* host=test\.host(?: [a-z]+=\S+)*$/,
    );
  }
  for (const line of graphite.lines) {
    assert.match(line, /^edge\.test_host\.reporter\.[a-z_]+(?:\.[\w-]+)* [0-9.e+-]+ 1[0-9]{9}$/);
  }
  const probes = /lighthouse_probes_total:([0-9]+)\|c\|#.*check:http,result:pass/;
  const added = statsd.lines.reduce((sum, line) => sum + Number(probes.exec(line)?.[1] ?? 0), 0);
  const last = (lines: readonly string[], form: RegExp) =>
    Number(form.exec(lines.findLast((line) => form.test(line)) ?? "")?.[1]);
  const total = last(opentsdb.lines, /lighthouse_probes_total [0-9]+ ([0-9]+) .*check=http result=pass/);
  assert.ok(added > 0);
  assert.deepEqual([added, last(graphite.lines, /lighthouse_probes_total\.web_[0-9]+\.http\.pass ([0-9]+) /)], [
    total,
    total,
  ]);
});

Deno.test("publishers: a server that is gone, hangs or complains delays nothing; its samples are dropped and counted", async () => {
  await using resources = new AsyncDisposableStack();
  const mute = resources.use(MetricSink.tcp({ reads: false }));
  const rude = resources.use(MetricSink.tcp({ answer: "put: illegal argument: too odd\n" }));
  const host = await stage(resources, {
    mute: { type: "graphite", address: mute.address, interval: 1 },
    rude: { type: "opentsdb", address: rude.address, interval: 1 },
    gone: { type: "opentsdb", address: "127.0.0.1:1", interval: 1 },
  });
  const status = new StatusClient();
  await using reporter = Lighthouse.start("reporter", host.configDir, status.flags);
  const failed = (publisher: string) => reporter.event("publisher.failed", { publisher });
  assert.match((await failed("gone")).reason ?? "", /refused/i);
  assert.match(
    (await failed("rude")).reason ?? "",
    /Unexpected response from the server: "put: illegal argument: too odd"/,
  );
  const dropped = /lighthouse_published_samples_total\{publisher="gone",result="dropped"\} [1-9]/;
  await eventually("what is lost is counted", async () => dropped.test(await (await status.ask("/metrics")).text()));
  await status.untilHealth("it works all the same", ({ code }) => code === 200);
  await reporter.event("registration.registered");
  rude.answer = "";
  await reporter.event("publisher.sent", { publisher: "rude" });
  // An edit ends one that hangs, and starts another.
  await host.write("lighthouse", { publishers: { mute: { type: "graphite", address: rude.address, interval: 1 } } });
  await eventually("the other server has it", () => rude.lines.some((line) => /^test_host\.reporter\./.test(line)));
  assert.equal(await reporter.stop(), 0);
});
