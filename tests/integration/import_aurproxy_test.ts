/**
 * Follows docs/migrate/aurproxy.md: its files and its commands in order.
 * ZooKeeper with serversets written by kazoo, and nginx, are real.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free_port.ts";
import { countAnswers } from "../support/http_load.ts";
import { KazooPeer } from "../support/kazoo.ts";
import { Lighthouse, WebService } from "../support/lighthouse.ts";
import { MigrationPage } from "../support/migration_page.ts";
import { TempDir } from "../support/temp_dir.ts";
import { ZooKeeper } from "../support/zookeeper.ts";

const PATH = "/aurora/myrole/devel/web";
/** The number of requests that shows a share. */
const REQUESTS = 200;

Deno.test("an aurproxy host migrates and rolls back with the commands of its migration page", async () => {
  await using zookeeper = await ZooKeeper.start();
  await using kazoo = await KazooPeer.start(zookeeper.address);
  await using temp = new TempDir("lighthouse-nginx-");
  await using old = new WebService();
  await using young = new WebService();
  await using spare = new WebService();
  const port = freePort();
  const nginx = { config: temp.file("nginx.conf"), pid: temp.file("nginx.pid"), socket: temp.file("status.sock") };
  await using page = await MigrationPage.read("aurproxy", {
    "zk01.internal:2181": zookeeper.address,
    '"ports": [8080]': `"ports": [${port}]`,
    '"host": "10.0.9.1", "port": 8080': `"host": "127.0.0.1", "port": ${spare.port}`,
    '"backend": "nginx",':
      `"backend": "nginx", "configuration_file": "${nginx.config}", "nginx_pid_path": "${nginx.pid}",`,
    '"ramp_delay": 90, "ramp_seconds": 60': '"ramp_delay": 4, "ramp_seconds": 12',
    '"interval": 3, "timeout": 2': '"interval": 1, "timeout": 2',
    "--max_update_frequency 10 --weight_adjustment_delay_seconds 180":
      "--max_update_frequency 1 --weight_adjustment_delay_seconds 0",
  });
  const join = async ({ port }: WebService, shard: number) =>
    await kazoo.make(
      `${PATH}/member_`,
      JSON.stringify({
        serviceEndpoint: { host: "127.0.0.1", port: 1 },
        additionalEndpoints: { http: { host: "127.0.0.1", port } },
        status: "ALIVE",
        shard,
      }),
      { ephemeral: true, sequence: true },
    );
  /** The share of the requests that each gets, in percent; none if one fails. */
  const shares = async () => {
    const counts = await countAnswers(port, REQUESTS).catch(() => ({}) as Record<string, number>);
    const share = (service: WebService) => Math.round(100 * (counts[`hello from ${service.port}\n`] ?? 0) / REQUESTS);
    return { old: share(old), young: share(young), spare: share(spare) };
  };
  const until = async (what: string, isSo: (now: Awaited<ReturnType<typeof shares>>) => boolean) => {
    let last: unknown;
    await eventually(what, async () => {
      const now = await shares();
      last = now;
      return isSo(now);
    }).catch((error) => assert.fail(`${error.message}; last: ${JSON.stringify(last)}`));
  };

  await join(old, 0);
  const commands = page.commands("Migrate");
  const run = async (args: readonly string[]) => {
    const { code, stdout, stderr } = await runCli(args);
    assert.equal(code, 0, `${args.join(" ")}\n${stdout}${stderr}`);
    assert.doesNotMatch(stdout, /: not supported: /);
  };
  const [, dir = ""] = commands.find(([verb]) => verb === "writer") ?? assert.fail();
  await run(commands.find(([verb]) => verb === "import") ?? assert.fail());
  await inOwnDirectories(dir, { ...nginx, temp });
  await run(commands.find(([verb]) => verb === "check") ?? assert.fail());
  try {
    await using _writer = Lighthouse.start("writer", dir);
    await until("the old node serves", (now) => now.old === 100);
    const status = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      await answer.body?.cancel();
      return answer.status;
    };
    assert.deepEqual(await Promise.all(["/robots.txt", "/health", "/quitquitquit"].map(status)), [200, 403, 403]);

    const member = await join(young, 1);
    await until("the new node has a part of its share", (now) => now.young > 3 && now.young < 40);
    await until("the new node has its share", (now) => now.young > 40 && now.spare === 0);
    young.healthy = false;
    // One of two is ready: (80 - 50) / 80 of the requests overflow.
    await until("requests overflow", (now) => now.young === 0 && now.spare > 20 && now.spare < 55);
    young.healthy = true;
    await until("nothing overflows", (now) => now.young > 40 && now.spare === 0);
    old.healthy = false;
    await kazoo.ask("delete", { path: member });
    await until("all requests overflow", (now) => now.spare === 100);
    old.healthy = true;
    await until("the old node serves again", (now) => now.old > 40);
  } finally {
    await quit(nginx.pid);
  }
  await page.assertUnchanged();
});

/** Makes nginx use the directory of the test, as it does not run as a service here. */
async function inOwnDirectories(
  dir: string,
  { socket, temp }: { readonly socket: string; readonly temp: TempDir },
): Promise<void> {
  const path = `${dir}/balancers/nginx.yaml`;
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `  - ${name}_temp_path ${temp.file(name)};`
  );
  const text = (await Deno.readTextFile(path)).replace("/run/lighthouse/nginx.sock", socket);
  const main = `main:\n  - error_log ${temp.file("error.log")};\n`;
  await Deno.writeTextFile(path, `${text}${main}http:\n${paths.join("\n")}\n  - access_log off;\n`);
}

async function quit(pidFile: string): Promise<void> {
  const pid = Number(await Deno.readTextFile(pidFile).catch(() => ""));
  if (pid > 0) Deno.kill(pid, "SIGTERM");
}
