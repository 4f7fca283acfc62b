import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import type { HaproxyWanted } from "../../plugins/balancers/haproxy/config.ts";
import { type CaseCluster, wantedOf } from "../../tests/support/balancer_case.ts";
import { type Fields, isEvent, type LoggedEvent, toEvent } from "../../tests/support/logged_events.ts";
import { HaproxyModel } from "../../tests/support/haproxy_model.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { seededRandom } from "../kernel/random.ts";
import type { Origin, Step } from "../plugin/contract.ts";
import type { Standing } from "./standing.ts";
import { type Applied, Writer } from "./writer.ts";

const DEFAULTS = ["mode http"];

/** The desired state of clusters: a port and lines of a backend, members as `host:port ip`. */
function wants(clusters: Record<string, { port?: number; lines?: readonly string[]; nodes?: readonly string[] }>) {
  return wantedOf({
    balancer: { defaults: DEFAULTS },
    clusters: Object.entries(clusters).map(([name, { port, lines = [], nodes = [] }]): CaseCluster => ({
      name,
      haproxy: { ...port === undefined ? {} : { port }, backend: lines },
      nodes,
    })),
  });
}

const A = "a.int:80 10.0.0.1", B = "b.int:80 10.0.0.2", C = "c.int:80 10.0.0.3";

/** A writer on a clock that stands still, with a HAProxy that is a model. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly model = new HaproxyModel();
  readonly log: LoggedEvent[] = [];
  readonly turns: Applied[] = [];
  readonly #stop = new AbortController();
  readonly #writer: Writer<unknown, unknown, unknown>;
  readonly #ended: Promise<void>;

  constructor(balancer: unknown = haproxy) {
    const record = (level: string) => (text: string, properties?: Readonly<Record<string, unknown>>) =>
      void this.log.push(toEvent(level, text, properties));
    this.#writer = new Writer({
      balancer: balancer as never,
      effects: this.model,
      clock: this.clock,
      random: seededRandom(7),
      log: { debug: record("debug"), info: record("info"), warn: record("warn"), error: record("error") },
      onApplied: (applied) => this.turns.push(applied),
    });
    this.#ended = this.#writer.run(this.#stop.signal);
  }

  /** Puts a desired state, and lets everything happen that needs no time. */
  async put(wanted: HaproxyWanted, generation?: number): Promise<void> {
    const locate = ({ cluster = "", path }: Origin, text: string) => `${[cluster, ...path].join("/")}: ${text}`;
    this.#writer.put(wanted, generation === undefined ? { locate } : { generation, locate });
    await this.rest();
  }

  /** Puts a desired state without a pause. */
  putAtOnce(wanted: HaproxyWanted): void {
    this.#writer.put(wanted);
  }

  /** Advances the clock in small steps. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) {
      this.clock.advance(Math.min(50, end - this.clock.now()));
      await this.rest();
    }
  }

  /**
   * Lets everything happen that needs no time: the model answers at once, so only promises need waiting for.
   */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 500; turn++) await undefined;
  }

  /** Pauses or resumes the management. */
  pause(isPaused: boolean): void {
    this.#writer.pause(isPaused);
  }

  /** Whether nothing is in flight. */
  get isAtRest(): boolean {
    return this.#writer.isAtRest;
  }

  /** The balancer's state as the writer sees it. */
  get standing(): Standing {
    return this.#writer.standing;
  }

  /** Forgets the steps so far. */
  forget(): void {
    this.model.steps.length = 0;
    this.turns.length = 0;
    this.log.length = 0;
  }

  /** The steps so far, a word or a command each. */
  get steps(): readonly string[] {
    return this.model.steps.map((step) => step.do === "command" ? step.command : step.do);
  }

  get reloads(): readonly (Step & { do: "reload" })[] {
    return this.model.steps.filter((step) => step.do === "reload");
  }

  /** The records of the log of one level. */
  logged(level: string): readonly LoggedEvent[] {
    return this.log.filter((record) => record.level === level);
  }

  /** How many records are of an event, above `debug`, with such fields. */
  count(event: string, fields?: Fields): number {
    return this.log.filter((record) => record.level !== "debug" && isEvent(record, event, fields)).length;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

Deno.test("Writer starts a balancer that nobody started, and where there was no file the start itself is the check", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }), 7);
  assert.deepEqual(bench.steps, ["install", "start"]);
  const [first] = bench.model.steps;
  assert(first?.do === "install" && first.check.length === 0);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
  const { generation, reloads, converged } = bench.turns[0]!;
  assert.deepEqual({ generation, reloads, converged }, { generation: 7, reloads: 1, converged: true });
});

Deno.test("Writer adds and removes members without a reload, and the file follows within a second", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  const pid = bench.model.process?.pid;
  bench.forget();
  await bench.put(wants({ web: { nodes: [B, C] } }));
  assert.deepEqual(bench.model.serving("web"), ["b.int:80 10.0.0.2:80", "c.int:80 10.0.0.3:80"]);
  assert.equal(bench.model.process?.pid, pid);
  assert(!bench.model.file?.includes("c.int"));
  await bench.pass(1_000);
  assert(bench.model.file?.includes("c.int") && !bench.model.file.includes("a.int"));
  assert.deepEqual(bench.reloads, []);
});

Deno.test("Writer batches the file writes of a storm: the first write promptly, then one a second", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: {} }));
  bench.forget();
  for (let i = 0; i < 40; i++) {
    await bench.put(wants({ web: { nodes: [`n${i}.int:80 10.0.1.${i}`] } }));
    await bench.pass(100);
  }
  await bench.pass(1_000);
  const installs = bench.steps.filter((step) => step === "install").length;
  assert(installs >= 4 && installs <= 6, `${installs}`);
  assert(bench.model.file?.includes("n39.int"));
  assert(!bench.model.file?.includes("n38.int"));
});

/** A HAProxy for which each change needs a look. */
const UNHURRIED_HAPROXY = { ...haproxy, shortcut: undefined };

/**
 * Has the model's writes wait until they are finished or aborted; returns what finishes the one in flight.
 */
function holdFiles({ model }: Bench): () => void {
  let finish = () => {};
  model.before = (step, signal) =>
    step.do !== "install" ? Promise.resolve() : new Promise((resolve, reject) => {
      finish = resolve;
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  return () => finish();
}

Deno.test("Writer aborts the write of a file for a change that needs a look, but not for ever, and once a second", async () => {
  await using bench = new Bench(UNHURRIED_HAPROXY);
  await bench.put(wants({ web: {} }));
  const finish = holdFiles(bench);
  const name = (i: number) => `n${i}.int:80 10.0.1.${i}`;
  const served: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    await bench.put(wants({ web: { nodes: [name(i)] } }));
    served.push(bench.model.serving("web")[0] === `${name(i)}:80`);
    await bench.pass(1_100);
  }
  assert.deepEqual(served, [true, true, true, true, false, false]);
  bench.model.before = undefined;
  finish();
  await bench.pass(2_000);
  assert.deepEqual(bench.model.serving("web"), [`${name(5)}:80`]);
  assert(bench.model.file?.includes("n5.int"));
});

Deno.test("Writer keeps changing members while a file is written, and checks at most one file a second", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: {} }));
  await bench.pass(1_000);
  const finish = holdFiles(bench);
  bench.forget();
  const nodes: string[] = [];
  for (let i = 0; i < 20; i++) {
    nodes.push(`n${i}.int:80 10.0.1.${i}`);
    await bench.put(wants({ web: { nodes } }));
    assert.equal(bench.model.serving("web").length, i + 1);
    await bench.pass(100);
  }
  assert(bench.steps.filter((step) => step === "install").length <= 1, "the first file is still in flight");
  bench.model.before = undefined;
  finish();
  await bench.pass(1_100);
  assert(bench.model.file?.includes("n19.int"));
  assert(bench.steps.filter((step) => step === "install").length <= 3);
});

Deno.test("Writer changes members in proportion to the change: no look first, each server read back, and a look later", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] }, api: { nodes: [C] } }));
  await bench.pass(1_000);
  bench.forget();
  let looks = 0;
  bench.model.beforeObserve = () => void looks++;
  await bench.put(wants({ web: { nodes: [A, B] }, api: { nodes: [C] } }), 8);
  const { id } = bench.model.server("web/b.int:80");
  assert.deepEqual(bench.steps, [
    `add server web/b.int:80 10.0.0.2:80 id ${id}`,
    "set server web/b.int:80 state ready",
    `show stat -1 4 ${id}`,
    "show info",
  ]);
  assert.deepEqual([looks, bench.turns.map(({ generation, converged }) => [generation, converged])], [0, [[8, true]]]);
  assert.equal(bench.standing.served?.generation, 8);
  assert.equal(bench.count("balancer.commands", { count: 2 }), 1);
  await bench.pass(600);
  assert.equal(looks, 1);
  assert(bench.model.file?.includes("b.int"));
  assert.equal(bench.count("balancer.drift"), 0);
});

Deno.test("Writer reads HAProxy's state at once if a server reads back differently", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.model.swallows = (command) => command.includes("state ready");
  bench.putAtOnce(wants({ web: { nodes: [A, B] } }));
  let looks = 0;
  bench.model.beforeObserve = () => {
    looks++;
    bench.model.swallows = () => false;
  };
  await bench.rest();
  assert(looks > 0);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
});

Deno.test("Writer reads HAProxy's state at once if the commanded process was replaced but still responds", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  bench.model.lingers = () => true;
  bench.model.boot();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.equal(bench.count("balancer.replaced"), 1);
});

Deno.test("Writer does nothing more in a pause that starts while members change without a look, and catches up after it", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  let isBusy = false;
  bench.model.before = (step) => {
    if (step.do === "command" && !isBusy) {
      bench.pause(true);
      isBusy = !bench.isAtRest;
    }
    return Promise.resolve();
  };
  await bench.put(wants({ web: { nodes: [A, B] } }));
  assert.deepEqual([isBusy, bench.isAtRest], [true, true]);
  bench.forget();
  await bench.put(wants({ web: { nodes: [A, B, C] } }));
  await bench.pass(10_000);
  assert.deepEqual(bench.steps, []);
  assert(!bench.model.file?.includes("b.int"));
  bench.pause(false);
  await bench.pass(1_000);
  assert.equal(bench.model.serving("web").length, 3);
  assert(bench.model.file?.includes("c.int"));
});

Deno.test("Writer notices a command lost after it was read back, with the look that follows", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  await bench.put(wants({ web: { nodes: [A, B] } }));
  bench.model.command("set server web/b.int:80 state maint");
  await bench.pass(600);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.equal(bench.count("balancer.drift"), 1);
});

Deno.test("Writer looks for a change of the config, for one after five seconds, and where no connection is held", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  let looks = 0;
  bench.model.beforeObserve = () => void looks++;
  await bench.put(wants({ web: { nodes: [A], lines: ["balance leastconn"] } }));
  assert(looks > 0);
  await bench.pass(3_000);
  looks = 0;
  bench.model.watchSocket = () => Promise.resolve();
  bench.model.boot();
  await bench.pass(50);
  looks = 0;
  await bench.put(wants({ web: { nodes: [A, B], lines: ["balance leastconn"] } }));
  assert(looks > 0);
});

Deno.test("Writer writes the file at shutdown, although members were changed without a look", async () => {
  const bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  await bench.put(wants({ web: { nodes: [A, B] } }));
  await bench.stop();
  assert(bench.model.file?.includes("b.int"));
});

Deno.test("Writer writes the file at shutdown, although that aborts the look that was to find out what waits", async () => {
  const bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  await bench.put(wants({ web: { nodes: [A, B] } }));
  let ended: Promise<void> | undefined;
  bench.model.beforeObserve = () => {
    bench.model.beforeObserve = () => {};
    ended = bench.stop();
    throw new Error("Aborted");
  };
  await bench.pass(600);
  assert(ended !== undefined, "a look was in flight");
  await ended;
  assert(bench.model.file?.includes("b.int"));
});

Deno.test("Writer writes the file at shutdown, although a server that left still has connections", async () => {
  const bench = new Bench();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  await bench.pass(1_000);
  bench.model.server("web/b.int:80").busy = true;
  await bench.put(wants({ web: { nodes: [A] } }));
  assert(bench.model.file?.includes("b.int"));
  await bench.stop();
  assert(!bench.model.file?.includes("b.int"));
});

Deno.test("Writer backs off from looks that fail, although a file waits for one", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(1_000);
  await bench.put(wants({ web: { nodes: [A, B] } }));
  let looks = 0;
  bench.model.beforeObserve = () => {
    looks++;
    throw new Error("No response within 5000 ms");
  };
  await bench.pass(10_000);
  assert(looks > 1 && looks < 20, `${looks} looks`);
  bench.model.beforeObserve = () => {};
  await bench.pass(60_000);
  assert(bench.model.file?.includes("b.int"));
});

Deno.test("Writer writes the file although changes never cease", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: {} }));
  bench.forget();
  let more = true;
  let i = 0;
  // Each turn leaves the next change behind.
  bench.model.before = (step) => {
    if (more && step.do === "command") bench.putAtOnce(wants({ web: { nodes: [`n${i++}.int:80 10.0.1.1`] } }));
    return Promise.resolve();
  };
  bench.putAtOnce(wants({ web: { nodes: [A] } }));
  for (let ms = 0; ms < 3_000; ms += 50) await bench.pass(50);
  assert(i > 50, `${i}`);
  assert(bench.steps.filter((step) => step === "install").length >= 2);
  more = false;
  await bench.rest();
});

Deno.test("Writer applies the newest of the changes that arrived while it was busy", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.forget();
  bench.putAtOnce(wants({ web: { nodes: [B] } }));
  bench.putAtOnce(wants({ web: { nodes: [C] } }));
  await bench.rest();
  assert.deepEqual(bench.model.serving("web"), ["c.int:80 10.0.0.3:80"]);
  assert(!bench.steps.some((step) => step.includes("b.int")));
});

Deno.test("Writer limits the rate of reloads, and members join and leave meanwhile", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  await bench.pass(3_000);
  bench.forget();
  await bench.put(wants({ web: { port: 8001, nodes: [A] } }));
  assert.equal(bench.reloads.length, 1);
  await bench.pass(500);
  await bench.put(wants({ web: { port: 8002, nodes: [A, B] } }));
  assert.equal(bench.reloads.length, 1);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  // What runs is what the file says, although more is desired.
  await bench.pass(1_000);
  assert(bench.model.file?.includes("bind :8001") && bench.model.file.includes("b.int"));
  assert.equal(bench.reloads.length, 1);
  await bench.pass(1_000);
  assert.equal(bench.reloads.length, 2);
  assert(bench.model.file?.includes("bind :8002"));
  assert.match(bench.reloads[1]?.reason ?? "", /frontend web changed/);
});

Deno.test("Writer serves current members with the last good config when the new config is rejected, and logs the rejection once", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  bench.forget();
  bench.model.refuses = (text) => text.includes("frontend bad") ? "something is wrong with it" : undefined;
  const bad = { web: { port: 8000, nodes: [A, B] }, bad: { port: 8009 } };
  await bench.put(wants(bad));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  await bench.put(wants({ ...bad, web: { port: 8000, nodes: [C] } }));
  await bench.pass(2_000);
  assert.deepEqual(bench.model.serving("web"), ["c.int:80 10.0.0.3:80"]);
  assert(bench.model.file?.includes("c.int") && !bench.model.file.includes("bad"));
  assert.equal(bench.logged("error").length, 1);
  assert.equal(bench.count("balancer.config_rejected", { msg: /something is wrong with it/ }), 1);
  assert.deepEqual(bench.reloads, []);
  assert.equal(bench.turns.at(-1)?.converged, false);
  // A valid change is applied at once.
  await bench.put(wants({ web: { port: 8000, nodes: [C] }, good: { port: 8009 } }));
  assert.equal(bench.reloads.length, 1);
  assert(bench.model.process?.backends.has("good"));
});

/** Rejects each line that holds `xyz`, and names it, as HAProxy does. */
function refuseXyz(text: string): string | undefined {
  const lines = text.split("\n").flatMap((line, index) => line.includes("xyz") ? [index + 1] : []);
  return lines.length === 0
    ? undefined
    : lines.map((line) => `[ALERT] (1) : config : parsing [/etc/haproxy.cfg:${line}] : timer overflow`).join("\n");
}

Deno.test("Writer omits a rejected line of a new cluster, reports its position, and serves the rest", async () => {
  await using bench = new Bench();
  bench.model.refuses = refuseXyz;
  await bench.put(wants({ web: { nodes: [A] }, bad: { lines: ["timeout server xyz", "retries 1"], nodes: [B] } }));
  assert.deepEqual(bench.steps, ["install", "start", "install", "start"]);
  assert.deepEqual(bench.model.serving("bad"), ["b.int:80 10.0.0.2:80"]);
  assert(bench.model.file?.includes("backend bad\n\tretries 1\n"));
  const fields = { cluster: "bad", fate: "left out", msg: /: bad\/backend\/0: timer overflow/ };
  assert.equal(bench.count("balancer.config_rejected", fields), 1);
  // It is no news when it is retried after a while, nor when members change.
  await bench.pass(130_000);
  await bench.put(wants({ web: { nodes: [A] }, bad: { lines: ["timeout server xyz", "retries 1"], nodes: [B, C] } }));
  assert.equal(bench.logged("error").length, 1);
  assert.deepEqual(bench.reloads, []);
  assert.deepEqual(bench.model.serving("bad"), ["b.int:80 10.0.0.2:80", "c.int:80 10.0.0.3:80"]);
});

Deno.test("Writer keeps the last accepted form of a cluster, with its current members, until an edit is valid", async () => {
  await using bench = new Bench();
  bench.model.refuses = refuseXyz;
  await bench.put(wants({ web: { nodes: [A] }, sick: { lines: ["timeout server 7s"], nodes: [B] } }));
  bench.forget();
  await bench.pass(3_000);
  await bench.put(wants({
    web: { nodes: [A, C] },
    sick: { nodes: [A], lines: ["timeout server xyz", "retries 1"] },
    api: {},
  }));
  await bench.pass(3_000);
  assert.deepEqual([...bench.model.process?.backends.keys() ?? []], ["api", "sick", "web"]);
  assert.deepEqual(bench.model.serving("sick"), ["a.int:80 10.0.0.1:80"]);
  assert.match(bench.model.file ?? "", /timeout server 7s/);
  assert.doesNotMatch(bench.model.file ?? "", /xyz|retries/);
  assert.ok(bench.count("balancer.config_rejected", { cluster: "sick", fate: "kept" }) > 0);
  await bench.put(wants({ web: { nodes: [A, C] }, sick: { nodes: [A], lines: ["retries 1"] }, api: {} }));
  assert.match(bench.model.file ?? "", /retries 1/);
  assert.equal(bench.turns.at(-1)?.converged, true);
});

Deno.test("Writer keeps the form that a process started with, although the next change arrived before a look at it", async () => {
  await using bench = new Bench();
  bench.model.refuses = refuseXyz;
  bench.model.fails = () => {
    bench.model.fails = () => undefined;
    bench.putAtOnce(wants({ web: { lines: ["timeout server xyz", "retries 1"], nodes: [A, B] } }));
    return undefined;
  };
  await bench.put(wants({ web: { lines: ["timeout server 7s"], nodes: [A] } }));
  await bench.pass(3_000);
  assert.ok(bench.count("balancer.config_rejected", { cluster: "web", fate: "kept" }) > 0);
  assert.match(bench.model.file ?? "", /timeout server 7s/);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.deepEqual(bench.reloads, []);
});

Deno.test("Writer keeps the last accepted form of the balancer's own file, and clusters are added and changed meanwhile", async () => {
  await using bench = new Bench();
  bench.model.refuses = refuseXyz;
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(3_000);
  const wanted = wants({ web: { nodes: [B] }, api: { port: 8001 } });
  await bench.put({
    ...wanted,
    config: { ...wanted.config, defaults: ["mode http", "timeout client xyz", "retries 9"] },
  });
  assert.deepEqual(bench.model.serving("web"), ["b.int:80 10.0.0.2:80"]);
  assert(bench.model.process?.backends.has("api"));
  assert.doesNotMatch(bench.model.file ?? "", /xyz|retries 9/);
});

Deno.test("Writer leaves out a line of the balancer's own file when none was applied yet", async () => {
  await using bench = new Bench();
  bench.model.refuses = refuseXyz;
  const wanted = wants({ web: { nodes: [A] } });
  await bench.put({ ...wanted, config: { ...wanted.config, defaults: ["mode http", "timeout client xyz"] } });
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
  const fields = { fate: "left out", msg: /^Config rejected; .*: \/defaults\/1: timer/ };
  assert.ok(bench.count("balancer.config_rejected", fields) > 0);
});

Deno.test("Writer does not serve a new cluster whose rejected line keeps requests out, and serves the others", async () => {
  await using bench = new Bench();
  bench.model.refuses = refuseXyz;
  await bench.put(wants({ web: { nodes: [A] }, bad: { lines: ["http-request deny if xyz"], nodes: [B] } }));
  assert.deepEqual([...bench.model.process?.backends.keys() ?? []], ["web"]);
  assert.ok(bench.count("balancer.config_rejected", { cluster: "bad", fate: "put aside" }) > 0);
});

Deno.test("Writer does not serve a new cluster if leaving its line out does not help", async () => {
  await using bench = new Bench();
  bench.model.refuses = (text) => {
    const said = refuseXyz(text);
    return said ?? (text.includes("backend bad") ? "[ALERT] (1) : config : Proxy 'bad': it cannot be." : undefined);
  };
  await bench.put(wants({ web: { nodes: [A] }, bad: { lines: ["timeout server xyz"], nodes: [B] } }));
  assert.deepEqual([...bench.model.process?.backends.keys() ?? []], ["web"]);
});

Deno.test("Writer leaves a line out although its cluster served with it, as a new writer does not know the previous form", async () => {
  await using first = new Bench();
  await first.put(wants({ web: { nodes: [A] }, api: { nodes: [A] } }));
  await first.stop();
  await using bench = new Bench();
  bench.model.process = first.model.process;
  bench.model.file = first.model.file;
  bench.model.refuses = refuseXyz;
  await bench.put(wants({ web: { lines: ["timeout server xyz"], nodes: [A, B] }, api: { nodes: [C] } }));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.deepEqual(bench.model.serving("api"), ["c.int:80 10.0.0.3:80"]);
  // Without the line it is what it was.
  assert.deepEqual(bench.reloads, []);
});

Deno.test("Writer does not remove a serving cluster whose file was broken while no writer ran", async () => {
  await using first = new Bench();
  await first.put(wants({ web: { nodes: [A] }, api: { nodes: [A] } }));
  await first.stop();
  await using bench = new Bench();
  bench.model.process = first.model.process;
  bench.model.file = first.model.file;
  bench.model.refuses = refuseXyz;
  await bench.put(wants({ web: { lines: ["http-request deny if xyz"], nodes: [A, B] }, api: { nodes: [C] } }));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.deepEqual(bench.model.serving("api"), ["c.int:80 10.0.0.3:80"]);
  assert.deepEqual(bench.reloads, []);
});

Deno.test("Writer restores the previous file when no process starts with the new one, and retries later", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  await bench.pass(3_000);
  const good = bench.model.file;
  bench.forget();
  bench.model.fails = (text) =>
    text.includes("8009") ? "Reload aborted: cannot bind 0.0.0.0:8009: address already in use" : undefined;
  await bench.put(wants({ web: { port: 8000, nodes: [A] }, late: { port: 8009 } }));
  assert.equal(bench.model.file, good);
  await bench.pass(1_000);
  const tries = bench.reloads.length;
  bench.model.fails = () => undefined;
  await bench.pass(60_000);
  assert(bench.model.process?.backends.has("late"));
  assert.equal(bench.reloads.length, tries + 1);
  assert.equal(bench.logged("error").length, 1);
  // The writer restored the old file, so this is no drift.
  assert.equal(bench.count("balancer.drift"), 0);
});

Deno.test("Writer reports no drift for the existing file while a start keeps failing", async () => {
  await using bench = new Bench();
  bench.model.fails = (text) => text.includes("8009") ? "cannot bind" : undefined;
  await bench.put(wants({ web: { port: 8000, nodes: [A] }, late: { port: 8009 } }));
  await bench.pass(120_000);
  bench.model.fails = () => undefined;
  await bench.pass(120_000);
  assert(bench.model.process?.backends.has("late"));
  assert.equal(bench.count("balancer.drift"), 0);
  bench.model.file = "global\n";
  await bench.pass(6_500);
  assert.equal(bench.count("balancer.drift", { found: /^file/ }), 1);
});

Deno.test("Writer does not report a config as rejected when no process could be forked", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  bench.forget();
  let failures = 3;
  bench.model.fails = () => failures-- > 0 ? "[ALERT]    (7) : [/usr/sbin/haproxy.main()] Cannot fork.\n" : undefined;
  await bench.put(wants({ web: { port: 8000, nodes: [A] }, late: { port: 8009 } }));
  await bench.pass(60_000);
  assert(bench.model.process?.backends.has("late"));
  assert.equal(bench.logged("error").length, 1);
  assert.equal(
    bench.count("balancer.failed", { msg: "[ALERT]    (7) : [/usr/sbin/haproxy.main()] Cannot fork.\n" }),
    1,
  );
  assert.equal(bench.count("balancer.config_rejected"), 0);
});

Deno.test("Writer restarts a balancer that died, though not the instant that it is gone", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.forget();
  bench.model.kill();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  assert.deepEqual(bench.steps, []);
  await bench.pass(400);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  // It notices the end; it does not wait for its next look.
  bench.model.kill();
  await bench.pass(400);
  assert(bench.model.process !== undefined);
});

Deno.test("Writer leaves the restart of a balancer with a master to its service manager, but not for long", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  [bench.model.masterPid] = [7];
  await bench.pass(6_000);
  bench.forget();
  bench.model.kill();
  await bench.pass(2_900);
  assert.deepEqual(bench.steps, []);
  await bench.pass(500);
  assert.deepEqual(bench.steps, ["start"]);
});

Deno.test("Writer stops a process beside which another was started, but no master that has reloaded", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  const first = bench.model.process?.pid;
  bench.model.boot();
  await bench.pass(5_100);
  assert.deepEqual(bench.model.dismissed, [first]);
  bench.model.masterPid = 7;
  bench.model.boot();
  await bench.pass(5_100);
  const second = (first ?? 0) + 1;
  bench.model.boot();
  await bench.pass(5_100);
  assert.deepEqual(bench.model.dismissed, [first, second]);
});

Deno.test("Writer stops processes that somebody started while it started one itself", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.model.kill();
  bench.model.oldWorkers = [7, 8];
  await bench.pass(400);
  assert.deepEqual(bench.model.dismissed, [7, 8]);
  // Old workers of a reload exit by themselves.
  await bench.put(wants({ web: { nodes: [A] }, more: {} }));
  assert.deepEqual(bench.model.dismissed, [7, 8]);
});

Deno.test("Writer does not keep looking at a balancer that closes each connection", async () => {
  await using bench = new Bench();
  let looks = 0;
  bench.model.watchSocket = () => Promise.resolve();
  bench.model.beforeObserve = () => void looks++;
  await bench.put(wants({ web: { nodes: [A] } }));
  looks = 0;
  await bench.pass(10_000);
  assert(looks <= 5, `${looks}`);
});

Deno.test("Writer waits longer and longer for a balancer that does not start", async () => {
  await using bench = new Bench();
  bench.model.fails = () => "exit status 1, no output";
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(60_000);
  const starts = bench.steps.filter((step) => step === "start").length;
  assert(starts >= 3 && starts <= 15, `${starts}`);
  bench.model.fails = () => undefined;
  await bench.pass(61_000);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
});

Deno.test("Writer restarts at once a balancer that died as soon as it was started", async () => {
  await using bench = new Bench();
  let starts = 0;
  bench.model.before = (step) => {
    if (step.do === "start") starts++;
    return Promise.resolve();
  };
  bench.model.beforeObserve = () => {
    if (starts === 1) bench.model.kill();
  };
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(4_000);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
  assert.ok(
    bench.count("balancer.config_rejected", { msg: /Cannot start haproxy: process exited within 1s/ }) > 0,
  );
});

Deno.test("Writer reverts what was done to members by hand", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  bench.model.server("web/a.int:80").maintenance = true;
  bench.model.process?.backends.get("web")?.servers.delete("b.int:80");
  bench.forget();
  await bench.pass(5_100);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.equal(bench.logged("warn").length, 1);
  assert.equal(bench.count("balancer.drift", { found: "web/b.int:80 is missing, web/a.int:80 is in maintenance" }), 1);
});

Deno.test("Writer restores a file that was changed by hand", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  const good = bench.model.file;
  bench.forget();
  for (const changed of ["global\n", undefined]) {
    bench.model.file = changed;
    await bench.pass(6_500);
    assert.equal(bench.model.file, good);
  }
  assert.deepEqual(bench.logged("warn").map(({ event, found }) => [event, found]), [
    ["balancer.drift", "file /etc/haproxy.cfg changed"],
    ["balancer.drift", "file /etc/haproxy.cfg removed"],
  ]);
});

Deno.test("Writer reports no drift for a file that it cannot write, shows since when the file is outdated, and retries the write", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(2_000);
  bench.model.fault = (step) =>
    step.do === "install" ? { kind: "system", message: "No space left on device" } : undefined;
  const since = bench.clock.now();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  bench.forget();
  await bench.pass(60_000);
  const tries = bench.steps.length;
  assert.ok(tries > 5 && tries < 15, `it is tried every eight seconds: ${tries} tries in a minute`);
  assert.deepEqual(bench.logged("warn"), []);
  assert.equal(bench.logged("error").length, 1);
  assert.deepEqual(bench.standing.fileBehind, { text: "No space left on device", atMs: since + 500 });
  bench.model.fault = () => undefined;
  await bench.pass(10_000);
  assert.match(bench.model.file ?? "", /server b\.int:80/);
  assert.equal(bench.standing.fileBehind, undefined);
  assert.deepEqual(bench.logged("warn"), []);
});

Deno.test("Writer detects an external reload, and adds the current members again", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.put(wants({ web: { nodes: [B] } }));
  // The file has not followed yet.
  bench.model.boot();
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
  await bench.pass(5_100);
  assert.deepEqual(bench.model.serving("web"), ["b.int:80 10.0.0.2:80"]);
});

Deno.test("Writer leaves a server with connections in maintenance and deletes it when they have ended", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A, B] } }));
  const server = bench.model.server("web/b.int:80");
  server.busy = true;
  bench.forget();
  await bench.put(wants({ web: { nodes: [A] } }));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
  assert.equal(bench.turns.at(-1)?.converged, true);
  await bench.pass(10_000);
  assert.deepEqual(bench.logged("warn"), []);
  assert(bench.steps.length < 30, `${bench.steps.length} steps`);
  server.busy = false;
  await bench.pass(5_100);
  assert(!bench.model.process?.backends.get("web")?.servers.has("b.int:80"));
  assert.deepEqual(bench.reloads, []);
});

Deno.test("Writer reads the state again after a failed command, and reloads after a second failure", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.pass(3_000);
  bench.forget();
  let failures = 1;
  const isAdd = (step: Step) => step.do === "command" && step.command.startsWith("add server");
  const failure = { kind: "answer", message: "add server: no" } as const;
  bench.model.fault = (step) => isAdd(step) && failures-- > 0 ? failure : undefined;
  await bench.put(wants({ web: { nodes: [A, B] } }));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "b.int:80 10.0.0.2:80"]);
  assert.deepEqual(bench.reloads, []);
  failures = Infinity;
  await bench.put(wants({ web: { nodes: [A, C] } }));
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80", "c.int:80 10.0.0.3:80"]);
  assert.deepEqual(bench.reloads.map(({ reason }) => reason), ["commands keep failing: add server: no"]);
});

Deno.test("Writer makes the reload that failed commands ask for once", async () => {
  await using bench = new Bench();
  const wants = (nodes: readonly string[]) =>
    wantedOf({ balancer: { defaults: DEFAULTS, restart_interval: 0 }, clusters: [{ name: "web", nodes }] });
  await bench.put(wants([A]));
  bench.forget();
  bench.model.fault = (step) => step.do === "command" ? { kind: "answer", message: "no" } : undefined;
  await bench.put(wants([A, B]));
  await bench.pass(60_000);
  assert.deepEqual(bench.reloads.map(({ reason }) => reason), ["commands keep failing: no"]);
});

Deno.test("Writer learns from an answer which option needs a reload, until the program has another version", async () => {
  await using bench = new Bench();
  const wants = (nodes: readonly string[]) =>
    wantedOf({
      version: "unknown",
      balancer: { defaults: DEFAULTS, restart_interval: 0 },
      clusters: [{ name: "web", haproxy: { server_options: "new-option 3" }, nodes }],
    });
  await bench.put(wants([]));
  bench.forget();
  const answer = "'new-option' option is not accepted for dynamic server";
  bench.model.fault = (step) =>
    step.do === "command" && /new-option/.test(step.command) && bench.model.programVersion[0] === 2
      ? { kind: "answer", message: answer, answer }
      : undefined;
  const adds = () => bench.steps.filter((step) => step.startsWith("add server")).length;
  for (const nodes of [[A], [A, B], [A, B, C]]) {
    await bench.put(wants(nodes));
    await bench.pass(1_000);
    assert.deepEqual([bench.reloads.length, adds()], [nodes.length, 1]);
  }
  assert.match(bench.reloads[0]?.reason ?? "", /server option new-option cannot be set/);
  bench.model.programVersion = [3, 0, 0];
  await bench.put(wants([A, B]));
  bench.model.kill();
  await bench.pass(6_000);
  await bench.put(wants([A, B, C]));
  assert.equal(adds(), 2);
});

Deno.test("Writer does not reload over and over although commands keep failing", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.forget();
  bench.model.fault = (step) => step.do === "command" ? { kind: "answer", message: "no" } : undefined;
  for (let i = 0; i < 60; i++) {
    await bench.put(wants({ web: { nodes: [`n${i}.int:80 10.0.1.${i}`] } }));
    await bench.pass(1_000);
  }
  assert(bench.reloads.length >= 1 && bench.reloads.length <= 12, `${bench.reloads.length}`);
});

Deno.test("Writer survives a silent socket, and continues when the socket responds", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.forget();
  bench.model.beforeObserve = () => {
    throw new Error("No response within 5000 ms");
  };
  await bench.put(wants({ web: { nodes: [B] } }));
  await bench.pass(10_000);
  assert.equal(bench.logged("error").length, 1);
  bench.model.beforeObserve = () => {};
  await bench.pass(60_000);
  assert.deepEqual(bench.model.serving("web"), ["b.int:80 10.0.0.2:80"]);
});

Deno.test("Writer reports files that it cannot write, and still serves the members", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  bench.forget();
  const full = {
    kind: "system",
    message: "Cannot install the file /etc/haproxy.cfg: No space left on device",
  } as const;
  bench.model.fault = (step) => step.do === "install" ? full : undefined;
  await bench.put(wants({ web: { nodes: [B] } }));
  await bench.pass(10_000);
  assert.deepEqual(bench.model.serving("web"), ["b.int:80 10.0.0.2:80"]);
  assert.deepEqual(bench.logged("error").length, 1);
  assert.match(String(bench.logged("error")[0]?.reason), /No space left on device/);
  bench.model.fault = () => undefined;
  await bench.pass(61_000);
  assert(bench.model.file?.includes("b.int"));
});

Deno.test("Writer logs HAProxy's warnings once, although its pid and the line numbers change with each member", async () => {
  await using bench = new Bench();
  let run = 70;
  bench.model.output = (step) => {
    if (step.do !== "install") return "";
    run++;
    return [5, 9].map((line) => `[WARNING]  (${run}) : parsing [/etc/haproxy.cfg:${run + line}] : is ignored`).join(
      "\n",
    );
  };
  await bench.put(wants({ web: { nodes: [A] } }));
  for (const nodes of [[A, B], [B], [B, C]]) {
    await bench.put(wants({ web: { nodes } }));
    await bench.pass(2_000);
  }
  assert(run > 72, `the file was written ${run - 70} times`);
  assert.equal(bench.count("balancer.output", { line: /is ignored/ }), 2);
});

Deno.test("Writer writes a waiting file when it is stopped, and leaves the balancer running", async () => {
  const bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.put(wants({ web: { nodes: [B] } }));
  assert(!bench.model.file?.includes("b.int"));
  await bench.stop();
  assert(bench.model.file?.includes("b.int"));
  assert.deepEqual(bench.model.serving("web"), ["b.int:80 10.0.0.2:80"]);
});

Deno.test("Writer aborts work in flight two seconds after it was asked to end, and ends", async () => {
  const bench = new Bench();
  bench.model.before = (_step, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  await bench.put(wants({ web: { nodes: [A] } }));
  let ended = false;
  const stopped = bench.stop().then(() => ended = true);
  await bench.pass(1_900);
  assert.equal(ended, false);
  await bench.pass(100);
  assert.equal(ended, true);
  await stopped;
  assert.equal(bench.clock.pending, 0);
});

Deno.test("Writer logs a reload although it ends before another process has taken over", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  await bench.pass(3_000);
  bench.forget();
  bench.model.before = (step) => {
    if (step.do === "reload") void bench.stop();
    return Promise.resolve();
  };
  await bench.put(wants({ web: { port: 8001, nodes: [A] } }));
  await bench.stop();
  assert.deepEqual(bench.steps, ["install", "reload"]);
  assert.equal(bench.count("balancer.reloaded"), 1);
  assert.equal(bench.standing.reloads, 1);
});

Deno.test("Writer leaves no timer behind when it ends", async () => {
  const bench = new Bench();
  await bench.put(wants({ web: { nodes: [A] } }));
  await bench.stop();
  assert.equal(bench.clock.pending, 0);
});

Deno.test("Writer reloads once for a config file that moved, and logs that", async () => {
  await using bench = new Bench();
  const wanted = wants({ web: { port: 8000, nodes: [A] } });
  await bench.put(wanted);
  await bench.pass(10_000);
  bench.forget();
  await bench.put({ ...wanted, config: { ...wanted.config, configFile: "/etc/moved.cfg" } });
  await bench.pass(60_000);
  assert.deepEqual(bench.reloads.map((step) => step.reason), ["config file moved"]);
});

Deno.test("Writer does not reject the config when a program does not exit", async () => {
  await using bench = new Bench();
  bench.model.fault = (step) => step.do === "start" ? { kind: "late", message: "did not exit" } : undefined;
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  assert.deepEqual(bench.logged("error").map(({ event, msg }) => [event, msg]), [[
    "balancer.failed",
    "did not exit",
  ]]);
  bench.model.fault = () => undefined;
  await bench.pass(10_000);
  assert.deepEqual(bench.model.serving("web"), ["a.int:80 10.0.0.1:80"]);
});

Deno.test("Writer takes no step when nothing has changed", async () => {
  await using bench = new Bench();
  const wanted = wants({ web: { nodes: [A] } });
  await bench.put(wanted);
  bench.forget();
  await bench.put(wanted, 2);
  await bench.pass(60_000);
  assert.deepEqual(bench.steps, []);
  assert.deepEqual(bench.turns.map(({ generation, converged }) => ({ generation, converged })), [
    { generation: 2, converged: true },
  ]);
});

Deno.test("Writer fails with an internal error, and does not keep waiting for the ends of children", async () => {
  const quiet = () => {};
  const childEnd = (signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  const sources = () => {
    throw new Error("broken invariant");
  };
  const writer = new Writer({
    balancer: { ...haproxy, sources } as never,
    effects: Object.assign(new HaproxyModel(), { childEnd }),
    clock: new FakeClock(),
    random: seededRandom(7),
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  let end: unknown;
  void writer.run(new AbortController().signal).then(() => end = "over", (error) => end = error);
  writer.put(wants({}));
  for (let turn = 0; turn < 500; turn++) await undefined;
  assert.match(String(end), /broken invariant/);
});

Deno.test("Writer gets an address soon after it is free, however long another process held it", async () => {
  await using bench = new Bench();
  await bench.put(wants({ web: { port: 8000, nodes: [A] } }));
  bench.model.fault = (step) =>
    step.do === "reload" && step.listens?.some((address) => address.endsWith(":8001")) === true
      ? { kind: "address", message: "Reload aborted: cannot bind 127.0.0.1:8001: address already in use" }
      : undefined;
  await bench.put(wants({ web: { port: 8000, nodes: [A] }, api: { port: 8001, nodes: [C] } }));
  await bench.pass(600_000);
  assert.deepEqual(bench.model.serving("api"), []);
  bench.model.fault = () => undefined;
  await bench.pass(12_000);
  assert.equal(bench.model.serving("api").length, 1);
});
