import assert from "node:assert/strict";
import type { ClusterFacts, Node } from "../../mod.ts";
import { type Resolved, UnresolvedError } from "../../src/dns/resolver.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { FakeClock } from "../../src/kernel/fake_clock.ts";
import { Latest } from "../../src/kernel/latest.ts";
import { addressed, type KnownName } from "./names.ts";

const SERVICE = { nameServers: ["10.0.0.53:53"], searchDomains: [], ndots: 1 };

/** The name servers' answers by name: its records, or `undefined` if they never answer. */
type Zone = Record<string, readonly string[] | Error | undefined>;

/** A cluster whose nodes have names, followed with a clock and name servers of the test's own. */
class Stage implements AsyncDisposable {
  readonly zone: Zone;
  readonly clock: FakeClock;
  readonly asked: string[] = [];
  readonly lines: string[] = [];
  /** `host=ip` of the nodes of each answer. */
  readonly answers: (readonly string[])[] = [];
  readonly known: Map<string, KnownName>;
  error: unknown;
  readonly #ttlMs: number;
  readonly #isAlone: boolean;
  readonly #facts = new Latest<readonly string[]>();
  #controller = new AbortController();
  #running: Promise<void>;

  /** With `beside`, a cluster of the same session as another. */
  constructor(zone: Zone, { ttlMs = 10_000, beside }: { ttlMs?: number; beside?: Stage } = {}) {
    [this.zone, this.#ttlMs, this.#isAlone] = [zone, ttlMs, beside === undefined];
    this.clock = beside?.clock ?? new FakeClock();
    this.known = beside?.known ?? new Map();
    this.#running = this.#follow();
  }

  /**
   * Has the registry report these nodes (`host`, or `host=address`), and waits until all that can happen now
   * has happened.
   */
  async say(...hosts: readonly string[]): Promise<readonly string[] | undefined> {
    this.#facts.put(hosts);
    return await this.settled();
  }

  async advance(ms: number): Promise<readonly string[] | undefined> {
    this.clock.advance(ms);
    return await this.settled();
  }

  async settled(): Promise<readonly string[] | undefined> {
    for (let i = 0; i < 200; i++) await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    for (let i = 0; i < 200; i++) await Promise.resolve();
    return this.answers.at(-1);
  }

  /** Ends the watch, and starts another. */
  async again(): Promise<void> {
    await this.#end();
    this.#controller = new AbortController();
    this.#running = this.#follow();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
    if (this.#isAlone) assert.equal(this.clock.pending, 0, "no timer is left");
  }

  async #end(): Promise<void> {
    this.#controller.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { clock, known } = this;
    const record = (message: string, properties?: Readonly<Record<string, unknown>>) =>
      void this.lines.push(`${message}: ${properties?.["reason"]}`);
    const log = { debug: record, info: record, warn: record };
    const options = { cluster: "web", log, clock, known, nameService: SERVICE, lookUp: this.#lookUp };
    const { signal } = this.#controller;
    try {
      for await (const { nodes } of addressed((signal) => this.#watch(signal), options, signal)) {
        this.answers.push(nodes.map(({ host, ip }) => `${host}=${ip}`));
      }
    } catch (error) {
      this.error = error;
    }
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<ClusterFacts> {
    for (;;) {
      const hosts = await this.#facts.take(signal).catch(() => undefined);
      if (hosts === undefined) return;
      const nodes = hosts.map((each): Node => {
        const [host = each, ip = host] = each.split("=");
        return Object.freeze({ host, ip, port: 80, metadata: {} });
      });
      yield { nodes, exists: true, epoch: "1" };
    }
  }

  readonly #lookUp = (name: string, family: "A" | "AAAA"): Promise<Resolved<string>> => {
    this.asked.push(`${family} ${name}`);
    if (!(name in this.zone)) return Promise.resolve({ records: [], exists: false, ttlMs: this.#ttlMs });
    const all = this.zone[name];
    if (all === undefined) return new Promise(() => {});
    if (all instanceof Error) return Promise.reject(all);
    const records = all.filter((ip) => ip.includes(":") === (family === "AAAA"));
    return Promise.resolve({ records, exists: true, ttlMs: this.#ttlMs });
  };
}

const silent = () => new UnresolvedError("silent");

Deno.test("addressed() replaces names by addresses, and asks nobody where there are none", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.2", "10.0.0.1"], "six.example": ["::6"] });
  assert.deepEqual(await stage.say("10.9.9.9", "fd00::1"), ["10.9.9.9=10.9.9.9", "fd00::1=fd00::1"]);
  assert.deepEqual(stage.asked, []);
  const all = await stage.say("10.9.9.9", "a.example", "gone.example", "six.example");
  assert.deepEqual(all, ["10.9.9.9=10.9.9.9", "a.example=10.0.0.1", "six.example=::6"]);
  assert.deepEqual(stage.lines, [
    'Entry skipped: "gone.example:80": Cannot resolve gone.example: no such name',
  ]);
});

Deno.test("addressed() looks a name up again when its record expires, and keeps an address that is among several", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.2"] });
  await stage.say("a.example");
  await stage.say("a.example", "10.9.9.9");
  assert.equal(stage.asked.length, 1);
  stage.zone["a.example"] = ["10.0.0.1", "10.0.0.2"];
  assert.deepEqual(await stage.advance(10_001), ["a.example=10.0.0.2", "10.9.9.9=10.9.9.9"]);
  stage.zone["a.example"] = ["10.0.0.1"];
  assert.deepEqual(await stage.advance(11_000), ["a.example=10.0.0.1", "10.9.9.9=10.9.9.9"]);
});

Deno.test("addressed() asks once for a nonexistent name, and again after 5 s although its answer has no ttl", async () => {
  await using stage = new Stage({ "six.example": ["::6"] }, { ttlMs: 0 });
  await stage.say("gone.example");
  for (let second = 0; second < 9; second++) await stage.advance(1_000);
  assert.deepEqual(stage.asked, ["A gone.example", "A gone.example"]);
  assert.deepEqual(await stage.say("six.example"), ["six.example=::6"]);
});

Deno.test("addressed() keeps an address while no name server answers, also in a restarted watch", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.1"] }, { ttlMs: 0 });
  await stage.say("a.example");
  stage.zone["a.example"] = silent();
  stage.zone["b.example"] = silent();
  await stage.advance(5_001);
  assert.deepEqual(await stage.say("a.example", "b.example"), ["a.example=10.0.0.1"]);
  assert.match(stage.lines.join("\n"), /"b.example:80": silent/);
  await stage.again();
  await stage.say("a.example", "b.example");
  assert.deepEqual(await stage.advance(60_000), ["a.example=10.0.0.1"]);
});

Deno.test("addressed() throws when no node has an address as no name server answers: the cluster is not empty", async () => {
  await using stage = new Stage({ "a.example": silent(), "b.example": silent() });
  await stage.say("a.example", "b.example");
  assert.match(String(stage.error), /silent/);
  stage.zone["a.example"] = ["10.0.0.1"];
  stage.clock.advance(10_001);
  await stage.again();
  assert.deepEqual(await stage.say("a.example", "b.example"), ["a.example=10.0.0.1"]);
});

Deno.test("addressed() delays no node for a name whose servers are silent, except in a first answer for 5 s", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.1"], "slow.example": undefined });
  assert.equal(await stage.say("10.9.9.9", "slow.example"), undefined);
  assert.deepEqual(await stage.advance(5_000), ["10.9.9.9=10.9.9.9"]);
  // From now on at once, although the name is looked up again.
  await stage.advance(5_001);
  stage.zone["later.example"] = undefined;
  assert.deepEqual(await stage.say("10.9.9.8", "later.example", "slow.example"), ["10.9.9.8=10.9.9.8"]);
  assert.deepEqual(await stage.say("a.example", "later.example"), ["a.example=10.0.0.1"]);
});

Deno.test("addressed() looks up a name after hundreds whose servers are silent within the time of their first lookups", async () => {
  const hostile = Array.from({ length: 320 }, (_, i) => `h${i}.example`);
  const zone: Zone = Object.fromEntries(hostile.map((name) => [name, undefined]));
  await using stage = new Stage({ ...zone, "a.example": ["10.0.0.1"], "b.example": ["10.0.0.2"] }, { ttlMs: 0 });
  assert.equal(await stage.say("a.example", ...hostile), undefined);
  await stage.advance(5_000);
  assert.deepEqual(stage.answers.at(-1), ["a.example=10.0.0.1"]);
  for (let round = 0; round < 12; round++) await stage.advance(5_000);
  // All of them have failed: new names precede them, and so do names with an address.
  await stage.say("a.example", "b.example", ...hostile);
  assert.deepEqual(await stage.advance(10), ["a.example=10.0.0.1", "b.example=10.0.0.2"]);
  stage.zone["a.example"] = ["10.0.0.9"];
  for (let round = 0; round < 3; round++) await stage.advance(5_000);
  assert.deepEqual(stage.answers.at(-1), ["a.example=10.0.0.9", "b.example=10.0.0.2"]);
});

Deno.test("addressed() looks up names one by one, and again when their records expire, in time in proportion to their number", async () => {
  const took = async (length: number) => {
    const hosts = Array.from({ length }, (_, i) => `h${i}.example`);
    await using stage = new Stage(Object.fromEntries(hosts.map((name) => [name, ["10.0.0.1"]])));
    // Beyond the first answer, which waits for all of its names.
    await stage.say("10.9.9.9");
    await stage.advance(5_001);
    const beganMs = performance.now();
    await stage.say("10.9.9.9", ...hosts);
    for (let round = 1; round <= 2; round++) {
      while (stage.asked.length < round * length) await stage.settled();
      await stage.advance(1_000);
      await stage.advance(10_001);
    }
    assert.equal(stage.answers.at(-1)?.length, length + 1);
    return performance.now() - beganMs;
  };
  // In quadratic time the long one would take two hundred and fifty times as long; the quickest runs count.
  let [short, long] = [Infinity, Infinity];
  await eventually("sixteen times the names take about as many times as long", async () => {
    [short, long] = [Math.min(short, await took(500)), Math.min(long, await took(8_000))];
    return long < 64 * short;
  });
});

Deno.test("addressed() asks less and less often for a failing name, at most 60 s apart", async () => {
  await using stage = new Stage({ "a.example": silent() });
  await stage.say("10.9.9.9", "a.example");
  const times: number[] = [];
  for (let second = 0; second < 200; second++) {
    const before = stage.asked.length;
    await stage.advance(1_000);
    if (stage.asked.length > before) times.push(second + 1);
  }
  assert.deepEqual(times, [5, 15, 35, 75, 135, 195]);
});

Deno.test("addressed() reports an address that the lookup of another cluster of the session found", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.1"] });
  await stage.say("a.example");
  // As if another cluster had left it, whose lookup found room before this one's.
  stage.zone["a.example"] = ["10.0.0.2"];
  stage.known.set("a.example", { ip: "10.0.0.2", failures: 0, untilMs: stage.clock.now() + 15_000 });
  assert.deepEqual(await stage.advance(10_001), ["a.example=10.0.0.2"]);
  assert.deepEqual(stage.asked, ["A a.example"], "the lookup of the other is enough");
});

Deno.test("addressed() keeps the answer of another cluster's lookup when its own fails", async () => {
  await using other = new Stage({ "a.example": ["10.0.0.1"] });
  await using stage = new Stage({ "a.example": ["10.0.0.1"] }, { beside: other });
  await stage.say("a.example");
  await other.say("a.example");
  other.zone["a.example"] = ["10.0.0.2"];
  stage.zone["a.example"] = undefined;
  await stage.advance(10_001);
  await stage.advance(5_000);
  assert.deepEqual(await stage.settled(), ["a.example=10.0.0.2"]);
  assert.deepEqual(await other.settled(), ["a.example=10.0.0.2"]);
});

Deno.test("addressed() keeps the last address of a node whose address becomes another name, until a server answers", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.1"], "new.example": undefined, "bad.example": silent() });
  await stage.say("web=a.example", "ip=10.0.0.3");
  await stage.advance(5_001);
  // Neither a lookup in flight nor a failed one removes the member.
  const kept = ["web=10.0.0.1", "ip=10.0.0.3"];
  assert.deepEqual(await stage.say("web=new.example", "ip=bad.example"), kept);
  assert.deepEqual(await stage.advance(5_001), kept);
  assert.deepEqual(stage.answers, [kept]);
  stage.zone["new.example"] = ["10.0.0.2"];
  delete stage.zone["bad.example"];
  assert.deepEqual(await stage.advance(10_001), ["web=10.0.0.2"]);
  // A nonexistent name removed it: a failure afterwards does not bring it back.
  stage.zone["bad.example"] = silent();
  assert.deepEqual(await stage.advance(10_001), ["web=10.0.0.2"]);
});

Deno.test("addressed() keeps no last address of a node that left meanwhile", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.1"], "new.example": undefined });
  await stage.say("web=a.example", "10.9.9.9");
  await stage.say("10.9.9.9");
  await stage.advance(5_001);
  assert.deepEqual(await stage.say("web=new.example", "10.9.9.9"), ["10.9.9.9=10.9.9.9"]);
});

Deno.test("addressed() forgets unused names after 10 min, and scans all of them at most once a minute", async () => {
  await using stage = new Stage({ "a.example": ["10.0.0.1"] }, { ttlMs: 0 });
  for (let i = 0; i <= 10_000; i++) stage.known.set(`old${i}.example`, { ip: undefined, failures: 0, untilMs: 0 });
  let scans = 0;
  stage.known[Symbol.iterator] = () => {
    scans++;
    return stage.known.entries();
  };
  await stage.say("a.example");
  for (let lookup = 0; lookup < 11; lookup++) await stage.advance(5_000);
  assert.deepEqual([stage.asked.length, scans], [12, 1]);
  for (let lookup = 0; lookup < 130; lookup++) await stage.advance(5_000);
  assert.deepEqual([...stage.known.keys()], ["a.example"]);
});

Deno.test("addressed() reports a failure that two clusters of a session find at once to both", async () => {
  const zone: Zone = { "a.example": silent() };
  await using other = new Stage(zone);
  await using stage = new Stage(zone, { beside: other });
  await Promise.all([other.say("a.example"), stage.say("a.example")]);
  assert.match(String(other.error), /silent/);
  assert.match(String(stage.error), /silent/);
});
