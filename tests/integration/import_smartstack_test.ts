/**
 * Follows docs/migrate/smartstack.md: its files, its commands in order, and the
 * way back. ZooKeeper, HAProxy and kazoo, in place of the hosts that still run
 * nerve, are real.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox } from "../support/haproxy.ts";
import { get } from "../support/http_load.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, WebService } from "../support/lighthouse.ts";
import { MigrationPage } from "../support/migration_page.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const PATH = "/nerve/services/web/services";

Deno.test("a SmartStack host migrates and rolls back with the commands of its migration page", async () => {
  await using zookeeper = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using haproxy = new HaproxyBox();
  await using own = new WebService();
  await using other = new WebService();
  const port = freePort();
  await using page = await MigrationPage.read("smartstack", {
    "zk01.internal:2181": zookeeper.address,
    "/etc/haproxy/haproxy.cfg": haproxy.configFile,
    "/run/haproxy/admin.sock": haproxy.socketFile,
    "/run/haproxy.pid": haproxy.pidFile,
    "port: 3000": `port: ${own.port}`,
    "port: 3213": `port: ${port}`,
  });
  const served = async () => new Set(await Promise.all(Array.from({ length: 8 }, () => get(port).catch(() => ""))));
  const serves = (...services: readonly WebService[]) =>
    eventually(`requests go to ${services.map((each) => each.port)}`, async () => {
      const wanted = services.map((each) => `hello from ${each.port}\n`);
      const answers = await served();
      return answers.size === wanted.length && wanted.every((answer) => answers.has(answer));
    });
  const register = async (service: WebService) =>
    await kazoo.make(
      `${PATH}/app02.example.org_`,
      JSON.stringify({ host: "127.0.0.1", port: service.port, name: "app02.example.org" }),
      { ephemeral: true, sequence: true },
    );

  const ofOther = await register(other);
  const commands = page.commands("Migrate");
  for (const args of commands.filter(([verb]) => verb === "import" || verb === "check")) {
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 0, `${args.join(" ")}\n${stdout}${stderr}`);
    assert.doesNotMatch(stdout, /: not supported: /);
  }
  const [, reporterDir = ""] = commands.find(([verb]) => verb === "reporter") ?? assert.fail();
  const [, writerDir = ""] = commands.find(([verb]) => verb === "writer") ?? assert.fail();
  {
    await using _writer = Lighthouse.start("writer", writerDir);
    await serves(other);
    {
      await using _reporter = Lighthouse.start("reporter", reporterDir);
      await serves(own, other);
      const entries = Object.entries(await kazoo.readAll(PATH)).map(([name, data]) => [name, JSON.parse(data)]);
      const [name, value] = entries.find(([, { port }]) => port === own.port) ?? assert.fail(JSON.stringify(entries));
      assert.match(name, /_[0-9]{10}$/);
      assert.equal(value.host, "127.0.0.1");
      own.healthy = false;
      await serves(other);
      own.healthy = true;
      await serves(own, other);
    }
    // Back: the reporter has removed its own znode, and no other.
    await eventually("kazoo sees one node", async () => Object.keys(await kazoo.readAll(PATH)).length === 1);
    await kazoo.ask("delete", { path: ofOther });
    await register(own);
    await serves(own);
  }
  await serves(own);
  await page.assertUnchanged();
});
