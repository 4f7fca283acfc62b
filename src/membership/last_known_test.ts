import assert from "node:assert/strict";
import haproxy from "../../plugins/balancers/haproxy/mod.ts";
import { render } from "../../plugins/balancers/haproxy/render.ts";
import { wantedOf } from "../../tests/support/balancer_case.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { HaproxyModel } from "../../tests/support/haproxy_model.ts";
import { TempDir } from "../../tests/support/temp_dir.ts";
import { FakeClock } from "../kernel/fake_clock.ts";
import { nodeName } from "../model/node.ts";
import type { AcceptedCluster } from "../config/accepted.ts";
import { LiveTopology } from "./live_topology.ts";
import { LastKnown, type LastKnownOptions } from "./last_known.ts";
import { onlySource } from "../model/registry_source.ts";
import { SourceMembers } from "./source_members.ts";

/** What a test does not look at. */
function bench(given: Partial<LastKnownOptions>) {
  const ignore = () => {};
  const clock = new FakeClock();
  const live = new LiveTopology();
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const options = {
    live,
    members: new SourceMembers(),
    clock,
    wallNow: () => 0,
    log,
    makeEffects: () => new HaproxyModel(),
    ...given,
  };
  return { clock, live, known: new LastKnown(options) };
}

Deno.test("LastKnown adopts a member of the running HAProxy that is not in the file yet", async () => {
  const wanted = wantedOf({
    balancer: { defaults: ["mode http"] },
    clusters: [{ name: "web", haproxy: {}, nodes: ["a.int:80 10.0.0.1"] }],
  });
  const model = new HaproxyModel();
  model.file = render(wanted).text;
  model.boot();
  model.command("add server web/b.int:80 10.0.0.2:80 id 7");
  model.command("enable server web/b.int:80");
  const disk = { read: () => Promise.resolve(model.file ?? ""), write: () => Promise.resolve() };
  const { known: made, live } = bench({ makeEffects: () => model, disk });
  await using known = made;
  const file = { name: "haproxy", type: "haproxy", config: {} };
  assert.equal(await known.adopt({ file, plugin: haproxy as never, config: wanted.config }, new Set(["web"])), true);
  assert.deepEqual(live.nodes("web")?.map(nodeName), ["a.int:80", "b.int:80"]);
});

Deno.test("LastKnown reports once that its file cannot be written, although the candidate's name changes", async () => {
  const warnings: string[] = [];
  const ignore = () => {};
  const log = { debug: ignore, info: ignore, warn: (text: string) => void warnings.push(text), error: ignore };
  const disk = {
    read: () => Promise.reject(new Deno.errors.NotFound("not there")),
    write: (path: string) => Promise.reject(new Error(`Read-only: open '${path}.lighthouse-${crypto.randomUUID()}'`)),
  };
  const { known: made, live, clock } = bench({ log, disk });
  {
    await using known = made;
    await known.at("/topology");
    live.adopt("web", []);
    known.note();
    clock.advance(1_000);
  }
  assert.equal(warnings.length, 1);
});

Deno.test("LastKnown writes its file as soon as it can, even if no member changes meanwhile", async () => {
  const told: string[] = [];
  const tell = (text: string) => void told.push(text);
  const log = { debug: tell, info: tell, warn: tell, error: tell };
  let isFull = true;
  const written: string[] = [];
  const disk = {
    read: () => Promise.reject(new Deno.errors.NotFound("not there")),
    write(_: string, text: string) {
      if (isFull) return Promise.reject(new Error("No space left"));
      written.push(text);
      return Promise.resolve();
    },
  };
  const { known: made, live, clock } = bench({ log, disk });
  await using known = made;
  await known.at("/topology");
  live.adopt("web", []);
  known.note();
  for (const full of [true, true, false]) {
    isFull = full;
    clock.advance(11_000);
    // The text is hashed first, which takes a turn of the event loop.
    await eventually(
      "it has tried",
      () => full ? told.length > 0 : told.includes("Last known good members can be saved again"),
    );
  }
  assert.match(written[0] ?? "", /"web"/);
});

Deno.test("LastKnown reports a file that is not a regular file, and starts without it", async () => {
  await using dir = new TempDir();
  await Deno.mkdir(dir.file("directory"));
  const ignore = () => {};
  for (const [name, told] of [["directory", ["not a regular file"]], ["nothing", []]] as const) {
    const reasons: unknown[] = [];
    const warn = (_: string, properties?: { readonly reason?: unknown }) => void reasons.push(properties?.reason);
    const log = { debug: ignore, info: ignore, warn, error: ignore };
    await using known = bench({ log }).known;
    await known.at(dir.file(name));
    assert.deepEqual(reasons, told, name);
  }
});

/** A disk of one file. */
class OneFile {
  text: string | undefined;
  read(): Promise<string> {
    return this.text === undefined ? Promise.reject(new Deno.errors.NotFound("not there")) : Promise.resolve(this.text);
  }
  write(_path: string, text: string): Promise<void> {
    this.text = text;
    return Promise.resolve();
  }
}

/**
 * Runs once beside a disk from a time of day on: `act` gets the topology; returns what was logged as a
 * warning.
 */
async function liveFrom(
  wallMs: number,
  disk: OneFile,
  { wanted, act = () => {}, forMs = 0 }: {
    readonly wanted: readonly string[];
    readonly act?: (live: LiveTopology) => void;
    readonly forMs?: number;
  },
): Promise<{ readonly live: LiveTopology; readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const ignore = () => {};
  const warn = (_: string, properties?: Record<string, unknown>) => void warnings.push(`${properties?.event}`);
  const clock = new FakeClock();
  const live = new LiveTopology();
  const makeEffects = () => new HaproxyModel();
  const log = { debug: ignore, info: ignore, warn, error: ignore };
  await using known = new LastKnown({
    live,
    members: new SourceMembers(),
    clock,
    wallNow: () => wallMs + clock.now(),
    log,
    makeEffects,
    disk,
  });
  // A file need not be named like its cluster.
  const clusters = new Map(
    wanted.map((
      name,
    ) => [`file-of-${name}`, { cluster: { name, sources: [onlySource("zoo")] } } as unknown as AcceptedCluster]),
  );
  known.apply({ clusters }, 7 * DAY_MS);
  await known.at("/topology");
  const { config } = wantedOf({ balancer: { defaults: ["mode http"] }, clusters: [] });
  const file = { name: "haproxy", type: "haproxy", config: {} };
  await known.adopt({ file, plugin: { ...haproxy, adopt: () => new Map() } as never, config }, new Set(wanted));
  act(live);
  clock.advance(forMs);
  return { live, warnings };
}

const DAY_MS = 86_400_000;
const NODE = { host: "a.int", ip: "10.0.0.1", port: 80, metadata: {} };
const hear = (...clusters: readonly string[]) => (live: LiveTopology) => {
  for (const cluster of clusters) live.replace({ cluster, nodes: [NODE] });
};

Deno.test("LastKnown reports the age of stored members across runs in which no registry confirmed them", async () => {
  const disk = new OneFile();
  await liveFrom(0, disk, { wanted: ["web"], act: hear("web"), forMs: DAY_MS });
  const second = await liveFrom(3 * DAY_MS, disk, { wanted: ["web"], forMs: DAY_MS });
  assert.deepEqual(second.warnings, []);
  assert.equal(second.live.confirmedMs("web", 0), -2 * DAY_MS);
  const third = await liveFrom(10 * DAY_MS, disk, { wanted: ["web"] });
  assert.equal(third.live.confirmedMs("web", 0), -9 * DAY_MS);
  assert.deepEqual(third.live.nodes("web")?.map(nodeName), ["a.int:80"], "they are served all the same");
  assert.deepEqual(third.warnings, ["cluster.outdated"]);
});

Deno.test("LastKnown forgets only clusters that are no longer configured and are older than max_age", async () => {
  const disk = new OneFile();
  await liveFrom(0, disk, { wanted: ["web", "old"], act: hear("web", "old") });
  await liveFrom(6 * DAY_MS, disk, { wanted: ["web"] });
  assert.match(disk.text ?? "", /"old"/, "it may come back");
  await liveFrom(8 * DAY_MS, disk, { wanted: ["web"] });
  assert.doesNotMatch(disk.text ?? "", /"old"/);
  assert.match(disk.text ?? "", /"web"/);
});

Deno.test("LastKnown writes each hour when members were last confirmed, although none has changed", async () => {
  const disk = new OneFile();
  const clock = new FakeClock();
  const ignore = () => {};
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore };
  const live = new LiveTopology();
  const makeEffects = () => new HaproxyModel();
  await using known = new LastKnown({
    live,
    members: new SourceMembers(),
    clock,
    wallNow: () => clock.now(),
    log,
    makeEffects,
    disk,
  });
  await known.at("/topology");
  hear("web")(live);
  known.note();
  clock.advance(1_000);
  await eventually("it is written", () => disk.text !== undefined);
  const first = disk.text;
  for (let minute = 0; minute < 61; minute++) clock.advance(60_000);
  await eventually("it is written again", () => {
    clock.advance(1_000);
    return disk.text !== first;
  });
});
