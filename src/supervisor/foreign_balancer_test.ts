import assert from "node:assert/strict";
import { eventually } from "../../tests/support/eventually.ts";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { wantedOf } from "../../tests/support/balancer_case.ts";
import { oddBalancerSource } from "../../tests/support/foreign_balancer.ts";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { Allowance } from "../model/allowance.ts";
import type { Wanted } from "../plugin/contract.ts";
import { BeyondGrantError, UndecidedError } from "../plugin/decider.ts";
import { ForeignBalancer } from "./foreign_balancer.ts";
import { Hangs } from "./hangs.ts";

const ALLOW: Allowance = { net: ["unix:/odd/socket"], write: ["/odd/file"], run: ["/odd/check"] };
const CONFIG = {};
const WANTED: Wanted = { config: CONFIG, host: { fqdn: "a.test", ip: "192.0.2.1" }, clusters: [] };

/** A balancer with the functions of `members`, on a clock that stands still. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly balancer: ForeignBalancer;
  readonly hangs: Hangs;
  stuck = 0;

  constructor(members: string, allow: Allowance = ALLOW, folder = "/odd") {
    const record = (level: string) => (text: string, properties: Record<string, unknown> = {}) =>
      void this.log.push(`${level} ${text} ${JSON.stringify(properties)}`);
    const read = () => this.stuck;
    this.hangs = new Hangs({
      clock: this.clock,
      threads: {
        get count() {
          return read();
        },
        ends: 0,
        settledEnds: 0,
        ended() {},
      },
    });
    this.balancer = new ForeignBalancer({
      name: "odd",
      source: {
        module: `data:text/javascript,${encodeURIComponent(oddBalancerSource(folder, members))}`,
        origin: "foreign",
        name: "balancer/odd",
        allow,
      },
      clock: this.clock,
      random: () => 0,
      log: { debug: record("debug"), info: record("info"), warn: record("warn"), error: record("error") },
      hangs: this.hangs,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A worker that has ended sends nothing more, and time stands still.
    const ending = this.balancer[Symbol.asyncDispose]();
    let isOver = false;
    void ending.then(() => isOver = true);
    await eventually("the worker has ended", () => {
      this.clock.advance(1_000);
      return isOver;
    });
    await ending;
  }
}

/** Advances time until a promise is settled; returns the error that it rejects with. */
async function failure(promise: Promise<unknown>, clock: FakeClock): Promise<Error> {
  let error: Error | undefined;
  let isOver = false;
  void promise.then(() => isOver = true, (reason) => [error, isOver] = [reason, true]);
  await eventually("it is over", () => {
    clock.advance(100);
    return isOver;
  });
  assert(error !== undefined, "no error");
  return error;
}

Deno.test("ForeignBalancer answers from a worker, and from its cache", async () => {
  await using bench = new Bench(`
    listens: () => [{ host: "", port: 80, path: ["port"] }],
    plan: (wanted, rendered, observed, allowed) => [install(JSON.stringify([rendered.files.get("/odd/file").text, observed, allowed.reload]))],
    render: ({ host }) => ({ files: new Map([["/odd/file", { text: host.fqdn }]]), notices: [] }),
    observe: ({ files }) => ({ file: files.get("/odd/file"), call: () => {} }),
  `);
  const { balancer } = bench;
  const sources = await balancer.sources(CONFIG);
  assert.equal(sources.reloadIntervalMs, 1_000, "no plugin reloads more often");
  assert.equal(balancer.sources(CONFIG), sources);
  const listens = await balancer.listens(CONFIG, { a: 1 });
  assert.equal(balancer.listens(CONFIG, { a: 1 }), listens);
  const rendered = await balancer.render(WANTED);
  // Observations never leave the worker: they may have functions.
  const sight = await balancer.observe({ files: new Map([["/odd/file", "x"]]) }, CONFIG);
  const [step] = await balancer.plan(WANTED, rendered, sight, { reload: true });
  assert.equal(step?.do === "install" && step.contents, '["a.test",{"file":"x"},true]');
  assert.deepEqual(await balancer.config["~standard"].validate(1), { value: 1 });
});

Deno.test("ForeignBalancer rejects a plan that exceeds the grants as a whole, and counts it", async () => {
  await using bench = new Bench(`plan: () => [install("x"), start("/bin/sh")]`);
  const { balancer } = bench;
  const sight = await balancer.observe({}, CONFIG);
  const rendered = await balancer.render(WANTED);
  for (let times = 1; times <= 2; times++) {
    const planned = balancer.plan(WANTED, rendered, sight, { reload: true });
    await assert.rejects(
      planned,
      new BeyondGrantError('Cannot run "/bin/sh" for balancer odd: permission not granted'),
    );
    assert.equal(balancer.refusals, times);
  }
  assert.equal(bench.log.filter((line) => line.startsWith("warn ")).length, 1, "logged once");
});

Deno.test("ForeignBalancer rejects a file that a link leads out of its granted directory", async () => {
  await using dir = new TempDir();
  await dir.write("elsewhere/file", "not granted");
  await Deno.mkdir(dir.file("granted"));
  await Deno.symlink(dir.file("elsewhere/file"), dir.file("granted/file"));
  const folder = dir.file("granted");
  const allow = { net: [`unix:${folder}/socket`], run: [`${folder}/check`] };
  {
    await using bench = new Bench("", { ...allow, write: [folder] }, folder);
    await assert.rejects(
      Promise.resolve(bench.balancer.sources(CONFIG)),
      new BeyondGrantError(
        `Cannot write ${folder}/file for balancer odd: symlink to ${dir.file("elsewhere/file")}, which is not granted`,
      ),
    );
  }
  // An operator who grants the link itself knows its target.
  await using bench = new Bench("", { ...allow, write: [`${folder}/file`] }, folder);
  assert.equal((await bench.balancer.sources(CONFIG)).file, `${folder}/file`);
});

Deno.test("ForeignBalancer gets no path that the operator does not grant", async () => {
  await using bench = new Bench("", { ...ALLOW, run: [] });
  await assert.rejects(
    Promise.resolve(bench.balancer.sources(CONFIG)),
    /not granted: .*run "\/odd\/check" is not granted: allow\.run of balancer\/odd in plugins\.yaml is empty/,
  );
});

Deno.test("ForeignBalancer lets a plugin throw in plan and observe, as the contract allows", async () => {
  await using bench = new Bench(`
    observe() { throw new Error("not mine") },
    plan() { throw new Error("cannot be reloaded") },
    render() { throw new Error("out of order") },
  `);
  const { balancer, clock } = bench;
  const isContract = (error: Error) => !(error instanceof UndecidedError);
  assert(isContract(await failure(balancer.observe({}, CONFIG), clock)));
  const rendered = { files: new Map(), notices: [] };
  assert(!isContract(await failure(balancer.render(WANTED), clock)));
  const plan = (reload: boolean) => balancer.plan(WANTED, rendered, { seen: {}, config: CONFIG }, { reload });
  assert.match((await failure(plan(true), clock)).message, /not mine/);
  assert(!isContract(await failure(plan(false), clock)));
});

Deno.test("ForeignBalancer pauses after a worker hung, longer while its thread keeps running, and is then called again", async () => {
  await using bench = new Bench(`render: () => close()`);
  const { balancer, clock } = bench;
  await balancer.pid([]);
  assert.match((await failure(balancer.render(WANTED), clock)).message, /no response to decide within 5s/);
  await assert.rejects(balancer.pid([]), /no response to decide within 5s/);
  const condemned: string[] = [];
  bench.hangs.onForGood = (module, how) => void condemned.push(`${module.slice(0, 5)} ${how}`);
  bench.stuck = 1;
  bench.hangs.confirm();
  assert.deepEqual(
    condemned,
    ["data: no response to decide within 5s"],
    "so that it stays excluded after a restart",
  );
  clock.advance(60_000);
  await assert.rejects(balancer.pid([]), UndecidedError);
  bench.stuck = 0;
  assert.equal(await balancer.pid([]), undefined);
});

Deno.test("the HAProxy balancer renders the same bytes in a worker without any permission, hashes and all", async () => {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const clock = new FakeClock();
  const wanted = wantedOf({
    clusters: [{ name: "web", haproxy: { port: 80, backend: ["mode http"] }, nodes: ["a.int:80 10.0.0.1"] }],
  });
  const allow = haproxy.permissions({ ...wanted.config, program: "/sbin/haproxy" }, {
    instance: "haproxy",
  }) as Allowance;
  const source = { module: "builtin:balancer/haproxy", origin: "builtin", name: "balancer/haproxy", allow } as const;
  await using balancer = new ForeignBalancer({ name: "haproxy", source, clock, random: () => 0, log });
  const { files } = await balancer.render(wanted);
  assert.deepEqual(files, haproxy.render(wanted).files);
  assert.match([...files.values()][0]?.text ?? "", /\(sha256:[0-9a-f]{16}\)/);
});
