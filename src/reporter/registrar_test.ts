import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeClock } from "../kernel/fake_clock.ts";
import { seededRandom } from "../kernel/random.ts";
import { type Node, nodeName } from "../model/node.ts";
import { type Operation, Registrar, type Registration } from "./registrar.ts";
import { samplesOf } from "../../tests/support/metric_samples.ts";
import { Tally } from "../metrics/tally.ts";

/** What is wanted of one node: `web:80` up, unless told. */
function want(
  name = "web:80",
  { wanted = "present", metadata = {}, discovery = "zoo" }: {
    wanted?: "present" | "absent";
    metadata?: Node["metadata"];
    discovery?: string;
  } = {},
): Registration {
  const [cluster = "", port] = name.split(":");
  return { discovery, cluster, wanted, node: { host: "a.int", ip: "10.0.0.1", port: Number(port), metadata } };
}

const down = (name?: string) => want(name, { wanted: "absent" });

/** One change that is on its way to the registry. */
interface Flight {
  readonly what: string;
  readonly land: (error?: Error) => void;
}

/** A registrar on a fake clock, and a registry of which the test holds the strings. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  /** Every change that was asked for, as `register web:80`. */
  readonly asked: string[] = [];
  readonly said: string[] = [];
  /** What the registry knows, by `discovery cluster node`. */
  readonly known = new Map<string, Node>();
  /** The address of another host's node that each registration replaces. */
  takenFrom: string | undefined;
  /** Why the registry takes nothing. */
  fault: string | undefined;
  /** Set to keep changes in flight until they are landed. */
  isSlow = false;
  readonly flights: Flight[] = [];
  /** The registry's session: what is in flight when it is lost has no effect. */
  session = 0;
  readonly tally = new Tally();
  readonly registrar: Registrar;

  constructor({ random = () => 0.5 }: { random?: () => number } = {}) {
    const say = (level: string) => (message: string, properties: Readonly<Record<string, unknown>> = {}) =>
      void this.said.push(`${level}: ${message}${properties.reason === undefined ? "" : ` (${properties.reason})`}`);
    this.registrar = new Registrar({
      clock: this.clock,
      random,
      meter: this.tally,
      log: { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") },
      change: (operation, registration, signal) => this.#change(operation, registration, signal),
    });
  }

  async #change(
    operation: Operation,
    registration: Registration,
    signal: AbortSignal,
  ): Promise<{ readonly takenFrom: string } | void> {
    const { discovery, cluster, node } = registration;
    const what = `${operation} ${cluster}:${node.port}`;
    this.asked.push(what);
    const { session } = this;
    if (this.isSlow) {
      const landing = Promise.withResolvers<void>();
      const flight = { what, land: (error?: Error) => error === undefined ? landing.resolve() : landing.reject(error) };
      this.flights.push(flight);
      signal.addEventListener("abort", () => landing.reject(signal.reason), { once: true });
      await landing.promise;
    }
    if (this.fault !== undefined) throw new Error(this.fault);
    if (session !== this.session) return;
    const key = `${discovery} ${cluster} ${nodeName(node)}`;
    if (operation === "register") this.known.set(key, node);
    else this.known.delete(key);
    if (operation === "register" && this.takenFrom !== undefined) return { takenFrom: this.takenFrom };
  }

  /** Applies what is wanted; answers what that has asked for. */
  apply(wanted: readonly Registration[]): Promise<readonly string[]> {
    this.registrar.apply(wanted);
    return this.news();
  }

  /** Answers what was asked since the last time. */
  async news(): Promise<readonly string[]> {
    await settle();
    return this.asked.splice(0);
  }

  /** Lets time pass in small steps. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    while (this.clock.now() < end) {
      await settle();
      this.clock.advance(Math.min(100, end - this.clock.now()));
    }
    await settle();
  }

  /** Loses the session, with all that was registered in it. */
  loseSession(): void {
    this.session++;
    this.known.clear();
  }

  renew({ jitterMs = 0, signal = new AbortController().signal } = {}): Promise<void> {
    return this.registrar.renew("zoo", { jitterMs, signal });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.registrar[Symbol.asyncDispose]();
  }
}

/** Lets all promises that can settle do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
}

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => settled = true);
  await settle();
  return settled;
}

Deno.test("Registrar registers a node again when it starts to drain, and when it stops", async () => {
  await using bench = new Bench();
  bench.registrar.apply([want()]);
  await settle();
  bench.registrar.apply([{ ...want(), isDraining: true }]);
  await settle();
  bench.registrar.apply([want()]);
  await settle();
  assert.deepEqual(bench.asked, ["register web:80", "register web:80", "register web:80"]);
});

Deno.test("Registrar.report shows the progress of each registration, and its failure", async () => {
  await using bench = new Bench();
  const { registrar } = bench;
  const told = () =>
    registrar.report.map(({ registration, isDone, failure }) => [registration.wanted, isDone, failure]);
  bench.fault = "refused";
  registrar.apply([want()]);
  await settle();
  assert.deepEqual(told(), [["present", false, "refused"]]);
  bench.fault = undefined;
  await bench.pass(1_000);
  assert.deepEqual(told(), [["present", true, undefined]]);
  bench.isSlow = true;
  bench.loseSession();
  const renewing = bench.renew();
  await settle();
  assert.deepEqual(told(), [["present", false, undefined]], "in the new session nothing is registered yet");
  for (const { land } of bench.flights) land();
  await renewing;
  assert.deepEqual(told(), [["present", true, undefined]]);
});

Deno.test("Registrar registers nodes that are up, and deregisters nodes that are down, whoever registered them", async () => {
  await using bench = new Bench();
  assert.deepEqual(await bench.apply([want("web:80"), down("web:81")]), ["register web:80", "deregister web:81"]);
  assert.deepEqual(await bench.apply([down("web:80"), want("web:81")]), ["deregister web:80", "register web:81"]);
});

Deno.test("Registrar logs a deregistration only of a node that it had registered, and as the end of a failure", async () => {
  await using bench = new Bench();
  bench.registrar.apply([down("web:80"), down("web:81")]);
  await settle();
  bench.fault = "unreachable";
  bench.registrar.apply([want("web:80")]);
  await settle();
  bench.registrar.apply([]);
  bench.fault = undefined;
  await bench.pass(20_000);
  assert.deepEqual(bench.said.splice(0).filter((line) => !line.startsWith("debug")), [
    "warn: Cannot register; retrying (unreachable)",
    "info: Deregistered",
  ]);
  bench.registrar.apply([want("web:80")]);
  await settle();
  bench.registrar.apply([down("web:80")]);
  await settle();
  bench.registrar.apply([want("web:80")]);
  await settle();
  bench.registrar.apply([]);
  await settle();
  assert.deepEqual(bench.said.filter((line) => line.startsWith("info")), [
    "info: Registered",
    "info: Deregistered",
    "info: Registered",
    "info: Deregistered",
  ]);
});

Deno.test("Registrar only releases a node at its old registry when it has moved to another", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.registrar.apply([want("web:80", { discovery: "other" })]);
  assert.deepEqual((await bench.news()).toSorted(), ["deregisterOwn web:80", "register web:80"]);
});

/** The same node under another name of its host. */
function renamed(registration: Registration): Registration {
  return { ...registration, node: { ...registration.node, host: "b.int" } };
}

Deno.test("Registrar deregisters a node's old name only once the new one is registered", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.fault = "no";
  bench.registrar.apply([renamed(want("web:80"))]);
  await bench.pass(5_000);
  assert.deepEqual([...bench.known.keys()], ["zoo web a.int:80"]);
  bench.fault = undefined;
  await bench.pass(20_000);
  assert.deepEqual([...bench.known.keys()], ["zoo web b.int:80"]);
  assert.deepEqual((await bench.news()).slice(-2), ["register web:80", "deregisterOwn web:80"]);
});

Deno.test("Registrar leaves no old name of a node that is down before its new name is registered", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.isSlow = true;
  assert.deepEqual(await bench.apply([renamed(want("web:80"))]), ["register web:80"]);
  bench.registrar.apply([renamed(down("web:80"))]);
  bench.isSlow = false;
  bench.flights.at(-1)?.land();
  await bench.pass(1_000);
  assert.deepEqual([...bench.known.keys()], []);
});

Deno.test("Registrar deregisters an old name when the new one is deregistered again", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.registrar.apply([renamed(want("web:80"))]);
  bench.registrar.apply([want("web:80")]);
  await bench.pass(1_000);
  assert.deepEqual([...bench.known.keys()], ["zoo web a.int:80"]);
});

Deno.test("Registrar leaves a node where it is until the registry that it moves to has it", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.fault = "No valid discovery/zookeper.yaml";
  bench.registrar.apply([want("web:80", { discovery: "zookeper" })]);
  await bench.pass(60_000);
  assert.deepEqual([...bench.known.keys()], ["zoo web a.int:80"]);
  assert.match(bench.said.join("\n"), /warn: Cannot register; retrying \(No valid discovery/);
});

Deno.test("Registrar deregisters a node that is desired again while it is released, but is down", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.isSlow = true;
  assert.deepEqual(await bench.apply([]), ["deregisterOwn web:80"]);
  bench.registrar.apply([down()]);
  bench.flights.shift()?.land();
  assert.deepEqual(await bench.news(), ["deregister web:80"]);
});

Deno.test("Registrar releases a removed node whose new registration is in flight", async () => {
  await using bench = new Bench();
  await bench.apply([down()]);
  bench.isSlow = true;
  assert.deepEqual(await bench.apply([want()]), ["register web:80"]);
  bench.registrar.apply([]);
  bench.flights.shift()?.land();
  assert.deepEqual(await bench.news(), ["deregisterOwn web:80"]);
  bench.flights.shift()?.land();
  await settle();
  assert.equal(bench.known.size, 0);
});

Deno.test("Registrar repeats no request while nothing changes, but renews registrations periodically", async () => {
  await using bench = new Bench();
  const wanted = [want("web:80"), down("web:81")];
  await bench.apply(wanted);
  for (let i = 0; i < 10; i++) bench.registrar.apply(wanted);
  await bench.pass(20_000);
  assert.deepEqual(await bench.news(), []);
  await bench.pass(20_000);
  assert.deepEqual(await bench.news(), ["register web:80"], "an absent node is deregistered once");
  assert.deepEqual(bench.said, ["info: Registered"], "an assertion is no news");
});

Deno.test("Registrar restores registrations that another client removed", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.known.clear();
  await bench.pass(40_000);
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar registers again when the announced data changes", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  assert.deepEqual(await bench.apply([want("web:80", { metadata: { zone: "b" } })]), ["register web:80"]);
  assert.deepEqual([...bench.known.values()].map(({ metadata }) => metadata), [{ zone: "b" }]);
});

Deno.test("Registrar retries failures with backoff, and loses no registration", async () => {
  await using bench = new Bench({ random: () => 1 });
  bench.fault = "unreachable";
  bench.registrar.apply([want()]);
  // The waits are 200, 400, 800, 1600, 3200, 6400 ms, then 10 s each.
  await bench.pass(12_650);
  assert.equal((await bench.news()).length, 7);
  await bench.pass(100_000);
  assert.equal((await bench.news()).length, 10);
  bench.fault = undefined;
  await bench.pass(10_000);
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar warns of a failure once, and again when the reason changes", async () => {
  await using bench = new Bench();
  bench.fault = "unreachable";
  bench.registrar.apply([want()]);
  await bench.pass(5_000);
  bench.fault = "not allowed";
  await bench.pass(20_000);
  bench.fault = undefined;
  await bench.pass(20_000);
  assert.deepEqual(bench.said.filter((line) => !line.startsWith("debug")), [
    "warn: Cannot register; retrying (unreachable)",
    "warn: Cannot register; retrying (not allowed)",
    "info: Registered",
  ]);
});

Deno.test("Registrar: unchanged states do not hasten a retry after a failure", async () => {
  await using bench = new Bench({ random: () => 1 });
  bench.fault = "unreachable";
  bench.registrar.apply([want("web:80"), want("web:81")]);
  await bench.pass(3_000);
  await bench.news();
  // Another port flaps, so that all of it is given again and again.
  for (let i = 0; i < 50; i++) {
    bench.registrar.apply([want("web:80"), i % 2 ? want("web:81") : down("web:81")]);
    await settle();
  }
  assert.deepEqual((await bench.news()).filter((what) => what.endsWith("80")), []);
});

Deno.test("Registrar acts at once when the desired state changes, even while it waits after a failure", async () => {
  await using bench = new Bench({ random: () => 1 });
  bench.fault = "unreachable";
  bench.registrar.apply([want()]);
  await bench.pass(8_000);
  await bench.news();
  assert.deepEqual(await bench.apply([down()]), ["deregister web:80"]);
});

Deno.test("Registrar converges when a service flaps while a slow change is in flight", async () => {
  await using bench = new Bench();
  bench.isSlow = true;
  assert.deepEqual(await bench.apply([want()]), ["register web:80"]);
  bench.registrar.apply([down()]);
  bench.registrar.apply([want()]);
  bench.registrar.apply([down()]);
  assert.deepEqual(await bench.news(), [], "one change at a time");
  bench.flights.shift()?.land();
  assert.deepEqual(await bench.news(), ["deregister web:80"]);
  bench.registrar.apply([want()]);
  bench.flights.shift()?.land();
  assert.deepEqual(await bench.news(), ["register web:80"]);
  bench.flights.shift()?.land();
  await settle();
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar deregisters only nodes that are no longer desired", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80"), want("web:81"), down("web:82")]);
  assert.deepEqual(await bench.apply([want("web:81")]), ["deregisterOwn web:80"]);
  await bench.pass(20_000);
  assert.deepEqual(await bench.news(), []);
});

Deno.test("Registrar keeps trying to deregister nodes that are no longer desired while the registry is unreachable", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.fault = "unreachable";
  bench.registrar.apply([]);
  await bench.pass(600_000);
  bench.fault = undefined;
  await bench.pass(10_000);
  assert.equal(bench.known.size, 0);
  await bench.news();
  await bench.pass(100_000);
  assert.deepEqual(await bench.news(), [], "then it is forgotten");
});

Deno.test("Registrar deregisters a node that was removed before its going down was sent", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.isSlow = true;
  bench.registrar.apply([down()]);
  await settle();
  bench.registrar.apply([]);
  bench.isSlow = false;
  for (const flight of bench.flights.splice(0)) flight.land(new Error("connection lost"));
  await bench.pass(5_000);
  assert.equal(bench.known.size, 0);
});

Deno.test("Registrar: a node that is desired again while it is deregistered ends up registered", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.isSlow = true;
  assert.deepEqual(await bench.apply([]), ["deregisterOwn web:80"]);
  bench.registrar.apply([want()]);
  assert.deepEqual(await bench.news(), [], "no change overtakes another");
  bench.flights.shift()?.land();
  assert.deepEqual(await bench.news(), ["register web:80"]);
  bench.flights.shift()?.land();
  await settle();
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar: a removal while a registration is in flight leaves no registration", async () => {
  await using bench = new Bench();
  bench.isSlow = true;
  await bench.apply([want()]);
  bench.registrar.apply([]);
  bench.flights.shift()?.land();
  assert.deepEqual(await bench.news(), ["deregisterOwn web:80"]);
  bench.flights.shift()?.land();
  await settle();
  assert.equal(bench.known.size, 0);
});

Deno.test("Registrar.renew() registers each node of its registry again once, spread over the jitter", async () => {
  const random = seededRandom(1);
  await using bench = new Bench({ random });
  const names = ["web:80", "web:81", "web:82", "web:83"];
  await bench.apply([...names.map((name) => want(name)), want("web:90", { discovery: "other" })]);
  bench.loseSession();
  const renewing = bench.renew({ jitterMs: 500 });
  assert.deepEqual(await bench.news(), [], "not all at once");
  const at: number[] = [];
  for (let i = 0; i < 6; i++) {
    await bench.pass(100);
    at.push(bench.asked.length);
  }
  await renewing;
  assert.deepEqual((await bench.news()).toSorted(), names.map((name) => `register ${name}`));
  assert.ok(new Set(at).size > 2, `they come one by one: ${at}`);
  await bench.pass(10_000);
  assert.deepEqual(await bench.news(), []);
});

Deno.test("Registrar.renew() deregisters nodes that are down once in each session", async () => {
  await using bench = new Bench();
  await bench.apply([down()]);
  await bench.renew();
  assert.deepEqual(await bench.news(), ["deregister web:80"]);
});

Deno.test("Registrar.renew() waits until the new session has everything, through failures", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.loseSession();
  bench.fault = "unreachable";
  const renewing = bench.renew();
  await bench.pass(5_000);
  assert.equal(await isSettled(renewing), false);
  bench.fault = undefined;
  await bench.pass(10_000);
  await renewing;
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar.renew() does not accept a late answer of an earlier session", async () => {
  await using bench = new Bench();
  bench.isSlow = true;
  await bench.apply([want()]);
  bench.loseSession();
  const renewing = bench.renew();
  const [late] = bench.flights.splice(0);
  late?.land();
  assert.equal(await isSettled(renewing), false);
  assert.deepEqual(await bench.news(), ["register web:80"]);
  bench.flights.shift()?.land();
  await renewing;
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar.renew() waits for the new session also if the last attempt in the old one failed", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.fault = "unreachable";
  await bench.pass(40_000);
  bench.loseSession();
  const renewing = bench.renew();
  assert.equal(await isSettled(renewing), false);
  bench.fault = undefined;
  await bench.pass(20_000);
  await renewing;
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar.renew() aborts with its signal, without losing renewed registrations", async () => {
  await using bench = new Bench();
  await bench.apply([want()]);
  bench.loseSession();
  const controller = new AbortController();
  const renewing = bench.renew({ jitterMs: 60_000, signal: controller.signal });
  controller.abort();
  await renewing;
  await settle();
  assert.equal(bench.known.size, 1);
});

Deno.test("Registrar.renew() of an earlier session resolves with the result of the later one", async () => {
  await using bench = new Bench();
  bench.isSlow = true;
  bench.registrar.apply([want()]);
  const [first, second] = [bench.renew(), bench.renew()];
  assert.deepEqual([await isSettled(first), await isSettled(second)], [false, false], "no word has come");
  for (let i = 0; i < 3; i++) {
    await settle();
    for (const flight of bench.flights.splice(0)) flight.land();
  }
  await Promise.all([first, second]);
  assert.equal(bench.known.size, 1);
  assert.deepEqual(bench.registrar.report.map(({ isDone }) => isDone), [true], "the later session has the node");
});

Deno.test("Registrar.renew() does not wait for a node that is removed meanwhile", async () => {
  await using bench = new Bench();
  await bench.apply([down()]);
  bench.fault = "unreachable";
  const renewing = bench.renew();
  await settle();
  assert.equal(await isSettled(renewing), false, "while the node is to be deregistered");
  bench.registrar.apply([]);
  bench.fault = undefined;
  await bench.pass(5_000);
  assert.equal(await isSettled(renewing), true);
  assert.deepEqual(bench.registrar.report, [], "nothing is left of it");
});

Deno.test("Registrar reports a node as contested while another host keeps taking it over", async () => {
  await using bench = new Bench();
  const contested = () => bench.registrar.report.map(({ contestedBy }) => contestedBy);
  bench.takenFrom = "10.0.0.2";
  bench.registrar.apply([want()]);
  await settle();
  assert.deepEqual(contested(), [undefined], "a host that has moved takes it over once");
  await bench.pass(40_000);
  assert.deepEqual(contested(), ["10.0.0.2"]);
  await bench.pass(120_000);
  const warnings = bench.said.filter((line) => line.startsWith("warn: Node contested"));
  assert.equal(warnings.length, 1, "it is logged once");
  bench.takenFrom = undefined;
  await bench.pass(180_000);
  assert.deepEqual(contested(), [undefined]);
});

Deno.test("Registrar.withdrawAll() deregisters everything, and resolves when that is done", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80"), want("web:81"), down("web:82")]);
  await bench.registrar.withdrawAll(new AbortController().signal);
  assert.deepEqual(await bench.news(), ["deregisterOwn web:80", "deregisterOwn web:81"]);
  assert.equal(bench.known.size, 0);
  assert.equal(bench.clock.pending, 0);
});

Deno.test("Registrar.withdrawAll() returns whether others may have seen a node, including one being registered", async () => {
  await using bench = new Bench();
  const { signal } = new AbortController();
  assert.equal(await bench.registrar.withdrawAll(signal), false);
  bench.isSlow = true;
  await bench.apply([want("web:80")]);
  const withdrawing = bench.registrar.withdrawAll(signal);
  bench.isSlow = false;
  bench.flights.shift()?.land();
  assert.equal(await withdrawing, true);
  assert.equal(bench.known.size, 0);
});

Deno.test("Registrar.withdrawAll() retries waiting failures at once, and aborts with its signal", async () => {
  await using bench = new Bench({ random: () => 1 });
  bench.fault = "unreachable";
  bench.registrar.apply([down()]);
  await bench.pass(9_000);
  await bench.news();
  const controller = new AbortController();
  const withdrawing = bench.registrar.withdrawAll(controller.signal);
  assert.deepEqual(await bench.news(), ["deregisterOwn web:80"]);
  assert.equal(await isSettled(withdrawing), false);
  controller.abort();
  await withdrawing;
  await bench.registrar.withdrawAll(AbortSignal.abort());
});

Deno.test("Registrar aborts calls in flight when disposed of, leaves no timer and accepts nothing more", async () => {
  const bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.isSlow = true;
  await bench.apply([want("web:80"), want("web:81"), down("web:82")]);
  await bench.registrar[Symbol.asyncDispose]();
  assert.equal(bench.clock.pending, 0);
  assert.deepEqual(await bench.apply([want("web:83")]), []);
  assert.deepEqual(bench.said, ["info: Registered"], "an end is no failure");
});

type Happening =
  | { readonly do: "wanted"; readonly wanted: readonly Registration[] }
  | { readonly do: "fail" | "work" | "slow" | "quick" | "lose" | "land" }
  | { readonly do: "pass"; readonly ms: number };

Deno.test("Registrar converges after any changes, failures, delays and lost sessions", async () => {
  const registration = fc.record({
    name: fc.constantFrom("web:80", "web:81", "db:80"),
    wanted: fc.constantFrom("present" as const, "absent" as const),
    zone: fc.constantFrom("a", "b"),
    isRenamed: fc.boolean(),
  }).map(({ name, wanted, zone, isRenamed }) => {
    const registration = want(name, { wanted, metadata: { zone } });
    return isRenamed ? renamed(registration) : registration;
  });
  const wanted = fc.uniqueArray(registration, {
    selector: ({ cluster, node }) => `${cluster}:${node.port}`,
    maxLength: 3,
  });
  const happening: fc.Arbitrary<Happening> = fc.oneof(
    { weight: 3, arbitrary: wanted.map((wanted) => ({ do: "wanted" as const, wanted })) },
    fc.constantFrom(...(["fail", "work", "slow", "quick", "lose", "land"] as const).map((what) => ({ do: what }))),
    fc.constantFrom(0, 100, 1_000, 15_000).map((ms) => ({ do: "pass" as const, ms })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(happening, { maxLength: 25 }), fc.integer(), async (happenings, seed) => {
      await using bench = new Bench({ random: seededRandom(seed) });
      // Another reporter's leftover: what is down must go, whoever made it known.
      let last: readonly Registration[] = [];
      let everWanted = new Set<string>();
      for (const each of happenings) {
        if (each.do === "wanted") {
          last = each.wanted;
          everWanted = everWanted.union(new Set(last.map(({ cluster, node }) => `zoo ${cluster} ${nodeName(node)}`)));
          bench.registrar.apply(last);
        } else if (each.do === "fail") bench.fault = "unreachable";
        else if (each.do === "work") bench.fault = undefined;
        else if (each.do === "slow") bench.isSlow = true;
        else if (each.do === "quick") bench.isSlow = false;
        else if (each.do === "land") bench.flights.shift()?.land();
        else if (each.do === "pass") await bench.pass(each.ms);
        else {
          bench.loseSession();
          void bench.renew({ jitterMs: 500 });
        }
        assert.ok(bench.flights.length <= 6, "one change at a time for each node");
      }
      [bench.fault, bench.isSlow] = [undefined, false];
      for (const flight of bench.flights.splice(0)) flight.land();
      // A new name may wait for its next try, and the old one then for its own.
      await bench.pass(22_000);
      const present = last.filter(({ wanted }) => wanted === "present");
      assert.deepEqual(
        [...bench.known].filter(([key]) => everWanted.has(key)).toSorted(([a], [b]) => a < b ? -1 : 1),
        present.map(({ cluster, node }) => [`zoo ${cluster} ${nodeName(node)}`, node] as const)
          .toSorted(([a], [b]) => a < b ? -1 : 1),
      );
      // And quiet: nothing is asked for that is done.
      await bench.news();
      await bench.pass(5_000);
      const late = (await bench.news()).filter((what) => !what.startsWith("register"));
      assert.deepEqual(late, []);
    }),
    { numRuns: 100 },
  );
});

Deno.test("Registrar counts changes by operation and result, and how long the registry took", async () => {
  await using bench = new Bench();
  const count = (operation: string, result: string) =>
    samplesOf(bench.tally.collect())[
      `lighthouse_registrations_total{discovery="zoo",operation="${operation}",result="${result}"}`
    ];
  bench.fault = "refused";
  bench.registrar.apply([want()]);
  await settle();
  assert.deepEqual([count("register", "error"), count("register", "ok")], [1, undefined]);
  bench.fault = undefined;
  await bench.pass(1_000);
  assert.deepEqual([count("register", "error"), count("register", "ok")], [1, 1]);
  bench.registrar.apply([]);
  await bench.pass(100);
  assert.equal(count("deregisterOwn", "ok"), 1);
  const durations = 'lighthouse_registration_duration_seconds_count{discovery="zoo",operation="deregisterOwn"}';
  assert.equal(samplesOf(bench.tally.collect())[durations], 1);
});

Deno.test("Registrar: a node that goes down does not wait for hundreds that come up", async () => {
  await using bench = new Bench();
  await bench.apply([want("web:80")]);
  bench.isSlow = true;
  const many = Array.from({ length: 300 }, (_, i) => want(`new:${1_000 + i}`));
  const under = (await bench.apply([want("web:80"), ...many])).length;
  assert.ok(under < 100, `${under} changes are on their way at once`);
  assert.deepEqual(await bench.apply([down("web:80"), ...many]), []);
  bench.flights[0]?.land();
  assert.deepEqual(await bench.news(), ["deregister web:80"]);
  for (let landed = 1; landed < bench.flights.length; landed++) {
    bench.flights[landed]?.land();
    if (landed % 50 === 0) await settle();
  }
  await settle();
  for (const { land } of bench.flights) land();
  await settle();
  assert.equal(bench.known.size, 300);
});

Deno.test("Registrar registers a node twice with one discovery if the options differ, and applies a change of options to the same node", async () => {
  await using bench = new Bench();
  const at = (path: string): Registration => ({ ...want(), options: { path } });
  const said: string[] = [];
  await using registrar = new Registrar({
    clock: bench.clock,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    change: (operation, { options }) => {
      said.push(`${operation} ${(options as { path: string }).path}`);
      return Promise.resolve();
    },
  });
  const apply = async (...paths: readonly string[]) => {
    registrar.apply(paths.map(at));
    for (let turn = 0; turn < 50; turn++) await undefined;
    return said.splice(0);
  };
  assert.deepEqual(await apply("/a", "/b"), ["register /a", "register /b"]);
  assert.deepEqual(await apply("/b", "/a"), [], "the order of a list means nothing");
  assert.deepEqual(await apply("/b"), ["deregisterOwn /a"]);
  assert.deepEqual(await apply("/c"), ["register /c"], "one whose options alone changed is the same node");
  assert.deepEqual(await apply("/d", "/c"), ["register /d"]);
});

Deno.test("Registrar deregisters from a registry that left the list once the others have the node", async () => {
  await using bench = new Bench();
  bench.registrar.apply([want("web:80", { discovery: "zoo" })]);
  await settle();
  bench.isSlow = true;
  bench.registrar.apply([want("web:80", { discovery: "etcd" })]);
  await settle();
  assert.ok(bench.known.has("zoo web a.int:80"), "etcd does not have it yet");
  bench.isSlow = false;
  for (const flight of bench.flights.splice(0)) flight.land();
  await settle();
  assert.deepEqual([...bench.known.keys()], ["etcd web a.int:80"]);
});
