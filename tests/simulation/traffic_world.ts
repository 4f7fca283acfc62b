import type { AcceptedCluster } from "../../src/config/accepted.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { type Random, seededRandom } from "../../src/kernel/random.ts";
import { LiveTopology } from "../../src/membership/live_topology.ts";
import { decodeTopology, encodeTopology } from "../../src/membership/topology_file.ts";
import { Traffic } from "../../src/membership/traffic.ts";
import { CLUSTER_DEFAULTS } from "../../src/model/cluster.ts";
import { type Node, nodeName } from "../../src/model/node.ts";
import type { NodeHealth, Override, TrafficPolicy } from "../../src/model/traffic.ts";
import type { NodeShare, Shares, shareTraffic } from "../../src/traffic/shares.ts";

const WEB = "web";
const ZONE = "here";
const WALL = 1_700_000_000_000;
const TICK_MS = 250;
const DELAY_MS = 2_000, RAMP_MS = 10_000, FROM = 0.1, GRACE_MS = 5_000;
const SPILL_BELOW = 0.8, OVERFLOW_BELOW = 0.8;
const WARM_UP_MS = 3_000;
/** How long a node's first checks may take. */
const FIRST_CHECKS_MS = 10_000;
/** The length of a ramp's step, which is taken on a whole second. */
const STEP_SLACK_MS = 2_100;
/** The rounding of weights, and of shares with them. */
const ROUNDING = 0.03;

const POLICY: TrafficPolicy = {
  weight: { from: { of: "metadata", path: ["weight"] }, default: 100 },
  slowStart: { delayMs: DELAY_MS, rampMs: RAMP_MS, from: FROM, curve: "linear", graceMs: GRACE_MS },
  zones: { spillBelow: SPILL_BELOW, key: { of: "zone" } },
  overflow: { clusters: ["spare"], below: OVERFLOW_BELOW, capacity: 0 },
  health: { intervalMs: 1_000, isolation: "shared", panicBelow: 0, checks: [] },
  sources: [{ source: "etcd", weight: { fixed: 50, default: 100 } }],
  warmUpMs: WARM_UP_MS,
};

/** A mistake planted in a world, which the checker must find. */
export interface TrafficBug {
  readonly name: string;
  /** The fault that the checker reports for it. */
  readonly found: RegExp;
  readonly decide: (input: Parameters<typeof shareTraffic>[0], real: typeof shareTraffic) => Shares;
}

/** A node, and what the registry has reported of it. */
interface Member {
  readonly node: Node;
  readonly source: string;
  readonly weight: number;
  isPresent: boolean;
  isDown: boolean;
  /** The verdict of this host's checks. */
  health: NodeHealth["state"];
  /** When the node was added, by a clock that nobody moves. */
  cameAt: number;
  leftAt: number;
  /** When it was last present before that. */
  readonly earlier: (readonly [cameAt: number, leftAt: number])[];
  /** Since when it is new; `undefined` if it is not. */
  newAt: number | undefined;
}

/** One cluster under all policies at once, with a clock that is moved, and faults drawn from a seed. */
export class TrafficWorld {
  readonly story: string[] = [];
  readonly #clock = new FakeClock();
  readonly #random: Random;
  readonly #members: readonly Member[];
  readonly #spare: readonly Node[] = [1, 2].map((i) => ({ host: `o${i}`, ip: `10.0.9.${i}`, port: 80, metadata: {} }));
  readonly #overrides = new Map<string, Override[]>();
  readonly #decide: typeof shareTraffic;
  readonly #cluster: AcceptedCluster;
  #live = new LiveTopology();
  #traffic: Traffic;
  #startedAt = 0;
  /** How far the time of day was moved. */
  #movedMs = 0;
  #isDue = true;
  #shares: readonly NodeShare[] = [];
  #fault: string | undefined;

  constructor(seed: number, real: typeof shareTraffic, bug?: TrafficBug) {
    this.#random = seededRandom(seed);
    this.#decide = bug === undefined ? real : (input) => bug.decide(input, real);
    const cluster = { ...CLUSTER_DEFAULTS, name: WEB, sources: [], balancers: new Map(), traffic: POLICY };
    this.#cluster = { cluster, sections: new Map([["haproxy", {}]]) };
    this.#members = Array.from({ length: 8 }, (_, i) => {
      const weight = 100 * (1 + i % 2);
      const zone = i < 5 ? ZONE : "there";
      const node: Node = { host: `n${i}`, ip: `10.0.0.${i}`, port: 80, zone, metadata: { weight } };
      const [isPresent, source] = [i % 4 !== 3, i % 3 === 0 ? "etcd" : "zoo"];
      return {
        node,
        source,
        weight,
        isPresent,
        isDown: false,
        health: "passing",
        cameAt: isPresent ? 0 : Infinity,
        leftAt: -Infinity,
        earlier: [],
        newAt: undefined,
      };
    });
    this.#traffic = this.#start();
    this.#note();
  }

  /** The first broken promise; `undefined` if there is none. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Starts one fault, and lets time pass. */
  async step(): Promise<void> {
    await this.#befall();
    await this.pass(this.#chance(0.3) ? 500 : 9_000 * this.#random());
  }

  /** Lets time pass, checking the promises after each tick. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms && this.#fault === undefined; passed += TICK_MS) {
      await this.#clock.advance(TICK_MS);
      this.#apply();
      this.#look();
    }
  }

  #wall(): number {
    return WALL + this.#clock.now() + this.#movedMs;
  }

  #start(): Traffic {
    this.#startedAt = this.#clock.now();
    const traffic = new Traffic({
      live: this.#live,
      clock: this.#clock,
      wallNow: () => this.#wall(),
      decide: this.#decide,
      onDue: () => this.#isDue = true,
    });
    traffic.apply({ clusters: new Map([[WEB, this.#cluster]]) });
    return traffic;
  }

  async #befall(): Promise<void> {
    const member = this.#pick(this.#members);
    const name = nodeName(member.node);
    const what = this.#pick(["member", "member", "check", "check", "health", "health", "override", "clock", "restart"]);
    switch (what) {
      case "member": {
        const now = this.#clock.now();
        member.isPresent = !member.isPresent;
        if (member.isPresent) {
          const isBack = now - member.leftAt <= GRACE_MS;
          // A node that returns continues where it was.
          if (!isBack) {
            if (member.leftAt > -Infinity) member.earlier.push([member.cameAt, member.leftAt]);
            [member.cameAt, member.newAt] = [now, now];
          }
        } else member.leftAt = now;
        this.#tell(`${name} ${member.isPresent ? "comes" : "leaves"}`);
        return this.#note();
      }
      case "check": {
        member.isDown = !member.isDown;
        this.#tell(`${name} is ${member.isDown ? "down" : "up"}`);
        const down = this.#members.filter(({ isDown }) => isDown).map(({ node }) => nodeName(node));
        return this.#traffic.noteDown("haproxy", new Map([[WEB, down]]));
      }
      case "health": {
        member.health = this.#pick(["passing", "failing", "failing", "unknown"]);
        this.#tell(`the checks of ${name} say ${member.health}`);
        return this.#noteHealth();
      }
      case "override": {
        const kind = this.#pick(["drain", "maint"] as const);
        const untilMs = this.#wall() + 8_000;
        this.#overrides.set(name, [{ kind, untilMs, author: "ann", reason: "" }]);
        this.#isDue = true;
        return this.#tell(`${kind} ${name} for 8s`);
      }
      case "clock": {
        this.#movedMs += this.#pick([-86_400_000, -30_000, 30_000, 86_400_000]);
        // The writer decides again in time, whatever the clock says.
        this.#isDue = true;
        return this.#tell(`the clock is moved to ${new Date(this.#wall()).toISOString()}`);
      }
      case "restart": {
        this.#tell("the writer is restarted");
        // A clock that stays moved over a restart makes a node new once more: correct the clock before it.
        this.#movedMs = 0;
        const confirmed = new Map([[WEB, this.#wall()]]);
        const text = await encodeTopology(this.#live.topology.clusters, {
          confirmed,
          sightings: this.#traffic.sightings,
        });
        const decoded = await decodeTopology(text);
        this.#traffic[Symbol.dispose]();
        this.#live = new LiveTopology();
        this.#traffic = this.#start();
        if (decoded.ok) this.#traffic.restore(decoded.sightings, this.#wall());
        this.#note();
        this.#noteHealth();
        const down = this.#members.filter(({ isDown }) => isDown).map(({ node }) => nodeName(node));
        return this.#traffic.noteDown("haproxy", new Map([[WEB, down]]));
      }
    }
  }

  /** Applies the verdicts of this host's checks. */
  #noteHealth(): void {
    const said = this.#members.map(({ node, health: state }) =>
      [nodeName(node), { state, reason: "simulated" }] as const
    );
    this.#traffic.noteHealth(WEB, new Map(said));
  }

  /** Applies the answers of the registries. */
  #note(): void {
    const present = this.#members.filter(({ isPresent }) => isPresent);
    const sources = new Map(present.map(({ node, source }) => [nodeName(node), source]));
    const nodes = present.map(({ node }) => node);
    this.#live.replace({ cluster: WEB, nodes }, { sourceOf: (name) => sources.get(name), sinceMs: this.#wall() });
    this.#traffic.note(WEB);
    this.#isDue = true;
  }

  /** Has the writer decide again, only when there is a reason to. */
  #apply(): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    this.#shares = this.#traffic.share({
      balancer: "haproxy",
      cluster: this.#cluster,
      host: { zone: ZONE },
      nodes: this.#live.nodes(WEB) ?? [],
      overflow: [{ name: "spare", nodes: this.#spare }],
      overrides: this.#overrides,
    }).nodes;
  }

  #look(): void {
    const now = this.#clock.now();
    const shareOf = ({ node }: Member) => this.#shares.find((each) => each.node === node);
    const present = this.#members.filter(({ isPresent }) => isPresent);
    const inRotation: Member[] = [];
    for (const member of present) {
      const [name, share] = [nodeName(member.node), shareOf(member)];
      const override = this.#overrides.get(name)?.find(({ untilMs = Infinity }) => untilMs > this.#wall());
      const state = override?.kind === "weight" ? "ready" : override?.kind ?? "ready";
      if (share?.state !== state) return this.#blame(`override: ${name} is ${share?.state}, not ${state}`);
      if (state !== "ready" && share.share > 0) return this.#blame(`override: ${name} gets requests`);
      if (state === "ready") inRotation.push(member);
    }
    // Checks are ignored where nobody would be left, in the overflow cluster either: it is not checked, and always up.
    const ready = inRotation.filter(({ isDown, health }) => !isDown && health !== "failing");
    for (const member of inRotation) {
      const share = shareOf(member)?.share ?? 0;
      if (member.health === "failing" && share > 0) {
        return this.#blame(`health: ${nodeName(member.node)} gets ${share}`);
      }
    }
    const isWarm = now >= this.#startedAt + WARM_UP_MS;
    const isOld = ({ newAt = -Infinity }: Member) => now - newAt > DELAY_MS + RAMP_MS + STEP_SLACK_MS;
    for (const member of ready) {
      const [name, share] = [nodeName(member.node), shareOf(member)];
      if (share === undefined) return this.#blame(`all: ${name} is not served`);
      const value = share.factors.find((each) => each.name === "slow_start")?.value ?? 1;
      if (!isWarm && value !== 1) return this.#blame(`warm_up: ${name} has ${value} of its share`);
      // Where a step changes no weight, because those of a spill are rounded to few steps, the writer need not wake for it.
      if (member.node.zone !== ZONE || now < this.#startedAt + WARM_UP_MS + STEP_SLACK_MS) continue;
      if (!ready.some((each) => isOld(each) && each.node.zone === ZONE)) continue;
      const elapsed = now - (member.newAt ?? -Infinity);
      const [least, most] = [rampAt(elapsed - STEP_SLACK_MS), rampAt(elapsed)];
      if (value < least - 1e-9 || value > most + 1e-9) {
        return this.#blame(`slow_start: ${name} came ${elapsed}ms ago and has ${value} of its share`);
      }
    }
    const total = sum(this.#shares.map(({ share }) => share));
    if (Math.abs(total - 1) > 1e-6) return this.#blame(`all: shares add up to ${total}`);
    const spare = sum(this.#shares.filter(({ from }) => from !== undefined).map(({ share }) => share));
    if (ready.length === 0 && Math.abs(spare - 1) > 1e-6) return this.#blame(`overflow: gets ${spare} of all`);
    // A node that has just been added may look as if it had failed.
    if (!isWarm || present.some(({ cameAt }) => now - cameAt < FIRST_CHECKS_MS + TICK_MS) || !ready.every(isOld)) {
      return;
    }
    const lacks = Math.max(0, OVERFLOW_BELOW - ready.length / this.#peak(this.#members)) / OVERFLOW_BELOW;
    if (ready.length > 0 && Math.abs(spare - lacks) > ROUNDING) {
      return this.#blame(`overflow: gets ${spare}, and ${lacks} is missing`);
    }
    const local = ready.filter(({ node }) => node.zone === ZONE);
    const others = ready.filter(({ node }) => node.zone !== ZONE);
    const here = sum(local.map((each) => shareOf(each)?.share ?? 0));
    const stays = others.length === 0 || local.length === 0
      ? Math.sign(local.length)
      : Math.min(1, local.length / this.#peak(this.#members.filter(({ node }) => node.zone === ZONE)) / SPILL_BELOW);
    if (Math.abs(here - (1 - spare) * stays) > ROUNDING) {
      return this.#blame(`zones: ${here} of ${1 - spare} stays here, not ${stays}`);
    }
    const mass = (each: Member) => each.weight * (each.source === "etcd" ? 0.5 : 1);
    for (const each of local) {
      const wanted = here * mass(each) / sum(local.map(mass));
      const got = shareOf(each)?.share ?? 0;
      if (Math.abs(got - wanted) > ROUNDING) {
        return this.#blame(`weight: ${nodeName(each.node)} gets ${got}, not ${wanted}`);
      }
    }
  }

  /** The most of these that were members at one time: no run takes an hour. */
  #peak(of: readonly Member[]): number {
    const stays = of.flatMap(({ cameAt, leftAt, isPresent, earlier }) => [
      ...earlier,
      [cameAt, isPresent ? Infinity : leftAt] as const,
    ]);
    return Math.max(...stays.map(([atMs]) => stays.filter(([came, left]) => came <= atMs && left > atMs).length));
  }

  #blame(fault: string): void {
    this.#fault ??= `${this.#clock.now()}ms: ${fault}`;
  }

  #tell(text: string): void {
    this.story.push(`${this.#clock.now()}ms: ${text}`);
  }

  #chance(of: number): boolean {
    return this.#random() < of;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}

/** The remaining part of a share at a time after the node was added. */
function rampAt(elapsedMs: number): number {
  if (elapsedMs < DELAY_MS) return 0;
  return FROM + (1 - FROM) * Math.min(1, (elapsedMs - DELAY_MS) / RAMP_MS);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, each) => all + each, 0);
}
