import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { wantedOf } from "../../tests/support/balancer_case.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { HaproxyModel } from "../../tests/support/haproxy_model.ts";
import { RecordingLogger } from "../../tests/support/recording_logger.ts";
import { DEFAULT_SETTINGS } from "../config/settings_schema.ts";
import { NO_ORDERS } from "../model/override.ts";
import { Propagation } from "../membership/propagation.ts";
import { shareSettled } from "../membership/wanted.ts";
import { UNMETERED } from "../metrics/meter.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { seededRandom } from "../kernel/random.ts";
import type { Decider } from "../plugin/decider.ts";
import type { Accepted, AcceptedBalancer } from "../config/accepted.ts";
import { Balancers } from "./balancers.ts";

/** Another plugin of the same kind: plugins are distinguished by identity. */
function plugin(): Decider {
  return { ...haproxy } as unknown as Decider;
}

function configOf(configFile: string): unknown {
  return { ...wantedOf({ balancer: { defaults: ["mode http"] }, clusters: [] }).config, configFile };
}

/** A config with balancers, each with a plugin and its config file. */
function config(balancers: Readonly<Record<string, readonly [Decider, string]>>): Accepted {
  return {
    settings: DEFAULT_SETTINGS,
    host: {},
    logging: {},
    discovery: new Map(),
    clusters: new Map(),
    unknownClusters: [],
    services: new Map(),
    balancers: new Map(
      Object.entries(balancers).map(([name, [plugin, file]]): [string, AcceptedBalancer] => [
        name,
        { file: {} as AcceptedBalancer["file"], plugin, config: configOf(file) },
      ]),
    ),
  } as unknown as Accepted;
}

/** The balancers of a host, each of which is a model; what happens to them is a list. */
class Bench implements AsyncDisposable {
  readonly happened: string[] = [];
  readonly log = new RecordingLogger();
  readonly models: HaproxyModel[] = [];
  readonly failures: unknown[] = [];
  /** Whether a balancer runs when its members are adopted. */
  runs = false;
  readonly balancers = new Balancers({
    clock: new FakeClock(),
    random: seededRandom(7),
    log: { part: () => this.log },
    meter: UNMETERED,
    propagation: new Propagation({ clock: new FakeClock(), meter: UNMETERED }),
    makeEffects: () => {
      const number = this.models.push(new HaproxyModel());
      this.happened.push(`effects ${number} made`);
      return Object.assign(this.models[number - 1]!, {
        [Symbol.dispose]: () => void this.happened.push(`effects ${number} disposed`),
      });
    },
    plugins: {
      end: () => Promise.resolve(void this.happened.push("plugin ended")),
      keep: (used) => Promise.resolve(void this.happened.push(`${used.size} kept`)),
    },
    lastKnown: {
      at: (path) => Promise.resolve(void this.happened.push(`members at ${path}`)),
      adopt: () => Promise.resolve(this.runs),
    },
    traffic: { begin() {}, share: shareSettled, asksForDown: false, noteDown: () => {} },
    orders: { at: () => Promise.resolve(), now: NO_ORDERS },
    onFailure: (error) => void this.failures.push(error),
  });

  /** Applies a config; answers what happened. */
  async apply(accepted: Accepted): Promise<readonly string[]> {
    this.happened.length = 0;
    await this.balancers.apply(accepted);
    return [...this.happened];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.balancers[Symbol.asyncDispose]();
  }
}

Deno.test("Balancers starts a writer for each balancer, and keeps it while the plugin is the same", async () => {
  await using bench = new Bench();
  const shared = plugin();
  assert.deepEqual(await bench.apply(config({ front: [shared, "/etc/a.cfg"] })), [
    "members at /etc/a.cfg.topology",
    "effects 1 made",
    "1 kept",
  ]);
  const writer = bench.balancers.running.get("front")?.writer;
  const edited = config({ front: [shared, "/etc/b.cfg"] });
  assert.deepEqual(await bench.apply(edited), ["members at /etc/b.cfg.topology", "1 kept"]);
  assert.equal(bench.balancers.running.get("front")?.writer, writer);
  assert.equal(bench.balancers.running.get("front")?.accepted, edited.balancers.get("front"));
});

Deno.test("Balancers ends the previous writer when the plugin changes, and only then starts the new one", async () => {
  await using bench = new Bench();
  await bench.apply(config({ front: [plugin(), "/etc/a.cfg"] }));
  assert.deepEqual(await bench.apply(config({ front: [plugin(), "/etc/a.cfg"] })), [
    "members at /etc/a.cfg.topology",
    "plugin ended",
    "effects 1 disposed",
    "effects 2 made",
    "1 kept",
  ]);
});

Deno.test("Balancers leaves a balancer alone when its file is removed, and logs it", async () => {
  await using bench = new Bench();
  await bench.apply(config({ front: [plugin(), "/etc/a.cfg"] }));
  assert.deepEqual(await bench.apply(config({})), ["plugin ended", "effects 1 disposed", "0 kept"]);
  assert.equal(bench.balancers.running.size, 0);
  assert.deepEqual(bench.log.events, ["warn balancer.unmanaged"]);
});

Deno.test("Balancers gives each the newest desired state, and ends all without touching running processes", async () => {
  await using bench = new Bench();
  const accepted = config({ front: [plugin(), "/etc/a.cfg"], back: [plugin(), "/etc/b.cfg"] });
  await bench.apply(accepted);
  const host = { fqdn: "a.test", ip: "10.0.0.1" };
  bench.balancers.put({ accepted, sources: new Map(), topology: { generation: 1, clusters: new Map() }, host });
  for (let turn = 0; turn < 1_000; turn++) await undefined;
  assert.deepEqual(bench.models.map(({ process }) => process !== undefined), [true, true]);
  await bench.balancers[Symbol.asyncDispose]();
  assert.deepEqual(bench.models.map(({ process }) => process !== undefined), [true, true]);
  assert.deepEqual(bench.failures, []);
});

Deno.test("Balancers knows whether one of them was already running", async () => {
  await using bench = new Bench();
  await bench.apply(config({ front: [plugin(), "/etc/a.cfg"] }));
  assert(!bench.balancers.isServed);
  bench.runs = true;
  await bench.apply(config({ front: [plugin(), "/etc/a.cfg"] }));
  assert(bench.balancers.isServed);
});

Deno.test("Balancers adds the balancer's file name to each record of a writer", async () => {
  await using bench = new Bench();
  const shared = plugin();
  const accepted = config({ inner: [shared, "/etc/a.cfg"], edge: [shared, "/etc/b.cfg"] });
  await bench.apply(accepted);
  const { host } = wantedOf({ clusters: [] });
  bench.balancers.put({ accepted, sources: new Map(), topology: { generation: 1, clusters: new Map() }, host });
  const started = await eventually("both are started", () => {
    const lines = bench.log.records.filter(({ properties }) => properties?.["event"] === "balancer.started");
    return lines.length === 2 && lines;
  });
  assert.deepEqual(started.map(({ properties }) => properties?.["balancer"]).toSorted(), ["edge", "inner"]);
});
