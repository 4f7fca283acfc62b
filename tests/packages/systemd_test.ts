/** The shipped unit of the writer under a real systemd: ready, status, watchdog, restart, stop. */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { NamedServer } from "../support/haproxy.ts";
import { TASK_ARGS, TestHost } from "../support/lighthouse.ts";
import { Systemd, WHY_NO_SYSTEMD } from "../support/systemd.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const MAIN = `${ROOT}src/main.ts`;
const UNIT = "lighthouse-writer.service";
const { HOME = "/root", DENO_DIR = `${HOME}/.cache/deno`, PATH = "" } = Deno.env.toObject();
const ENVIRONMENT: readonly string[] = [`HOME=${HOME}`, `DENO_DIR=${DENO_DIR}`, `PATH=${PATH}`];

/** What of the unit is another on the machine of a test: the program, where it may write, and who it is. */
function dropIn(host: TestHost, socket: string): string {
  const command = [Deno.execPath(), ...TASK_ARGS, MAIN, "writer", host.configDir];
  return [
    "[Service]",
    "ExecStart=",
    `ExecStart=${command.join(" ")} --admin unix:${socket} --host test.host --ip 127.0.0.1`,
    `Environment=${ENVIRONMENT.join(" ")}`,
    "User=root",
    "Group=root",
    "ProtectHome=no",
    "ProtectSystem=no",
    "PrivateTmp=no",
    "WatchdogSec=4",
    "TimeoutAbortSec=1",
    // So long is it shown why it ended.
    "RestartSec=5",
    "",
  ].join("\n");
}

Deno.test({
  name: `the writer's unit under systemd: ready, alive, restarted by the watchdog, stopped; HAProxy outlives each${
    WHY_NO_SYSTEMD === undefined ? "" : ` (skipped: ${WHY_NO_SYSTEMD})`
  }`,
  ignore: WHY_NO_SYSTEMD !== undefined,
}, async () => {
  await setUp(["haproxy"]);
  await using host = new TestHost();
  await using server = new NamedServer("a");
  const port = freePort();
  await host.configure();
  await host.write("discovery/static", {});
  await host.write("clusters/web", {
    discovery: "static",
    static: { nodes: [{ host: server.node.host, address: server.node.ip, port: server.port }] },
    haproxy: { port, backend: ["mode http", "timeout connect 5s", "timeout server 60s"] },
  });
  const socket = host.dir.file("admin.sock");
  const shipped = await Deno.readTextFile(`${ROOT}examples/systemd/${UNIT}`);
  await using systemd = await Systemd.start({
    [UNIT]: shipped,
    [`${UNIT}.d/test.conf`]: dropIn(host, socket),
  });
  const seen = async (what: string, is: (unit: Readonly<Record<string, string>>) => boolean) => {
    let last: Readonly<Record<string, string>> = {};
    return await eventually(what, async () => {
      last = await systemd.show(UNIT);
      return is(last) && last;
    }, { deadlineMs: 90_000, everyMs: 100 }).catch((error) => {
      const { ActiveState, SubState, Result, StatusText, NRestarts } = last;
      const state = JSON.stringify({ ActiveState, SubState, Result, StatusText, NRestarts });
      throw new Error(`${error.message}: last seen ${state}\n${systemd.log}`);
    });
  };

  // `systemctl start` of a unit of this type waits until the service says that it is ready.
  const started = await systemd.systemctl("start", UNIT);
  assert.equal(started.code, 0, `${started.stderr}\n${systemd.log}`);
  const ready = await seen("it is ready", ({ ActiveState }) => ActiveState === "active");
  assert.deepEqual(
    [
      ready.Type,
      ready.NotifyAccess,
      ready.KillMode,
      ready.WatchdogUSec,
      ready.StartLimitIntervalUSec,
      ready.StatusText,
    ],
    ["notify", "main", "process", "4s", "0", "1 clusters, 0 services"],
  );
  await host.untilServing("web", [server.port]);
  const haproxy = await host.haproxy.pid();

  const units = async () => {
    const args = ["doctor", host.configDir, "--json", "--admin", `unix:${socket}`];
    const { stdout, stderr } = await systemd.run(["env", ...ENVIRONMENT, Deno.execPath(), ...TASK_ARGS, MAIN, ...args]);
    assert.ok(stdout.startsWith("["), stderr);
    const found: readonly { readonly check: string; readonly text: string; readonly fix?: string }[] = JSON.parse(
      stdout,
    );
    return found.filter(({ check }) => check === "units").map(({ text, fix }) =>
      fix === undefined ? text : `${text} | ${fix}`
    );
  };
  assert.deepEqual(await units(), [`${UNIT} leaves HAProxy running`]);
  await systemd.write(`${UNIT}.d/wrong.conf`, "[Unit]\nStartLimitIntervalSec=10\n[Service]\nKillMode=mixed\n");
  assert.deepEqual(await units(), [
    `${UNIT} has KillMode=mixed: a restart of the writer kills HAProxy | systemctl edit ${UNIT}: [Service] KillMode=process`,
    `${UNIT} has a start limit: after a few failed starts, systemd stops restarting it | systemctl edit ${UNIT}: [Unit] StartLimitIntervalSec=0`,
  ]);
  await systemd.write(`${UNIT}.d/wrong.conf`, "");

  // Signs of life come: more than one watchdog's time passes without a restart.
  const alive = Number(ready.WatchdogTimestampMonotonic);
  const later = await seen(
    "it is alive after the watchdog's time",
    ({ WatchdogTimestampMonotonic }) => Number(WatchdogTimestampMonotonic) > alive + 5_000_000,
  );
  assert.deepEqual([later.NRestarts, later.MainPID], ["0", ready.MainPID]);

  // A main loop that stands still is restarted.
  await systemd.run(["kill", "-STOP", ready.MainPID ?? ""]);
  await seen("the watchdog has ended it", ({ Result }) => Result === "watchdog");
  const revived = await seen(
    "it is restarted by the watchdog",
    ({ NRestarts, ActiveState, MainPID }) => NRestarts === "1" && ActiveState === "active" && MainPID !== ready.MainPID,
  );
  assert.equal(await host.haproxy.pid(), haproxy, "HAProxy outlives the watchdog");

  const restarted = await systemd.systemctl("restart", UNIT);
  assert.equal(restarted.code, 0, restarted.stderr);
  const again = await seen("it is ready again", ({ ActiveState }) => ActiveState === "active");
  assert.notEqual(again.MainPID, revived.MainPID);
  assert.equal(await host.haproxy.pid(), haproxy, "HAProxy outlives a restart");

  assert.equal((await systemd.systemctl("stop", UNIT)).code, 0);
  const stopped = await seen("it has stopped", ({ ActiveState }) => ActiveState === "inactive");
  assert.deepEqual([stopped.Result, stopped.ExecMainStatus, stopped.StatusText], ["success", "0", "Stopping"]);
  assert.equal(await host.haproxy.pid(), haproxy, "HAProxy outlives the unit");
  await host.untilServing("web", [server.port]);
});
