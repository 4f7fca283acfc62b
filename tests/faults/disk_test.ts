import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { assertUnnoticed, FaultStage } from "../support/fault_stage.ts";
import { Mount, WHY_NO_MOUNT } from "../support/mount.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

/** Filling a disk needs root. */
const noMount = WHY_NO_MOUNT !== undefined;
// deno-lint-ignore no-console -- a skipped test says why
if (noMount) console.log(`faults: the test with a full disk is skipped: ${WHY_NO_MOUNT}`);

/** The size of the disk that fills up. */
const DISK_BYTES = 512 * 1024;

/** Drops the capabilities with which root bypasses permissions. */
const WITHOUT_PASSING_OVER = Deno.uid() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : [];

/** Fills a disk completely. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const block = new Uint8Array(4_096);
  try {
    for (;;) await file.write(block);
  } catch (error) {
    assert.match(String(error), /No space left/);
  }
}

/** Waits until HAProxy's file names a port, or no longer does. */
async function untilFile({ host }: FaultStage, has: boolean, what: string): Promise<void> {
  await eventually(`the file has ${has ? "" : "no "}${what}`, async () => {
    return (await Deno.readTextFile(host.haproxy.configFile)).includes(what) === has;
  });
}

Deno.test(
  "the disk of HAProxy's file is full and the writer restarts: no request fails, members join and leave, and the file is updated once space is available",
  {
    ignore: noMount,
  },
  async (t) => {
    await using stage = await FaultStage.set({
      prepare: (host) => Mount.disk(host.haproxy.path("."), { bytes: DISK_BYTES }),
    });
    const ballast = stage.host.haproxy.path("ballast");
    const gone = `:${stage.ports[0]} `;
    const aftermath = await stage.during(async () => {
      await untilFile(stage, true, gone);
      await fill(ballast);
      stage.services[0]!.healthy = false;
      await stage.host.untilServing("web", stage.ports.slice(1));
      await stage.writer.event("balancer.file_behind", { reason: /No space left/ });
      await untilFile(stage, true, gone);
      await stage.replace("writer", "SIGKILL", async () => {
        // The next writer has no room for the pid in its lock files.
        for (const file of ["configFile", "socketFile"] as const) await Deno.remove(`${stage.host.haproxy[file]}.lock`);
        await fill(`${ballast}.more`);
      });
      stage.services[1]!.healthy = false;
      await stage.host.untilServing("web", stage.ports.slice(2));
      assert.equal(stage.writer.count("balancer.drift", { found: /the file/ }), 0, stage.writer.log);
      stage.services[1]!.healthy = true;
      for (const path of [ballast, `${ballast}.more`]) await Deno.remove(path);
    }, () => untilFile(stage, false, gone));
    assertUnnoticed(t, aftermath);
  },
);

Deno.test("the config directory is moved away and back: no request fails, and later edits apply", async (t) => {
  await using stage = await FaultStage.set();
  const { configDir } = stage.host;
  const aftermath = await stage.during(async () => {
    await Deno.rename(configDir, `${configDir}.away`);
    await stage.writer.event("config.suspect", { msg: /no such directory/ });
    await Deno.rename(`${configDir}.away`, configDir);
    await stage.host.write("clusters/late", { discovery: "file", haproxy: {} });
  }, async () => {
    await eventually("the new cluster is there", async () => {
      const [backends = ""] = await stage.host.haproxy.ask("show backend");
      return backends.includes("late");
    });
    await stage.host.untilServing("web", stage.ports);
  });
  assertUnnoticed(t, aftermath);
});

Deno.test("permissions are wrong: no request fails, unreadable config keeps its last good value, and the unwritable file is updated later", async (t) => {
  await using stage = await FaultStage.set({ within: WITHOUT_PASSING_OVER });
  const { host } = stage;
  const cluster = `${host.configDir}/clusters/web.yaml`;
  const dir = host.haproxy.path(".");
  const gone = `:${stage.ports[0]} `;
  const aftermath = await stage.during(async () => {
    await untilFile(stage, true, gone);
    await Deno.chmod(cluster, 0);
    await stage.writer.event("config.invalid", { file: /clusters\/web\.yaml$/, msg: /denied|read/i });
    // A file that cannot be replaced is written in place, so its own mode is changed as well.
    await Deno.chmod(host.haproxy.configFile, 0o400);
    await Deno.chmod(dir, 0o500);
    stage.services[0]!.healthy = false;
    await host.untilServing("web", stage.ports.slice(1));
    await stage.writer.event("balancer.file_behind", { reason: /denied/ });
    await Deno.chmod(dir, 0o700);
    await Deno.chmod(host.haproxy.configFile, 0o640);
    await Deno.chmod(cluster, 0o644);
  }, () => untilFile(stage, false, gone));
  assertUnnoticed(t, aftermath);
});

Deno.test("the clock jumps an hour ahead, then two hours back: no request fails, and members join and leave", async (t) => {
  await using dir = new TempDir();
  await using zookeeper = await ZooKeeper.start();
  const clock = await dir.write("clock", "+0\n");
  const library = (await Array.fromAsync(Deno.readDir("/usr/lib")))
    .map(({ name }) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`).find((path) => exists(path));
  assert(library !== undefined, "libfaketime is not installed");
  const within = [
    "env",
    `LD_PRELOAD=${library}`,
    `FAKETIME_TIMESTAMP_FILE=${clock}`,
    "FAKETIME_NO_CACHE=1",
    // Only the wall clock jumps; the monotonic clock, which measures waits, never does.
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
  ];
  await using stage = await FaultStage.set({
    zookeeper: { hosts: [zookeeper.address], session_timeout: 4 },
    within,
  });
  const others = stage.ports.slice(1);
  const aftermath = await stage.during(async () => {
    for (const jump of ["+3600", "-3600"]) {
      await Deno.writeTextFile(clock, `${jump}\n`);
      stage.services[0]!.healthy = false;
      await stage.host.untilServing("web", others);
      stage.services[0]!.healthy = true;
      await stage.host.untilServing("web", stage.ports);
    }
  });
  const hours = new Set([...stage.writer.log.matchAll(/^time=\S+T([0-9]{2}):/gm)].map(([, hour]) => hour));
  assert.ok(hours.size >= 3, `the log knows the hours ${[...hours]}`);
  assertUnnoticed(t, aftermath);
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
