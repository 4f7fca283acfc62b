/** Notifications: real processes, workers and a real HTTP server. */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { EventSink } from "../support/event_sink.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse, TestHost, WebService } from "../support/lighthouse.ts";
import { StatusClient } from "../support/status_client.ts";

Deno.test("notifications: a successful and a failed registration are announced, and the recovery of the failed one", async () => {
  await using sink = new EventSink();
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  await host.write("services/web", {
    host: "127.0.0.1",
    port: web.port,
    discovery: "file",
    checks: { interval: 0.2, http: { uri: "/health", rise: 1, fall: 1 } },
  });
  const secret = host.dir.file("slack-path");
  await Deno.writeTextFile(secret, "/services/T0/B0/secret\n");
  await host.write("notifiers/ops", {
    type: "slack",
    url: sink.url,
    path_file: secret,
    channel: "#docker",
    username: "etcdbot",
    icon: ":ghost:",
    events: ["registration.*", "service.down"],
    level: "info",
    group_wait: 0,
    group_interval: 0,
  });
  await using reporter = Lighthouse.start("reporter", host.configDir);
  const said = () => sink.posted.map(({ body }) => JSON.parse(body).text).join("\n");
  await eventually("the registration is announced", () => said().includes("registration.registered:"));
  assert.deepEqual(
    sink.posted.map(({ path, body }) => [path, JSON.parse(body).channel, JSON.parse(body).icon_emoji])[0],
    ["/services/T0/B0/secret", "#docker", ":ghost:"],
  );
  web.healthy = false;
  await eventually("the service is announced", () => /:warning: service\.down:.*service=web/.test(said()));
  web.healthy = true;
  await eventually("its end is announced", () => /:large_green_circle: service\.up:/.test(said()));
  assert.match(said(), /host=test\.host/);
  assert.doesNotMatch(reporter.log + said(), /T0\/B0\/secret/);
});

Deno.test("notifications: a server that is down delays nothing; events are queued and retried, and dropped ones are counted", async () => {
  await using sink = new EventSink();
  await using host = new TestHost();
  const status = new StatusClient();
  await host.configure();
  sink.status = 503;
  await host.write("notifiers/hook", {
    type: "webhook",
    url: `${sink.url}/events`,
    events: ["override.*", "config.*", "admin.*", "host.*", "process.*", "worker.*"],
    level: "info",
    group_wait: 0,
    group_interval: 0,
    queue: 1,
  });
  await using writer = Lighthouse.start("writer", host.configDir, status.flags);
  const failed = await writer.event("notifier.failed", { notifier: "hook" });
  assert.match(failed.reason ?? "", /got status 503 Service Unavailable: "not now", expected 200 to 299/);
  await host.write("lighthouse", { max_age: "8d" });
  await host.write("host", { zone: "a" });
  await writer.event("config.applied", {}, { times: 2 });
  sink.status = 200;
  await writer.event("notifier.delivered", { notifier: "hook" });
  await eventually("an event arrives", () => sink.events.length > 0);
  const metrics = await (await status.ask("/metrics")).text();
  assert.match(metrics, /lighthouse_notifications_total\{notifier="hook",result="failed"\} [1-9]/);
  assert.match(metrics, /lighthouse_notifications_total\{notifier="hook",result="delivered"\} [1-9]/);
  assert.match(metrics, /lighthouse_workers\{kind="notifier",state="serving"\} 1/);
});

Deno.test("notify test: sends one event, or reports why it cannot", async () => {
  await using sink = new EventSink();
  await using host = new TestHost();
  await host.configure();
  await host.write("notifiers/errors", { type: "sentry", dsn: sink.url.replace("://", "://0123abcd@") + "/7" });
  await host.write("notifiers/script", {
    type: "exec",
    command: "/bin/sh",
    args: ["-c", `cat > ${host.dir.file("got")}; echo wrong >&2; exit 3`],
  });
  const sent = await runCli(["notify", "test", host.configDir, "errors"]);
  assert.deepEqual([sent.code, sent.stdout], [0, "errors (sentry) delivered notifier.test\n"], sent.stderr);
  const [posted] = sink.posted;
  assert.equal(posted?.path, "/api/7/envelope/");
  assert.match(posted?.headers.get("x-sentry-auth") ?? "", /sentry_key=0123abcd$/);
  const [, , payload = ""] = posted?.body.split("\n") ?? [];
  assert.equal(JSON.parse(payload).tags.event, "notifier.test");
  const failed = await runCli(["notify", "test", host.configDir, "script"]);
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /script \(exec\) failed to deliver notifier\.test: .*exit status 3: "wrong", expected exit status 0/,
  );
  assert.match(await Deno.readTextFile(host.dir.file("got")), /"event":"notifier\.test"/);
  const unknown = await runCli(["notify", "test", host.configDir, "error"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /No valid notifiers\/error\.yaml: did you mean errors\?/);
});

Deno.test("notify test: exec returns when the program exits, whatever it left running", async () => {
  await using host = new TestHost();
  await host.configure();
  const pids = host.dir.file("pids");
  const script = (status: number) => ["-c", `sleep 300 & echo $! >> ${pids}; echo wrong >&2; exit ${status}`];
  await host.write("notifiers/good", { type: "exec", command: "/bin/sh", args: script(0) });
  await host.write("notifiers/bad", { type: "exec", command: "/bin/sh", args: script(3) });
  try {
    const good = await runCli(["notify", "test", host.configDir, "good"]);
    assert.deepEqual([good.code, good.stdout], [0, "good (exec) delivered notifier.test\n"], good.stderr);
    const bad = await runCli(["notify", "test", host.configDir, "bad"]);
    assert.match(
      bad.stderr,
      /bad \(exec\) failed to deliver notifier\.test: .*exit status 3: "wrong", expected exit status 0/,
    );
  } finally {
    for (const pid of (await Deno.readTextFile(pids)).trim().split("\n")) Deno.kill(Number(pid), "SIGKILL");
  }
});
