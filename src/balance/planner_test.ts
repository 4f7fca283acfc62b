import assert from "node:assert/strict";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { BalancerSources, Explanation, PlanAllowance, Step, Wanted } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { OperatorLog } from "./operator_log.ts";
import { NOTHING_TRIED } from "./acceptance.ts";
import { NO_COMMANDS } from "./command_memory.ts";
import { UNHURRIED, withReload } from "./pace.ts";
import { type Memory, Planner, type View } from "./planner.ts";
import { NO_FILE } from "./waiting_file.ts";

type Wish = Wanted<string, string>;

const SOURCES: BalancerSources = {
  kind: "process",
  contact: { by: "http", socket: "/run/s", queries: [] },
  file: "/etc/f",
  program: "p",
  reloadIntervalMs: 2_000,
};
const RELOAD: Step = { do: "reload", reason: "frontend web", listens: [], how: { run: ["p"] } };
const COMMAND: Step = { do: "command", command: "add server", expect: [""] };
const SOON: Step = { do: "install", path: "/etc/f", contents: "", mode: 0o644, check: [], when: "soon" };
const NO_MATTER = {
  because: undefined,
  plannedBefore: undefined,
  known: { rejected: [], sentAgoMs: new Map<string, number>() },
};

function wish(config: string, clusters: Record<string, string> = {}): Wish {
  return {
    config,
    host: { fqdn: "a.test", ip: "10.0.0.1" },
    clusters: Object.entries(clusters).map(([name, config]) => ({ name, config, nodes: [] })),
  };
}

/** A planner whose plugin's answers a test says. */
class Bench {
  readonly clock = new FakeClock();
  readonly log = new RecordingLogger();
  readonly memory: Memory<string, string> = {
    pace: UNHURRIED,
    file: NO_FILE,
    commands: NO_COMMANDS,
    acceptance: NOTHING_TRIED,
  };
  readonly rendered: string[] = [];
  plan: (config: string, allowed: PlanAllowance) => readonly Step[] = () => [];
  explain: (output: string) => Explanation = (message) => ({ faults: [{ message, remedy: [] }] });
  readonly planner: Planner<string, string, unknown>;

  constructor() {
    const balancer: Partial<Decider<string, string, unknown>> = {
      name: "haproxy",
      render: ({ config }) => {
        this.rendered.push(config);
        return { files: new Map([["/etc/f", { text: config }]]), notices: [{ text: `of ${config}` }] };
      },
      plan: ({ config }, { files }, _, allowed) => {
        assert.equal(files.get("/etc/f")?.text, config);
        return this.plan(config, allowed);
      },
      explain: (_, output) => this.explain(output),
      adopt: (files) => new Map(files.get("/etc/f")?.split(" ").map((name) => [name, []])),
    };
    this.planner = new Planner({
      balancer: balancer as Decider<string, string, unknown>,
      clock: this.clock,
      told: new OperatorLog("haproxy", this.log),
      random: () => 1,
      memory: this.memory,
    });
  }

  /** Looks with a wish. */
  async view(wanted: Wish, { file = "", reloadJitterMs = 0 } = {}): Promise<View<string, string, unknown>> {
    const seen = { answers: [], files: new Map([["/etc/f", file]]) };
    const target = await this.planner.aim(wanted, seen, SOURCES);
    return { sources: SOURCES, seen, observed: undefined, wanted, target, reloadJitterMs };
  }

  /** Has a wish refused as it is. */
  async refuse(wanted: Wish): Promise<boolean> {
    const { target } = await this.view(wanted);
    const next = await this.planner.refuse(wanted, target.wanted, { kind: "refused", message: "it is bad" }, {
      retryAt: () => this.clock.now() + 60_000,
      locate: (_, text) => text,
    });
    return next === "more";
  }
}

Deno.test("Planner takes the target for in force when nothing is to be done but the file that may wait", async () => {
  const bench = new Bench();
  const view = await bench.view(wish("one"));
  bench.plan = () => [SOON];
  const decision = await bench.planner.decide(view, NO_MATTER);
  assert.deepEqual(decision, { steps: [], planned: "[]", inForce: true, reloadAt: Infinity });
  assert.deepEqual(bench.memory.file.steps, [SOON]);
});

Deno.test("Planner takes the target for in force when the same is planned again, though it went well", async () => {
  const bench = new Bench();
  const view = await bench.view(wish("one"));
  bench.plan = () => [COMMAND, SOON];
  const { planned, inForce } = await bench.planner.decide(view, NO_MATTER);
  assert(!inForce);
  assert((await bench.planner.decide(view, { ...NO_MATTER, plannedBefore: planned })).inForce);
});

Deno.test("Planner makes a reload when it may be made, and until then has members come and go in what was in force", async () => {
  const bench = new Bench();
  bench.planner.accept(wish("old"));
  bench.memory.pace = withReload(UNHURRIED, RELOAD, 0, 2_000);
  bench.plan = (config, { reload }) => reload ? [RELOAD] : config === "old" ? [COMMAND, SOON] : assert.fail(config);
  const view = await bench.view(wish("new"), { reloadJitterMs: 500 });
  const held = await bench.planner.decide(view, NO_MATTER);
  assert.deepEqual(held, { steps: [COMMAND], planned: JSON.stringify([COMMAND]), inForce: false, reloadAt: 2_500 });
  assert.deepEqual(bench.memory.file.steps, [SOON]);
  // What an operator hears of is what is wanted.
  assert.deepEqual(bench.planner.notices, [{ text: "of new" }]);
  bench.clock.advance(2_500);
  const { steps, inForce, reloadAt } = await bench.planner.decide(view, NO_MATTER);
  assert.deepEqual({ steps, inForce, reloadAt }, { steps: [RELOAD], inForce: false, reloadAt: Infinity });
});

Deno.test("Planner forgets when a reload was due that is wanted no more", async () => {
  const bench = new Bench();
  bench.memory.pace = withReload(UNHURRIED, RELOAD, 0, 2_000);
  const view = await bench.view(wish("one"), { reloadJitterMs: 500 });
  bench.plan = (_, { reload }) => reload ? [RELOAD] : [];
  assert.equal((await bench.planner.decide(view, NO_MATTER)).reloadAt, 2_500);
  bench.plan = () => [];
  await bench.planner.decide(view, NO_MATTER);
  bench.plan = (_, { reload }) => reload ? [RELOAD] : [];
  bench.clock.advance(2_400);
  assert.equal((await bench.planner.decide(view, NO_MATTER)).reloadAt, 2_900);
});

Deno.test("Planner hands on why there must be a reload", async () => {
  const bench = new Bench();
  bench.plan = (_, { because }) => because === undefined ? [] : [{ ...RELOAD, reason: because }];
  const view = await bench.view(wish("one"));
  const { steps } = await bench.planner.decide(view, { ...NO_MATTER, because: "its config file has moved" });
  assert.deepEqual(steps, [{ ...RELOAD, reason: "its config file has moved" }]);
});

Deno.test("Planner tells why a reload cannot be made, and plans what needs none; but a plugin that cannot answer is no plan at all", async () => {
  const bench = new Bench();
  const view = await bench.view(wish("one"));
  bench.plan = (_, { reload }) => {
    if (reload) throw new Error("Cannot reload as nobody owns it");
    return [COMMAND];
  };
  assert.deepEqual((await bench.planner.decide(view, NO_MATTER)).steps, [COMMAND]);
  assert.deepEqual(bench.log.take(), ["error Cannot reload as nobody owns it"]);
  bench.plan = () => {
    throw new UndecidedError("no plan");
  };
  await assert.rejects(bench.planner.decide(view, NO_MATTER), UndecidedError);
});

Deno.test("Planner renders a target once", async () => {
  const bench = new Bench();
  const view = await bench.view(wish("one"));
  for (let i = 0; i < 3; i++) await bench.planner.decide(view, NO_MATTER);
  assert.deepEqual(bench.rendered, ["one"]);
});

Deno.test("Planner aims at what was last in force after a refusal, tells so, and tries again after a while", async () => {
  const bench = new Bench();
  const [old, bad] = [wish("old"), wish("bad")];
  bench.planner.accept(old);
  assert(bench.planner.hasServed);
  assert(await bench.refuse(bad));
  assert.equal((await bench.view(bad)).target.wanted.config, "old");
  assert.equal(bench.planner.retryAt(0), 60_000);
  bench.clock.advance(60_000);
  assert.equal((await bench.view(bad)).target.wanted, bad);
  const told = ["error haproxy refuses the config, what was last accepted stays in force: it is bad"];
  assert.deepEqual(bench.log.take(), told);
});

Deno.test("Planner knows nothing else to try when nothing was ever in force", async () => {
  const bench = new Bench();
  assert(!await bench.refuse(wish("bad")));
  assert.deepEqual(bench.log.take(), ["error haproxy refuses the config, nothing else is known: it is bad"]);
});

Deno.test("Planner takes no cluster away that is served, by the file that was seen, though it is refused", async () => {
  const bench = new Bench();
  bench.explain = (message) => ({ cluster: "web", faults: [{ message, remedy: [] }] });
  const wanted = wish("one", { web: "bad", api: "good" });
  assert(await bench.refuse(wanted));
  const aside = await bench.view(wanted, { file: "api" });
  assert.deepEqual(aside.target.wanted.clusters.map(({ name }) => name), ["api"]);
  const { target, ...held } = await bench.view(wanted, { file: "web api" });
  assert(target.held);
  bench.plan = (_, { reload }) => reload ? assert.fail("the structure has to wait") : [COMMAND];
  const { steps, reloadAt } = await bench.planner.decide({ ...held, target }, NO_MATTER);
  assert.deepEqual({ steps, reloadAt }, { steps: [COMMAND], reloadAt: Infinity });
});

Deno.test("Planner has no reload made as long as a cluster is served of which nothing is known, and says so", async () => {
  const bench = new Bench();
  bench.plan = (_, { reload }) => reload ? [RELOAD] : [COMMAND];
  const served = { file: "web api" };
  for (const unknown of [["web"], "all"] as const) {
    const held = await bench.view({ ...wish("one", { api: "x" }), unknown }, served);
    assert.deepEqual((await bench.planner.decide(held, NO_MATTER)).steps, [COMMAND]);
  }
  const [told = "", ...more] = bench.log.lines.filter((line) => line.startsWith("error "));
  assert.deepEqual(more, []);
  assert.match(told, /^error haproxy serves web, whose config cannot be used: it goes on as it runs/);
  // One that is not served, or is known by another file, or was removed, is no reason.
  for (const unknown of [["new"], ["api"], []] as const) {
    const view = await bench.view({ ...wish("one", { api: "x" }), unknown }, served);
    assert.deepEqual((await bench.planner.decide(view, NO_MATTER)).steps, [RELOAD]);
  }
  const nobody = await bench.planner.aim(
    { ...wish("one"), unknown: "all" },
    { files: new Map([["/etc/f", "web"]]) },
    SOURCES,
  );
  assert.equal(nobody.held, false);
});
