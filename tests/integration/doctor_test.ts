/** What `lighthouse doctor` finds before it goes wrong, of real processes. */
import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { TestStore } from "../store/stage.ts";
import { type CliResult, runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { Lighthouse, TestHost } from "../support/lighthouse.ts";
import { OperatorStage } from "../support/operator_stage.ts";
import { TempDir } from "../support/temp_dir.ts";

/** What the finding of a check says, and how to fix it. */
function findingsOf({ stdout, stderr }: CliResult, check: string): readonly string[] {
  assert.ok(stdout.startsWith("["), stderr);
  const found: readonly {
    readonly check: string;
    readonly level: string;
    readonly text: string;
    readonly fix?: string;
  }[] = JSON.parse(stdout);
  return found.filter((each) => each.check === check).map(({ level, text, fix }) =>
    [level, text, ...fix === undefined ? [] : [fix]].join(" | ")
  );
}

/** Runs a program that has to succeed. */
async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
  const decoder = new TextDecoder();
  assert.ok(success, `${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Takes root's right to raise its own limits from a program. */
const LIMITED = ["setpriv", "--bounding-set=-sys_resource"] as const;

Deno.test("doctor: finds a registry whose clock differs", async () => {
  await setUp(["faketime"]);
  const library = (await Array.fromAsync(Deno.readDir("/usr/lib"), ({ name }) => name))
    .map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`).find((path) => {
      try {
        return Deno.statSync(path).isFile;
      } catch {
        return false;
      }
    });
  assert.ok(library !== undefined, "libfaketime is not there");
  await using store = await TestStore.start({}, {});
  await using host = new TestHost();
  await host.configure();
  await host.write("discovery/lighthouse", { hosts: [store.url.replace("http://", "")], path: "/services" });
  const doctor = async (variables: Readonly<Record<string, string>>) =>
    findingsOf(await runCli(["doctor", host.configDir, "--json"], { variables }), "registry lighthouse");
  const [fine, ...more] = await doctor({});
  assert.match(fine ?? "", /^ok \| Connected after /);
  assert.deepEqual(more, []);
  const late = await doctor({ LD_PRELOAD: library, FAKETIME: "-3600", FAKETIME_DONT_FAKE_MONOTONIC: "1" });
  assert.match(
    late.join("\n"),
    /^warning \| The registry's clock is 3[56][0-9]{2}s ahead of this host's clock \| compare both clocks with date -u/m,
  );
  const early = await doctor({ LD_PRELOAD: library, FAKETIME: "+3600", FAKETIME_DONT_FAKE_MONOTONIC: "1" });
  assert.match(
    early.join("\n"),
    /^warning \| The registry's clock is (?:36|35)[0-9]{2}s behind this host's clock \| /m,
  );
});

Deno.test("doctor: says whether the clock of the host is synchronized, as timedatectl or chronyc print it", async () => {
  await using host = new TestHost();
  await host.configure();
  await using programs = new TempDir();
  const clock = async (answers: Readonly<Record<string, string>>) => {
    await Deno.remove(programs.file("bin"), { recursive: true }).catch(() => {});
    for (const name of ["timedatectl", "chronyc"]) {
      const path = await programs.write(`bin/${name}`, `#!/bin/sh\necho '${answers[name] ?? ""}'\n`);
      await Deno.chmod(path, 0o755);
    }
    const variables = { PATH: `${programs.file("bin")}:${Deno.env.get("PATH")}` };
    return findingsOf(await runCli(["doctor", host.configDir, "--json"], { variables }), "clock");
  };
  const tracking = (seconds: string) => `Stratum         : 3\nSystem time     : ${seconds} seconds slow of NTP time\n`;
  assert.deepEqual(await clock({ timedatectl: "yes" }), ["ok | The clock is synchronized"]);
  assert.deepEqual(await clock({ timedatectl: "no" }), [
    "warning | The clock is not synchronized; leases and certificates require accurate time | timedatectl set-ntp true",
  ]);
  assert.deepEqual(await clock({ chronyc: tracking("0.000012") }), ["ok | The clock is off by 0.000012s"]);
  assert.deepEqual(await clock({ chronyc: tracking("7.25") }), [
    "warning | The clock is off by 7.25s | chronyc makestep",
  ]);
});

Deno.test("doctor: finds an orphan process of HAProxy, and the command that ends it softly", async () => {
  await using stage = new OperatorStage(["a"]);
  await stage.configure();
  await stage.start();
  const { haproxy, configDir } = stage.host;
  const orphan = await haproxy.pid();
  await stage.writer?.stop();
  // A second one from the same file takes the socket: nobody reaches the first one any more.
  await haproxy.run("-D", "-f", haproxy.configFile);
  await eventually("the second one answers", async () => await haproxy.pid() !== orphan);
  const found = findingsOf(await runCli(["doctor", configDir, "--json"]), "balancer haproxy");
  assert.ok(
    found.includes(`warning | Orphan processes of ${haproxy.configFile}: ${orphan} | kill -USR1 ${orphan}`),
    found.join("\n"),
  );
});

Deno.test({
  name: "doctor: finds too few descriptors, for HAProxy's maxconn and for the workers of a process",
  ignore: Deno.uid() !== 0,
}, async () => {
  await using stage = new OperatorStage(["a"]);
  await stage.configure();
  await stage.host.write("balancers/haproxy", { ...stage.host.haproxy.file, global: ["maxconn 2000"] });
  const admin = `unix:${stage.host.dir.file("limited.sock")}`;
  await using writer = Lighthouse.start("writer", stage.host.configDir, ["--admin", admin], { within: LIMITED });
  await writer.event("admin.listening");
  await stage.host.untilServing("web", stage.ports);
  const doctor = async (check: string) =>
    findingsOf(await runCli(["doctor", stage.host.configDir, "--json", "--admin", admin]), check);
  const haproxy = await stage.host.haproxy.pid();
  assert.match(
    (await doctor("descriptors")).join("\n"),
    new RegExp(`^ok \\| writer, pid ${writer.pid}: open file limit `),
  );
  await run("prlimit", "--pid", String(haproxy), "--nofile=1000:1000");
  await run("prlimit", "--pid", String(writer.pid), "--nofile=100:100");
  assert.ok(
    (await doctor("balancer haproxy")).includes(
      "error | HAProxy's open file limit 1000 is too low; maxconn 2000 requires more than 4000 | " +
        "set LimitNOFILE in the writer's unit to more than twice maxconn",
    ),
  );
  assert.match(
    (await doctor("descriptors")).join("\n"),
    new RegExp(
      `^error \\| writer, pid ${writer.pid}: open file limit 100 is too low; 1[0-9]{2} required for [0-9]+ workers? \\| set LimitNOFILE=65536 in the unit`,
    ),
  );
});

Deno.test("doctor: finds a feature of HAProxy that the config needs and the program lacks", async () => {
  await using host = new TestHost();
  await using programs = new TempDir();
  const real = (await run("sh", "-c", "command -v haproxy")).trim();
  // The real program, but for what it says that it was built with.
  const program = await programs.write(
    "haproxy",
    `#!/bin/sh\n[ "$1" = -vv ] && { ${real} -vv | sed "s/+LUA/-LUA/; s/USE_LUA=1//"; exit; }\nexec ${real} "$@"\n`,
  );
  await Deno.chmod(program, 0o755);
  const found = async (keys: Record<string, unknown>) => {
    await host.configure(keys);
    const all = findingsOf(await runCli(["doctor", host.configDir, "--json"]), "balancer haproxy");
    return all.filter((text) => text.includes("was built without"));
  };
  const lua = { global: ["lua-load /etc/haproxy/x.lua"] };
  assert.deepEqual(await found({ program }), []);
  assert.deepEqual(await found({ program, ...lua }), [
    `error | The config uses lua-load, but ${program} was built without LUA | ` +
    "install an HAProxy package with this feature; haproxy -vv lists features",
  ]);
  assert.deepEqual(await found(lua), []);
});
