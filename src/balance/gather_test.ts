import assert from "node:assert/strict";
import { FakeClock } from "../kernel/fake_clock.ts";
import type { BalancerSources, PlanAllowance, Seen, Step, Wanted } from "../plugin/contract.ts";
import { type Decider, UndecidedError } from "../plugin/decider.ts";
import { withAccepted, withRejected } from "./acceptance.ts";
import { beginWriter, type View, type WriterState } from "./decide.ts";
import { gather, Prepared } from "./gather.ts";
import { UNHURRIED, withReload } from "./pace.ts";

/** A config is the place of its balancer; what is observed is the same with an exclamation mark. */
type Desired = Wanted<string, string>;

const NEVER = new AbortController().signal;
const RELOAD: Step = { do: "reload", reason: "frontend web", listens: [], how: { run: ["p"] } };
const COMMAND: Step = { do: "command", command: "add server", expect: [""] };

function desired(config: string, clusters: Record<string, string> = {}): Desired {
  return {
    config,
    host: { fqdn: "a.test", ip: "10.0.0.1" },
    clusters: Object.entries(clusters).map(([name, config]) => ({ name, config, nodes: [] })),
  };
}

function sourcesOf(place: string): BalancerSources {
  return {
    kind: "process",
    contact: { by: "http", socket: `/run/${place}.sock`, queries: [] },
    file: `/etc/${place}.cfg`,
    program: "p",
    reloadIntervalMs: 2_000,
  };
}

/** What a writer gathers from a balancer and a plugin whose answers a test sets. */
class Bench {
  readonly clock = new FakeClock();
  readonly rendered: string[] = [];
  readonly watched: (number | undefined)[] = [];
  state: WriterState<string, string> = beginWriter({ now: 0, reconcileMs: 5_000 });
  /** The clusters in the file of the balancer. */
  served = "";
  /** At which of its checks a look is aborted. */
  standsBackAfter = Infinity;
  asked = 0;
  look: (file: string) => Promise<Seen> = (file) =>
    Promise.resolve({ answers: ["7"], files: new Map([[file, this.served]]) });
  version: () => Promise<[number, number, number] | undefined> = () => Promise.resolve([2, 6, 12]);
  plan: (config: string, allowed: PlanAllowance) => readonly Step[] = () => [];
  sources: (config: string) => BalancerSources = sourcesOf;
  readonly #balancer = {
    name: "haproxy",
    sources: (config) => this.sources(config),
    observe: (_, config) => `${config}!`,
    render: ({ config }) => {
      this.rendered.push(config);
      return { files: new Map([["/etc/f", { text: config }]]), notices: [{ text: `of ${config}` }] };
    },
    plan: ({ config }, { files }, observed, allowed) => {
      assert.equal(files.get("/etc/f")?.text, config);
      assert.match(`${observed}`, /!$/);
      return this.plan(config, allowed);
    },
    adopt: (files) => new Map([...files.values()].join(" ").split(" ").map((name) => [name, []])),
  } satisfies Partial<Decider<string, string, unknown>> as Partial<Decider<string, string, unknown>> as Decider<
    string,
    string,
    unknown
  >;
  readonly #prepared = new Prepared(this.#balancer);

  gather(wanted: Desired) {
    return gather(this.state, wanted, {
      name: "haproxy",
      balancer: this.#balancer,
      effects: { version: () => this.version(), programFile: () => "1" },
      serving: {
        look: async (_, sources) => ({ sources, seen: await this.look(sources.file), pid: 7 }),
        watchSocket: ({ pid }) => void this.watched.push(pid),
      },
      clock: this.clock,
      prepared: this.#prepared,
      standsBack: () => this.asked++ >= this.standsBackAfter,
      signal: NEVER,
    });
  }

  async view(wanted: Desired): Promise<View<string, string>> {
    const input = await this.gather(wanted);
    assert(input.type === "looked", JSON.stringify(input));
    return input.view;
  }

  /** Has a desired state rejected: because of a cluster, if one is named. */
  reject(wanted: Desired, cluster?: string): void {
    const why = { cluster, lines: [], retryAt: () => 60_000 };
    const [acceptance] = withRejected(this.state.acceptance, wanted, wanted, why);
    this.state = { ...this.state, acceptance };
  }
}

Deno.test("gather() finds the observed and the desired state and the plan, and does not change the balancer", async () => {
  const bench = new Bench();
  bench.plan = (_, { reload }) => reload ? [COMMAND] : assert.fail("no other plan is needed");
  const { sources, looks, wanted, target, plan, meanwhile, notices, version } = await bench.view(desired("web"));
  assert.deepEqual([sources, looks.length, plan, meanwhile], [sourcesOf("web"), 1, [COMMAND], undefined]);
  assert.deepEqual(wanted, { ...desired("web"), version: [2, 6, 12] });
  assert.equal(target.wanted, wanted);
  assert.deepEqual(notices, [{ text: "of web" }]);
  assert.deepEqual([version.version, version.isDoubted], [[2, 6, 12], false]);
  assert.deepEqual(bench.watched, [7]);
});

Deno.test("gather() renders a desired state once, and keeps it one value", async () => {
  const bench = new Bench();
  const wanted = desired("web");
  const first = await bench.view(wanted);
  bench.state = { ...bench.state, version: first.version };
  assert.equal((await bench.view(wanted)).wanted, first.wanted);
  assert.deepEqual(bench.rendered, ["web"]);
});

Deno.test("gather() looks where the balancer was accepted if it was rejected at its new place", async () => {
  const bench = new Bench();
  const old = { ...desired("old"), version: [2, 6, 12] as const };
  const wanted = { ...desired("new"), version: [2, 6, 12] as const };
  bench.state = { ...bench.state, acceptance: withAccepted(bench.state.acceptance, old) };
  bench.reject(wanted);
  const { sources, looks, target } = await bench.view(wanted);
  assert.deepEqual([sources.file, target.wanted.config], ["/etc/old.cfg", "old"]);
  assert.deepEqual(looks.map(({ sources }) => sources.file), ["/etc/new.cfg", "/etc/old.cfg"]);
});

Deno.test("gather() plans what needs no reload from what was last applied, unless a reload is allowed now", async () => {
  const bench = new Bench();
  bench.state = {
    ...bench.state,
    acceptance: withAccepted(bench.state.acceptance, desired("old")),
    pace: withReload(UNHURRIED, RELOAD, 0, 2_000),
  };
  bench.plan = (config, { reload }) => reload ? [RELOAD] : config === "old" ? [COMMAND] : assert.fail(config);
  const { plan, meanwhile } = await bench.view(desired("new"));
  assert.deepEqual([plan, meanwhile], [[RELOAD], [COMMAND]]);
  bench.clock.advance(2_000);
  assert.equal((await bench.view(desired("new"))).meanwhile, undefined);
});

Deno.test("gather() writes no file of the last applied state that is not a desired one, as after a rename", async () => {
  const install = (path: string): Step => ({ do: "install", path, contents: "x", mode: 0o644, check: [], when: "now" });
  const notify: Step = { do: "notify", reason: "it changed", run: ["p"] };
  const bench = new Bench();
  bench.sources = (config) => ({
    kind: "files",
    file: `/etc/${config}.json`,
    moreFiles: ["/etc/kept.json"],
    directory: { path: `/etc/${config}.d`, suffix: ".json" },
    reloadIntervalMs: 2_000,
  });
  bench.state = {
    ...bench.state,
    acceptance: withAccepted(bench.state.acceptance, desired("old")),
    pace: withReload(UNHURRIED, notify, 0, 2_000),
  };
  const kept = [install("/etc/kept.json"), install("/etc/new.d/web.json")];
  const unseen: readonly Step[] = [install("/etc/old.json"), { do: "remove", path: "/etc/old.d/web.json" }];
  bench.plan = (_, { reload }) => reload ? [notify] : [...unseen, ...kept];
  assert.deepEqual((await bench.view(desired("new"))).meanwhile, kept);
});

Deno.test("gather() passes on why a reload is required, as for a config file that has moved", async () => {
  const bench = new Bench();
  bench.state = { ...bench.state, processes: { ...bench.state.processes, settledAt: sourcesOf("old") } };
  bench.plan = (_, { because }) => because === undefined ? [] : [{ ...RELOAD, reason: because }];
  assert.deepEqual((await bench.view(desired("new"))).plan, [{ ...RELOAD, reason: "config file moved" }]);
});

Deno.test("gather() reports why a reload cannot be planned, and plans what needs none", async () => {
  const bench = new Bench();
  bench.plan = (_, { reload }) => {
    if (reload) throw new Error("Cannot reload as nobody owns it");
    return [COMMAND];
  };
  const { plan, meanwhile, faults } = await bench.view(desired("web"));
  assert.deepEqual([plan, meanwhile, faults], [undefined, [COMMAND], ["Cannot reload as nobody owns it"]]);
});

Deno.test("gather() makes no view while the balancer cannot be observed, or its program or its plugin does not answer", async () => {
  const cases: readonly [break_: (bench: Bench) => void, faults: readonly string[]][] = [
    [(bench) => bench.look = () => Promise.reject(new Error("silent")), ["Cannot observe haproxy: silent"]],
    [(bench) => bench.look = () => Promise.reject(new UndecidedError("no pid")), ["no pid"]],
    [(bench) => bench.version = () => Promise.resolve(undefined), []],
    [(bench) =>
      bench.plan = () => {
        throw new UndecidedError("no plan");
      }, ["no plan"]],
  ];
  for (const [break_, faults] of cases) {
    const bench = new Bench();
    break_(bench);
    const input = await bench.gather(desired("web"));
    assert(input.type === "failed");
    assert.deepEqual(input.faults, faults);
    assert.equal(input.version?.attempts, 1);
  }
});

Deno.test("gather() removes no served cluster because it is rejected", async () => {
  const bench = new Bench();
  const wanted = { ...desired("one", { web: "bad", api: "good" }), version: [2, 6, 12] as const };
  bench.reject(wanted, "web");
  bench.served = "api";
  assert.deepEqual((await bench.view(wanted)).target.wanted.clusters.map(({ name }) => name), ["api"]);
  bench.served = "web api";
  bench.plan = (_, { reload }) => reload ? assert.fail("the structure has to wait") : [COMMAND];
  const { target, plan, meanwhile } = await bench.view(wanted);
  assert.deepEqual([target.held, plan, meanwhile], [true, undefined, [COMMAND]]);
});

Deno.test("gather() plans no reload while the config of a served cluster is invalid", async () => {
  const bench = new Bench();
  bench.served = "web api";
  bench.plan = (_, { reload }) => reload ? [RELOAD] : [COMMAND];
  for (const unknown of [["web"], "all"] as const) {
    const { kept, plan, meanwhile } = await bench.view({ ...desired("one", { api: "x" }), unknown });
    assert.deepEqual([kept, plan, meanwhile], [["web"], undefined, [COMMAND]]);
  }
  // A cluster that is not served, or is known by another file, or was removed, is no reason.
  for (const unknown of [["new"], ["api"], []] as const) {
    const { kept, plan } = await bench.view({ ...desired("one", { api: "x" }), unknown });
    assert.deepEqual([kept, plan], [[], [RELOAD]]);
  }
  bench.look = (file) => Promise.resolve({ files: new Map([[file, "web"]]) });
  assert.deepEqual((await bench.view({ ...desired("one"), unknown: "all" })).kept, [], "nobody serves");
});

Deno.test("gather() aborts a look wherever it is asked to, and notes nothing of it", async () => {
  const bench = new Bench();
  await bench.view(desired("web"));
  const { asked } = bench;
  assert.ok(asked >= 3, "before it observes, renders and plans");
  for (let at = 0; at < asked; at++) {
    [bench.asked, bench.standsBackAfter] = [0, at];
    assert.deepEqual(await bench.gather(desired("api")), { type: "stoodBack" });
  }
});
