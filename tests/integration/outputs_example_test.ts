import assert from "node:assert/strict";
import { copy } from "../support/copied_config.ts";
import { runCli } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { kill } from "../support/haproxy.ts";
import { TempDir } from "../support/temp_dir.ts";

const EXAMPLE = new URL("../../examples/outputs/", import.meta.url);
const PLACE = "/tmp/lighthouse-outputs";

Deno.test("the example of outputs writes its files, reloads and starts its program, once", async () => {
  await using dir = new TempDir();
  await copy(EXAMPLE, dir, { from: PLACE, to: dir.path });
  await Deno.mkdir(dir.file("envoy"));
  await dir.write("envoy/stale.json", "{}");
  const once = ["writer", dir.file("config"), "--once", "--host", "lb.example.org", "--ip", "127.0.0.1"];
  try {
    const { code, stderr } = await runCli(once, { deadlineMs: 180_000 });
    assert.equal(code, 0, stderr);
    assert.equal(
      await Deno.readTextFile(dir.file("upstreams.conf")),
      "# Written by Lighthouse on lb.example.org.\nupstream web {\n" +
        '  server 10.0.0.5:8000 weight=3; # 75 %, rack "none"\n' +
        '  server 10.0.0.6:8000 weight=1; # 25 %, rack "r7"\n}\n',
    );
    const targets = JSON.parse(await Deno.readTextFile(dir.file("targets.json")));
    assert.deepEqual(targets, [
      { targets: ["10.0.0.5:8000"], labels: { environment: "example", cluster: "web", zone: "eu-1a" } },
      { targets: ["10.0.0.6:8000"], labels: { environment: "example", cluster: "web", zone: "eu-1b" } },
    ]);
    const { resources: [assignment] } = JSON.parse(await Deno.readTextFile(dir.file("envoy/web.json")));
    assert.equal(assignment.endpoints.length, 2);
    await assert.rejects(Deno.stat(dir.file("envoy/stale.json")), Deno.errors.NotFound);
    const calls = () => Deno.readTextFile(dir.file("mirror.calls")).catch(() => "");
    await eventually(
      "the program runs",
      async () => await calls() === "--input-raw :8080 --output-tcp 10.0.0.5:8000|75% --output-tcp 10.0.0.6:8000|25%\n",
    );
    const again = await runCli(once, { deadlineMs: 180_000 });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(await Deno.readTextFile(dir.file("reloads")), "reloaded\n", "what was loaded is not loaded again");
    assert.equal((await calls()).split("\n").length, 2, "the program goes on");
  } finally {
    const [pid = ""] = (await Deno.readTextFile(dir.file("mirror.pid")).catch(() => "")).split("\n");
    if (pid !== "") kill(Number(pid));
  }
});
