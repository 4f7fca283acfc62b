/** `lighthouse status` and `lighthouse doctor`, of real processes. */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { freePort } from "../support/free_port.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { OperatorStage } from "../support/operator_stage.ts";

/** The findings of `doctor`. */
interface Found {
  readonly check: string;
  readonly level: string;
  readonly text: string;
  readonly fix?: string;
}

async function doctor(stage: OperatorStage): Promise<{ readonly code: number; readonly found: readonly Found[] }> {
  const { code, stdout, stderr } = await stage.run("doctor", "--json");
  assert.ok(stdout.startsWith("["), stderr);
  return { code, found: JSON.parse(stdout) };
}

Deno.test("status: prints the host on one screen, problems first, with an exit status for its health", async () => {
  await using stage = new OperatorStage(["a", "b"]);
  await stage.configure();
  const silent = await stage.run("status");
  assert.equal(silent.code, 2);
  assert.match(
    silent.stdout,
    /^This host: failing\n {2}failing {3}host +Cannot read the status from unix:\S+: no such socket\n/,
  );
  await stage.start();
  await stage.status.untilHealth("it is ok", ({ degraded }) => degraded === undefined);
  const fine = await stage.run("status");
  assert.equal(fine.code, 0, fine.stdout);
  assert.match(
    fine.stdout,
    /^test\.host \(127\.0\.0\.1\): ok\n\nwriter \S+, pid \d+, up \d+m?s, config \S+ \(0 errors/,
  );
  assert.match(fine.stdout, /ok {2}balancer {2}haproxy +in sync for /);
  assert.match(fine.stdout, /ok {2}cluster {3}web +2 nodes from static; current\n/);
  await stage.do("pause", "--for", "1h", "--reason", "upgrade", "--author", "ann");
  const degraded = await stage.run("status");
  assert.equal(degraded.code, 1);
  assert.match(degraded.stdout, /: degraded\n {2}degraded {2}writer +Management of balancer haproxy is paused by ann/);
  assert.match(degraded.stdout, /!! {2}balancer {2}haproxy +in sync for .*; paused by ann;/);
  const json = JSON.parse((await stage.run("status", "--json")).stdout);
  assert.deepEqual([json.level, json.problems.length, json.processes[0].status.role], ["degraded", 1, "writer"]);
  const plain = await runCli(["status", stage.host.configDir, "--admin", stage.status.address]);
  assert.match(plain.stdout, /paused by ann/, "an address of --status answers, too");
  const other = await runCli(["status", stage.host.dir.file("other"), "--admin", `unix:${stage.socket}`]);
  assert.equal(other.code, 2);
  assert.match(other.stdout, /config directory is \S+, not \S+other/);
});

Deno.test("doctor: finds nothing wrong with a healthy host, and lists what is fine", async () => {
  await using stage = new OperatorStage(["a"]);
  await stage.configure();
  await stage.host.write("lighthouse", { history_dir: stage.host.dir.file("history") });
  await stage.host.write("host", { name: "web01.example.org", ip: "127.0.0.1" });
  await stage.start();
  const { found } = await doctor(stage);
  assert.deepEqual(found.filter(({ level }) => level === "error"), []);
  const fine = (check: string) =>
    found.filter((each) => each.check === check && each.level === "ok").map(({ text }) => text);
  assert.match(fine("process")[0] ?? "", /^The writer, pid \d+, responds at unix:/);
  assert.match(fine("balancer haproxy").join("\n"), /Process \d+ responds at .*\n?/);
  assert.match(fine("balancer haproxy").join("\n"), /address(es are| is) free or in use by this balancer/);
  assert.match(fine("balancer haproxy").join("\n"), /Lock held by the writer, pid \d+/);
  assert.match(fine("registry static")[0] ?? "", /^Connected after \d+ms/);
  assert.match(fine("descriptors")[0] ?? "", /^writer, pid \d+: open file limit \d+ is sufficient for \d+ workers?$/);
});

Deno.test("doctor: names each problem with the command that fixes it", async () => {
  await using stage = new OperatorStage(["a"]);
  await stage.configure();
  using _holder = Deno.listen({ hostname: "0.0.0.0", port: stage.port });
  await stage.host.write("discovery/etcd", { endpoints: [`127.0.0.1:${freePort()}`] });
  await stage.host.write("clusters/bad", "discovery: [");
  await stage.host.write("host", { name: "localhost" });
  const { code, found } = await doctor(stage);
  assert.equal(code, 2);
  const wrong = (check: string) =>
    found.filter((each) => each.check === check && each.level !== "ok").map(({ text, fix }) => `${text} | ${fix}`).join(
      "\n",
    );
  assert.match(
    wrong("config"),
    new RegExp(`errors? and \\d+ warnings? in \\S+ \\| lighthouse check ${stage.host.configDir}`),
  );
  assert.match(wrong("process"), /: no such socket \| systemctl status lighthouse-writer/);
  assert.match(
    wrong("registry etcd"),
    /^Cannot connect with the credentials in discovery\/etcd\.yaml: .* \| check the addresses/,
  );
  assert.match(
    wrong("balancer haproxy"),
    new RegExp(
      `Cannot bind 127\\.0\\.0\\.1:${stage.port}: address already in use \\(held by deno, pid ${Deno.pid}\\) \\| kill ${Deno.pid}`,
    ),
  );
  assert.match(wrong("history"), /No history in \S+ \| set history_dir/);
  for (const { level, fix } of found) assert.ok(level === "ok" || fix !== undefined, "each finding has a fix");
});

Deno.test("doctor: finds a second writer by its lock", async () => {
  await using stage = new OperatorStage(["a"]);
  await stage.configure();
  await stage.start();
  const other = Lighthouse.start("writer", stage.host.configDir, [
    "--admin",
    `unix:${stage.host.dir.file("other.sock")}`,
  ]);
  await using _other = other;
  await other.event("writer.standby");
  const asked = await runCli([
    "doctor",
    stage.host.configDir,
    "--json",
    "--admin",
    `unix:${stage.host.dir.file("other.sock")}`,
  ]);
  const found: readonly Found[] = JSON.parse(asked.stdout);
  const { text, fix } = found.find((each) => /Another writer/.test(each.text)) ?? assert.fail(asked.stdout);
  assert.match(text, new RegExp(`^Another writer holds the lock \\S+\\.lock: pid ${stage.writer?.pid} \\(.*\\)$`));
  assert.equal(fix, `stop one of the two writers: kill ${stage.writer?.pid}`);
});
