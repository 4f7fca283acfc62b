/** The shipped units under a real systemd: ready, status, watchdog, restart, stop. */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { NamedServer } from "../support/haproxy.ts";
import { TASK_ARGS, TestHost, WebService } from "../support/lighthouse.ts";
import { Systemd, WHY_NO_SYSTEMD } from "../support/systemd.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const MAIN = `${ROOT}src/main.ts`;
const { HOME = "/root", DENO_DIR = `${HOME}/.cache/deno`, PATH = "" } = Deno.env.toObject();
const COMMAND: readonly string[] = [Deno.execPath(), ...TASK_ARGS, MAIN];
const ENVIRONMENT: readonly string[] = [`HOME=${HOME}`, `DENO_DIR=${DENO_DIR}`, `PATH=${PATH}`];

type Shown = Readonly<Record<string, string>>;

/** The shipped unit of a role, under a systemd of the test. */
class Unit implements AsyncDisposable {
  readonly name: string;
  readonly systemd: Systemd;

  private constructor(name: string, systemd: Systemd) {
    [this.name, this.systemd] = [name, systemd];
  }

  /** Starts systemd with the unit, but not the unit itself. */
  static async load(role: "writer" | "reporter", host: TestHost, socket: string): Promise<Unit> {
    const name = `lighthouse-${role}.service`;
    // The program, the directories that it writes to and its user differ on the machine of a test.
    const dropIn = [
      "[Service]",
      "ExecStart=",
      `ExecStart=${COMMAND.join(" ")} ${role} ${host.configDir} --admin unix:${socket} --host test.host --ip 127.0.0.1`,
      `Environment=${ENVIRONMENT.join(" ")}`,
      "User=root",
      "Group=root",
      "ProtectHome=no",
      "ProtectSystem=no",
      "PrivateTmp=no",
      "WatchdogSec=4",
      "TimeoutAbortSec=1",
      // The result of the previous process is visible for so long.
      "RestartSec=5",
      "",
    ];
    const shipped = await Deno.readTextFile(`${ROOT}examples/systemd/${name}`);
    const systemd = await Systemd.start({ [name]: shipped, [`${name}.d/test.conf`]: dropIn.join("\n") });
    return new Unit(name, systemd);
  }

  /** Runs `systemctl start`, `restart` or `stop`; fails the test if it fails. */
  async run(verb: string): Promise<void> {
    const { code, stderr } = await this.systemd.systemctl(verb, this.name);
    assert.equal(code, 0, `${stderr}\n${this.systemd.log}`);
  }

  /** Waits until the unit's properties are as described; returns them. */
  async until(what: string, is: (shown: Shown) => boolean): Promise<Shown> {
    let last: Shown = {};
    return await eventually(what, async () => {
      last = await this.systemd.show(this.name);
      return is(last) && last;
    }, { deadlineMs: 90_000, everyMs: 100 }).catch((error) => {
      const { ActiveState, SubState, Result, StatusText, NRestarts } = last;
      const state = JSON.stringify({ ActiveState, SubState, Result, StatusText, NRestarts });
      throw new Error(`${error.message}: last seen ${state}\n${this.systemd.log}`);
    });
  }

  /** Stops the main loop, and waits until the watchdog has restarted the process. */
  async hang({ MainPID = "" }: Shown): Promise<Shown> {
    await this.systemd.run(["kill", "-STOP", MainPID]);
    await this.until("the watchdog has ended it", ({ Result }) => Result === "watchdog");
    return await this.until(
      "it is restarted by the watchdog",
      (shown) => shown.NRestarts === "1" && shown.ActiveState === "active" && shown.MainPID !== MainPID,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.systemd[Symbol.asyncDispose]();
  }
}

const isActive = ({ ActiveState }: Shown) => ActiveState === "active";
const skipped = WHY_NO_SYSTEMD === undefined ? "" : ` (skipped: ${WHY_NO_SYSTEMD})`;

Deno.test({
  name:
    `the writer's unit under systemd: ready, alive, restarted by the watchdog, stopped; HAProxy outlives each${skipped}`,
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
  await using unit = await Unit.load("writer", host, socket);

  // `systemctl start` of a unit of this type waits until the service reports that it is ready.
  await unit.run("start");
  const ready = await unit.until("it is ready", isActive);
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
    const { stdout, stderr } = await unit.systemd.run(["env", ...ENVIRONMENT, ...COMMAND, ...args]);
    assert.ok(stdout.startsWith("["), stderr);
    const found: readonly { readonly check: string; readonly text: string; readonly fix?: string }[] = JSON.parse(
      stdout,
    );
    return found.filter(({ check }) => check === "units").map(({ text, fix }) =>
      fix === undefined ? text : `${text} | ${fix}`
    );
  };
  const { name } = unit;
  assert.deepEqual(await units(), [`A restart of ${name} leaves HAProxy running`]);
  await unit.systemd.write(`${name}.d/wrong.conf`, "[Unit]\nStartLimitIntervalSec=10\n[Service]\nKillMode=mixed\n");
  assert.deepEqual(await units(), [
    `${name} has KillMode=mixed: a restart of the writer kills HAProxy | systemctl edit ${name}: [Service] KillMode=process`,
    `${name} has a start limit: after a few failed starts, systemd stops restarting the unit | systemctl edit ${name}: [Unit] StartLimitIntervalSec=0`,
  ]);
  await unit.systemd.write(`${name}.d/wrong.conf`, "");

  // Keepalives arrive: more than the watchdog's time passes without a restart.
  const alive = Number(ready.WatchdogTimestampMonotonic);
  const later = await unit.until(
    "it is alive after the watchdog's time",
    ({ WatchdogTimestampMonotonic }) => Number(WatchdogTimestampMonotonic) > alive + 5_000_000,
  );
  assert.deepEqual([later.NRestarts, later.MainPID], ["0", ready.MainPID]);

  const revived = await unit.hang(ready);
  assert.equal(await host.haproxy.pid(), haproxy, "HAProxy outlives the watchdog");

  await unit.run("restart");
  const again = await unit.until("it is ready again", isActive);
  assert.notEqual(again.MainPID, revived.MainPID);
  assert.equal(await host.haproxy.pid(), haproxy, "HAProxy outlives a restart");

  await unit.run("stop");
  const stopped = await unit.until("it has stopped", ({ ActiveState }) => ActiveState === "inactive");
  assert.deepEqual([stopped.Result, stopped.ExecMainStatus, stopped.StatusText], ["success", "0", "Stopping"]);
  assert.equal(await host.haproxy.pid(), haproxy, "HAProxy outlives the unit");
  await host.untilServing("web", [server.port]);
});

Deno.test({
  name:
    `the reporter's unit under systemd: ready, registered again after the watchdog, deregistered by a stop${skipped}`,
  ignore: WHY_NO_SYSTEMD !== undefined,
}, async () => {
  await using host = new TestHost();
  await using web = new WebService();
  await host.configure();
  await host.write("services/web", {
    host: "127.0.0.1",
    port: web.port,
    discovery: "file",
    checks: { interval: 0.5, http: { uri: "/health", rise: 1, fall: 1 } },
  });
  await using unit = await Unit.load("reporter", host, host.dir.file("admin.sock"));
  /** The session that the service is registered by. */
  const owner = async (): Promise<string | undefined> => {
    const file = `${host.registryDir}/web/test.host:${web.port}.json`;
    return await Deno.readTextFile(file).then((text) => JSON.parse(text).owner, () => undefined);
  };
  // A file alone may be that of the previous process.
  const untilOwned = (what: string, before?: string) =>
    eventually(what, async () => {
      const now = await owner();
      return now !== before && now;
    });

  await unit.run("start");
  const ready = await unit.until("it is ready", isActive);
  assert.deepEqual([ready.Type, ready.StatusText], ["notify", "0 clusters, 1 services"]);
  const first = await untilOwned("the service is registered");

  const revived = await unit.hang(ready);
  const second = await untilOwned("the service is registered again", first);

  await unit.run("restart");
  const again = await unit.until("it is ready again", isActive);
  assert.notEqual(again.MainPID, revived.MainPID);
  await untilOwned("the service is registered after a restart", second);

  await unit.run("stop");
  const stopped = await unit.until("it has stopped", ({ ActiveState }) => ActiveState === "inactive");
  assert.deepEqual([stopped.Result, stopped.ExecMainStatus], ["success", "0"]);
  assert.equal(await owner(), undefined, "a stop deregisters the service");
});
