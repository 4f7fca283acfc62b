/**
 * What docs/migrate/lighthouse-1.0.md says of moving a host over and back, with its own
 * commands.
 *
 * @module
 */
import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { ANNOUNCED, Lighthouse, WebService } from "../support/lighthouse.ts";
import { BASE_PATH, FleetHost } from "../support/old_fleet.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const ROOT = new URL("../../", import.meta.url);

/** The commands that the document shows in a block that holds this word. */
async function commandsWith(word: string): Promise<string> {
  const document = await Deno.readTextFile(new URL("docs/migrate/lighthouse-1.0.md", ROOT));
  const block = [...document.matchAll(/^ *```sh\n([^]*?)^ *```$/gm)].map(([, text = ""]) => text)
    .find((text) => text.includes(word));
  assert.ok(block !== undefined, `the document has commands with ${word}`);
  return block;
}

/** Programs of 1.0's names, made by the document's commands. */
class OldNames extends TempDir {
  /** Makes them, in a directory of the test's own. */
  async make(): Promise<void> {
    const command = config.tasks.lighthouse.command.replace(/\S+$/, new URL("src/main.ts", ROOT).pathname);
    await this.write("lighthouse", `#!/bin/sh\nexec ${command} "$@"\n`);
    await Deno.chmod(this.file("lighthouse"), 0o755);
    const block = (await commandsWith("/usr/local/bin/lighthouse-")).replaceAll("/usr/local/bin", this.path);
    const { success, stderr } = await new Deno.Command("sh", { args: ["-ec", block], stdin: "null" }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  }

  /** Starts one of them. */
  start(name: string, ...args: readonly string[]): Deno.ChildProcess {
    return this.run(this.file(name), ...args);
  }

  /** Starts a program that knows of them. */
  run(program: string, ...args: readonly string[]): Deno.ChildProcess {
    return new Deno.Command(program, {
      args: [...args],
      env: { PATH: `${this.path}:${Deno.env.get("PATH")}`, NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }
}

/** Signals a process and answers how it ended. */
async function ended(child: Deno.ChildProcess, signal?: Deno.Signal): Promise<Deno.CommandOutput> {
  if (signal !== undefined) child.kill(signal);
  return await child.output();
}

Deno.test("moving over: two-line scripts provide the programs of 1.0, with the same arguments and exit statuses", async () => {
  await using programs = new OldNames();
  await programs.make();
  for (const name of ["lighthouse-writer", "lighthouse-reporter"]) {
    assert.equal((await ended(programs.start(name, "-h"))).code, 0);
    assert.equal((await ended(programs.start(name, "--help"))).code, 0);
    assert.equal((await ended(programs.start(name))).code, 2);
    assert.equal((await ended(programs.start(name, "-d", "/etc/lighthouse"))).code, 2, "as in 1.0");
    assert.equal((await ended(programs.start(name, "--hel"))).code, 2, "no part of a word is one");
    assert.equal((await ended(programs.start(name, programs.file("nothing")))).code, 1);
  }
});

Deno.test("moving over: SIGINT and SIGTERM stop both programs with exit status 0, and deregister the nodes at once", async () => {
  await using programs = new OldNames();
  await programs.make();
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using kazoo = await KazooPeer.start(ensemble.address);
  // Far longer than the test: a missing node was deregistered.
  await host.join(ensemble, { sessionTimeout: 60 });
  // The programs of 1.0 have no options for what this host is called, and a test machine may be called localhost.
  await host.write("host", { name: ANNOUNCED.host, ip: ANNOUNCED.ip });
  await host.consume();
  const children = async () =>
    await kazoo.ask("children", { path: `${BASE_PATH}/web` }).catch(() => []) as readonly string[];
  // A shell's `&` and some supervisors start a program with SIGINT ignored, which 1.0 then never hears.
  const unheard = 'trap "" INT; exec "$0" "$@"';
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    // Another port each time: it is served once both programs run, not as the previous round left it.
    await using web = new WebService();
    await host.offer([web.port]);
    const writer = programs.start("lighthouse-writer", host.configDir);
    const reporter = programs.run("sh", "-c", unheard, programs.file("lighthouse-reporter"), host.configDir);
    await eventually("it is registered", async () => (await children()).length === 1);
    await host.untilServing("web", [web.port]);
    const pid = await host.haproxy.pid();
    const [left, right] = await Promise.all([ended(reporter, signal), ended(writer, signal)]);
    assert.deepEqual([left.code, right.code], [0, 0], new TextDecoder().decode(left.stderr));
    assert.deepEqual(await children(), []);
    assert.equal(await host.haproxy.pid(), pid, "HAProxy runs on");
  }
});

Deno.test("moving over: on rollback, 1.0's HAProxy command replaces the running HAProxy of 2.0", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost();
  await using web = new WebService();
  await using kazoo = await KazooPeer.start(ensemble.address);
  const node = `${BASE_PATH}/web/${ANNOUNCED.host}:${web.port}`;
  await kazoo.write("put", node, await kazoo.payload(web.port, { host: ANNOUNCED.host }));
  await host.join(ensemble);
  await host.consume();
  const writer = Lighthouse.start("writer", host.configDir);
  await host.untilServing("web", [web.port]);
  assert.equal(await writer.stop(), 0, writer.log);
  const ours = await host.haproxy.pid();
  const { configFile, pidFile } = host.haproxy;
  assert.equal((await Deno.readTextFile(pidFile)).trim(), String(ours), "it reads the pid from this file");
  // It overwrites the file, and starts HAProxy just so; `daemon` is in its `global`.
  await Deno.writeTextFile(configFile, (await Deno.readTextFile(configFile)).replace(/^global$/m, "global\n\tdaemon"));
  await host.haproxy.run("-f", configFile, "-p", pidFile, "-L", ANNOUNCED.host, "-sf", String(ours));
  await eventually("another process answers", async () => await host.haproxy.pid() !== ours);
  await eventually("ours has left", () => !host.haproxy.processes().includes(ours));
  assert.deepEqual(await host.serving("web"), [web.port]);
});

Deno.test("moving over: a node that a 1.0 reporter deletes is registered again", async () => {
  await using ensemble = await ZooKeeper.start();
  await using host = new FleetHost({ port: freePort() });
  await using web = new WebService();
  await host.join(ensemble, { sessionTimeout: 10 });
  await host.offer([web.port]);
  await using reporter = Lighthouse.start("reporter", host.configDir);
  await using old = await KazooPeer.start(ensemble.address);
  const node = `${BASE_PATH}/web/${ANNOUNCED.host}:${web.port}`;
  await eventually("it is registered", () => old.look(node));
  // Its first round says down where rise is 2 or more, whatever the checks said.
  await old.ask("delete", { path: node });
  await eventually("it is there again", () => old.look(node));
  await old.write("take_over", node, await old.payload(web.port, { host: ANNOUNCED.host }));
  assert.equal(await reporter.stop(), 0, reporter.log);
  assert.equal((await old.look(node))?.ephemeralOwner, await old.ask("session"), "what it took over is left to it");
});
