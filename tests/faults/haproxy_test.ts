import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertHealed, assertUnnoticed, FaultStage } from "../support/fault_stage.ts";
import { kill } from "../support/haproxy.ts";
import { HaproxyUnit } from "../support/haproxy_unit.ts";
import { ANNOUNCED } from "../support/lighthouse.ts";
import { Mount, WHY_NO_MOUNT } from "../support/mount.ts";
import { StatusClient } from "../support/status_client.ts";

/** Builds the stage around a HAProxy that a service manager runs. */
async function withUnit(): Promise<{ stage: FaultStage; unit: HaproxyUnit } & AsyncDisposable> {
  let unit: HaproxyUnit | undefined;
  const stage = await FaultStage.set({
    prepare: async (host) => {
      unit = await HaproxyUnit.start(host.haproxy);
    },
  }).catch(async (error) => {
    await unit?.[Symbol.asyncDispose]();
    throw error;
  });
  assert(unit !== undefined);
  const ended = unit;
  await fileHas(stage, stage.ports);
  return {
    stage,
    unit,
    async [Symbol.asyncDispose]() {
      // The manager first: it would restart what the stage stops.
      await ended[Symbol.asyncDispose]();
      await stage[Symbol.asyncDispose]();
    },
  };
}

/** Waits until a process other than these serves all members, with no other process beside it. */
async function untilReplaced(
  { host, ports, writer }: FaultStage,
  { pid, processes = 1 }: { readonly pid: number; readonly processes?: number },
): Promise<void> {
  await eventually("another process answers", async () => await host.haproxy.pid() !== pid);
  await host.untilServing("web", ports);
  await eventually(`${processes} HAProxy processes run`, () => host.haproxy.processes().length === processes)
    .catch((error) => {
      throw new Error(`${error.message}: ${host.haproxy.processes()}\n${writer.log}`);
    });
}

/** Waits until HAProxy's file has exactly these members, a second after HAProxy has; returns its text. */
function fileHas({ host }: FaultStage, ports: readonly number[]): Promise<string> {
  const wanted = ports.map((port) => `server ${ANNOUNCED.host}:${port} `).toSorted();
  return eventually("the file has the members", async () => {
    const text = await Deno.readTextFile(host.haproxy.configFile);
    assert.deepEqual(text.match(/server test\.host:[0-9]+ /g)?.toSorted(), wanted);
    return text;
  });
}

/** HAProxy's name of a server. */
function server(port: number | undefined): string {
  return `web/${ANNOUNCED.host}:${port}`;
}

Deno.test("HAProxy is killed: connections are refused while no process listens, then one process serves all members again", async (t) => {
  await using stage = await FaultStage.set();
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(() => Promise.resolve(kill(pid)), () => untilReplaced(stage, { pid }));
  await stage.writer.event("balancer.restarted", { reason: /^no process responds on/ });
  // Nobody listens on the port, so no request can be answered until HAProxy is back.
  assertHealed(t, aftermath);
});

Deno.test("HAProxy is paused and resumed: no request fails, and changes made meanwhile are applied", async (t) => {
  await using stage = await FaultStage.set();
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(async () => {
    kill(pid, "SIGSTOP");
    stage.services[0]!.healthy = false;
    await stage.reporter.event("registration.deregistered");
    const since = performance.now();
    await eventually("it has been paused for a while", () => performance.now() - since > 2_000);
    kill(pid, "SIGCONT");
  }, () => stage.host.untilServing("web", stage.ports.slice(1)));
  assert.equal(await stage.host.haproxy.pid(), pid);
  assertUnnoticed(t, aftermath);
});

Deno.test("the worker of a master is killed: the service manager and the writer end up with one HAProxy", async (t) => {
  await using held = await withUnit();
  const { stage } = held;
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(
    () => Promise.resolve(kill(pid)),
    () => untilReplaced(stage, { pid, processes: 2 }),
  );
  // The master exits with its worker, so nobody listens until the service manager has started both.
  assertHealed(t, aftermath);
});

Deno.test("the master is killed: the service manager and the writer end up with one HAProxy", async (t) => {
  await using held = await withUnit();
  const { stage, unit } = held;
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(
    () => Promise.resolve(kill(unit.masterPid)),
    () => untilReplaced(stage, { pid, processes: 2 }),
  );
  // A worker exits with its master, so nobody listens until the service manager has started both.
  assertHealed(t, aftermath);
});

Deno.test("the service manager restarts HAProxy: all members serve from the first request", async (t) => {
  await using held = await withUnit();
  const { stage, unit } = held;
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(
    () => Promise.resolve(unit.restart()),
    () => untilReplaced(stage, { pid, processes: 2 }),
  );
  // Between the two processes nobody listens; every answer is a 200.
  assert.deepEqual(aftermath.reasons.filter((reason) => reason.includes("503")), []);
  assertHealed(t, aftermath);
});

Deno.test("the master is paused while a cluster is added: no request fails, and the cluster is served once the master resumes", async (t) => {
  await using held = await withUnit();
  const { stage, unit } = held;
  const aftermath = await stage.during(async () => {
    kill(unit.masterPid, "SIGSTOP");
    await stage.host.write("clusters/late", { discovery: "file", haproxy: {} });
    const since = performance.now();
    await eventually("it has been paused for a while", () => performance.now() - since > 2_000);
    kill(unit.masterPid, "SIGCONT");
  }, async () => {
    await eventually("the new cluster is served", async () => {
      const [backends = ""] = await stage.host.haproxy.ask("show backend");
      return backends.includes("late");
    });
    await stage.host.untilServing("web", stage.ports);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("somebody else reloads HAProxy from the file: no request fails, and all members serve at once", async (t) => {
  await using stage = await FaultStage.set();
  const { haproxy } = stage.host;
  const pid = await haproxy.pid();
  const aftermath = await stage.during(async () => {
    await fileHas(stage, stage.ports);
    const from = ["-D", "-f", haproxy.configFile, "-p", haproxy.pidFile, "-L", ANNOUNCED.host];
    await haproxy.run(...from, "-x", haproxy.socketFile, "-sf", String(pid));
    assert.deepEqual(await stage.host.serving("web"), stage.ports.toSorted());
  }, () => untilReplaced(stage, { pid }));
  await stage.writer.event("balancer.replaced");
  assertUnnoticed(t, aftermath);
});

Deno.test("another process starts a second HAProxy: no request fails, and the first exits", async (t) => {
  await using stage = await FaultStage.set();
  const { haproxy } = stage.host;
  await fileHas(stage, stage.ports);
  const pid = await haproxy.pid();
  const aftermath = await stage.during(async () => {
    await haproxy.run("-D", "-f", haproxy.configFile, "-p", haproxy.pidFile, "-L", ANNOUNCED.host);
  }, () => untilReplaced(stage, { pid }));
  await stage.writer.event("balancer.dismissed", { pid });
  assertUnnoticed(t, aftermath);
});

Deno.test("the socket is deleted: no request fails, and one process with a socket takes over", async (t) => {
  await using stage = await FaultStage.set();
  const pid = await stage.host.haproxy.pid();
  const aftermath = await stage.during(
    () => Deno.remove(stage.host.haproxy.socketFile),
    () => untilReplaced(stage, { pid }),
  );
  await stage.writer.event("balancer.restarted", {
    reason: /^no process responds on .*; replacing orphan processes/,
  });
  assertUnnoticed(t, aftermath);
});

Deno.test.each([
  { what: "deleted", harm: (path: string) => Deno.remove(path) },
  { what: "edited", harm: (path: string) => Deno.writeTextFile(path, "# by hand\n", { append: true }) },
  { what: "emptied", harm: (path: string) => Deno.truncate(path) },
])("the config file is $what: no request fails, and it is restored without a reload", async ({ harm, what }) => {
  await using stage = await FaultStage.set();
  const { haproxy } = stage.host;
  const pid = await haproxy.pid();
  const good = await fileHas(stage, stage.ports);
  const aftermath = await stage.during(async () => {
    // Damage done before the writer has seen everything in sync is repaired without a record.
    await eventually("the drift is logged", async () => {
      await harm(haproxy.configFile);
      await eventually("the file is restored", async () => await Deno.readTextFile(haproxy.configFile) === good);
      return stage.writer.count("balancer.drift", { found: /file .* (?:removed|changed)$/ }) > 0;
    });
  });
  assert.equal(await haproxy.pid(), pid);
  assertUnnoticed({ name: `the config file is ${what}` }, aftermath);
});

const readOnly =
  "a config file that cannot be replaced is logged, members join and leave, and it is written once it can be";
Deno.test(readOnly, { ignore: WHY_NO_MOUNT !== undefined }, async (t) => {
  await using stage = await FaultStage.set();
  const { haproxy } = stage.host;
  // Before the members are in the file, a write would be due anyway, with nothing left to write once the node is gone.
  await fileHas(stage, stage.ports);
  await using mount = await Mount.readOnly(haproxy.configFile);
  const aftermath = await stage.during(async () => {
    stage.services[0]!.healthy = false;
    await stage.host.untilServing("web", stage.ports.slice(1));
    await stage.writer.event("balancer.file_behind", { reason: /^Cannot install the file / });
  }, async () => {
    await mount.undo();
    await fileHas(stage, stage.ports.slice(1));
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("changes by hand over the socket are reverted, and the drift is logged", async (t) => {
  const client = new StatusClient();
  await using stage = await FaultStage.set({ instances: 4, status: client });
  const [maint, deleted, weighed, moved] = stage.ports.map(server);
  const { haproxy } = stage.host;
  const pid = await haproxy.pid();
  const state = async () => {
    const [servers = ""] = await haproxy.ask("show servers state web");
    return servers.split("\n").map((row) => row.split(" ")).filter(([, backend]) => backend === "web")
      .map((columns) => `${columns[3]} ${columns[4]}:${columns[18]} ${columns[6]} ${columns[7]}`).toSorted();
  };
  await fileHas(stage, stage.ports);
  // A HAProxy that was just started serves all members before the writer has polled it: a change before that
  // poll is reverted without a record, as the writer cannot know that its own start did not cause it.
  await client.until(
    "the writer has seen everything in sync",
    ({ balancers }) => balancers["haproxy"]?.inForce === true,
  );
  const before = await state();
  const aftermath = await stage.during(async () => {
    await haproxy.ask(
      `set server ${maint} state maint`,
      `set server ${deleted} state maint`,
      `set server ${weighed} weight 0`,
      `set server ${moved} addr 127.0.0.1 port ${stage.ports[1]}`,
    );
    await eventually("it can be deleted", async () => {
      const [answer] = await haproxy.ask(`del server ${deleted}`);
      return /deleted|No such server/.test(answer ?? "");
    });
  }, async () => {
    await eventually("everything is restored", async () => {
      assert.deepEqual(await state(), before);
      return true;
    });
  });
  assert.equal(await haproxy.pid(), pid);
  await stage.writer.event("balancer.drift", { found: / is in maintenance/ });
  assertUnnoticed(t, aftermath);
});
