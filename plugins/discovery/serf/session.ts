import type {
  ClusterFacts,
  ClusterName,
  DiscoveryContext,
  DiscoverySession,
  Registration,
  Takeover,
  WatchOptions,
} from "../../../mod.ts";
import { backoffMs } from "../../../src/kernel/backoff.ts";
import { type Clock, systemClock } from "../../../src/kernel/clock.ts";
import { delay } from "../../../src/kernel/delay.ts";
import { Latest } from "../../../src/kernel/latest.ts";
import { type Random, systemRandom } from "../../../src/kernel/random.ts";
import { Serial } from "../../../src/kernel/serial.ts";
import { abortable } from "../../../src/kernel/within.ts";
import { parseEndpoint } from "../../../src/model/endpoint.ts";
import { isRecord, parseNode, quote } from "../../../src/model/node.ts";
import { newsOfFaults, sameNodes } from "../children.ts";
import { NamedClusters } from "../resolving.ts";
import { AgentPast, type Past } from "./agent_past.ts";
import { compile, type SerfClusterConfig, type SerfConfig, type SerfServiceConfig } from "./config.ts";
import { formatPorts, type Member, parsePorts, readMembers, select, type Selection, type TagPort } from "./members.ts";
import { RejectedError, SerfRpc } from "./rpc.ts";

/** Where the registry is. */
export interface SessionOptions extends SerfConfig {
  readonly clock?: Clock;
  readonly random?: Random;
}

/** How long an agent has to answer. */
const ANSWER_MS = 5_000;
/** How long it has to change its tags: it waits for the other members, five seconds unless configured. */
const TAGS_MS = 15_000;
const RETRY_MS = { firstMs: 100, maxMs: 2_000 } as const;
/** How long closing may take: tags that stay are removed by the next reporter. */
const CLOSE_MS = 2_000;
/** The events that change a list of members. */
const EVENTS = "member-join,member-leave,member-failed,member-update,member-reap";

/** A connected agent. */
interface Agent {
  readonly rpc: SerfRpc;
  /** The name of the agent's own member. */
  readonly name: string;
}

/** The agent's last answer. */
interface Look extends Past {
  readonly members: readonly Member[];
}

/** A port that is registered from here. */
interface Held {
  readonly tag: string;
  readonly port: number;
  readonly isDraining: boolean;
}

/**
 * A registry in a serf cluster: the local agent lists all members, and stores what this host registers as
 * tags of its own member. One connection and one list serve all clusters.
 */
export class SerfSession implements DiscoverySession {
  /** Never resolves: what the agent has lost is set again. */
  readonly ended: Promise<string> = new Promise(() => {});
  readonly #options: SessionOptions;
  readonly #context: DiscoveryContext;
  readonly #clock: Clock;
  readonly #random: Random;
  /** The session that owns a port in a tag. */
  readonly #id: string;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #followers = new Set<Latest<Look>>();
  /** The epoch in which a cluster last had a member. */
  readonly #seen = new Map<ClusterName, string>();
  readonly #held = new Map<string, Held>();
  readonly #tagging = new Serial();
  readonly #past: AgentPast;
  readonly #named: NamedClusters;
  #agent: Promise<Agent> | undefined;
  /** Has the members read now. */
  readonly #hint = new Latest<void>();
  #reported: string | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: SessionOptions, context: DiscoveryContext) {
    [this.#options, this.#context] = [options, context];
    const { clock = systemClock, random = systemRandom } = options;
    [this.#clock, this.#random] = [clock, random];
    this.#named = new NamedClusters({ resolveNames: options.resolveNames, context, clock });
    this.#id = crypto.randomUUID().slice(0, 6);
    this.#past = new AgentPast({ joinMs: options.joinMs, newEpoch: () => crypto.randomUUID() });
    const giveUp = () => void this[Symbol.asyncDispose]();
    context.signal.addEventListener("abort", giveUp, { once: true });
    this.#running = this.#run();
    if (context.signal.aborted) giveUp();
  }

  /** Follows one cluster: the members that its section selects, or those that have a tag of its name. */
  async *watch(cluster: ClusterName, signal: AbortSignal, options?: WatchOptions): AsyncGenerator<ClusterFacts> {
    yield* this.#named.follow(cluster, (signal) => this.#follow(cluster, signal, options), signal);
  }

  async *#follow(
    cluster: ClusterName,
    signal: AbortSignal,
    { config }: WatchOptions = {},
  ): AsyncGenerator<ClusterFacts> {
    const { resolveNames: withNames } = this.#options;
    const selection = { ...selectionOf(cluster, config as SerfClusterConfig | undefined), withNames };
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const news = new Latest<Look>();
    this.#followers.add(news);
    this.#hint.put();
    let last: ClusterFacts | undefined;
    let faults: ReadonlyMap<string, string> = new Map();
    try {
      while (!either.aborted) {
        const look = await news.take(either).catch(() => undefined);
        if (either.aborted || look === undefined) return;
        const found = select(look.members, selection);
        this.#logFaults(cluster, faults, found.faults);
        faults = found.faults;
        // A cluster that had members, as far as this agent can know, is empty once the last has left.
        if (found.exists) this.#seen.set(cluster, look.epoch);
        const exists = this.#seen.get(cluster) === look.epoch;
        const { epoch, leaseMs } = look;
        const facts = { nodes: found.nodes, exists, epoch, leaseMs };
        const isSame = last?.exists === exists && last.epoch === epoch && last.leaseMs === leaseMs;
        if (isSame && sameNodes(last?.nodes, facts.nodes)) continue;
        last = facts;
        yield facts;
      }
    } finally {
      this.#followers.delete(news);
    }
  }

  /** Sets a tag of the agent's own member; sends nothing if it is set. */
  async register(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<Takeover | void> {
    const { node, state } = registration;
    const { port } = node;
    this.#check(signal, registration);
    const tag = tagOf(cluster, registration);
    this.#held.set(`${tag}:${port}`, { tag, port, isDraining: state === "draining" || node.state === "drain" });
    await this.#tagging.run(() => this.#assert(signal));
  }

  /** Removes a port from the tag, whoever put it there. */
  async deregister(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void> {
    await this.#remove(cluster, registration, () => true, signal);
  }

  /** Removes a port from the tag if this session put it there. */
  async deregisterOwn(cluster: ClusterName, registration: Registration, signal: AbortSignal): Promise<void> {
    await this.#remove(cluster, registration, ({ owner }) => owner === this.#id, signal);
  }

  /** Closes the connection, and removes the tags that this session set. Safe to call twice. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const tags = new Set([...this.#held.values()].map(({ tag }) => tag));
    this.#held.clear();
    const overdue = new AbortController();
    const cancel = this.#clock.after(CLOSE_MS, () => overdue.abort(new Error("closing the session took too long")));
    if (tags.size > 0) {
      await abortable(
        this.#tagging.run(() =>
          this.#setTags(tags, (ports) => ports.filter(({ owner }) => owner !== this.#id), overdue.signal)
        ),
        overdue.signal,
      ).catch(() => {});
    }
    cancel();
    this.#closing.abort(new Error("The session is closed"));
    const agent = await this.#agent?.catch(() => undefined);
    agent?.rpc[Symbol.dispose]();
    await this.#running;
  }

  /** Keeps a connection, reads the members after each event and periodically, and maintains the own tags. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted;) {
      const connecting = this.#agent = this.#connect(signal);
      connecting.catch(() => {});
      try {
        const agent = await connecting;
        failures = 0;
        for (let isFirst = true; !signal.aborted; isFirst = false) {
          const members = readMembers(await agent.rpc.call("members", undefined, { hasBody: true }));
          this.#report(undefined);
          const past = this.#past.judge(members, { own: agent.name, isFirst, now: this.#clock.now() });
          for (const news of this.#followers) news.put({ members, ...past });
          await this.#restore(agent, members, signal);
          await this.#pause(agent, signal);
        }
      } catch (error) {
        if (signal.aborted) break;
        const reason = error instanceof Error ? error.message : String(error);
        (await connecting.catch(() => undefined))?.rpc[Symbol.dispose]();
        this.#report(`${this.#options.address}: ${reason}`);
        await delay(backoffMs(failures++, RETRY_MS, this.#random), { clock: this.#clock, signal }).catch(() => {});
      }
    }
  }

  async #connect(signal: AbortSignal): Promise<Agent> {
    const { address: endpoint, authKey } = this.#options;
    const address = parseEndpoint(endpoint);
    if (address === undefined) throw new TypeError(`Cannot query ${quote(endpoint)}: must be host:port`);
    const rpc = await SerfRpc.connect({ address, authKey, answerMs: ANSWER_MS, clock: this.#clock, signal });
    try {
      const stats = await rpc.call("stats", undefined, { hasBody: true });
      const name = isRecord(stats) && isRecord(stats.agent) ? stats.agent.name : undefined;
      if (typeof name !== "string") throw new Error("the agent reports no name");
      await rpc.stream(EVENTS, () => this.#hint.put());
      return { rpc, name };
    } catch (error) {
      rpc[Symbol.dispose]();
      throw error;
    }
  }

  /** Waits for an event, or until it is time to read anyway. Throws when the connection is over. */
  async #pause({ rpc }: Agent, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const cancel = this.#clock.after(this.#options.refreshMs, () => over.abort());
    void rpc.ended.then(() => over.abort());
    await this.#hint.take(either).catch(() => {});
    cancel();
    if (rpc.hasEnded && !signal.aborted) throw await rpc.ended;
  }

  /** Sets again what the agent has lost of the registrations from here, as after its restart. */
  async #restore(agent: Agent, members: readonly Member[], signal: AbortSignal): Promise<void> {
    const own = members.find(({ name }) => name === agent.name);
    const isMissing = [...this.#held.values()].some(({ tag, port }) =>
      !parsePorts(own?.tags.get(tag) ?? "")?.some((each) => each.port === port)
    );
    if (!isMissing) return;
    try {
      await this.#tagging.run(() => this.#assert(signal));
    } catch (error) {
      // An agent that has no room for a tag still lists the members. The next reading tries again.
      if (!(error instanceof RejectedError)) throw error;
      this.#context.log.debug("Cannot set serf tags; retrying", {
        event: "discovery.renewal_failed",
        reason: error.message,
      });
    }
  }

  /** Updates the own tags to what is registered here. */
  async #assert(signal: AbortSignal): Promise<void> {
    const held = [...this.#held.values()];
    await this.#setTags(new Set(held.map(({ tag }) => tag)), (ports, tag) => {
      const own = held.filter((each) => each.tag === tag);
      const others = ports.filter(({ port }) => !own.some((each) => each.port === port));
      return [...others, ...own.map(({ port, isDraining }) => ({ port, isDraining, owner: this.#id }))];
    }, signal);
  }

  async #remove(
    cluster: ClusterName,
    registration: Registration,
    isMeant: (port: TagPort) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    this.#check(signal, registration);
    const { port } = registration.node;
    const tag = tagOf(cluster, registration);
    this.#held.delete(`${tag}:${port}`);
    await this.#tagging.run(() =>
      this.#setTags(new Set([tag]), (ports) => ports.filter((each) => each.port !== port || !isMeant(each)), signal)
    );
  }

  /** Reads the own tags, changes their ports, and sends those that differ. */
  async #setTags(
    tags: ReadonlySet<string>,
    change: (ports: readonly TagPort[], tag: string) => readonly TagPort[],
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    if (tags.size === 0) return;
    const { rpc, name } = await abortable(this.#connected(), signal);
    const members = readMembers(await rpc.call("members", undefined, { hasBody: true }));
    const own = members.find((member) => member.name === name)?.tags;
    const set: Record<string, string> = {};
    const remove: string[] = [];
    for (const tag of tags) {
      const before = own?.get(tag);
      // A value that is not a list of ports is a mistake, and the tag is for such a list.
      const after = formatPorts(change(parsePorts(before ?? "") ?? [], tag));
      if (after === (before ?? "")) continue;
      if (after === "") remove.push(tag);
      else set[tag] = after;
    }
    if (Object.keys(set).length + remove.length > 0) {
      await rpc.call("tags", { Tags: set, DeleteTags: remove }, { answerMs: TAGS_MS });
    }
  }

  async #connected(): Promise<Agent> {
    const agent = await this.#agent;
    if (agent !== undefined && !agent.rpc.hasEnded) return agent;
    throw new Error(`The serf agent at ${this.#options.address} is unreachable`);
  }

  #report(fault: string | undefined): void {
    const reported = fault ?? "";
    if (this.#reported === reported || this.#closing.signal.aborted) return;
    this.#reported = reported;
    if (fault === undefined) this.#context.connection("connected", this.#options.address);
    else this.#context.connection("disconnected", fault);
  }

  #logFaults(cluster: ClusterName, before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): void {
    for (const line of newsOfFaults(before, now)) {
      this.#context.log.warn("Entry skipped", {
        event: "discovery.entry_skipped",
        path: cluster,
        reason: line,
      });
    }
  }

  #check(signal: AbortSignal, { node }: Registration): void {
    signal.throwIfAborted();
    if (this.#closed !== undefined) throw new Error("Cannot write to the registry: the session is closed");
    const parsed = parseNode(node);
    if (!parsed.ok) throw new TypeError(parsed.reason);
  }
}

function selectionOf(cluster: ClusterName, config: SerfClusterConfig | undefined): Selection {
  const patternOf = (text: string) => {
    const pattern = compile(text);
    if (pattern === undefined) throw new TypeError(`Cannot use ${quote(text)}: must be a regular expression`);
    return pattern;
  };
  return {
    tags: new Map(Object.entries(config?.tags ?? {}).map(([tag, text]) => [tag, patternOf(text)])),
    name: config?.name === undefined ? undefined : patternOf(config.name),
    port: config?.port,
    portTag: config?.portTag ?? cluster,
    addressTag: config?.addressTag,
  };
}

function tagOf(cluster: ClusterName, { config }: Registration): string {
  return (config as SerfServiceConfig | undefined)?.portTag ?? cluster;
}
