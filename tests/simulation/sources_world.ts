import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { SILENT } from "../../src/kernel/logger.ts";
import { type Random, seededRandom } from "../../src/kernel/random.ts";
import { type combine, combineAtOnce } from "../../src/membership/combine.ts";
import { LiveTopology } from "../../src/membership/live_topology.ts";
import { MembershipGuard, type MembershipPolicy } from "../../src/membership/membership_guard.ts";
import { SourceMembers } from "../../src/membership/source_members.ts";
import { GUARD_DEFAULTS } from "../../src/model/cluster.ts";
import { type Node, nodeName } from "../../src/model/node.ts";
import type { Combine } from "../../src/model/registry_source.ts";

/** The cluster of these worlds. */
const WEB = "web";
/** The registries, in the order of the cluster's file. */
const NAMES = ["east", "west"] as const;
/** How soon a live node registers again after its registry was wiped. */
const REGISTERS_WITHIN_MS = 1_500;
/** The lease of the registries. */
const LEASE_MS = 2_000;
/** A lie ends before it can be confirmed by a second read. */
const LIE_MS = 1_200;
const TICK_MS = 50;
const WAIT_MS = 3_000;
const RETURN_AFTER_MS = 8_000;
/** By then a guard has confirmed that a cluster is empty: after a grace, and two reads. */
const CONFIRMED_WITHIN_MS = 12_000;
/** Tolerance for the times of a switch under the policy `first`: an answer may be on its way, or held. */
const SLACK_MS = 200;

/** A mistake planted in a world, which the checker must find. */
export interface SourcesBug {
  readonly name: string;
  readonly policy: Combine["policy"];
  /** The fault that the checker reports for it. */
  readonly found: RegExp;
  readonly combine?: typeof combine;
  /** Whether a discovery reports an unreachable registry as empty. */
  readonly emptiesWhenLost?: true;
  /** Whether the members of sources are lost at a restart. */
  readonly forgets?: true;
}

/** The true state of one registry, whoever can reach it. */
interface Registry {
  readonly name: string;
  readonly nodes: Map<string, Node>;
  exists: boolean;
  epoch: number;
  isReachable: boolean;
  /** The lie that replaces the truth. */
  lie: readonly Node[] | undefined;
  /** What the writer last received in this life; asked again, the registry repeats it. */
  said: string | undefined;
  wipedAt: number;
  /** Since when the registry has been honest to the writer. */
  honestSince: number;
  /** Since when the writer has accepted that the registry has nodes, or none; since when the registry has answered in this life. */
  readySince: number | undefined;
  lackingSince: number | undefined;
  heardSince: number | undefined;
}

/** A node, alive or not, and the registries that it registers in. */
interface Member {
  readonly node: Node;
  readonly homes: readonly string[];
  isAlive: boolean;
  /** Since when the node has been alive. */
  bornAt: number;
  /** Whether the node has been served since it came to life, with nothing that removes it since. */
  isServed: boolean;
}

const POLICIES: Readonly<Record<Combine["policy"], Combine>> = {
  union: { policy: "union" },
  all: { policy: "all", match: "address" },
  first: { policy: "first", waitMs: WAIT_MS, returnAfterMs: RETURN_AFTER_MS },
};

/** A writer with the real membership code for one cluster of two registries, and their faults, drawn from a seed. */
export class SourcesWorld {
  readonly story: string[] = [];
  readonly #clock = new FakeClock();
  readonly #random: Random;
  readonly #policy: Combine["policy"];
  readonly #bug: SourcesBug | undefined;
  readonly #registries: readonly Registry[];
  readonly #members: readonly Member[];
  readonly #ends = new Set<() => void>();
  #sources: readonly string[] = NAMES;
  #live = new LiveTopology();
  #known = new SourceMembers();
  #guard: MembershipGuard;
  /** The number of the writer's life: messages to an earlier life are dropped. */
  #life = 0;
  #startedAt = 0;
  #chosen: string | undefined;
  #fault: string | undefined;

  constructor(seed: number, policy: Combine["policy"], bug?: SourcesBug) {
    [this.#policy, this.#bug, this.#random] = [policy, bug, seededRandom(seed)];
    this.#registries = NAMES.map((name) => ({
      name,
      nodes: new Map(),
      exists: false,
      epoch: 1,
      isReachable: true,
      lie: undefined,
      said: undefined,
      wipedAt: -Infinity,
      honestSince: 0,
      readySince: undefined,
      lackingSince: undefined,
      heardSince: undefined,
    }));
    this.#members = Array.from({ length: 6 }, (_, i) => {
      const isEverywhere = policy === "first" ? false : this.#chance(0.5);
      const one = this.#pick(NAMES);
      const node: Node = { host: `n${i}.sim`, ip: `10.0.0.${i + 1}`, port: 80, metadata: {} };
      return { node, homes: isEverywhere ? NAMES : [one], isAlive: false, bornAt: 0, isServed: false };
    });
    for (const member of this.#members) this.#flip(member);
    this.#guard = this.#start();
  }

  /** The first broken promise; `undefined` if there is none. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Starts one fault, and lets time pass. */
  step(): void {
    this.#befall();
    this.pass(this.#chance(0.3) ? 200 : 6_000 * this.#random());
  }

  /** Lets time pass, checking the promises after each tick. */
  pass(ms: number): void {
    const end = this.#clock.now() + ms;
    while (this.#clock.now() < end && this.#fault === undefined) {
      this.#clock.advance(TICK_MS);
      this.#look();
    }
  }

  /** Ends all faults. */
  heal(): void {
    for (const end of [...this.#ends]) end();
    this.#edit(NAMES);
    // A registry that does not have the cluster removes no node permanently.
    for (const registry of this.#registries) {
      registry.exists = true;
      this.#say(registry);
    }
  }

  /** What is wrong once the world has been quiet for long; `undefined` if nothing is. */
  unsettled(): string | undefined {
    const truth = this.#registries.map(({ name, nodes }) => ({
      source: name,
      nodes: [...nodes.values()],
      isOwn: true,
    }));
    const followed = this.#policy === "first"
      ? truth.filter(({ source }) => source === this.#guard.chosen(WEB))
      : truth;
    const wanted = (combineAtOnce(followed, POLICIES[this.#policy]).nodes ?? []).map(nodeName);
    const served = (this.#live.nodes(WEB) ?? []).map(nodeName);
    return JSON.stringify(served) === JSON.stringify(wanted)
      ? undefined
      : `it serves ${served}, the registries have ${wanted}`;
  }

  #befall(): void {
    const registry = this.#pick(this.#registries);
    const tell = (text: string) => this.story.push(`${this.#clock.now()} ms: ${text}`);
    const what = this.#random();
    if (what < 0.45) {
      const member = this.#pick(this.#members);
      tell(`${nodeName(member.node)} ${member.isAlive ? "dies" : "comes"} in ${member.homes.join(", ")}`);
      this.#flip(member);
    } else if (what < 0.65) {
      if (!registry.isReachable) return;
      tell(`${registry.name} is unreachable`);
      this.#part(registry);
      this.#later(12_000 * this.#random(), `${registry.name} is reachable`, () => this.#join(registry));
    } else if (what < 0.77) {
      tell(`${registry.name} is wiped`);
      this.#wipe(registry);
    } else if (what < 0.87) {
      // Two lies in a row, with no true answer in between, confirm each other.
      const isSoon = this.#clock.now() - registry.honestSince < LIE_MS;
      if (this.#policy === "first" || registry.lie !== undefined || isSoon) return;
      tell(`${registry.name} is briefly empty`);
      registry.lie = [];
      this.#say(registry);
      this.#later(LIE_MS, `${registry.name} is honest`, () => {
        registry.lie = undefined;
        registry.honestSince = this.#clock.now();
        this.#say(registry);
      });
    } else if (what < 0.95) {
      tell("the writer restarts");
      this.#guard = this.#start();
    } else if (this.#policy === "union") {
      const next = this.#sources.length === 1 ? NAMES : this.#chance(0.5) ? NAMES.toReversed() : [registry.name];
      tell(`the list is ${next.join(", ")}`);
      this.#edit(next);
    }
  }

  /** A life of the writer, which knows what the previous one persisted. */
  #start(): MembershipGuard {
    const life = ++this.#life;
    const before = { served: this.#live.nodes(WEB), members: this.#known.members(WEB) };
    this.#guard?.[Symbol.dispose]();
    for (const registry of this.#registries) registry.heardSince = undefined;
    [this.#live, this.#known, this.#startedAt, this.#chosen] = [
      new LiveTopology(),
      new SourceMembers(),
      this.#clock.now(),
      undefined,
    ];
    if (before.served !== undefined) this.#live.adopt(WEB, before.served);
    if (this.#bug?.forgets !== true) {
      for (const [source, nodes] of before.members) this.#known.adopt({ cluster: WEB, source }, nodes);
    }
    const guard = new MembershipGuard({
      live: this.#live,
      members: this.#known,
      clock: this.#clock,
      wallNow: () => this.#clock.now(),
      log: SILENT,
      combine: this.#bug?.combine,
      askAgain: (_cluster, source) => {
        for (const each of this.#registries) {
          if (source !== undefined && each.name !== source) continue;
          each.said = undefined;
          this.#say(each, life);
        }
      },
      onChange() {},
    });
    guard.apply(this.#policies());
    for (const registry of this.#registries) {
      registry.said = undefined;
      if (registry.isReachable) guard.connected([{ cluster: WEB, source: registry.name }]);
      this.#say(registry, life);
      // A first answer has no history: a node that has not registered again by then is gone until it does.
      for (const member of this.#members) {
        if (this.#isRefilling(registry) && member.homes.includes(registry.name)) member.isServed = false;
      }
    }
    return guard;
  }

  #policies(): ReadonlyMap<string, MembershipPolicy> {
    const sources = this.#sources.map((name) => ({ name, key: name }));
    return new Map([[WEB, { guard: GUARD_DEFAULTS, sources, combine: POLICIES[this.#policy] }]]);
  }

  /** Edits the list of the cluster's file. */
  #edit(sources: readonly string[]): void {
    if (JSON.stringify(sources) === JSON.stringify(this.#sources)) return;
    const added = this.#registries.filter(({ name }) => sources.includes(name) && !this.#sources.includes(name));
    this.#sources = sources;
    for (const member of this.#members) {
      // Promises about a single registry are for the simulation of whole hosts.
      if (sources.length === 1) member.isServed = false;
      // Nobody knows what a registry had that never answered before it was wiped.
      if (this.#registries.some((each) => member.homes.includes(each.name) && this.#isRefilling(each))) {
        member.isServed = false;
      }
    }
    this.#guard.apply(this.#policies());
    for (const registry of added) {
      registry.said = undefined;
      this.#say(registry);
    }
  }

  #flip(member: Member): void {
    member.isAlive = !member.isAlive;
    member.bornAt = this.#clock.now();
    member.isServed = false;
    for (const registry of this.#registries) {
      if (!member.homes.includes(registry.name)) continue;
      if (member.isAlive) this.#register(registry, member);
      else if (registry.nodes.delete(nodeName(member.node))) this.#changed(registry);
    }
  }

  #register(registry: Registry, { node }: Member): void {
    registry.nodes.set(nodeName(node), node);
    registry.exists = true;
    this.#changed(registry);
  }

  /** Replaces a registry's store with an empty one; live nodes register again. */
  #wipe(registry: Registry): void {
    registry.nodes.clear();
    registry.exists = false;
    registry.epoch++;
    registry.wipedAt = this.#clock.now();
    this.#changed(registry);
    for (const member of this.#members) {
      // Only nodes that were there: one that came to life meanwhile has registered by itself.
      this.#clock.after(REGISTERS_WITHIN_MS * this.#random(), () => {
        if (member.isAlive && member.homes.includes(registry.name)) this.#register(registry, member);
      });
    }
  }

  #isRefilling({ wipedAt }: Registry): boolean {
    return this.#clock.now() - wipedAt < REGISTERS_WITHIN_MS;
  }

  #changed(registry: Registry): void {
    this.#say(registry);
  }

  /** Records what the writer has accepted of each registry, and since when. */
  #noteAccepted(): void {
    const now = this.#clock.now();
    for (const registry of this.#registries) {
      const { nodes = [], isHeard } = this.#known.of({ cluster: WEB, source: registry.name });
      registry.heardSince = isHeard ? registry.heardSince ?? now : undefined;
      if (nodes.length > 0) [registry.readySince, registry.lackingSince] = [registry.readySince ?? now, undefined];
      else [registry.readySince, registry.lackingSince] = [undefined, registry.lackingSince ?? now];
    }
  }

  #part(registry: Registry): void {
    registry.isReachable = false;
    this.#guard.lostSight([{ cluster: WEB, source: registry.name }], "it is unreachable", { until: "connected" });
    if (this.#bug?.emptiesWhenLost !== true) return;
    for (const ms of [100, 2_500, 6_000]) {
      this.#clock.after(ms, () => {
        if (!registry.isReachable) this.#hear(registry, { nodes: [], exists: true });
      });
    }
  }

  #join(registry: Registry): void {
    registry.isReachable = true;
    registry.honestSince = this.#clock.now();
    registry.said = undefined;
    this.#guard.connected([{ cluster: WEB, source: registry.name }]);
    this.#say(registry);
  }

  /** Has a registry report to the writer, if that is reachable by then. */
  #say(registry: Registry, life = this.#life): void {
    this.#clock.after(1 + 30 * this.#random(), () => {
      if (!registry.isReachable || life !== this.#life) return;
      const nodes = registry.lie ?? [...registry.nodes.values()].toSorted((a, b) => nodeName(a) < nodeName(b) ? -1 : 1);
      const exists = registry.lie !== undefined || registry.exists;
      const said = JSON.stringify([nodes, exists, registry.epoch]);
      if (said === registry.said) return;
      registry.said = said;
      this.#hear(registry, { nodes, exists });
    });
  }

  #hear(
    { name, epoch }: Registry,
    { nodes, exists }: { readonly nodes: readonly Node[]; readonly exists: boolean },
  ): void {
    if (!this.#sources.includes(name)) return;
    this.#guard.hear({ cluster: WEB, nodes, exists, epoch: `${epoch}`, leaseMs: LEASE_MS }, name);
  }

  #look(): void {
    this.#noteAccepted();
    const served = this.#live.nodes(WEB) ?? [];
    const names = new Set(served.map(nodeName));
    if (new Set(served.map(({ ip, port }) => `${ip}:${port}`)).size < served.length) {
      this.#tell("an address is served twice");
    }
    for (const member of this.#members) {
      const name = nodeName(member.node);
      if (names.has(name)) {
        if (this.#policy === "all" && member.homes.length === 1 && this.#isJudged(member)) {
          this.#tell(`${name} is served, and only ${member.homes} has ever had it`);
        }
        const isListed = this.#sources.length > 1;
        const isPromised = this.#policy === "union" ? isListed : this.#policy === "all" && member.homes.length > 1;
        if (member.isAlive && isPromised && this.#isTold(member)) member.isServed = true;
      } else if (member.isServed) this.#tell(`${name} is gone, though it never left ${member.homes}`);
    }
    this.#lookAtChoice();
  }

  /** Whether all registries of a node have reported by now that it lives. */
  #isTold({ homes, bornAt }: Member): boolean {
    return this.#registries.every(({ name, isReachable, lie, honestSince }) =>
      !homes.includes(name) ||
      (isReachable && lie === undefined && this.#clock.now() - Math.max(bornAt, honestSince) > SLACK_MS)
    );
  }

  /** Whether the registry that lacks a node has answered in this life, long enough ago for a guard to confirm it. */
  #isJudged({ homes }: Member): boolean {
    const now = this.#clock.now();
    return this.#registries.every(({ name, heardSince }) =>
      homes.includes(name) || now - (heardSince ?? now) > CONFIRMED_WITHIN_MS
    );
  }

  #lookAtChoice(): void {
    if (this.#policy !== "first") return;
    const now = this.#clock.now();
    const before = this.#chosen;
    const chosen = this.#guard.chosen(WEB);
    this.#chosen = chosen;
    if (before === undefined || chosen === undefined || chosen === before) return;
    const [left, taken] = [before, chosen].map((name) => this.#registries.find((each) => each.name === name));
    const lacked = now - (left?.lackingSince ?? Infinity);
    const ready = now - (taken?.readySince ?? Infinity);
    const isBack = NAMES.indexOf(chosen as "east") < NAMES.indexOf(before as "east");
    if (lacked >= WAIT_MS - SLACK_MS || (isBack && ready >= RETURN_AFTER_MS - SLACK_MS)) return;
    this.#tell(`${before} gives way to ${chosen} after ${lacked} ms without nodes and ${ready} ms with them`);
  }

  #tell(fault: string): void {
    this.#fault ??= `${this.#clock.now()} ms, ${this.#clock.now() - this.#startedAt} ms after the start: ${fault}`;
  }

  #later(ms: number, name: string, end: () => void): void {
    const once = () => {
      if (!this.#ends.delete(once)) return;
      cancel();
      this.story.push(`${this.#clock.now()} ms: ${name}`);
      end();
    };
    const cancel = this.#clock.after(ms, once);
    this.#ends.add(once);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}
