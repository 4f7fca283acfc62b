import assert from "node:assert/strict";
import { findProcesses } from "../../src/system/processes.ts";
import { setUp } from "../setup.ts";
import { ExampleStage, followReadme } from "../support/example_stage.ts";

Deno.test("the walk-through of simple_web follows its README and leaves nothing behind", async () => {
  await setUp(["haproxy", "zookeeper", "redis"]);
  await followReadme({ name: "simple_web", network: "127.88.0" });
});

Deno.test("an example rejects invalid commands and does nothing", async () => {
  await using stage = new ExampleStage();
  const of = { name: "api_meta_cluster", network: stage.network };
  for (
    const [command, message] of [
      ["launch", "Missing argument: launch requires a type and a name for each host"],
      ["launch webapp app01", 'Unknown host type "webapp": must be one of zookeeper, client, cache, widgets'],
      [
        "launch cache Cache_1",
        'Cannot launch a host named "Cache_1": must be at most 20 lower-case letters, digits and -',
      ],
      ["connect app01", 'No host "app01"; launched hosts: none'],
      ["lunch cache cache01", 'Unknown command "lunch"'],
      ["status --network 10.0.0", 'Cannot use the network "10.0.0": must be three numbers, such as 127.88.0'],
      ["load 127.0.0.1 status", "Missing argument: load requires an address, a port and a command"],
    ] as const
  ) {
    const { code, stderr } = await stage.run(`deno task example ${of.name} ${command}`, of);
    assert.equal(code, 2, stderr);
    assert.ok(stderr.startsWith(message), `${command}: ${stderr}`);
  }
  assert.deepEqual(await stage.processes(), []);
});

Deno.test("a host that cannot be launched leaves nothing behind, and stop ends only its own processes", async () => {
  await setUp(["zookeeper"]);
  await using stage = new ExampleStage();
  const of = { name: "api_meta_cluster", network: stage.network };
  const example = (command: string) => stage.run(`deno task example ${of.name} ${command}`, of);

  const early = await example("launch proxy proxy01");
  assert.equal(early.code, 2, early.stderr);
  assert.match(early.stderr, /Cannot launch proxy01: it requires partnerapi; launch partnerapi first/);

  {
    using _taken = Deno.listen({ hostname: `${stage.network}.2`, port: 8088 });
    const taken = await example("launch partner partnerapi");
    assert.equal(taken.code, 2, taken.stderr);
    assert.match(taken.stderr, /^Cannot launch partnerapi: another program listens on port 8088 of 127\./);
  }
  const { stdout } = await example("status");
  assert.match(stdout, /^NAME .*\nzk01 .* zookeeper\n$/);

  assert.equal((await example("launch partner partnerapi")).code, 0);
  const again = await example("launch partner partnerapi");
  assert.match(again.stderr, /Cannot launch partnerapi: a host with this name exists; stop it first/);

  // As after a restart of the machine: by now the number is another process's.
  const partner = Number(await Deno.readTextFile(stage.dir.file("partnerapi/partner-8088.pid")));
  const stranger = new Deno.Command("sleep", { args: ["600"] }).spawn();
  try {
    await Deno.writeTextFile(stage.dir.file("partnerapi/partner-8088.pid"), String(stranger.pid));
    assert.equal((await example("stop")).code, 0);
    const alive = await findProcesses(([name, seconds]) => name?.endsWith("sleep") === true && seconds === "600");
    assert.ok(alive.includes(stranger.pid), "the stranger lives");
    assert.deepEqual(await stage.processes(), [partner]);
  } finally {
    stranger.kill("SIGKILL");
    await stranger.status;
  }
});
