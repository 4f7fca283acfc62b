import assert from "node:assert/strict";
import fc from "fast-check";
import { MISTAKES } from "../../tests/support/mistaken_decide.ts";
import { seededRandom } from "../kernel/random.ts";
import type { BalancerSources, CommandStep, Seen, Step, Wanted } from "../plugin/contract.ts";
import { compose, lastApplied, withoutOther } from "./acceptance.ts";
import {
  beginWriter,
  decide,
  type Done,
  type Input,
  isPaced,
  nextLookAt,
  reasonToReload,
  shortcutBase,
  standsBackForNext,
  type View,
  waitsOf,
  type WriterState,
} from "./decide.ts";
import type { StepOutcome } from "./effects.ts";
import type { Report } from "./operator_log.ts";
import { isBirth, type Look } from "./processes.ts";

/** A config is a number; those that end with 9 are rejected. */
type State = WriterState<number, number>;
type Desired = Wanted<number, number>;

const RECONCILE_MS = 5_000, TICK_MS = 50, RELOAD_INTERVAL_MS = 2_000, REJECTED_MS = 60_000;
const SOURCES: BalancerSources = {
  kind: "process",
  contact: { by: "http", socket: "/run/s", queries: [] },
  file: "/etc/f",
  program: "p",
  reloadIntervalMs: RELOAD_INTERVAL_MS,
};
const isBad = (config: number) => config % 10 === 9;

/** A file of a config and members, which is also what runs. */
function print(config: number, members: number): string {
  return JSON.stringify([config, members]);
}

function parse(text: string): readonly [config: number, members: number] {
  return JSON.parse(text);
}

function desired(config: number, members = 0): Desired {
  const nodes = [{ node: { host: `n${members}` } }] as never;
  return { config, host: { fqdn: "a.test", ip: "10.0.0.1" }, clusters: [{ name: "web", config: 0, nodes }] };
}

function membersOf({ clusters: [web] }: Desired): number {
  return Number(web?.nodes[0]?.node.host.slice(1));
}

function install(contents: string, when: "now" | "soon"): Step {
  return { do: "install", path: "/etc/f", contents, mode: 0o644, check: ["p"], when };
}

/** What happens to a writer and its balancer. */
type Event =
  | { readonly what: "desired"; readonly config: number; readonly members: number }
  | { readonly what: "pass"; readonly ms: number }
  /** The process ends, or somebody else starts another one. */
  | { readonly what: "dies" | "is replaced" }
  /** The same, but the previous process keeps talking. */
  | { readonly what: "is relieved" }
  /** The next step of a kind fails. */
  | {
    readonly what: "fails";
    readonly step: Step["do"];
    readonly kind: "answer" | "program" | "system" | "unreachable";
  }
  /** The next look, or the next write of a file, fails; the next command is answered and not carried out. */
  | { readonly what: "is blind" | "breaks off" | "loses a command" }
  /** Members change while the next look in the background is in flight. */
  | { readonly what: "is overtaken" }
  /** An operator pauses or resumes the management. */
  | { readonly what: "pauses" | "resumes" };

/** A writer's rim and a balancer whose events a test chooses; what a decision must never do is asserted. */
class World {
  state: State = beginWriter({ now: 0, reconcileMs: RECONCILE_MS });
  now = 0;
  /** What was put last. */
  wanted: Desired = desired(0);
  pid: number | undefined;
  runs = "";
  file: string | undefined;
  readonly steps: Step[] = [];
  readonly log: Report[] = [];
  /** Whether an operator has paused the management. */
  isPaused = false;
  readonly #decide: typeof decide;
  readonly #random = seededRandom(7);
  readonly #befalls = new Set<string>();
  readonly #failing = new Map<Step["do"], Event & { what: "fails" }>();
  #lastPid = 100;
  /** The process that a connection is held to. */
  #heldPid: number | undefined;
  #lookedAt = 0;
  #reloadedAt = -Infinity;
  /** When a config was last rejected, and the desired state at that time. */
  readonly #rejectedAt = new Map<number, number>();

  /** Has decisions made by `how`, to verify that a wrong one is found. */
  constructor(how: typeof decide = decide) {
    this.#decide = how;
  }

  put(wanted: Desired): void {
    this.wanted = wanted;
    for (const config of this.#rejectedAt.keys()) if (config !== wanted.config) this.#rejectedAt.delete(config);
    this.#feed({ type: "wanted", desired: { wanted, generation: undefined, locate: (_, text) => text } });
    this.work();
  }

  befall(event: Event): void {
    if (event.what === "desired") this.put(desired(event.config, event.members));
    if (event.what === "pass") this.pass(event.ms);
    if (event.what === "fails") this.#failing.set(event.step, event);
    const { what } = event;
    if (what === "is blind" || what === "breaks off" || what === "loses a command" || what === "is overtaken") {
      this.#befalls.add(what);
    }
    if (event.what === "pauses" || event.what === "resumes") this.pause(event.what === "pauses");
    if (this.pid === undefined) return;
    if (event.what === "dies") this.pid = undefined;
    // It is started from the file.
    if (event.what === "is relieved") [this.pid, this.runs] = [++this.#lastPid, this.file ?? this.runs];
    if (event.what === "is replaced") this.pid = ++this.#lastPid;
    if (event.what === "dies" || event.what === "is replaced") {
      this.#heldPid = undefined;
      this.#feed({ type: "ended" });
    }
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused;
    this.#feed({ type: "paused", isPaused });
    this.work();
  }

  /** Ends all faults. */
  heal(): void {
    this.#failing.clear();
    this.#befalls.clear();
  }

  pass(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      // There is always a next look.
      assert(nextLookAt(this.state, this.now) <= this.now + RECONCILE_MS, `no look after ${this.now}`);
      this.now = Math.min(end, this.now + TICK_MS);
      this.work();
      assert(this.now - this.#lookedAt <= RECONCILE_MS + 2 * TICK_MS, `no look since ${this.#lookedAt}`);
    }
  }

  /** Does what is due. */
  work(): void {
    const isDue = () => this.state.file.dueAt <= this.now;
    const isLookDue = nextLookAt(this.state, this.now) <= this.now && !isDue();
    if (this.state.next !== undefined || isLookDue) this.turn();
    if (this.state.next !== undefined) this.turn();
    if (isDue()) this.write();
  }

  turn(): void {
    this.#feed({ type: "due" });
    for (let round = 0; this.state.turn !== undefined; round++) {
      assert(round < 60, "a turn comes to an end");
      if (this.#takeShortcut()) continue;
      const input = this.#isOvertaken() ? { type: "stoodBack" as const } : this.#gather();
      const { steps } = this.#feed(input);
      if (input.type !== "looked" || steps.length === 0) continue;
      this.#feed({ type: "done", done: this.#carryOut(steps, input.view) });
    }
  }

  #isOvertaken(): boolean {
    if (this.state.turn?.isFresh !== false || !this.#befalls.delete("is overtaken")) return false;
    this.wanted = desired(this.wanted.config, (membersOf(this.wanted) + 1) % 4);
    const { wanted } = this;
    this.#feed({ type: "wanted", desired: { wanted, generation: undefined, locate: (_, text) => text } });
    return standsBackForNext(this.state, this.now);
  }

  #takeShortcut(): boolean {
    const base = shortcutBase(this.state, this.now);
    const wanted = this.state.desired?.wanted;
    if (base === undefined || wanted === undefined || base.pid !== this.#heldPid) return false;
    if (base.wanted.config !== wanted.config || membersOf(base.wanted) === membersOf(wanted)) return false;
    const command = { do: "command", command: `${membersOf(wanted)}`, expect: [""] } as const;
    const steps: readonly CommandStep[] = [command, { ...command, isRead: true }];
    this.#feed({ type: "differs", wanted, shortcut: { steps, observed: () => undefined } });
    this.#feed({ type: "changed", outcomes: this.#executeHeld(steps) });
    return true;
  }

  #executeHeld(steps: readonly CommandStep[]): readonly StepOutcome[] {
    return steps.flatMap((step) => {
      const isHere = this.#heldPid === this.pid;
      if (step.isRead !== true) return isHere ? this.#execute([step]) : [{ ok: true, step, tookMs: 0, output: "" }];
      if (isHere && parse(this.runs)[1] === Number(step.command)) return [{ ok: true, step, tookMs: 0, output: "" }];
      return [{ ok: false, step, failure: { kind: "answer", message: "it is otherwise", answer: "" } }];
    });
  }

  write(): void {
    const { steps } = this.state.file;
    this.#feed({ type: "writing" });
    const outcomes = this.#befalls.delete("breaks off") ? undefined : this.#execute(steps);
    this.#feed({ type: "written", outcomes, sources: SOURCES, beganMs: this.now });
  }

  #feed(input: Input<number, number>) {
    const before = this.state;
    const frozen = JSON.stringify(before.standing);
    const answer = this.#decide(before, input, { now: this.now, random: this.#random });
    assert.equal(JSON.stringify(before.standing), frozen, "the state before is not changed");
    this.state = answer.state;
    this.log.push(...answer.log);
    const { steps } = answer;
    if (this.isPaused) {
      assert.deepEqual(
        [steps, answer.dismissals, answer.state.file.steps],
        [[], [], []],
        "steps during a pause",
      );
    }
    assert(steps.filter(isBirth).length < 2, "two reloads at once");
    if (steps.some((step) => step.do === "command")) {
      const pid = input.type === "differs" ? this.#heldPid : this.pid;
      assert(
        pid !== undefined && answer.state.processes.current?.pid === pid,
        "a command to a process that was not seen",
      );
      assert(input.type !== "differs" || this.now - this.#lookedAt <= RECONCILE_MS, "a shortcut from an old look");
    }
    for (const news of answer.news) {
      if (news.type !== "applied" || !news.applied.converged || input.type !== "changed") continue;
      const wanted = answer.state.desired?.wanted;
      assert(wanted !== undefined && parse(this.runs)[1] === membersOf(wanted), "all is reported as applied");
    }
    for (const step of steps) {
      if (step.do === "reload") {
        assert(this.now >= this.#reloadedAt + RELOAD_INTERVAL_MS, `a reload too early, at ${this.now}`);
      }
      if (step.do !== "install") continue;
      const at = this.#rejectedAt.get(parse(step.contents)[0]);
      assert(at === undefined || this.now >= at + REJECTED_MS, "a rejected config is forgotten");
    }
    return answer;
  }

  #gather(): Input<number, number> {
    if (this.#befalls.delete("is blind")) {
      this.#lookedAt = this.now;
      return { type: "failed", faults: ["Cannot observe"] };
    }
    const { state } = this;
    const wanted = state.desired?.wanted;
    assert(wanted !== undefined);
    [this.#lookedAt, this.#heldPid] = [this.now, this.pid];
    const seen: Seen = {
      ...this.pid === undefined ? {} : { answers: [] },
      ...this.file === undefined ? {} : { files: new Map([["/etc/f", this.file]]) },
    };
    const look: Look = { sources: SOURCES, seen, pid: this.pid };
    const acceptance = withoutOther(state.acceptance, wanted);
    const target = compose(acceptance, wanted, { now: this.now, served: new Set() });
    const because = reasonToReload(state, SOURCES);
    const plan = target.held ? undefined : this.#plan(target.wanted, true, because);
    const view: View<number, number> = {
      sources: SOURCES,
      looks: [look],
      wanted,
      target,
      observed: undefined,
      kept: [],
      notices: [],
      renderFaults: [],
      plan,
      meanwhile: plan?.some(isPaced) === false
        ? undefined
        : this.#plan(lastApplied(acceptance, wanted) ?? target.wanted, false),
      version: state.version,
      other: undefined,
      reloadJitterMs: 0,
      faults: [],
    };
    return { type: "looked", view };
  }

  #plan(target: Desired, mayReload: boolean, because?: string): readonly Step[] {
    const members = membersOf(target);
    const text = print(target.config, members);
    const now = install(text, "now");
    if (this.pid === undefined) return mayReload ? [now, { do: "start", reason: "it is gone", run: ["p"] }] : [];
    const [config, served] = parse(this.runs);
    if (config !== target.config || because !== undefined) {
      const reload: Step = {
        do: "reload",
        reason: because ?? `config ${target.config}`,
        listens: [],
        how: { run: ["p"] },
      };
      return mayReload ? [now, reload] : [];
    }
    const commands: Step[] = served === members ? [] : [{ do: "command", command: `${members}`, expect: [""] }];
    return this.file === text ? commands : [...commands, install(text, "soon")];
  }

  #execute(steps: readonly Step[]): readonly StepOutcome[] {
    const outcomes: StepOutcome[] = [];
    for (const step of steps) {
      const failing = this.#failing.get(step.do);
      this.#failing.delete(step.do);
      if (step.do === "install" && isBad(parse(step.contents)[0])) {
        this.#rejectedAt.set(parse(step.contents)[0], this.now);
        outcomes.push({ ok: false, step, failure: { kind: "refused", message: "it is bad" } });
        break;
      }
      this.steps.push(step);
      if (isBirth(step)) this.#reloadedAt = this.now;
      if (failing !== undefined) {
        outcomes.push({ ok: false, step, failure: { kind: failing.kind, message: "it failed" } });
        break;
      }
      outcomes.push({ ok: true, step, tookMs: 0, output: "" });
      if (step.do === "install") this.file = step.contents;
      if (step.do === "command" && !this.#befalls.delete("loses a command")) {
        this.runs = print(parse(this.runs)[0], Number(step.command));
      }
      if (isBirth(step)) [this.pid, this.runs] = [++this.#lastPid, this.file ?? ""];
    }
    return outcomes;
  }

  #carryOut(steps: readonly Step[], { looks }: View<number, number>): Done {
    const outcomes = this.#execute(steps);
    const failed = outcomes.find(({ ok }) => !ok);
    const step = steps.find(isBirth);
    const before = looks.at(-1)?.seen.files?.get("/etc/f");
    if (failed !== undefined && isBirth(failed.step)) this.file = before;
    const pid = this.pid ?? 0;
    const birth = failed !== undefined || step === undefined ? undefined : {
      step,
      takeover: { ok: true as const, pid, seen: { answers: [] }, oldWorkers: [], beside: [] },
      replayed: [],
      atMs: this.now,
    };
    return { outcomes, endedMs: this.now, birth, restored: [], regained: undefined, explanation: undefined };
  }
}

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    what: fc.constant("desired" as const),
    config: fc.constantFrom(1, 2, 3, 9, 19),
    members: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ what: fc.constant("pass" as const), ms: fc.constantFrom(50, 300, 700, 2_500, 20_000) }),
  fc.record({ what: fc.constantFrom("dies" as const, "is replaced" as const, "is relieved" as const) }),
  fc.record({
    what: fc.constant("fails" as const),
    step: fc.constantFrom<Step["do"]>("install", "start", "reload", "command"),
    kind: fc.constantFrom("answer" as const, "program" as const, "system" as const, "unreachable" as const),
  }),
  fc.record({ what: fc.constantFrom("is blind" as const, "breaks off" as const, "loses a command" as const) }),
  fc.record({ what: fc.constant("is overtaken" as const) }),
  fc.record({ what: fc.constantFrom("pauses" as const, "resumes" as const) }),
);

/**
 * Lives through all events of a writer; then all that is good must be applied, and a rejected config retried.
 */
function live(events: readonly Event[], how?: typeof decide): void {
  const world = new World(how);
  world.put(desired(1));
  for (const event of events) world.befall(event);
  world.heal();
  if (world.isPaused) {
    const before = JSON.stringify([world.pid, world.runs, world.file]);
    world.pass(60_000);
    assert.equal(JSON.stringify([world.pid, world.runs, world.file]), before, "a pause leaves all as it is");
    world.pause(false);
  }
  world.pass(180_000);
  const { wanted } = world;
  assert(world.pid !== undefined, "the balancer runs");
  const [config, members] = parse(world.runs);
  assert.equal(members, membersOf(wanted), "members are applied whatever becomes of the config");
  assert.equal(world.runs, world.file, "the file is what runs");
  if (!isBad(wanted.config)) {
    assert.equal(config, wanted.config, "the config is applied");
    assert(world.state.standing.inForce);
    return;
  }
  assert(!world.state.standing.inForce && !isBad(config), "a rejected config is not served");
  const { whole } = world.state.acceptance;
  assert(whole !== undefined && whole.retryAt <= world.now + REJECTED_MS, "it is tried again");
  // What is good is applied at once, whatever was rejected earlier.
  world.put(desired(4, members));
  world.pass(RELOAD_INTERVAL_MS + 50);
  assert.equal(parse(world.runs)[0], 4, "a good config is not kept waiting");
  assert.equal(world.state.acceptance.whole, undefined);
}

const events = fc.array(event, { maxLength: 25 });

Deno.test("decide() keeps its promises whatever happens to the writer, and settles with all that is good applied", () =>
  fc.assert(fc.property(events, (events) => live(events)), { numRuns: 300 }));

for (const [name, how] of Object.entries(MISTAKES)) {
  Deno.test(`decide()'s promises bite: one that ${name} is found`, () => {
    // The rarest of them shows in one run of a hundred, and ends the search.
    const search = { numRuns: 20_000, endOnFailure: true };
    const details = fc.check(fc.property(events, (events) => live(events, how)), search);
    assert(details.failed, "nothing was found");
  });
}

Deno.test("decide() reports why something waits, and until when", () => {
  const world = new World();
  world.put(desired(1));
  world.put(desired(2, 1));
  assert.deepEqual(waitsOf(world.state, world.now), [
    { why: "Reload waits for the minimum interval between reloads", untilMs: 2_000 },
    { why: "Config file update after a membership change", untilMs: 500 },
  ]);
  world.pass(2_000);
  assert.deepEqual([world.runs, waitsOf(world.state, world.now)], [print(2, 1), []]);
  world.pass(2_000);
  world.put(desired(9, 1));
  assert.deepEqual(waitsOf(world.state, world.now), [
    { why: "Retry of the rejected config", untilMs: world.now + REJECTED_MS },
  ]);
});

Deno.test("decide() reports no desired state as applied because a file is written beside its turn", () => {
  const world = new World();
  world.put(desired(1));
  world.pass(1_000);
  assert(world.state.standing.inForce);
  const at = { now: world.now, random: seededRandom(7) };
  const wanted = { wanted: desired(2), generation: 2, locate: (_: unknown, text: string) => text };
  const inputs: readonly Input<number, number>[] = [
    { type: "writing" },
    { type: "wanted", desired: wanted },
    { type: "due" },
    { type: "written", outcomes: [], sources: SOURCES, beganMs: world.now },
  ];
  const news = inputs.flatMap((input) => {
    const answer = decide(world.state, input, at);
    world.state = answer.state;
    return answer.news;
  });
  assert.deepEqual(news.map((each) => each.type === "applied" && [each.applied.generation, each.applied.converged]), [
    [undefined, false],
  ]);
});

Deno.test("a paused writer observes, reports whether the balancer is gone, and catches up when it is resumed", () => {
  const world = new World();
  world.put(desired(1));
  world.pass(2_000);
  world.pause(true);
  const { steps } = world;
  const before = steps.length;
  world.put(desired(2, 1));
  world.pass(20_000);
  assert.deepEqual([steps.length, world.state.standing.inForce, world.state.standing.isGone], [before, false, false]);
  world.befall({ what: "dies" });
  world.pass(20_000);
  assert.deepEqual([steps.length, world.state.standing.isGone], [before, true]);
  world.pause(false);
  world.pass(2_000);
  assert.deepEqual([world.runs, world.state.standing.inForce, world.state.standing.isGone], [print(2, 1), true, false]);
});

Deno.test("a waiting file is not written during a pause, and is written after it", () => {
  const world = new World();
  world.put(desired(1));
  world.pass(2_000);
  world.put(desired(1, 1));
  assert.equal(world.file, print(1, 0));
  world.pause(true);
  world.pass(20_000);
  assert.equal(world.file, print(1, 0));
  world.pause(false);
  world.pass(2_000);
  assert.equal(world.file, print(1, 1));
});

Deno.test("a look in the background is postponed once for members that need none, and is made then", () => {
  const world = new World();
  world.put(desired(1));
  world.pass(1_000);
  const at = { now: world.now, random: seededRandom(7) };
  const feed = (input: Input<number, number>) => world.state = decide(world.state, input, at).state;
  const put = (members: number) => {
    const wanted = desired(1, members);
    feed({ type: "wanted", desired: { wanted, generation: undefined, locate: (_, text) => text } });
  };
  put(2);
  assert(!standsBackForNext(world.state, world.now), "no look is in flight");
  world.work();
  world.state = { ...world.state, lookAt: world.now };
  feed({ type: "due" });
  assert(!standsBackForNext(world.state, world.now), "nothing has arrived");
  put(3);
  assert(standsBackForNext(world.state, world.now));
  assert(!standsBackForNext(world.state, world.now + 1_000), "it is overdue");
  feed({ type: "stoodBack" });
  assert.deepEqual([world.state.turn, world.state.lookAt], [undefined, world.now]);
  world.turn();
  assert.equal(parse(world.runs)[1], 3);
  feed({ type: "due" });
  put(1);
  assert(!standsBackForNext(world.state, world.now), "it was postponed already");
});
