/**
 * Follows docs/migrate/confd.md: its files, its commands in order, and the way
 * back. etcd, HAProxy and the page's reload command are real.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { Etcd } from "../support/etcd.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { HaproxyBox } from "../support/haproxy.ts";
import { get } from "../support/http_load.ts";
import { Lighthouse, WebService } from "../support/lighthouse.ts";
import { MigrationPage } from "../support/migration_page.ts";

Deno.test("a confd host migrates and rolls back with the commands of its migration page", async () => {
  await using etcd = await Etcd.start();
  await using haproxy = new HaproxyBox();
  await using first = new WebService();
  await using second = new WebService();
  const port = freePort();
  await using page = await MigrationPage.read("confd", {
    "etcd01.internal:2379": etcd.address,
    "/etc/haproxy/haproxy.cfg": haproxy.configFile,
    "/run/haproxy.pid": haproxy.pidFile,
    "127.0.0.1:8000": `127.0.0.1:${port}`,
  });
  const put = async (key: string, value: string) => await etcdctl(etcd, ["put", `/proxy/frontend/web/${key}`, value]);
  const serves = (...services: readonly WebService[]) =>
    eventually(`requests go to ${services.map((each) => each.port)}`, async () => {
      const answers = new Set(await Promise.all(Array.from({ length: 8 }, () => get(port).catch(() => ""))));
      const wanted = services.map((each) => `hello from ${each.port}\n`);
      return answers.size === wanted.length && wanted.every((answer) => answers.has(answer));
    });

  await put("one", `127.0.0.1:${first.port}`);
  const commands = page.commands("Migrate");
  for (const args of commands.filter(([verb]) => verb === "import" || verb === "check")) {
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 0, `${args.join(" ")}\n${stdout}${stderr}`);
    assert.doesNotMatch(stdout, /: not supported: /);
  }
  const planned = await runCli(commands.find(([verb]) => verb === "plan") ?? assert.fail());
  assert.match(planned.stdout, new RegExp(`server one 127.0.0.1:${first.port} check`));
  const [, dir = ""] = commands.find(([verb]) => verb === "writer") ?? assert.fail();
  {
    await using writer = Lighthouse.start("writer", dir);
    await serves(first);
    await put("two", `127.0.0.1:${second.port}`);
    await serves(first, second);
    // A candidate that the check rejects leaves the file unchanged; the next change that passes is applied.
    const before = await Deno.readTextFile(haproxy.configFile);
    await put("bad", "no address");
    await eventually("the writer reports the rejected file", () => writer.log.includes("server web/bad"));
    assert.equal(await Deno.readTextFile(haproxy.configFile), before);
    await etcdctl(etcd, ["del", "/proxy/frontend/web/bad"]);
    await etcdctl(etcd, ["del", "/proxy/frontend/web/one"]);
    await serves(second);
  }
  await serves(second);
  await page.assertUnchanged();
});

async function etcdctl(etcd: Etcd, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("etcdctl", {
    args: ["--endpoints", etcd.address, ...args],
    env: { ETCDCTL_API: "3" },
    stdin: "null",
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}
