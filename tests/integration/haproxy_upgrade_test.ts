/**
 * HAProxy is upgraded under a writer, and a writer takes over a HAProxy started
 * by another version, under traffic. Needs two versions: those that are neither
 * installed nor fetched by `tests/haproxy_versions.ts` are skipped.
 *
 * @module
 */
import assert from "node:assert/strict";
import { haproxyProgram, type HaproxyVersion, UnavailableVersionError } from "../haproxy_versions.ts";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox, kill, NamedServer, RunningWriter } from "../support/haproxy.ts";
import { get, HttpLoad } from "../support/http_load.ts";

/** The path of a version's program, or `undefined` if it is not installed. */
async function find(version: HaproxyVersion): Promise<string | undefined> {
  try {
    return (await haproxyProgram(version, { mayFetch: false })).path;
  } catch (error) {
    if (!(error instanceof UnavailableVersionError)) throw error;
    return undefined;
  }
}

const PROGRAMS = new Map(
  await Promise.all(
    (["2.6", "3.0", "3.2", "3.4"] as const).map(async (version) => [version, await find(version)] as const),
  ),
);

/** A program that is upgraded as by a package manager: its file is replaced. */
class Installed {
  readonly path: string;

  constructor(box: HaproxyBox, version: HaproxyVersion) {
    this.path = box.path("haproxy");
    Deno.symlinkSync(PROGRAMS.get(version) as string, this.path);
  }

  upgrade(version: HaproxyVersion): void {
    const next = `${this.path}.new`;
    Deno.symlinkSync(PROGRAMS.get(version) as string, next);
    Deno.renameSync(next, this.path);
  }
}

/** The version of the process that answers: its first two numbers. */
async function running(box: HaproxyBox): Promise<string | undefined> {
  return /^Version: (\d+\.\d+)/m.exec((await box.ask("show info"))[0] ?? "")?.[1];
}

/** A cluster of one server on a HAProxy that is upgraded, and a port to ask. */
class Stage implements AsyncDisposable {
  readonly box: HaproxyBox = new HaproxyBox({ restart_interval: 0 });
  readonly program: Installed;
  readonly server: NamedServer = new NamedServer("app.test");
  readonly port: number = freePort();

  constructor(version: HaproxyVersion) {
    this.program = new Installed(this.box, version);
  }

  /** The desired state: one server, or more, with more keys in the balancer's file. */
  wanted(more: readonly NamedServer[] = [], file: Record<string, unknown> = {}): ReturnType<HaproxyBox["wanted"]> {
    const nodes = [this.server, ...more].map(({ node }) => node);
    return this.box.wanted({ web: { section: { port: this.port }, nodes } }, { program: this.program.path, ...file });
  }

  /** Starts HAProxy as somebody else would, with a file written for that version. */
  async startForeign(version: readonly [number, number, number]): Promise<void> {
    await Deno.writeTextFile(this.box.configFile, render({ ...this.wanted(), version }).text);
    const args = ["-D", "-f", this.box.configFile, "-p", this.box.pidFile, "-L", "lb.test"];
    assert((await new Deno.Command(this.program.path, { args, stderr: "null" }).output()).success);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.box[Symbol.asyncDispose]();
  }
}

const UPGRADES: readonly { readonly from: HaproxyVersion; readonly to: HaproxyVersion }[] = [
  { from: "2.6", to: "3.2" },
  { from: "2.6", to: "3.4" },
  { from: "3.0", to: "3.4" },
];

for (const { from, to } of UPGRADES) {
  const ignore = PROGRAMS.get(from) === undefined || PROGRAMS.get(to) === undefined;

  for (const mode of ["a daemon", "a master"] as const) {
    Deno.test({
      name: `HAProxy ${from} as ${mode} is upgraded to ${to} under a writer with one reload and no failed request`,
      ignore,
      fn: async () => {
        await using stage = new Stage(from);
        const { box, program, port } = stage;
        await using writer = new RunningWriter({ reconcileMs: 100 });
        const file = mode === "a master" ? { master_socket: box.path("master.sock") } : {};
        await writer.apply(stage.wanted([], file));
        const load = new HttpLoad(port);
        await load.more(50);
        program.upgrade(to);
        await writer.event("balancer.reloaded", {
          reason: new RegExp(`^HAProxy ${to}[0-9.]* is installed, but ${from}[0-9.]* is running: `),
        });
        await eventually("the new version answers", async () => await running(box) === to);
        await load.more(200);
        // Later changes need no reload either.
        await using other = new NamedServer("other.test");
        await writer.apply(stage.wanted([other], file));
        await load.more(50);
        const { failed } = await load.stop();
        assert.deepEqual(failed, []);
        assert.equal(writer.reloads, 2, writer.log.join("\n"));
      },
    });
  }

  Deno.test({
    name: `a HAProxy ${from} that is stopped for its upgrade to ${to} returns with a file of that version`,
    ignore,
    fn: async () => {
      await using stage = new Stage(from);
      const { box, program, port } = stage;
      await using writer = new RunningWriter({ reconcileMs: 100 });
      await writer.apply(stage.wanted());
      program.upgrade(to);
      for (const pid of box.processes()) kill(pid);
      await eventually("the new version answers", async () => await running(box) === to);
      assert.equal(await get(port), "app.test");
      assert.equal(writer.count("balancer.config_rejected"), 0, writer.log.join("\n"));
    },
  });

  Deno.test({
    name: `a HAProxy ${from} that 1.0 started is taken over by ${to} with one reload`,
    ignore,
    fn: async () => {
      await using stage = new Stage(from);
      const { box, program, port } = stage;
      // No mark, and no passing of sockets.
      await stage.startForeign([1, 5, 8]);
      assert.equal(await get(port), "app.test");
      program.upgrade(to);
      await using writer = new RunningWriter({ reconcileMs: 100 });
      await writer.apply(stage.wanted());
      assert.equal(await get(port), "app.test");
      assert.equal(writer.reloads, 1, writer.log.join("\n"));
      assert.equal(await running(box), to);
    },
  });

  Deno.test({
    name: `a HAProxy ${from} that the previous version of Lighthouse started is taken over by ${to} with one reload`,
    ignore,
    fn: async () => {
      await using stage = new Stage(from);
      const { box, program, port } = stage;
      // Frontend and backend share a name there, whatever the version.
      await stage.startForeign([2, 6, 12]);
      const load = new HttpLoad(port);
      await load.more(50);
      program.upgrade(to);
      await using writer = new RunningWriter({ reconcileMs: 100 });
      await writer.apply(stage.wanted());
      await load.more(200);
      const { failed } = await load.stop();
      assert.deepEqual(failed, []);
      assert.equal(writer.reloads, 1, writer.log.join("\n"));
      assert.equal(await running(box), to);
    },
  });
}

const NEWER = PROGRAMS.get("3.2");

Deno.test({
  name:
    "a HAProxy 3.2 that the previous version of Lighthouse started, with names that frontends and backends share, " +
    "is taken over with one reload",
  ignore: NEWER === undefined,
  fn: async () => {
    await using stage = new Stage("3.2");
    const { port } = stage;
    await stage.startForeign([3, 0, 11]);
    const load = new HttpLoad(port);
    await load.more(50);
    await using writer = new RunningWriter({ reconcileMs: 100 });
    await writer.apply(stage.wanted());
    await load.more(200);
    assert.deepEqual((await load.stop()).failed, []);
    assert.equal(writer.reloads, 1, writer.log.join("\n"));
    assert.ok(writer.count("balancer.reloaded", { reason: /^frontend web:in is new, frontend web is gone/ }) > 0);
    assert.equal(writer.log.some((line) => /has the same name/.test(line)), false);
  },
});
