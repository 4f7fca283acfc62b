/**
 * The balancer `supervised`, with a stand-in for gor that records its arguments.
 *
 * @module
 */
import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { kill } from "../support/haproxy.ts";
import { Lighthouse } from "../support/lighthouse.ts";
import { OutputHost } from "../support/output_host.ts";
import { StatusClient } from "../support/status_client.ts";

/** Writes a stand-in that records its arguments and the signals that ask it to end, and keeps running. */
async function standIn(host: OutputHost, onSignal = "exit 0"): Promise<string> {
  const calls = host.dir.file("calls");
  return await host.script(
    "gor",
    `echo "$@" >> ${calls}
trap 'echo ended >> ${calls}; ${onSignal}' INT TERM
echo "listening with $#"
echo >> ${host.dir.file("ready")}
while :; do sleep 0.05; done`,
  );
}

async function prepare(host: OutputHost, more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  await host.prepare();
  await host.write("balancers/mirror", {
    type: "supervised",
    clusters: "all",
    // The system shows the program with its interpreter, so not as it was started.
    command: [
      await standIn(host),
      "--input-raw",
      ":8080",
      { each: "web", arguments: ["--output-tcp", "{address}|{share}%"] },
    ],
    pid_file: host.dir.file("gor.pid"),
    restart_interval: 0,
    ...more,
  });
}

/** The pid recorded by the writer. */
async function pidOf(host: OutputHost): Promise<number> {
  return Number((await host.read("gor.pid")).split("\n")[0]);
}

/** Whether a process runs: a zombie has no command line. */
async function runs(pid: number): Promise<boolean> {
  return (await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "")) !== "";
}

Deno.test("a supervised program is restarted when its command line changes, and ends by its signal", async () => {
  await using host = new OutputHost();
  await prepare(host, { signal: "SIGINT", ends_with_writer: true });
  await host.addNode("web", 8001, { weight: 3 });
  await using writer = Lighthouse.start("writer", host.configDir);
  const log = () => writer.log;
  await host.untilSays("calls", "--input-raw :8080 --output-tcp 127.0.0.1:8001|100%\n", log);
  await writer.event("balancer.child_output", { line: "listening with 4" });
  await host.addNode("web", 8002, { weight: 1 });
  await host.untilSays(
    "calls",
    "--input-raw :8080 --output-tcp 127.0.0.1:8001|100%\nended\n" +
      "--input-raw :8080 --output-tcp 127.0.0.1:8001|75% --output-tcp 127.0.0.1:8002|25%\n",
    log,
  );
  // The program writes its arguments before its pid is recorded.
  await writer.event("balancer.child", {}, { times: 2 });
  const pid = await pidOf(host);
  kill(pid);
  await eventually("a program that dies is started again", async () => {
    const now = await pidOf(host);
    return now !== pid && (await host.read("calls")).split("\n").length === 5;
  });
  await writer.event("balancer.child", {}, { times: 3 });
  const last = await pidOf(host);
  assert.equal(await writer.stop(), 0);
  await eventually("it ends with its writer", async () => (await host.read("calls")).endsWith("ended\n"));
  assert.equal(await runs(last), false);
});

Deno.test("a supervised program survives its writer, is found again, and is killed if it does not end in time", async () => {
  await using host = new OutputHost();
  const ignores = "true";
  await prepare(host, { grace: 2 });
  await standIn(host, ignores);
  await host.addNode("web", 8001);
  {
    await using writer = Lighthouse.start("writer", host.configDir);
    await host.untilSays("calls", "--input-raw :8080 --output-tcp 127.0.0.1:8001|100%\n", () => writer.log);
    await writer.event("balancer.child");
    // By then the program handles the signal.
    await eventually("it listens", async () => (await host.read("ready")) !== "");
  }
  const pid = await pidOf(host);
  try {
    await using writer = Lighthouse.start("writer", host.configDir);
    await writer.event("config.applied");
    await host.addNode("web", 8002);
    await eventually("another one runs", async () => (await host.read("calls")).includes("8002"));
    assert.equal(
      await host.read("calls"),
      "--input-raw :8080 --output-tcp 127.0.0.1:8001|100%\nended\n" +
        "--input-raw :8080 --output-tcp 127.0.0.1:8001|50% --output-tcp 127.0.0.1:8002|50%\n",
    );
    assert.equal(await runs(pid), false);
  } finally {
    kill(await pidOf(host));
  }
});

Deno.test("a supervised program is restarted no more often than its interval allows", async () => {
  await using host = new OutputHost();
  await prepare(host, { restart_interval: "3s", ends_with_writer: true });
  await host.addNode("web", 8001);
  await using writer = Lighthouse.start("writer", host.configDir);
  await eventually("it runs", async () => (await host.read("calls")).includes("8001"));
  for (const port of [8002, 8003, 8004]) await host.addNode("web", port);
  await eventually("it runs with all", async () => (await host.read("calls")).includes("8004"));
  assert.equal((await host.read("calls")).split("\n").filter((line) => line.startsWith("--")).length, 2, writer.log);
});

Deno.test("a supervised program of a writer that was killed is kept by the next writer, and ends with that one if it is to", async () => {
  await using host = new OutputHost();
  await prepare(host, { ends_with_writer: true, output: "none" });
  await host.addNode("web", 8001);
  {
    await using writer = Lighthouse.start("writer", host.configDir);
    await writer.event("balancer.child");
    writer.kill("SIGKILL");
  }
  const pid = await pidOf(host);
  assert.equal(await runs(pid), true);
  {
    await using writer = Lighthouse.start("writer", host.configDir);
    await writer.event("config.applied");
    await host.addNode("web", 8002);
    // It ends the program that it has found, and only then starts another.
    await writer.event("balancer.child");
    assert.equal(await runs(pid), false);
    // A member that joined in the last second is not among the last known good ones of the next writer.
    await eventually(
      "the members are saved",
      async () => (await host.read("gor.supervised.topology")).includes("8002"),
    );
    writer.kill("SIGKILL");
  }
  const next = await pidOf(host);
  assert.equal(await runs(next), true);
  {
    const client = new StatusClient();
    await using _writer = Lighthouse.start("writer", host.configDir, client.flags);
    await client.until("it has found the program", ({ balancers }) => balancers.mirror?.inForce === true);
  }
  assert.equal(await pidOf(host), next, "it was kept");
  await eventually("it has ended with its last writer", async () => !await runs(next));
});
