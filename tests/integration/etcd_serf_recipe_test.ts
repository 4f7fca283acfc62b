import assert from "node:assert/strict";
import { setUp } from "../setup.ts";
import { eventually } from "../support/eventually.ts";
import { ExampleStage } from "../support/example_stage.ts";
import { readWalkthrough, Transcript } from "../support/walkthrough.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const README = `${ROOT}examples/etcd_serf/README.md`;
/** The network in the README. */
const NETWORK = "127.90.0";
/** The recipe that needs a handler, confd and a reload, by its author's log. */
const ORIGINAL_MS = 10_000;

/** Runs shell lines with the test's network in place of the README's; returns their output. */
async function run(stage: ExampleStage, lines: string): Promise<string> {
  const env = { DIR: stage.dir.path, NET: stage.network };
  const { code, stdout, stderr } = await stage.shell(lines, { network: NETWORK }, env);
  assert.equal(code, 0, `${lines}\n${stdout}${stderr}`);
  return stdout;
}

Deno.test("the recipe with etcd and serf follows its README and leaves nothing behind", async () => {
  await setUp(["haproxy", "etcd", "serf"]);
  await using recipe = new ExampleStage();
  const transcript = new Transcript();
  for (const { line, script, expected } of readWalkthrough(await Deno.readTextFile(README))) {
    const said = await run(recipe, script);
    try {
      if (expected !== undefined) transcript.compare(said, expected);
    } catch (error) {
      const log = await Deno.readTextFile(recipe.dir.file("writer.log")).catch(() => "");
      throw new Error(`README line ${line}: ${(error as Error).message}\n${log.slice(-2_000)}`, { cause: error });
    }
  }
  await eventually("all has ended", async () => (await recipe.processes()).length === 0, { deadlineMs: 15_000 });
});

Deno.test("a killed host is removed from HAProxy as soon as gossip reports it, faster than with a handler, confd and a reload", async () => {
  await setUp(["haproxy", "etcd", "serf"]);
  await using recipe = new ExampleStage();
  const { network } = recipe;
  await run(
    recipe,
    `examples/etcd_serf/recipe.sh etcd
examples/etcd_serf/recipe.sh host app1 ${network}.11
examples/etcd_serf/recipe.sh host app2 ${network}.12
examples/etcd_serf/recipe.sh host app3 ${network}.13
examples/etcd_serf/recipe.sh balancer`,
  );
  const etcdctl = `ETCDCTL_API=3 etcdctl --endpoints=${network}.1:2379`;
  for (const host of [11, 12, 13]) {
    await eventually(
      "etcd takes a key",
      () =>
        run(recipe, `${etcdctl} put /proxy/frontend/web/${network}.${host} up 2>/dev/null`).then(
          () => true,
        ),
    );
  }
  const ask = async () => {
    const response = await fetch(`http://${network}.2:8000/`, { signal: AbortSignal.timeout(5_000) });
    const text = await response.text();
    return response.ok ? text.trim().split(".").at(-1) : undefined;
  };
  const answering = async () => new Set(await Promise.all(Array.from({ length: 9 }, ask)));
  const seen = async () => [...(await answering().catch(() => new Set<string>()))].toSorted().join();
  await eventually("all three answer", async () => await seen() === "11,12,13");
  const members = async () => await run(recipe, `serf members -rpc-addr=${network}.2:7373 -status=alive`);
  await eventually("gossip knows all hosts", async () => (await members()).split("\n").filter(Boolean).length === 4);

  let [sent, failed] = [0, 0];
  const stop = new AbortController();
  const traffic = (async () => {
    while (!stop.signal.aborted) {
      sent++;
      if (await ask().catch(() => undefined) === undefined) failed++;
    }
  })();
  const pid = async (name: string) => Number(await Deno.readTextFile(recipe.dir.file(name)));
  const pids = [await pid("app2.serf.pid"), await pid("app2.web.pid")];
  const killedMs = performance.now();
  for (const each of pids) Deno.kill(each, "SIGKILL");
  let failedMs = Infinity;
  const gossip = eventually("gossip reports the dead host", async () => !(await members()).includes("app2"), {
    everyMs: 20,
  })
    .then(() => failedMs = performance.now());
  const socket = `${recipe.dir.path}/haproxy.sock`;
  await eventually("HAProxy has no such server", async () => !(await serversOf(socket)).includes(`${network}.12`), {
    everyMs: 20,
  });
  const goneMs = performance.now();
  await gossip;
  stop.abort();
  await traffic;
  const [whole, after] = [goneMs - killedMs, goneMs - failedMs];
  // deno-lint-ignore no-console -- the measurement is the point of the test
  console.log(
    `recipe: kill to routing ${Math.round(whole)} ms, of which ${Math.round(after)} ms after the gossip; ` +
      `the original recipe: ${ORIGINAL_MS} ms; ${sent} requests, ${failed} failed`,
  );
  assert.equal(failed, 0, `${failed} of ${sent} requests failed`);
  assert.ok(whole < ORIGINAL_MS, `${whole} ms`);
});

/** The servers of a HAProxy. */
async function serversOf(socket: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path: socket });
  await connection.write(new TextEncoder().encode("show servers state web\n"));
  return await new Response(connection.readable).text();
}
