import type { Clock } from "../../src/kernel/clock.ts";
import type { Random } from "../../src/kernel/random.ts";
import type { Node } from "../../src/model/node.ts";
import type { Registration } from "../../src/plugin/contract.ts";
import type { Request, ToHost, ToWorker } from "../../src/protocol/messages.ts";
import type { Threads } from "../../src/supervisor/fleet.ts";
import { Portions } from "../../workers/portions.ts";
import type { Thread, ThreadEvents } from "../../src/supervisor/thread.ts";
import type { Session, SimRegistry } from "./sim_registry.ts";

/** A session that has been unreachable for this long expires. */
export const SESSION_MS = 4_000;
/** The interval of full reads, which make up for missed watches. */
const REREAD_MS = 10_000;
/** How soon a lost or restored connection is noticed. */
const NOTICE_MS = 100;

/** The faults of a host's workers. */
export interface WorkerFaults {
  /** The most by which answers are late. */
  lateMs: number;
  /** The share of answers that are lost. */
  lost: number;
  /** The share of answers that are duplicated. */
  doubled: number;
  /** The share of the registry's changes that are not reported. */
  missedEvents: number;
  /** Whether workers are mute. */
  silent: boolean;
  /** Why no probe can be made; `undefined` while all can. */
  blind: string | undefined;
  /** Whether a check's worker dies as it starts. */
  unloadable: boolean;
}

/** What a host's threads get. */
export interface SimHostWorld {
  /** The host. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry: SimRegistry;
  readonly faults: WorkerFaults;
  /** Whether the registry can be reached from this host. */
  isReachable(): boolean;
  /** Whether the service that a check probes is healthy. */
  isHealthy(instance: string): boolean;
  /** Called with each snapshot as the host gets it. */
  onDelivered(cluster: string, nodes: readonly Node[], isHonest: boolean): void;
  /** Called with each change that the registry is asked for, before it is made. */
  onChange(operation: "register" | "deregister" | "deregisterOwn", cluster: string, node: Node): void;
  /** A discovery with a bug, for canaries. */
  readonly bug?:
    | "empty when unreachable"
    | "deaf after reconnect"
    | "registers nothing"
    | "changes on another base"
    | undefined;
}

/** The worker threads of one host, on the world's clock: a check or a discovery in each. */
export class SimThreads implements Threads {
  readonly #world: SimHostWorld;
  readonly #threads = new Set<SimThread>();
  #isCut = false;

  constructor(world: SimHostWorld) {
    this.#world = world;
  }

  readonly start: Threads["start"] = ({ module }, events) => {
    const thread = module === "builtin:discovery/sim"
      ? new DiscoveryThread(this.#world, events)
      : new CheckThread(this.#world, events);
    this.#threads.add(thread);
    return {
      post: (message) => {
        if (!this.#isCut) thread.post(message);
      },
      end: () => {
        this.#threads.delete(thread);
        thread.end();
      },
    };
  };

  /** None that anybody could count. */
  count(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Crashes the workers of a kind. */
  crash(kind: "check" | "discovery"): void {
    for (const thread of this.#threads) if (thread.kind === kind) thread.crash();
  }

  /** Ends all workers as the end of the process does: they send nothing more, and sessions expire by themselves. */
  cut(): void {
    this.#isCut = true;
    for (const thread of this.#threads) thread.end();
    this.#threads.clear();
  }

  /** Notifies all workers that the registry may have become reachable or unreachable. */
  noticeReach(): void {
    for (const thread of this.#threads) if (thread instanceof DiscoveryThread) thread.noticeReach();
  }

  /** Ends all sessions. */
  expire(): void {
    for (const thread of this.#threads) if (thread instanceof DiscoveryThread) thread.expire();
  }
}

/** What both kinds share: late, duplicated or lost answers, according to the host's faults. */
abstract class SimThread implements Thread {
  abstract readonly kind: "check" | "discovery";
  protected readonly world: SimHostWorld;
  readonly #events: ThreadEvents;
  /** When the last ordered message arrives. */
  #lastAt = 0;
  protected isOver = false;

  constructor(world: SimHostWorld, events: ThreadEvents) {
    [this.world, this.#events] = [world, events];
  }

  abstract post(message: ToWorker): void;

  end(): void {
    this.isOver = true;
  }

  crash(): void {
    if (this.isOver) return;
    this.end();
    this.#events.onFault("crashed by the simulation");
  }

  /** Returns a request: possibly late, out of order, lost or duplicated. */
  protected answer(message: ToHost): void {
    const { random, faults } = this.world;
    if (faults.silent || random() < faults.lost) return;
    const times = random() < faults.doubled ? 2 : 1;
    const text = JSON.stringify(message);
    for (let i = 0; i < times; i++) this.#deliver(text, 1 + random() * 10 + random() * faults.lateMs);
  }

  /** Sends an event: late at most, and in order, as a port keeps it. */
  protected say(message: ToHost): void {
    this.sayText(JSON.stringify(message));
  }

  /** The same for a serialized message. */
  protected sayText(text: string, onDelivered = () => {}): void {
    const { clock, random, faults } = this.world;
    const at = Math.max(this.#lastAt, clock.now() + 1 + random() * 10 + random() * faults.lateMs);
    this.#lastAt = at;
    this.#deliver(text, at - clock.now(), onDelivered);
  }

  #deliver(text: string, inMs: number, onDelivered = () => {}): void {
    this.world.clock.after(inMs, () => {
      if (this.isOver) return;
      onDelivered();
      this.#events.onMessage(text);
    });
  }
}

class CheckThread extends SimThread {
  readonly kind = "check";

  constructor(world: SimHostWorld, events: ThreadEvents) {
    super(world, events);
    if (world.faults.unloadable) world.clock.after(1, () => this.crash());
    this.say({ type: "loaded", kind: "check", apiVersion: 1, name: "sim" });
  }

  post(message: ToWorker): void {
    switch (message.type) {
      case "start":
        return this.answer({ type: "ack", seq: message.seq });
      case "ping":
        return this.answer({ type: "pong", seq: message.seq });
      case "probe": {
        const { blind } = this.world.faults;
        const outcome = blind !== undefined
          ? { status: "unknown", reason: blind } as const
          : this.world.isHealthy(message.instance)
          ? { status: "pass" } as const
          : { status: "fail", reason: "fails by order of the simulation" } as const;
        return this.answer({ type: "outcome", seq: message.seq, outcome, tookMs: 1 });
      }
      case "stop":
        return this.answer({ type: "stopped" });
    }
  }
}

interface Watch {
  /** Serializes what is read: all of it at first, then the changes. */
  readonly portions: Portions;
  /** The number of the last snapshot sent; a bug withholds some. */
  number: number;
  /** The last snapshot sent, serialized; `undefined` before the first. */
  sent: string | undefined;
  /** Whether the host has yet to acknowledge the last snapshot. */
  isPending: boolean;
  /** Whether the registry has changed since. */
  isDirty: boolean;
}

class DiscoveryThread extends SimThread {
  readonly kind = "discovery";
  readonly #watches = new Map<string, Watch>();
  /** Requests that wait for the registry, by sequence number. */
  readonly #waiting = new Map<number, () => void>();
  #session: Session;
  #isConnected = false;
  #lostAt = 0;
  #isDeaf = false;
  readonly #stopListening: () => void;

  constructor(world: SimHostWorld, events: ThreadEvents) {
    super(world, events);
    this.#session = { host: world.name, id: ++world.registry.sessions, isOver: false };
    this.#stopListening = world.registry.listen((cluster) => this.#onEvent(cluster));
    this.say({ type: "loaded", kind: "discovery", apiVersion: 1, name: "sim" });
    this.#reread();
  }

  post(message: ToWorker): void {
    if (this.isOver) return;
    switch (message.type) {
      case "start":
        this.answer({ type: "ack", seq: message.seq });
        return this.noticeReach();
      case "ping":
        return this.answer({ type: "pong", seq: message.seq });
      case "watch":
        if (!this.#watches.has(message.cluster)) {
          const portions = new Portions(message.cluster);
          this.#watches.set(message.cluster, { portions, number: 0, sent: undefined, isPending: false, isDirty: true });
          this.#readSoon(message.cluster);
        }
        return;
      case "unwatch":
        this.#watches.delete(message.cluster);
        return;
      case "taken": {
        const watch = this.#watches.get(message.cluster);
        if (watch === undefined) return;
        watch.isPending = false;
        if (watch.isDirty) this.#readSoon(message.cluster);
        return;
      }
      case "register":
      case "deregister":
      case "deregisterOwn":
        return this.#change(message);
      case "abort": {
        if (this.#waiting.delete(message.seq)) this.#nack(message.seq, "cancelled");
        return;
      }
      case "stop":
        this.answer({ type: "stopped" });
        this.#stopListening();
        // Nodes deregistered at an orderly end are gone at once, if the registry is reachable.
        if (this.world.isReachable()) this.world.registry.end(this.#session);
        else this.#expireLater();
        return;
    }
  }

  override end(): void {
    if (this.isOver) return;
    super.end();
    this.#stopListening();
    this.#expireLater();
  }

  /** Notices a little later whether the registry is reachable, and acts on it. */
  noticeReach(): void {
    const { clock, random } = this.world;
    clock.after(NOTICE_MS * (0.2 + random()), () => {
      if (this.isOver || this.world.isReachable() === this.#isConnected) return;
      this.#isConnected = this.world.isReachable();
      if (!this.#isConnected) return this.#onLost();
      const isOver = this.#session.isOver || (this.#lostAt > 0 && clock.now() - this.#lostAt > SESSION_MS);
      if (isOver) return this.#onExpired();
      this.say({ type: "connection", state: "connected", detail: "sim" });
      if (this.world.bug === "deaf after reconnect" && this.#lostAt > 0) this.#isDeaf = true;
      for (const cluster of this.#watches.keys()) this.#readSoon(cluster);
      for (const [seq, act] of this.#waiting) {
        this.#waiting.delete(seq);
        act();
      }
    });
  }

  /** Expires the session, as a decision of the registry. */
  expire(): void {
    this.world.registry.end(this.#session);
    if (this.#isConnected) this.#onExpired();
  }

  #onLost(): void {
    const { clock } = this.world;
    this.#lostAt = clock.now();
    this.say({ type: "connection", state: "disconnected", detail: "sim" });
    this.#expireLater();
    if (this.world.bug !== "empty when unreachable") return;
    for (const cluster of this.#watches.keys()) this.#send(cluster, [], false);
    clock.after(2_500, () => {
      if (!this.#isConnected) { for (const cluster of this.#watches.keys()) this.#send(cluster, [], false); }
    });
  }

  #onExpired(): void {
    // No session is left to watch anything in.
    this.#watches.clear();
    this.say({ type: "ended", reason: "the session has expired" });
  }

  /** Removes its registrations once it has been away for long enough. */
  #expireLater(): void {
    const { clock, registry } = this.world;
    const session = this.#session;
    const lostAt = this.#lostAt;
    clock.after(SESSION_MS, () => {
      if (this.isOver || (!this.#isConnected && this.#lostAt === lostAt)) registry.end(session);
    });
  }

  #onEvent(cluster: string): void {
    const watch = this.#watches.get(cluster);
    if (watch === undefined || !this.#isConnected || this.#isDeaf) return;
    if (this.world.random() < this.world.faults.missedEvents) return;
    this.#readSoon(cluster);
  }

  #reread(): void {
    this.world.clock.after(REREAD_MS, () => {
      if (this.isOver) return;
      if (!this.#isDeaf) { for (const cluster of this.#watches.keys()) this.#readSoon(cluster); }
      this.#reread();
    });
  }

  #readSoon(cluster: string): void {
    const { clock, random, registry, faults } = this.world;
    clock.after(1 + random() * 30 + random() * faults.lateMs, () => {
      const watch = this.#watches.get(cluster);
      if (watch === undefined || this.isOver || !this.#isConnected || !this.world.isReachable()) return;
      if (watch.isPending) return void (watch.isDirty = true);
      const { nodes, isHonest } = registry.read(cluster);
      watch.isDirty = false;
      const text = JSON.stringify(nodes);
      if (text === watch.sent) return;
      watch.sent = text;
      this.#send(cluster, nodes, isHonest);
    });
  }

  #send(cluster: string, nodes: readonly unknown[], isHonest: boolean): void {
    const watch = this.#watches.get(cluster);
    if (watch === undefined) return;
    const facts = { nodes: nodes as readonly Node[], exists: true, epoch: `session ${this.#session.id}` };
    const texts = watch.portions.next(facts);
    const last = texts.pop() ?? "";
    const { type, base, number } = JSON.parse(last);
    if (this.world.bug === "changes on another base" && type === "change") {
      // Some changes are withheld, and the next one claims a base that the host has.
      if (this.world.random() < 0.3) return;
      texts.push(last.replace(`"base":${base},`, `"base":${watch.number},`));
    } else texts.push(last);
    watch.number = number;
    watch.isPending = true;
    const good = nodes.filter((node): node is Node => !JSON.stringify(node).includes("evil"));
    texts.forEach((text, i) =>
      this.sayText(text, () => {
        if (i === texts.length - 1) this.world.onDelivered(cluster, good, isHonest);
      })
    );
  }

  #change(message: Extract<Request, { registration: Registration }> & { readonly seq: number }): void {
    const { seq, type, cluster, registration: { node } } = message;
    const act = () => {
      const { registry } = this.world;
      this.world.onChange(type, cluster, node);
      try {
        if (type === "register" && this.world.bug !== "registers nothing") {
          registry.register(this.#session, cluster, node);
        }
        if (type === "deregister") registry.deregister(cluster, node);
        if (type === "deregisterOwn") registry.deregisterOwn(this.#session, cluster, node);
        this.answer({ type: "ack", seq });
      } catch (error) {
        this.#nack(seq, String(error));
      }
    };
    this.world.clock.after(1 + this.world.random() * 50, () => {
      if (this.isOver) return;
      if (this.#isConnected && this.world.isReachable()) act();
      else this.#waiting.set(seq, act);
    });
  }

  #nack(seq: number, message: string): void {
    this.answer({ type: "nack", seq, error: { name: "Error", message } });
  }
}
